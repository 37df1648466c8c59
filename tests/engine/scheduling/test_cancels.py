"""A cancel frees a place at once, keeps what was computed, and ends no other request."""

from __future__ import annotations

import asyncio

import pytest

from engine.scheduling.requests.steps import FailStep, FinishStep, GenerationRequest, ResumedStep, TokenStep
from engine.scheduling.scheduler import Scheduler
from engine.wire.feed import PrefillProgress
from tests.engine.model_thread import (
    PROMPT,
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


async def test_a_cancel_in_prefill_takes_one_chunk_and_keeps_what_was_computed(shelf: ModelShelf) -> None:
    long = prompt(10, 4000)
    with running(shelf.tiny(), prefill_chunk=32) as scheduler:
        generation = scheduler.submit(ask(long), asyncio.get_running_loop())
        async for step in steps_of(generation):
            if isinstance(step, PrefillProgress):
                generation.cancel()
        after = await answer(scheduler, ask(PROMPT, 1))
        assert after.end == FinishStep("length", 1)
        computed = scheduler.stats()["loop"]["prefilled_tokens"] - len(PROMPT)
        again = await answer(scheduler, ask(long, 1))
    assert 32 <= computed < 2000
    assert again.lookup.matched_tokens == computed


async def test_a_cancel_while_decoding_frees_the_place_and_keeps_the_prefix(shelf: ModelShelf) -> None:
    with running(shelf.tiny(), max_batch=1) as scheduler:
        endless = scheduler.submit(ask(PROMPT, 30_000), asyncio.get_running_loop())
        seen = 0
        async for step in steps_of(endless):
            seen += isinstance(step, TokenStep)
            if seen == 5:
                endless.cancel()
        assert (await answer(scheduler, ask(prompt(1), 1))).end == FinishStep("length", 1)
        again = await answer(scheduler, ask([*PROMPT, 1, 2], 1))
        counts = scheduler.stats()["loop"]
    assert seen == 5
    assert again.lookup.matched_tokens == len(PROMPT)
    assert counts["cancelled"] == 1
    assert counts["generated_tokens"] < 1000


async def abandoned(scheduler: Scheduler, request: GenerationRequest, after: int) -> None:
    """Leave a request once it has that many tokens, and wait until it has ended."""
    generation = scheduler.submit(request, asyncio.get_running_loop())
    seen = 0
    async for step in steps_of(generation):
        seen += isinstance(step, TokenStep)
        if seen == after:
            generation.abandon()
    await answer(scheduler, ask(prompt(9), 1))


async def test_a_repeat_goes_on_from_the_answer_whose_client_left(scheduler: Scheduler) -> None:
    whole = (await answer(scheduler, ask(PROMPT, 400))).tokens
    await abandoned(scheduler, ask(PROMPT, 400, resume_key="a"), 12)
    before = scheduler.stats()["loop"]["generated_tokens"]
    repeat = await answer(scheduler, ask(PROMPT, 400, resume_key="a"))
    computed = scheduler.stats()["loop"]["generated_tokens"] - before
    [kept] = [step.tokens for step in repeat.steps if isinstance(step, ResumedStep)]
    assert repeat.tokens == whole
    assert repeat.end == FinishStep("length", 400)
    assert (kept >= 12, kept + computed) == (True, 400)
    assert repeat.lookup.matched_tokens <= repeat.lookup.prompt_tokens == len(PROMPT)
    assert [type(step) for step in repeat.steps if not isinstance(step, TokenStep)].count(ResumedStep) == 1


@pytest.mark.parametrize("key", ["", "b"])
async def test_another_request_begins_anew(scheduler: Scheduler, key: str) -> None:
    await abandoned(scheduler, ask(PROMPT, 400, resume_key="a"), 3)
    other = await answer(scheduler, ask(PROMPT, 4, resume_key=key))
    assert not any(isinstance(step, ResumedStep) for step in other.steps)


async def test_a_repeat_with_a_lower_limit_ends_there(scheduler: Scheduler) -> None:
    whole = (await answer(scheduler, ask(PROMPT, 5))).tokens
    await abandoned(scheduler, ask(PROMPT, 400, resume_key="a"), 12)
    repeat = await answer(scheduler, ask(PROMPT, 5, resume_key="a"))
    assert (repeat.tokens, repeat.end) == (whole, FinishStep("length", 5))


async def test_a_repeat_that_is_left_too_keeps_what_both_made(scheduler: Scheduler) -> None:
    whole = (await answer(scheduler, ask(PROMPT, 60))).tokens
    await abandoned(scheduler, ask(PROMPT, 400, resume_key="a"), 8)
    await abandoned(scheduler, ask(PROMPT, 400, resume_key="a"), 1)  # left as it begins
    repeat = await answer(scheduler, ask(PROMPT, 60, resume_key="a"))
    [kept] = [step.tokens for step in repeat.steps if isinstance(step, ResumedStep)]
    assert (kept >= 8, repeat.tokens) == (True, whole)


async def test_a_cancel_that_is_no_leaving_keeps_no_answer(scheduler: Scheduler) -> None:
    generation = scheduler.submit(ask(PROMPT, 400, resume_key="a"), asyncio.get_running_loop())
    async for step in steps_of(generation):
        if isinstance(step, TokenStep):
            generation.cancel()
            generation.abandon()
    again = await answer(scheduler, ask(PROMPT, 4, resume_key="a"))
    assert not any(isinstance(step, ResumedStep) for step in again.steps)


async def test_a_cancel_in_the_queue_costs_nothing(shelf: ModelShelf) -> None:
    gate = Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate)) as scheduler:
        loop = asyncio.get_running_loop()
        first = scheduler.submit(ask(PROMPT, 2), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        waiting = scheduler.submit(ask(prompt(1), 2), loop)
        waiting.cancel()
        waiting.cancel()
        gate.opened.set()
        assert (await collect(first)).end == FinishStep("length", 2)
        assert (await collect(waiting)).steps == []
        last = await answer(scheduler, ask(prompt(2), 1))
        assert last.end == FinishStep("length", 1)
        assert scheduler.stats()["loop"]["prefilled_tokens"] == 80


async def test_a_late_cancel_ends_no_other_request(shelf: ModelShelf) -> None:
    poison, first_token = 1490, 1491
    gate = Gate(first_token)

    def before(inputs: list[list[int]]) -> None:
        gate(inputs)
        if any(poison in slot for slot in inputs):
            raise RuntimeError("poisoned")

    with running(observed(shelf.tiny(), before)) as scheduler:
        loop = asyncio.get_running_loop()
        ended = scheduler.submit(ask(PROMPT, 1), loop)  # nobody has read its end
        failed = await answer(scheduler, ask([*prompt(1), poison, 7], 1))  # its generator is made anew
        other = scheduler.submit(ask([first_token, *prompt(2)], 4), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        ended.cancel()
        gate.opened.set()
        assert isinstance(failed.end, FailStep)
        assert (await collect(other)).end == FinishStep("length", 4)


async def test_a_reader_whose_event_loop_is_gone_is_dropped(scheduler: Scheduler) -> None:
    before = scheduler.stats()["loop"]["cancelled"]  # first: its thread may notice at once
    lost = asyncio.new_event_loop()
    scheduler.submit(ask(prompt(11), 30_000), lost)
    lost.close()
    for seed in range(20, 40):
        await answer(scheduler, ask(prompt(seed), 2))
        if scheduler.stats()["loop"]["cancelled"] > before and not scheduler.health().running:
            return
    pytest.fail("the request still runs")
