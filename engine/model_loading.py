"""A model folder or hub id becomes a loaded model, or one clear error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OnProgress = Callable[[float, str], None]
"""Told the fraction loaded (0 to 1) and what is going on, for people."""


class ModelError(Exception):
    """The model cannot be loaded; the message is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory and what the engine must know about it.

    `model` is the mlx-lm module, `tokenizer` mlx-lm's `TokenizerWrapper`; neither has type information.
    """

    model: Any
    tokenizer: Any
    name: str
    path: Path
    fingerprint: str
    context_length: int
    eos_token_ids: frozenset[int]
    vocab_size: int


def load_model(path_or_id: str | Path, on_progress: OnProgress = lambda done, what: None) -> LoadedModel:
    """Load a model on the calling thread, which must be the one that will run it.

    Raises:
        ModelError: one subclass for each situation.
    """
    raise NotImplementedError
