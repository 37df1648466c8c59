"""Requests that do not fit together run in turns, always within the limit, with unchanged answers."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from engine.memory.guard import MemoryGuard, MlxMeter
from engine.memory.pressure import Pressure, PressureWatch
from engine.memory_budget.costs import RequestCost
from engine.memory_budget.limits import Machine
from engine.models.loading import LoadedModel, load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.interface import Fetch
from engine.prefix_cache.layers import layout_of
from engine.process.device_faults import DeviceRefuses
from engine.scheduling.loop import DecodeLoop
from engine.scheduling.requests.request import ScheduledRequest
from engine.scheduling.requests.steps import FailStep, FinishStep, GenerationRequest, Step, TokenStep
from engine.scheduling.requests.stream import StepStream
from engine.scheduling.runner import ModelRunner
from engine.trials.memory_costs import arrays_of_a_request, weight_bytes
from engine.wire.feed import Lookup
from proxy.backends.faults import error_in_stream
from proxy.events.errors import ContextOverflow
from tests.engine.disk_tiers import make_tier
from tests.engine.faulty_device import REFUSED, TIMEOUT, FaultyDevice, Script
from tests.engine.model_thread import Observed, ask, steps_of
from tests.models import ModelShelf

CHUNK = 64
LENGTH = 900
# What is measured for this model differs a little from time to time.
COST = RequestCost(
    kv_bytes=512, chunk_bytes=6000, pair_bytes=10, step_bytes=196_608, chunk_size_at=lambda position: CHUNK
)

_ALONE: dict[tuple[int, ...], list[int]] = {}  # what `alone` was answered before


def prompt(seed: int, length: int = LENGTH) -> list[int]:
    return [(seed * 7919 + position * 104729) % 1500 for position in range(length)]


class Since(MlxMeter):
    """What MLX holds beyond what it held when this was made; other tests' models do not count."""

    def __init__(self) -> None:
        self._start = super().active()

    def active(self) -> int:
        return super().active() - self._start

    def resident(self) -> int:
        return 0


class Guarded:
    """A loop with room for so many contexts of so many tokens beside its model; a test does its turns."""

    def __init__(
        self,
        shelf: ModelShelf,
        contexts: float,
        *,
        tokens: int = LENGTH + 40,
        cache: RadixPrefixCache | None = None,
        before_call: Callable[[list[list[int]]], None] = lambda inputs: None,
        pressure: Callable[[], Pressure] = lambda: "normal",
        around: Callable[[Any], Any] = lambda model: model,
    ) -> None:
        self.now = 0.0
        self.samples: list[int] = []
        self.meter = Since()
        loaded = load_model(shelf.tiny())

        def sample(inputs: list[list[int]]) -> None:
            self.samples.append(self.meter.active())
            before_call(inputs)

        self.loaded = replace(loaded, model=around(Observed(loaded.model, sample)))
        self.cache = cache or RadixPrefixCache(max_bytes=1 << 26)
        cost = COST
        room = cost.transient_bytes(tokens) + int(contexts * cost.reserved_bytes(tokens, alone=False))
        self.limit = sum(weight_bytes(loaded)[:2]) + room
        self.guard = MemoryGuard(
            self.cache,
            Machine(1 << 50),
            asked=self.limit,
            meter=self.meter,
            pressure=PressureWatch(pressure, lambda: self.now),
        )
        self.window = self.take_in(self.loaded, cost)
        served = replace(self.loaded, context_length=self.window)
        self.wake = threading.Event()
        self.loop = DecodeLoop(
            served,
            self.cache,
            prefill_chunk=CHUNK,
            wake=self.wake.set,
            clock=lambda: self.now,
            memory=self.guard,
        )
        self.most_running = 0

    def take_in(self, loaded: LoadedModel, cost: RequestCost) -> int:
        return self.guard.set_up(
            loaded.name, weight_bytes(loaded), cost, arrays_of_a_request(loaded), loaded.context_length
        )

    def come(self, request: GenerationRequest) -> ScheduledRequest:
        live = ScheduledRequest(request, StepStream(asyncio.get_running_loop(), lambda: None), self.now)
        self.now += 0.001
        self.loop.arrive(live)
        return live

    def turn(self) -> bool:
        busy = self.loop.turn()
        self.now += 0.001
        self.samples.append(self.meter.active())
        self.most_running = max(self.most_running, self.loop.running)
        return busy

    def finish(self, turns: int = 20_000) -> None:
        for _ in range(turns):
            if not self.loop.running and not self.loop.queued:
                return
            self.wake.clear()
            if not self.turn():  # or the clock outruns a read from disk
                self.wake.wait(0.01)
        pytest.fail(f"not after {turns} turns")

    async def steps(self, live: ScheduledRequest) -> list[Step]:
        self.loop.flush()
        return [step async for step in steps_of(live.stream)]

    async def tokens(self, live: ScheduledRequest) -> list[int]:
        return [step.token for step in await self.steps(live) if isinstance(step, TokenStep)]


