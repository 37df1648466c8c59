"""Each request is counted once and ends once, whatever fails and in whatever order events arrive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from engine.api.answer_plan import AnswerPlanner
from engine.api.requests import parse_chat
from engine.chunks.fit import ChunkFit
from engine.chunks.pace import PrefillPace
from engine.models.loading import load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.disk.read_deadlines import READ_WITHIN_S
from engine.prefix_cache.interface import NOBODY, CacheChange, CacheUser, Fetch, as_token_array
from engine.scheduling.batch import DecodeBatch, Slot
from engine.scheduling.loop import DecodeLoop
from engine.scheduling.requests.request import RequestState, ScheduledRequest
from engine.scheduling.requests.steps import (
    FailStep,
    FinishStep,
    GenerationRequest,
    Sampling,
    Step,
    ThinkingCappedStep,
    TokenStep,
    UnconstrainedStep,
)
from engine.scheduling.requests.stream import StepStream
from tests.engine.model_thread import Observed, ask, steps_of
from tests.models import ModelShelf

CHUNK = 64


def prompt(seed: int, length: int = 40) -> list[int]:
    return [(seed * 7919 + position * 104729) % 1500 for position in range(length)]


class Driven:
    """A loop whose turns a test does itself, on its own thread."""

    def __init__(
        self,
        shelf: ModelShelf,
        *,
        before_call: Callable[[list[list[int]]], None] | None = None,
        around: Callable[[Any], Any] = lambda model: model,
        draft: bool = False,
        cache: RadixPrefixCache | None = None,
        context_length: int = 32768,
        clock: Callable[[], float] = time.monotonic,
        pace: PrefillPace | None = None,
    ) -> None:
        loaded = replace(load_model(shelf.tiny(context_length=context_length)), pace=pace)
        observed = Observed(loaded.model, before_call) if before_call else loaded.model
        loaded = replace(loaded, model=around(observed), draft=loaded if draft else None)
        self.cache = cache or RadixPrefixCache(max_bytes=1 << 26)
        self.loaded = loaded
        self.loop = DecodeLoop(loaded, self.cache, prefill_chunk=CHUNK, clock=clock)

    def make(self, request: GenerationRequest) -> ScheduledRequest:
        return ScheduledRequest(request, StepStream(asyncio.get_running_loop(), lambda: None), 0.0)

    def come(self, request: GenerationRequest) -> ScheduledRequest:
        live = self.make(request)
        self.loop.arrive(live)
        return live

    def until(self, done: Callable[[], bool], turns: int = 200) -> None:
        for _ in range(turns):
            if done():
                return
            self.loop.turn()
        pytest.fail(f"not after {turns} turns")

    def finish(self) -> None:
        self.until(lambda: self.is_idle)

    @property
    def is_idle(self) -> bool:
        return not self.loop.running and not self.loop.queued

    @property
    def ends(self) -> tuple[int, int, int]:
        counts = self.loop.counts
        return counts.finished, counts.failed, counts.cancelled

    async def steps(self, live: ScheduledRequest) -> list[Step]:
        self.loop.flush()
        return [step async for step in steps_of(live.stream)]

    async def tokens(self, live: ScheduledRequest) -> list[int]:
        return [step.token for step in await self.steps(live) if isinstance(step, TokenStep)]


class FailingPairs:
    """Breaks some of the calls that decode two rows."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers
        self._pairs = 0

    def __call__(self, inputs: list[list[int]]) -> None:
        if len(inputs) == 2:
            self._pairs += 1
            if self._pairs in self._numbers:
                raise RuntimeError("bad kernel")


async def test_a_cancel_that_comes_before_its_request_is_counted_once(shelf: ModelShelf) -> None:
    driven = Driven(shelf)
    live = driven.make(ask(prompt(1)))
    live.stream.cancel()
    driven.loop.cancel(live)
    driven.loop.arrive(live)
    driven.loop.cancel(live)
    assert driven.loop.counts.received == 1
    assert driven.ends == (0, 0, 1)
    assert driven.is_idle


