"""What `python -m engine.model_speed` prints: a JSON line for each thing, as it is measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """The speeds at one prompt length, in tokens and seconds; None for what was not measured.

    `cold_s` and `warm_s` go from the prompt to its first token, warm with `restored_tokens` from the prefix
    cache in memory. `decode_s` and `grammar_s` are for `decoded_tokens` further ones, without and with a
    grammar.
    """

    prompt_tokens: int
    cold_s: float
    restored_tokens: int | None = None
    warm_s: float | None = None
    decoded_tokens: int = 0
    decode_s: float | None = None
    grammar_s: float | None = None

    @property
    def prefill_speed(self) -> float:
        """Tokens a second of a cold prompt."""
        return self.prompt_tokens / self.cold_s if self.cold_s else 0.0

    @property
    def decode_speed(self) -> float | None:
        """Tokens a second without a grammar."""
        return self.decoded_tokens / self.decode_s if self.decode_s else None

    @property
    def grammar_speed(self) -> float | None:
        """Tokens a second with a grammar."""
        return self.decoded_tokens / self.grammar_s if self.grammar_s else None


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """The model and the machine of a run; `grammar_fault` says why nothing is measured with a grammar."""

    fingerprint: str = ""
    context_tokens: int = 0
    chunk_tokens: int = 0
    weights_bytes: int = 0
    machine: str = ""
    device: str = ""
    libraries: dict[str, str] = field(default_factory=dict)
    grammar_fault: str = ""


@dataclass(frozen=True, slots=True)
class SpeedProgress:
    """The share of the work that is done, and what is measured now."""

    done: float
    what: str


@dataclass(frozen=True, slots=True)
class SkippedLength:
    """A length that was not measured, and why."""

    prompt_tokens: int
    why: str


SpeedLine = SpeedRow | MeasuredModel | SpeedProgress | SkippedLength
_KINDS: dict[str, type[Any]] = {
    "row": SpeedRow,
    "model": MeasuredModel,
    "progress": SpeedProgress,
    "skipped": SkippedLength,
}


def speed_text(line: SpeedLine) -> str:
    """The line, without its end."""
    kind = next(name for name, made in _KINDS.items() if isinstance(line, made))
    return json.dumps({"kind": kind, **asdict(line)})


def read_speed(text: str) -> SpeedLine | None:
    """What a line says; None for a line that is none, or of a kind that is not known."""
    try:
        document = json.loads(text)
        made = _KINDS[document["kind"]]
        known = {each.name for each in fields(made)}
        found: SpeedLine = made(**{name: value for name, value in document.items() if name in known})
    except (ValueError, KeyError, TypeError):
        return None
    return found