@pytest.fixture(autouse=True)
def undisturbed_limits() -> Any:
    gc.collect()  # what is left of other tests must not go while `Since` counts
    before = mx.set_memory_limit(1 << 40)
    yield
    mx.set_memory_limit(before)


async def alone(shelf: ModelShelf, *requests: GenerationRequest) -> list[list[int]]:
    """What each of these is answered with when nothing else runs and nothing is limited."""
    answers = []
    for request in requests:
        key = (*request.prompt, request.max_tokens)
        if key not in _ALONE:
            guarded = Guarded(shelf, 1000)
            live = guarded.come(request)
            guarded.finish()
            _ALONE[key] = await guarded.tokens(live)
        answers.append(_ALONE[key])
    return answers


async def test_eight_sessions_that_do_not_fit_together_finish_in_turns(shelf: ModelShelf) -> None:
    requests = [ask(prompt(seed), 40) for seed in range(8)]
    guarded = Guarded(shelf, 2.6)
    lives = [guarded.come(request) for request in requests]
    guarded.finish()
    assert max(guarded.samples) <= guarded.limit
    assert 1 < guarded.most_running < 8
    assert guarded.loop.counts.finished == 8
    assert [await guarded.tokens(live) for live in lives] == await alone(shelf, *requests)


async def test_no_request_waits_while_all_fit(shelf: ModelShelf) -> None:
    guarded = Guarded(shelf, 16)
    lives = [guarded.come(ask(prompt(seed, 200), 60)) for seed in range(8)]
    guarded.finish()
    assert guarded.most_running == 8
    ends = [(await guarded.steps(live))[-1] for live in lives]
    assert all(isinstance(end, FinishStep) for end in ends)


