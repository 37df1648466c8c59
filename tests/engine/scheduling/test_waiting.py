"""Who waits is told so, is refused where too many do, and is passed by who needs little."""

from __future__ import annotations

import asyncio

from engine.scheduling.requests.steps import FailStep, FinishStep, TokenStep
from engine.wire.feed import CacheChange, Lookup, Queued
from tests.engine.model_thread import (
    GREEDY,
    PROMPT,
    Clock,
    Gate,
    answer,
    ask,
    collect,
    observed,
    prompt,
    running,
    steps_of,
)
from tests.models import ModelShelf


async def test_those_who_wait_are_told_so_each_second(shelf: ModelShelf) -> None:
    clock = Clock()
    with running(shelf.tiny(), max_batch=1, clock=clock) as scheduler:
        loop = asyncio.get_running_loop()
        endless = scheduler.submit(ask(PROMPT, 30_000), loop)
        async for step in steps_of(endless):
            if isinstance(step, TokenStep):
                break
        waiting = [scheduler.submit(ask(prompt(seed), 1), loop) for seed in (1, 2)]
        news: list[list[Queued]] = [[], []]
        for steps, generation in zip(news, waiting, strict=True):
            async for step in steps_of(generation):
                if isinstance(step, Queued):
                    steps.append(step)
                    clock.now += 1.25
                if len(steps) == 3:
                    break
        endless.cancel()
        ends = [(await collect(generation)).end for generation in waiting]
    assert [(step.position, step.waiting_s) for step in news[0]] == [(0, 0.0), (0, 1.25), (0, 2.5)]
    assert news[1][0] == Queued(1, 0.0)
    assert news[1][1].waiting_s >= 1.0
    assert ends == [FinishStep("length", 1)] * 2


async def test_a_full_queue_refuses_at_once(shelf: ModelShelf) -> None:
    gate = Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate), max_batch=1, max_queue=2) as scheduler:
        loop = asyncio.get_running_loop()
        first = scheduler.submit(ask(PROMPT, 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        waiting = [scheduler.submit(ask(prompt(seed), 1), loop) for seed in (1, 2)]
        refused = (await collect(scheduler.submit(ask(prompt(3), 1), loop))).end
        gate.opened.set()
        served = [(await collect(one)).end for one in (first, *waiting)]
    assert refused == FailStep("overloaded", "2 requests wait already; try again in a moment")
    assert served == [FinishStep("length", 1)] * 3


async def test_a_request_that_was_refused_and_then_given_up_is_counted_once(shelf: ModelShelf) -> None:
    gate = Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate), max_batch=1, max_queue=1) as scheduler:
        loop = asyncio.get_running_loop()
        first = scheduler.submit(ask(PROMPT, 2), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        waiting = scheduler.submit(ask(prompt(1), 2), loop)
        refused = scheduler.submit(ask(prompt(2)), loop)
        assert isinstance((await collect(refused)).end, FailStep)
        refused.cancel()
        gate.opened.set()
        assert [(await collect(one)).end for one in (first, waiting)] == [FinishStep("length", 2)] * 2
        counts = scheduler.stats()["loop"]
    assert [counts[name] for name in ("overloaded", "received", "finished", "cancelled")] == [1, 2, 2, 0]


async def test_a_warm_turn_passes_a_cold_prompt_after_at_most_one_chunk(shelf: ModelShelf) -> None:
    warm, calls = prompt(3, 500), list[list[int]]()
    gate = Gate(1490)

    def before(inputs: list[list[int]]) -> None:
        calls.extend(inputs)
        gate(inputs)

    cold = [token for token in prompt(4, 4000) if token != 1490]
    cold[300] = 1490
    with running(observed(shelf.tiny(), before), prefill_chunk=64) as scheduler:
        await answer(scheduler, ask(warm, 1))
        loop = asyncio.get_running_loop()
        long = scheduler.submit(ask(cold, 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        short = scheduler.submit(ask([*warm, 11, 12, 13], 1), loop)
        start = len(calls)
        gate.opened.set()
        ends = [(await collect(generation)).end for generation in (short, long)]
    assert calls[start : start + 2] == [[11, 12], [13]]
    assert ends == [FinishStep("length", 1)] * 2


async def test_a_token_is_delivered_before_someone_elses_chunk_is_computed(shelf: ModelShelf) -> None:
    gate = Gate(1490)
    cold = [token for token in prompt(4, 400) if token != 1490]
    cold[300] = 1490
    with running(observed(shelf.tiny(), gate), prefill_chunk=64) as scheduler:
        loop = asyncio.get_running_loop()
        stream = scheduler.submit(ask(PROMPT, 30_000), loop)
        steps = steps_of(stream)
        while not isinstance(await anext(steps), TokenStep):
            pass
        scheduler.submit(ask(cold, 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        generated = scheduler.stats()["loop"]["generated_tokens"]
        for _ in range(generated - 1):
            async with asyncio.timeout(30):
                assert isinstance(await anext(steps), TokenStep | CacheChange)
        gate.opened.set()
        stream.cancel()


async def test_the_cache_lookup_comes_before_the_prefill_of_those_ahead_is_done(shelf: ModelShelf) -> None:
    gate = Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate)) as scheduler:
        loop = asyncio.get_running_loop()
        # Two chunks: the second request arrives while the first is computed.
        first = scheduler.submit(ask(prompt(1, 600) + PROMPT + prompt(2, 600), 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        second = scheduler.submit(ask(prompt(3), 1, sampling=GREEDY), loop)
        gate.opened.set()
        async for step in steps_of(second):
            if isinstance(step, Lookup):
                break
        first.cancel()
        assert (await collect(first)).steps == []
