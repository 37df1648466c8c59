"""What the web side asks of the model's thread, and the steps that come back.

The seam between `engine.api.app` (asyncio, text, OpenAI's wire) and `engine.scheduling.scheduler` (one thread
that owns the model, token ids only).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from engine.constrained.grammar import CompiledGrammar
from engine.constrained.thinking_cap import Guide, ThinkingCap
from engine.wire.chat import Lane as Lane
from engine.wire.feed import CacheChange, Lookup, PhaseTimes, PrefillProgress, Queued, Resumed


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters with OpenAI's meaning; temperature 0 is greedy."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: dict[int, float] = field(default_factory=dict)
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt to continue.

    `prompt` is never empty. `boundaries` are ascending positions in it (0 < boundary < len(prompt))
    at which the prompt cache is worth storing: the end of system and tools if there are any, and the ends of
    messages. They are a function of the prompt alone.
    """

    request_id: str
    prompt: list[int]
    max_tokens: int
    sampling: Sampling = Sampling()
    boundaries: tuple[int, ...] = ()
    has_shared_prefix: bool = True  # the first boundary ends what other sessions begin with too
    shared_boundaries: int = 2  # the first boundaries that other sessions may share
    name_at: Callable[[int], str] = lambda position: ""  # what lies there, for people; empty: not known
    own_from: int | None = None  # a conversation without an answer has its own first text from there
    grammar: CompiledGrammar | None = None  # constrains the answer
    thinking_cap: ThinkingCap | None = None  # ends its thinking
    lane: Lane = "main"
    session: str = ""  # the client's conversation, for people; empty where it tells none
    resume_key: str = ""  # the same for a repeat of the request; empty: it begins anew
    resume_tokens: tuple[int, ...] = ()  # the answer begins with them: an engine that ended generated them

    def guide(self, generated: Sequence[int]) -> Guide | None:
        """What holds the answer that begins with `generated` to its grammar and its cap; None if nothing."""
        held = self.grammar.guide(generated) if self.grammar is not None else None
        return held if self.thinking_cap is None else self.thinking_cap.guide(held, generated)


@dataclass(frozen=True, slots=True)
class ResumedStep:
    """The answer goes on from one that was broken off: the next `tokens` tokens are of that one."""

    tokens: int


@dataclass(frozen=True, slots=True)
class TokenStep:
    """The next generated token; end tokens are not delivered."""

    token: int


@dataclass(frozen=True, slots=True)
class UnconstrainedStep:
    """From the next token on decoding is unconstrained."""

    why: str


@dataclass(frozen=True, slots=True)
class ThinkingCappedStep:
    """The thinking was ended at its cap, behind so many tokens."""

    tokens: int


@dataclass(frozen=True, slots=True)
class FinishStep:
    """The last step of a request that went well. `generated` counts the end token too."""

    reason: Literal["stop", "length"]
    generated: int


@dataclass(frozen=True, slots=True)
class FailStep:
    """The last step of a request that failed; the loop and all other requests go on.

    "overloaded" means that the same request may succeed in a moment: too many wait, or the device failed.
    """

    kind: Literal["invalid_request", "overloaded", "internal"]
    message: str


ReportStep = Queued | Lookup | PhaseTimes | PrefillProgress | CacheChange | Resumed
"""What is reported of a request beside its tokens; written to the engine feed as it is."""

Step = ReportStep | ResumedStep | TokenStep | UnconstrainedStep | ThinkingCappedStep | FinishStep | FailStep


class Generation(Protocol):
    """A running request; the last of its steps is a FinishStep or a FailStep."""

    async def take(self) -> list[Step]:
        """All steps since the last call, once there are any; empty after a cancel, or after the last one."""
        ...

    @property
    def untaken_failure(self) -> FailStep | None:
        """The failure that ended it, if nobody has taken it yet."""
        ...

    def cancel(self) -> None:
        """Stop within one token or prefill chunk; what was computed stays in the prefix cache."""
        ...

    def abandon(self) -> None:
        """Cancel because the client left: a request with the same `resume_key` goes on from there."""
        ...