async def test_an_answer_that_outgrows_its_reservation_preempts_the_newest_request(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both begin; one of them has to wait, in the middle of its answer, until the other one has ended."""
    monkeypatch.setattr("engine.scheduling.memory_admission._AHEAD", 50)
    requests = [ask(prompt(seed, 350), 200) for seed in (1, 2)]
    guarded = Guarded(shelf, 1.9, tokens=550)
    lives = [guarded.come(request) for request in requests]
    guarded.finish()
    assert guarded.most_running == 2
    assert max(guarded.samples) <= guarded.limit
    counts = guarded.loop.counts
    assert (counts.finished, counts.failed, counts.rebuilds) == (2, 0, 0)
    assert counts.prefilled_tokens > 700  # something was computed again, at least its last token
    answers = [await guarded.tokens(live) for live in lives]
    assert [len(answer) for answer in answers] == [200, 200]
    assert answers == await alone(shelf, *requests)


async def test_a_prompt_that_would_not_fit_alone_is_refused_in_words_that_compact_a_session(
    shelf: ModelShelf,
) -> None:
    guarded = Guarded(shelf, 1.5)
    guarded.loop._loaded = guarded.loaded
    guarded.loop._intake._loaded = guarded.loaded  # as if the window had not been told
    length = guarded.window + 300
    live = guarded.come(ask(prompt(1, length), 5))
    other = guarded.come(ask(prompt(2), 5))
    guarded.finish()
    failure = (await guarded.steps(live))[-1]
    assert isinstance(failure, FailStep)
    assert failure.kind == "invalid_request"
    overflow = error_in_stream({"error": {"message": failure.message}}, "the engine")
    assert isinstance(overflow, ContextOverflow)
    found = re.search(r"prompt is too long: (\d+) tokens > (\d+) maximum", str(overflow))
    assert found is not None
    assert (int(found[1]), int(found[2])) == (length, guarded.window)
    assert len(await guarded.tokens(other)) == 5


async def test_a_prompt_as_long_as_the_window_allows_is_answered(shelf: ModelShelf) -> None:
    guarded = Guarded(shelf, 1.5)
    live = guarded.come(ask(prompt(1, guarded.window - 4), 50))
    guarded.finish()
    assert max(guarded.samples) <= guarded.limit
    assert len(await guarded.tokens(live)) == 4


async def test_the_prefix_cache_makes_room_before_anybody_waits(shelf: ModelShelf) -> None:
    guarded = Guarded(shelf, 2.2)
    for seed in range(6):
        guarded.come(ask(prompt(seed), 2))
        guarded.finish()
    kept = guarded.cache.memory().array_bytes
    assert kept > 0
    assert guarded.cache.stats()["evictions"] > 0  # it cannot have six
    guarded.most_running = 0
    for seed in (10, 11):
        guarded.come(ask(prompt(seed), 2))
    guarded.finish()
    assert guarded.most_running == 2
    assert max(guarded.samples) <= guarded.limit


async def test_under_pressure_requests_wait_for_one_another(shelf: ModelShelf) -> None:
    level: list[Pressure] = ["warning"]
    guarded = Guarded(shelf, 12, pressure=lambda: level[0])
    guarded.turn()
    for seed in range(3):
        guarded.come(ask(prompt(seed, 200), 20))
    guarded.finish()
    assert guarded.most_running == 1
    assert guarded.loop.counts.finished == 3
    level[0] = "normal"
    guarded.now += 5
    guarded.turn()
    for seed in range(3, 6):
        guarded.come(ask(prompt(seed, 200), 100))
    guarded.finish()
    assert guarded.most_running == 3


async def test_a_waiting_request_can_be_cancelled(shelf: ModelShelf) -> None:
    guarded = Guarded(shelf, 1.1)
    first, second = (guarded.come(ask(prompt(seed), 30)) for seed in (1, 2))
    for _ in range(30):
        guarded.turn()
    assert guarded.loop.running == 1
    guarded.loop.cancel(second)
    guarded.finish()
    assert (guarded.loop.counts.finished, guarded.loop.counts.cancelled) == (1, 1)
    assert len(await guarded.tokens(first)) == 30


class Slow(RadixPrefixCache):
    """A cache whose reads from disk a test counts, and whose files it writes at once."""

    def __init__(self) -> None:
        super().__init__(max_bytes=1 << 26)
        self.most_loading = 0
        self.fetches: list[Fetch] = []

    def fetch(self, tokens: Any, on_done: Callable[[], None]) -> Fetch | None:
        fetch = super().fetch(tokens, on_done)
        if fetch is not None:
            self.fetches.append(fetch)
        return fetch


async def test_prompts_that_are_on_disk_are_read_when_there_is_memory_for_them(
    shelf: ModelShelf, tmp_path: Path
) -> None:
    requests = [ask(prompt(seed), 5) for seed in range(6)]
    cache = Slow()
    tier = make_tier(tmp_path)
    guarded = Guarded(shelf, 1.7, cache=cache)
    cache.attach(tier, layout_of(ModelRunner(guarded.loaded).new_cache()))
    for request in requests:
        guarded.come(request)
        guarded.finish()
        assert tier.flush()
    cache.clear()
    cache.fetches.clear()
    guarded.samples.clear()
    lives = [guarded.come(replace(request, request_id=f"again {request.request_id}")) for request in requests]
    at_once = len(cache.fetches)
    assert at_once < 6
    guarded.finish()
    cache.close()
    assert max(guarded.samples) <= guarded.limit
    assert guarded.loop.counts.finished == 12
    restored = 0
    for live in lives:
        (lookup,) = [step for step in await guarded.steps(live) if isinstance(step, Lookup)]
        restored += lookup.matched_tokens > LENGTH - 2 * CHUNK
    assert restored >= 2  # what has no room beside those that run is computed


async def made_way_in_a_fault(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch, text: str
) -> tuple[Guarded, list[ScheduledRequest], list[GenerationRequest]]:
    """Two requests, the newer of which makes way just when a fault has hit the step that is under way."""
    monkeypatch.setattr("engine.scheduling.memory_admission._AHEAD", 50)
    requests = [ask(prompt(seed, 350), 200) for seed in (1, 2)]
    device = FaultyDevice(monkeypatch, Script())
    guarded = Guarded(shelf, 1.9, tokens=550, around=device.around)
    lives = [guarded.come(request) for request in requests]
    preempt = guarded.loop._memory_admission._preempt
    met: list[ScheduledRequest] = []

    def makes_way(live: ScheduledRequest) -> None:
        if not met:
            met.append(live)
            assert len(live.generated) > live.confirmed
            live.generated[live.confirmed :] = [7] * (len(live.generated) - live.confirmed)  # never computed
            device.left = text
        preempt(live)

    guarded.loop._memory_admission._preempt = makes_way
    return guarded, lives, requests


async def test_a_device_fault_during_preemption_resumes_from_confirmed_tokens(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded, lives, requests = await made_way_in_a_fault(shelf, monkeypatch, TIMEOUT)
    guarded.finish()
    assert guarded.loop.counts.device_faults == 1
    assert [await guarded.tokens(live) for live in lives] == await alone(shelf, *requests)


async def test_a_request_preempted_while_the_device_refuses_fails_like_all_others(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded, lives, _ = await made_way_in_a_fault(shelf, monkeypatch, REFUSED)
    with pytest.raises(DeviceRefuses):
        guarded.finish()
    guarded.loop.fail_all("it ends")
    assert guarded.loop.counts.failed == 2
    for live in lives:
        assert (await guarded.steps(live))[-1] == FailStep("overloaded", "it ends")
