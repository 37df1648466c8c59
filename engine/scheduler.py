"""The model's thread: loads the model there, batches requests, and answers with steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from engine.generation import Generation, GenerationRequest
from engine.model_loading import LoadedModel, OnProgress
from engine.prefix_cache import PrefixCache

LoopState = Literal["loading", "ready", "busy", "stalled", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class LoopHealth:
    """How the model's loop stands; ages and times in seconds."""

    state: LoopState
    progress: float
    detail: str
    heartbeat_age_s: float
    last_progress_s: float | None  # since the last prefill chunk or token; None before the first
    running: int
    queue: int


class Scheduler:
    """Owns the model's thread.

    `load` runs on that thread, since arrays made in one thread cannot be evaluated in another:
    `Scheduler(functools.partial(load_model, path), cache)`.
    """

    def __init__(
        self,
        load: Callable[[OnProgress], LoadedModel],
        prefix_cache: PrefixCache,
        *,
        max_queue: int = 64,
        max_batch: int = 8,
        prefill_chunk: int | None = None,
        stall_after_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None: ...

    def start(self) -> None:
        """Start the thread; loading goes on in the background."""

    def wait_until_loaded(self, timeout_s: float | None = None) -> LoadedModel:
        """Block until the model is there.

        Raises:
            ModelError: it could not be loaded.
            TimeoutError: it is not there in time.
        """
        raise NotImplementedError

    @property
    def loaded(self) -> LoadedModel | None:
        """The model once it is loaded."""
        raise NotImplementedError

    def submit(self, request: GenerationRequest, loop: asyncio.AbstractEventLoop) -> Generation:
        """Queue a request; call from any thread. Its steps arrive on `loop`."""
        raise NotImplementedError

    def health(self) -> LoopHealth:
        """Read from any thread, never blocks."""
        raise NotImplementedError

    def stats(self) -> dict[str, Any]:
        """Counters since start, as JSON: requests, tokens, loop, prefix_cache."""
        raise NotImplementedError

    def stop(self, timeout_s: float = 10.0) -> None:
        """Fail what still runs, end the thread and wait for it."""