async def test_a_request_that_cannot_be_queued_is_not_in_the_queue(shelf: ModelShelf) -> None:
    driven = Driven(shelf)
    bad = driven.come(ask(prompt(1), lane="nobody"))
    good = driven.come(ask(prompt(2), 2))
    driven.finish()
    assert driven.ends == (1, 1, 0)
    assert isinstance((await driven.steps(bad))[-1], FailStep)
    assert (await driven.steps(good))[-1] == FinishStep("length", 2)


async def test_a_fault_between_prefill_and_decoding_fails_its_request_alone(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_seeds(sampling: Sampling, prompt_tokens: int) -> list[Any]:
        if sampling.seed is not None:
            raise ValueError("no seeds today")
        return []

    monkeypatch.setattr("engine.scheduling.loop.build_logits_processors", refuse_seeds)
    driven = Driven(shelf)
    bad = driven.come(ask(prompt(1), sampling=Sampling(seed=1)))
    good = driven.come(ask(prompt(2), 2))
    driven.finish()
    assert driven.ends == (1, 1, 0)
    (*_, end) = await driven.steps(bad)
    assert isinstance(end, FailStep)
    assert "no seeds today" in end.message
    assert (await driven.steps(good))[-1] == FinishStep("length", 2)


async def test_a_slot_that_cannot_leave_its_batch_breaks_it_up_once(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [(1, 5), (2, 20), (3, 20)]
    driven = Driven(shelf)
    expected = []
    for seed, count in orders:
        live = driven.come(ask(prompt(seed), count))
        driven.finish()
        expected.append(await driven.tokens(live))
    leave = DecodeBatch.leave

    def stuck(batch: DecodeBatch, slot: Slot) -> list[Any]:
        if len(batch.slots) == 3:
            raise RuntimeError("stuck")
        return leave(batch, slot)

    monkeypatch.setattr(DecodeBatch, "leave", stuck)
    driven = Driven(shelf)
    lives = [driven.come(ask(prompt(seed), count)) for seed, count in orders]
    driven.finish()
    assert [await driven.tokens(live) for live in lives] == expected
    assert driven.loop.counts.rebuilds == 1
    assert driven.ends == (3, 0, 0)


async def test_a_slot_that_cannot_join_a_batch_changes_no_answer(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven = Driven(shelf)
    expected = []
    for seed in (1, 2, 3):
        live = driven.come(ask(prompt(seed), 20))
        driven.finish()
        expected.append(await driven.tokens(live))
    join = DecodeBatch.join

    def narrow(batch: DecodeBatch, slot: Slot, cache: list[Any], last_token: int) -> None:
        join(batch, slot, cache, last_token)
        if len(batch.slots) == 3:
            raise RuntimeError("too many")

    monkeypatch.setattr(DecodeBatch, "join", narrow)
    driven = Driven(shelf)
    lives = [driven.come(ask(prompt(seed), 20)) for seed in (1, 2, 3)]
    driven.finish()
    assert [await driven.tokens(live) for live in lives] == expected
    assert driven.loop.counts.rebuilds >= 1
    assert driven.ends == (3, 0, 0)


async def test_a_request_that_waits_for_a_cancelled_prefill_resumes_from_it(shelf: ModelShelf) -> None:
    driven = Driven(shelf)
    head = prompt(4, 10 * CHUNK)
    first = driven.come(ask([*head, *prompt(5, 1000)]))
    driven.loop.turn()
    second = driven.come(ask([*head, 7, 8, 9], 2))
    driven.until(lambda: first.prefilled == 3 * CHUNK)
    assert second.prefill is None
    driven.loop.cancel(first)
    driven.finish()
    assert driven.ends == (1, 0, 1)
    assert second.restored == 3 * CHUNK


async def test_a_draft_model_changes_no_truncated_answer(shelf: ModelShelf) -> None:
    free = Driven(shelf)
    live = free.come(ask(prompt(6), 20))
    free.finish()
    tokens = await free.tokens(live)
    for count in range(1, 8):
        driven = Driven(shelf, draft=True)
        boundary = driven.come(ask(prompt(6), count))
        driven.finish()
        assert await driven.tokens(boundary) == tokens[:count]
        again = driven.come(ask([*prompt(6), *tokens[:count]], 20 - count))
        driven.finish()
        assert await driven.tokens(again) == tokens[count:]
        assert again.restored >= len(prompt(6))


async def test_a_draft_answers_up_to_the_end_of_the_context(shelf: ModelShelf) -> None:
    free, drafted = (Driven(shelf, draft=draft, context_length=50) for draft in (False, True))
    ends = []
    for driven in (free, drafted):
        live = driven.come(ask(prompt(1, 45), 1000))
        driven.finish()
        ends.append(await driven.steps(live))
    assert ends[1][-1] == ends[0][-1] == FinishStep("length", 5)
    assert [step for step in ends[1] if isinstance(step, TokenStep)] == [
        step for step in ends[0] if isinstance(step, TokenStep)
    ]


async def test_those_of_a_batch_that_failed_do_not_wait_for_a_stream_in_another(shelf: ModelShelf) -> None:
    driven = Driven(shelf, before_call=FailingPairs(3))
    endless = driven.come(ask(prompt(9, 1500), 30_000))
    driven.until(lambda: bool(endless.generated))
    short = [driven.come(ask(prompt(seed), 12)) for seed in (1, 2)]
    driven.until(lambda: driven.loop.counts.finished == 2)
    assert driven.loop.counts.rebuilds == 1
    assert [(await driven.steps(live))[-1] for live in short] == [FinishStep("length", 12)] * 2
    driven.loop.cancel(endless)
    assert driven.is_idle


async def test_a_seed_gives_the_same_answer_after_a_fault(shelf: ModelShelf) -> None:
    seeded = Sampling(temperature=1.0, seed=5)
    answers = []
    for before_call in (None, FailingPairs(3)):
        driven = Driven(shelf, before_call=before_call)
        lives = [driven.come(ask(prompt(seed), 20, sampling=seeded)) for seed in (1, 2)]
        driven.finish()
        answers.append([await driven.tokens(live) for live in lives])
    assert answers[1] == answers[0]
    assert driven.loop.counts.rebuilds == 1


@pytest.mark.parametrize("draft", [False, True])
async def test_a_loop_that_ends_stores_the_computed_prompts(shelf: ModelShelf, draft: bool) -> None:
    driven = Driven(shelf, draft=draft)
    decoding = driven.come(ask(prompt(1), 30_000))
    driven.until(lambda: len(decoding.generated) >= 10)
    long = prompt(2, 10 * CHUNK)
    prefilling = driven.come(ask(long))
    driven.until(lambda: prefilling.prefilled >= 3 * CHUNK)
    waiting = driven.come(ask(prompt(3)))
    driven.loop.fail_all("it is stopping")
    assert driven.is_idle
    assert driven.ends == (0, 3, 0)
    assert driven.cache.restorable(as_token_array(decoding.sequence)) >= len(prompt(1)) + 8
    assert driven.cache.restorable(as_token_array(long)) == 3 * CHUNK
    for live in (decoding, prefilling, waiting):
        assert (await driven.steps(live))[-1] == FailStep("internal", "it is stopping")


class Unread:
    """A fetch that is done when a test says so."""

    done = False
    tokens = 20
    bytes = 0
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Reading(RadixPrefixCache):
    """A cache that has something on disk for every prompt."""

    def __init__(self) -> None:
        super().__init__(max_bytes=1 << 26)
        self.fetches: list[Unread] = []
        self.settled: list[Fetch] = []

    def fetch(self, tokens: Any, on_done: Callable[[], None]) -> Any:
        self.fetches.append(Unread())
        return self.fetches[-1]

    def insert_fetched(
        self, fetch: Fetch, unused_since: int | None = None, user: CacheUser = NOBODY
    ) -> list[CacheChange]:
        self.settled.append(fetch)
        return []


async def test_requests_that_end_while_the_disk_is_read_for_them_leave_nothing(shelf: ModelShelf) -> None:
    cache = Reading()
    driven = Driven(shelf, cache=cache)
    cancelled, stopped = (driven.come(ask(prompt(seed))) for seed in (1, 2))
    assert not driven.loop.turn()
    driven.loop.cancel(cancelled)
    driven.loop.fail_all("it is stopping")
    for fetch in cache.fetches:
        fetch.done = True
    assert not driven.loop.turn()
    assert cache.settled == []
    assert all(fetch.cancelled for fetch in cache.fetches)
    assert driven.ends == (0, 1, 1)
    assert isinstance((await driven.steps(stopped))[-1], FailStep)


async def test_a_suspect_does_not_wait_for_a_request_that_waits_for_the_disk(shelf: ModelShelf) -> None:
    cache = Reading()
    driven = Driven(shelf, before_call=FailingPairs(3), cache=cache)
    pair = [driven.come(ask(prompt(seed), 12)) for seed in (1, 2)]
    for fetch in cache.fetches:
        fetch.done = True
    driven.until(lambda: len(driven.loop._active.decoding) == 2)
    late = driven.come(ask(prompt(3), 2))
    driven.until(lambda: driven.loop.counts.finished == 2)
    assert driven.loop.counts.rebuilds == 1
    assert not driven.loop.turn()
    cache.fetches[-1].done = True
    driven.finish()
    assert [(await driven.steps(live))[-1] for live in (*pair, late)] == [
        *[FinishStep("length", 12)] * 2,
        FinishStep("length", 2),
    ]


async def test_prompts_are_computed_while_a_read_from_disk_hangs(
    shelf: ModelShelf, caplog: pytest.LogCaptureFixture
) -> None:
    cache, now = Reading(), [0.0]
    driven = Driven(shelf, cache=cache, clock=lambda: now[0])
    waiting = [driven.come(ask(prompt(seed), 2)) for seed in (1, 2)]
    now[0] = READ_WITHIN_S - 1
    assert not driven.loop.turn()
    gone = driven.come(ask(prompt(3), 2))
    driven.loop.cancel(gone)
    now[0] = READ_WITHIN_S
    driven.loop.turn()
    assert [live.restorable for live in waiting] == [0, 0]
    driven.finish()
    late = driven.come(ask(prompt(4), 2))
    assert len(cache.fetches) == 3
    driven.finish()
    assert driven.ends == (3, 0, 1)
    assert caplog.text.count("does not answer") == 1
    assert (await driven.steps(late))[-1] == FinishStep("length", 2)
    for fetch in cache.fetches:
        fetch.done = True
    driven.come(ask(prompt(5), 2))
    assert not driven.loop.turn()
    cache.fetches[-1].done = True
    driven.finish()
    assert cache.settled == cache.fetches[3:]
    assert [fetch.cancelled for fetch in cache.fetches] == [True] * 3 + [False]
    assert driven.ends == (4, 0, 1)


class FailingGrammar:
    """Holds to nothing from the third token on."""

    failure = ""
    over = False
    capped_thought = 0
    vocab_size = 1536

    def __init__(self) -> None:
        self._tokens = 0

    def guide(self, generated: Sequence[int]) -> FailingGrammar:
        return self

    def advance(self, token: int) -> None:
        self._tokens += 1
        if self._tokens == 3:
            self.failure = "too many states"

    def fill(self, mask: Any) -> bool:
        return False


async def test_a_failed_grammar_is_reported_before_the_first_unconstrained_token(
    shelf: ModelShelf,
) -> None:
    driven = Driven(shelf)
    grammar: Any = FailingGrammar()
    live = driven.come(GenerationRequest("held", prompt(1), 8, Sampling(temperature=0), grammar=grammar))
    driven.finish()
    driven.loop.flush()
    steps = [step async for step in steps_of(live.stream)]
    told = [type(step) for step in steps if isinstance(step, TokenStep | UnconstrainedStep | FinishStep)]
    assert told == [*[TokenStep] * 3, UnconstrainedStep, *[TokenStep] * 5, FinishStep]


@pytest.mark.parametrize(("others", "draft"), [(0, False), (2, False), (0, True)])
async def test_thinking_that_is_ended_is_in_the_cache_as_it_was_generated(
    shelf: ModelShelf, others: int, draft: bool
) -> None:
    driven = Driven(shelf, draft=draft)
    planner = AnswerPlanner(driven.loaded.tokenizer, driven.loaded.eos_token_ids)
    body = {"messages": [{"role": "user", "content": "hi"}], "thinking_token_budget": 5}
    cap = planner.plan(parse_chat(body), opens_thinking=True).thinking_cap
    assert cap is not None
    asked = GenerationRequest("thinks", prompt(1), 24, Sampling(temperature=0), thinking_cap=cap)
    for number in range(others):
        driven.come(GenerationRequest(f"other {number}", prompt(number + 2), 24, Sampling(temperature=0)))
    live = driven.come(asked)
    driven.finish()
    steps = await driven.steps(live)
    tokens = [step.token for step in steps if isinstance(step, TokenStep)]
    ended = 5 + len(cap.marks.closing)
    assert tuple(tokens[5:ended]) == cap.marks.closing
    assert [step.tokens for step in steps if isinstance(step, ThinkingCappedStep)] == [5]
    begun = [*prompt(1), *tokens[:ended]]
    assert driven.cache.lookup(begun).restored >= len(begun) - 1
    again = driven.come(GenerationRequest("again", begun, 24 - ended, Sampling(temperature=0)))
    driven.finish()
    assert await driven.tokens(again) == tokens[ended:]


class Slowing:
    """A clock that calls of the model move on, each by what its tokens take."""

    def __init__(self, per_token_s: float) -> None:
        self.now = 0.0
        self._per_token_s = per_token_s

    def __call__(self) -> float:
        return self.now

    def compute(self, inputs: list[list[int]]) -> None:
        self.now += self._per_token_s * len(inputs[0])


async def test_prompts_that_are_slower_than_measured_are_reported_from_the_loop(shelf: ModelShelf) -> None:
    reports: list[float] = []
    pace = PrefillPace(ChunkFit(CHUNK, 0.0, 0.001, (32, CHUNK), (1000.0, 1000.0)), reports.append)
    clock = Slowing(0.003)
    driven = Driven(shelf, before_call=clock.compute, clock=clock, pace=pace)
    driven.come(ask(prompt(1, CHUNK * 6 + 1), 1))
    driven.finish()
    assert reports == []
    driven.come(ask(prompt(2, CHUNK * 6 + 1), 1))
    driven.finish()
    assert reports == [pytest.approx(3.0)]
    assert driven.loop.prefill_stats()["per_token_s"] == 0.001


async def test_a_prompt_beside_an_answer_is_not_compared_with_the_fit(
    shelf: ModelShelf,
) -> None:
    reports: list[float] = []
    pace = PrefillPace(ChunkFit(CHUNK, 0.0, 0.001, (32, CHUNK), (1000.0, 1000.0)), reports.append)
    clock = Slowing(0.003)
    driven = Driven(shelf, before_call=clock.compute, clock=clock, pace=pace)
    answering = driven.come(ask(prompt(1), 10_000))
    driven.until(lambda: answering.state is RequestState.DECODE)
    driven.come(ask(prompt(2, CHUNK * 20), 1))
    driven.until(lambda: driven.loop.running == 1)
    assert reports == []
    driven.loop.cancel(answering)
