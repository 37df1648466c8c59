"""The context window of a model, as its files state it; read without mlx.

Families name the window differently in config.json, some in a nested section. With learned positions, their
table is a hard limit: a token behind its end would read memory out of bounds. Otherwise the number is what
the model was trained for, and a setting may override it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.model_files.errors import ModelError
from engine.model_files.safetensors_header import tensor_shapes
from engine.model_files.weight_files import weight_choices
from engine.process.json_files import read_object

_NAMES = (
    "model_max_length",  # Cohere's models state it beside a shorter number of positions
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_sequence_length",
    "max_seq_len",
    "max_seq_length",
    "max_context_length",
    "max_target_positions",
    "seq_length",
    "sequence_len",
    "context_length",
    "ctx_len",
    "block_size",
)
_SECTIONS = ("text_config", "language_config", "llm_config", "thinker_config", "language_model")
_SANE = range(16, 100_000_000)  # tokenizers state 10**30 for no limit
_MOST_DIGITS = 20
_POSITIONS = re.compile(
    r"(?:^|\.)(?:wpe|embed_positions|position_embeddings?|positional_embeddings?|pos_emb(?:ed)?)\.weight"
)
_OTHER_SENSES = re.compile(r"vision|visual|audio|image|encoder")


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """`stated` is what the files say, `learned` the number of learned positions; 0 for none.

    `scaling` says how the stated window is reached from a shorter one by scaling positions, or "".
    """

    stated: int
    learned: int
    scaling: str = ""

    @property
    def tokens(self) -> int:
        """The window in tokens, 0 if the files do not state it."""
        return min(self.stated or self.learned, self.learned or self.stated)


def read_window(folder: Path) -> ContextWindow:
    """The window of the model in a folder; unreadable files count as stating none."""
    config = read_object(folder / "config.json")
    try:
        return context_window_of(config, folder, weight_choices(folder)[0].files)
    except (ModelError, OSError):  # also while the weights are being replaced
        return context_window_of(config, folder, ())


def context_window_of(config: Mapping[str, Any], folder: Path, weights: Iterable[Path]) -> ContextWindow:
    """The window of a model with this config.json and these weight files.

    Raises:
        BrokenWeights: a weight file cannot be read.
    """
    tokenizer = read_object(folder / "tokenizer_config.json")
    stated = _stated(config) or _tokens(tokenizer.get("model_max_length"))
    return ContextWindow(stated, learned_positions(weights), _scaling_in_words(config, stated))


def learned_positions(weights: Iterable[Path]) -> int:
    """The number of rows of the smallest table of positions in these files, 0 if there is none.

    Raises:
        BrokenWeights: a file cannot be read.
    """
    shapes = [
        shape
        for file in weights
        for name, shape in tensor_shapes(file).items()
        if _POSITIONS.search(name) and not _OTHER_SENSES.search(name)
    ]
    return min((shape[0] for shape in shapes if len(shape) == 2), default=0)


def _stated(config: Mapping[str, Any], depth: int = 3) -> int:
    """The window of the text model's section, which is what runs, else of the whole configuration."""
    for section in _sections(config, depth):
        if tokens := _stated(section, depth - 1):
            return tokens
    tokens = next((tokens for name in _NAMES if (tokens := _tokens(config.get(name)))), 0)
    return _scaled(tokens, config) if tokens else 0


def _scaled(tokens: int, config: Mapping[str, Any]) -> int:
    """The window after position scaling, if `tokens` is the number before it.

    Most configurations state the number after scaling, and the original number with the scaling. With YaRN
    some state the original number, or that with room for an answer: the factor says how far it was extended.
    """
    for scaling in _scalings(config):
        original = _tokens(scaling.get("original_max_position_embeddings"))
        factor = scaling.get("factor")
        if not original or not isinstance(factor, int | float) or factor <= 1:
            continue
        if original == tokens or (_kind(scaling) == "yarn" and original < tokens):
            return max(tokens, _tokens(original * factor))
    return tokens


def _scaling_in_words(config: Mapping[str, Any], stated: int, depth: int = 3) -> str:
    for section in _sections(config, depth):
        if text := _scaling_in_words(section, stated, depth - 1):
            return text
    for scaling in _scalings(config):
        name = "original_max_position_embeddings"  # Phi's models state it beside the scaling
        original = _tokens(scaling.get(name)) or _tokens(config.get(name))
        kind = _kind(scaling)
        if original and original < stated and kind.isidentifier():
            return f"its window of {stated} tokens is one of {original}, extended by {kind} position scaling"
    return ""


def _sections(config: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """The sections of a configuration that may be of the text model; none at depth 0."""
    inner = (config.get(name) for name in _SECTIONS if depth)
    return (section for section in inner if isinstance(section, dict))


def _kind(scaling: Mapping[str, Any]) -> str:
    kind = scaling.get("rope_type") or scaling.get("type")
    return kind if isinstance(kind, str) else ""


def _scalings(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("rope_scaling", "rope_parameters"):
        found = config.get(name)
        if isinstance(found, dict):
            yield found
            yield from (
                part for part in found.values() if isinstance(part, dict)
            )  # one for each kind of layer


def _tokens(value: Any) -> int:
    """A number of tokens, also one written as a text; 0 for any other value."""
    if isinstance(value, str) and value.isdecimal() and len(value) < _MOST_DIGITS:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _SANE.stop:
        return 0
    return int(value) if int(value) in _SANE else 0
