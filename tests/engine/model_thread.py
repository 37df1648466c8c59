"""A scheduler around a test model, and ways to collect what it answers."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import mlx.core as mx

from engine.models.loading import LoadedModel, OnProgress, load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.scheduling.requests.steps import (
    FailStep,
    FinishStep,
    Generation,
    GenerationRequest,
    Sampling,
    Step,
    TokenStep,
)
from engine.scheduling.requests.stream import StepStream
from engine.scheduling.scheduler import Scheduler
from engine.wire.feed import CacheChange, Lookup

GREEDY = Sampling(temperature=0.0)
_numbers = count(1)


@dataclass
class Answer:
    """All steps of a request."""

    steps: list[Step]

    @property
    def tokens(self) -> list[int]:
        return [step.token for step in self.steps if isinstance(step, TokenStep)]

    @property
    def lookup(self) -> Lookup:
        return next(step for step in self.steps if isinstance(step, Lookup))

    @property
    def cache_events(self) -> list[tuple[str, int]]:
        return [(step.event, step.tokens) for step in self.steps if isinstance(step, CacheChange)]

    @property
    def end(self) -> FinishStep | FailStep:
        last = self.steps[-1]
        assert isinstance(last, FinishStep | FailStep)
        return last


def ask(prompt: Sequence[int], max_tokens: int = 8, **fields: Any) -> GenerationRequest:
    """A greedy request, unless `fields` say otherwise."""
    defaults: dict[str, Any] = {"request_id": f"request-{next(_numbers)}", "sampling": GREEDY}
    return GenerationRequest(prompt=list(prompt), max_tokens=max_tokens, **(defaults | fields))


async def steps_of(generation: Generation) -> AsyncIterator[Step]:
    """Its steps one by one; those that arrived with the last one looked at are gone with it."""
    assert isinstance(generation, StepStream)
    while steps := await generation.take():
        for step in steps:
            yield step
            if generation.cancelled:
                return


async def collect(generation: Generation) -> Answer:
    return Answer([step async for step in steps_of(generation)])


async def answers(scheduler: Scheduler, *requests: GenerationRequest) -> list[Answer]:
    """Submit all at once and wait for all."""
    loop = asyncio.get_running_loop()
    running = [scheduler.submit(request, loop) for request in requests]
    return await asyncio.gather(*map(collect, running))


async def answer(scheduler: Scheduler, request: GenerationRequest) -> Answer:
    return (await answers(scheduler, request))[0]


Load = Callable[[OnProgress], LoadedModel]


@contextmanager
def running(
    model: Path | Load, *, cache: RadixPrefixCache | None = None, loaded: bool = True, **options: Any
) -> Iterator[Scheduler]:
    """A scheduler on its own thread, which has ended when the block has."""
    load: Load = functools.partial(load_model, model) if isinstance(model, Path) else model
    scheduler = Scheduler(load, cache or RadixPrefixCache(max_bytes=1 << 28), **options)
    scheduler.start()
    try:
        if loaded:
            scheduler.wait_until_loaded(30)
        yield scheduler
    finally:
        scheduler.stop()


class Observed:
    """A model that lets a test look at, stop or break each of its calls."""

    def __init__(self, model: Any, before_call: Callable[[list[list[int]]], None]) -> None:
        self._model = model
        self._before_call = before_call

    def __call__(self, inputs: mx.array, **kwargs: Any) -> Any:
        self._before_call(inputs.tolist())  # type: ignore[arg-type]
        return self._model(inputs, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def observed(path: Path, before_call: Callable[[list[list[int]]], None]) -> Load:
    """Loads the model in `path` so that `before_call` sees the tokens of each call first, and may raise."""

    def load(on_progress: OnProgress) -> LoadedModel:
        loaded = load_model(path, on_progress)
        return replace(loaded, model=Observed(loaded.model, before_call))

    return load


PROMPT = list(range(300, 340))


def prompt(seed: int, length: int = 40) -> list[int]:
    return [(seed * 7919 + position * 104729) % 1500 for position in range(length)]


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """Stops the model's thread in the first call that has `token` in it, until it is opened."""

    def __init__(self, token: int) -> None:
        self._token = token
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, inputs: list[list[int]]) -> None:
        if any(self._token in slot for slot in inputs) and not self.opened.is_set():
            self.reached.set()
            assert self.opened.wait(60)
