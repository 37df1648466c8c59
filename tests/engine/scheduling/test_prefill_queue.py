"""The order of prefill: short work first, bounded delays, and no prefix computed twice at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scheduling.prefill import Prefill
from engine.scheduling.prefill_queue import PrefillQueue
from engine.scheduling.requests.request import ScheduledRequest
from engine.scheduling.requests.steps import Lane
from engine.scheduling.requests.stream import StepStream
from tests.engine.model_thread import ask

CHUNK = 100


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def nothing(inputs: mx.array, cache: list[Any]) -> None:
    """Stands for a model."""


class Line:
    """A line whose chunks cost nothing, and a record of whose they were."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, exact_only: bool = False) -> None:
        self._loop = loop
        self._numbers = 0
        self.queue = PrefillQueue(exact_only=exact_only)
        self.turns: list[ScheduledRequest] = []

    def come(self, prompt: list[int], lane: Lane = "main", known: int = 0) -> ScheduledRequest:
        self._numbers += 1
        stream = StepStream(self._loop, lambda: None)
        live = ScheduledRequest(ask(prompt, lane=lane), stream, float(self._numbers))
        live.restorable = known
        self.queue.add(live)
        return live

    def turn(self, max_running: int = 8) -> ScheduledRequest | None:
        live = self.queue.choose([], max_running)
        if live is None:
            return None
        self.turns.append(live)
        if live.prefill is None:
            live.restored = live.restorable
            live.prefill = Prefill(nothing, live.spec.prompt, [], live.restorable, live.store_at, CHUNK)
            self.queue.start(live)
        before = live.prefilled
        live.prefill.advance()
        self.queue.worked(live.prefilled - before)
        if not live.remaining:
            self.queue.remove(live)
        return live

    def run(self) -> list[ScheduledRequest]:
        """Turn until all are done; returns them in the order in which they were."""
        done = []
        while len(self.queue):
            live = self.turn()
            assert live is not None
            if not live.remaining:
                done.append(live)
        return done


def own(seed: int, length: int) -> list[int]:
    return [seed * 100_000 + n for n in range(length)]


def test_a_short_prompt_passes_a_long_one_between_two_chunks(loop: asyncio.AbstractEventLoop) -> None:
    line = Line(loop)
    long = line.come(own(1, 5000))
    line.turn()
    short = line.come(own(2, 5000), known=4900)
    assert [line.turn(), line.turn()] == [short, long]


@pytest.mark.parametrize("chunks", [1, 30, 48])
def test_a_long_prompt_does_not_count_its_own_work_as_waiting(
    loop: asyncio.AbstractEventLoop, chunks: int
) -> None:
    line = Line(loop)
    line.come(own(1, 5000))
    for _ in range(chunks):
        line.turn()
    short = line.come(own(2, 5000), known=4900)
    assert line.turn() is short


def test_of_equal_requests_the_first_goes_first(loop: asyncio.AbstractEventLoop) -> None:
    line = Line(loop)
    equals = [line.come(own(seed, 950)) for seed in range(3)]
    assert line.run() == equals
    assert line.turns == [live for live in equals for _ in range(10)]


def test_conversations_go_before_subagents_and_these_before_side_requests(
    loop: asyncio.AbstractEventLoop,
) -> None:
    line = Line(loop)
    auxiliary = line.come(own(1, 300), "auxiliary")
    subagent = line.come(own(2, 1000), "subagent")
    main = line.come(own(3, 2000))
    assert line.run() == [main, subagent, auxiliary]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 400), min_size=40, max_size=60))
def test_a_long_prompt_is_overtaken_by_at_most_about_its_own_length(
    loop: asyncio.AbstractEventLoop, lengths: list[int]
) -> None:
    line = Line(loop)
    long = line.come(own(0, 2000))
    for seed, length in enumerate(lengths, 1):
        line.come(own(seed, length + 1))
        while long.remaining and (live := line.turn()) is not long:
            assert live is not None
            if not live.remaining:
                break
        if not long.remaining:
            break
    before = (
        line.turns[: len(line.turns) - line.turns[::-1].index(long)] if long in line.turns else line.turns
    )
    passed = sum(len(live.tokens) for live in {*before} - {long})
    assert passed <= 2000 + 400 + 100


def test_a_prompt_whose_prefix_is_being_computed_waits_for_it(loop: asyncio.AbstractEventLoop) -> None:
    line = Line(loop)
    head = own(1, 1000)
    first = line.come([*head, *own(2, 4000)])
    line.turn()
    second = line.come([*head, *own(3, 50)])
    assert line.queue.is_awaited_between(first, 900, 1000)
    assert not line.queue.is_awaited_between(first, 1000, 1100)
    assert [line.turn() for _ in range(9)] == [first] * 9
    second.restorable = 1000
    assert line.turn() is second


def test_what_is_resumed_at_checkpoints_alone_waits_for_the_last_shared_one(
    loop: asyncio.AbstractEventLoop,
) -> None:
    line = Line(loop, exact_only=True)
    head = own(1, 1000)
    first = line.come([*head, *own(2, 4000)])
    first.store_at = {400: "head", 1200: "main"}
    line.turn()
    line.come([*head, *own(3, 50)])
    assert [line.turn() for _ in range(3)] == [first] * 3
    assert line.turn() is not first


def test_a_short_common_prefix_is_not_waited_for(loop: asyncio.AbstractEventLoop) -> None:
    line = Line(loop)
    first = line.come([*own(1, 200), *own(2, 4000)])
    line.turn()
    second = line.come([*own(1, 200), *own(3, 50)])
    assert first is not second
    assert line.turn() is second


def test_at_most_max_running_requests_run(loop: asyncio.AbstractEventLoop) -> None:
    line = Line(loop)
    long = line.come(own(1, 5000))
    assert line.turn(max_running=1) is long
    line.come(own(2, 10))
    assert line.turn(max_running=1) is long
    assert line.queue.choose([long], 1) is long
    assert Line(loop).queue.choose([long], 1) is None


def test_a_suspect_waits_for_another_one_and_others_wait_for_it(loop: asyncio.AbstractEventLoop) -> None:
    line = Line(loop)
    suspect = line.come(own(1, 150))
    suspect.suspect = True
    other = line.come(own(2, 10))
    running = ScheduledRequest(ask(own(3, 5)), StepStream(loop, lambda: None), 0.0)
    assert line.queue.choose([running], 8) is suspect
    running.suspect = True
    assert line.queue.choose([running], 8) is None
    assert line.turn() is suspect
    assert line.turn() is suspect
    suspect.suspect = False
    assert line.turn() is other
