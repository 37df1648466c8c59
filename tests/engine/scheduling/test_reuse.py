"""What one request computed another one restores."""

from __future__ import annotations

import asyncio

import pytest

from bench.random_model import Architecture
from engine.prefix_cache.cache import RadixPrefixCache
from engine.scheduling.requests.steps import TokenStep
from engine.scheduling.scheduler import Scheduler
from engine.wire.feed import Lookup, PhaseTimes
from tests.engine.model_thread import (
    Gate,
    answer,
    answers,
    ask,
    collect,
    observed,
    prompt,
    running,
)
from tests.models import ModelShelf


async def test_the_lookup_accounts_for_every_token_of_the_prompt(scheduler: Scheduler) -> None:
    first = await answer(scheduler, ask(prompt(3), 4))
    again = await answer(scheduler, ask([*prompt(3), *first.tokens, 7, 8, 9], 4))
    assert first.lookup.matched_tokens + first.lookup.kept_tokens == 40
    assert again.lookup.matched_tokens == 44
    assert again.lookup.kept_tokens == 3
    assert again.lookup.tier == "memory"
    assert again.lookup.restore_s > 0
    assert again.lookup.miss is None
    restored, computed = [step for step in again.steps if isinstance(step, PhaseTimes)]
    known = {name for name in PhaseTimes.__slots__ if getattr(restored, name) is not None}
    assert known == {"waiting_s", "lookup_s", "restore_s"}
    assert 0 < (restored.restore_s or 0) <= again.lookup.restore_s
    assert (computed.prefill_s or 0) > 0
    assert (computed.first_token_s or 0) > 0
    steps = [step for step in again.steps if isinstance(step, Lookup | PhaseTimes | TokenStep)]
    assert [type(step) for step in steps[:4]] == [Lookup, PhaseTimes, PhaseTimes, TokenStep]


async def test_a_new_conversation_that_parts_in_its_own_first_text_missed_nothing(
    scheduler: Scheduler,
) -> None:
    def misses() -> int:
        return int(scheduler.stats()["prefix_cache"]["misses_diverged"])

    shared = prompt(31, 30)
    await answer(scheduler, ask([*shared, *prompt(32, 10)], 2))
    before = misses()

    async def missed(tokens: list[int], own_from: int | None) -> tuple[str, int] | None:
        miss = (await answer(scheduler, ask(tokens, 2, own_from=own_from))).lookup.miss
        return (miss.reason, miss.position) if miss is not None else None

    assert await missed([*shared, *prompt(33, 10)], 30) is None
    assert await missed([*shared, *prompt(34, 10)], None) == ("diverged", 30)
    assert await missed([*shared[:20], *prompt(35, 20)], 30) == ("diverged", 20)
    assert misses() - before == 2  # as they were reported


async def test_a_repeated_prompt_is_reused_but_for_its_last_token(scheduler: Scheduler) -> None:
    first, *repeats = [await answer(scheduler, ask(prompt(4), 6)) for _ in range(3)]
    assert [repeat.lookup.matched_tokens for repeat in repeats] == [39, 39]
    assert [repeat.tokens for repeat in repeats] == [first.tokens] * 2


async def test_parallel_requests_with_one_head_compute_it_once(shelf: ModelShelf) -> None:
    head = prompt(7, 600)
    with running(shelf.tiny(), prefill_chunk=128) as scheduler:
        first, second, third = await answers(
            scheduler, *(ask([*head, *prompt(seed, 20)], 2) for seed in (1, 2, 3))
        )
        counts = scheduler.stats()["loop"]
    assert first.lookup.matched_tokens == 0
    assert second.lookup.matched_tokens >= 600
    assert third.lookup.matched_tokens >= 600
    assert counts["prefilled_tokens"] == 620 + 20 + 20


@pytest.mark.parametrize("architecture", ["gemma3_text", "qwen3_5"])
async def test_caches_that_cannot_be_cut_back_keep_the_head_for_new_sessions(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    head = prompt(8, 100)
    with running(shelf.tiny(architecture)) as scheduler:
        await answer(scheduler, ask([*head, *prompt(1, 30)], 2, boundaries=(100, 120)))
        other = await answer(scheduler, ask([*head, *prompt(2, 30)], 2, boundaries=(100, 120)))
    assert other.lookup.matched_tokens == 100
    assert other.lookup.miss is not None
    assert other.lookup.miss.reason == "diverged"
    assert other.lookup.miss.position == 100


@pytest.mark.parametrize("has_shared_prefix", [True, False])
async def test_the_first_message_is_kept_as_a_head_only_where_it_is_one(
    shelf: ModelShelf, has_shared_prefix: bool
) -> None:
    cache = RadixPrefixCache(max_bytes=1 << 24)
    with running(shelf.tiny("gemma3_text"), cache=cache) as scheduler:
        await answer(
            scheduler, ask(prompt(1, 130), 2, boundaries=(100, 120), has_shared_prefix=has_shared_prefix)
        )
    assert {node.end for node in cache._tree.nodes() if node.kind == "head"} == (
        {100} if has_shared_prefix else set()
    )


async def test_one_who_waits_for_a_running_prefill_starts_once_it_is_past_their_beginning(
    shelf: ModelShelf,
) -> None:
    head, gate = [token for token in prompt(5, 640) if token != 1490], Gate(1490)
    with running(observed(shelf.tiny(), gate), prefill_chunk=64) as scheduler:
        loop = asyncio.get_running_loop()
        long = scheduler.submit(ask([*head[:32], 1490, *head[33:], *prompt(6, 3000)], 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        short = scheduler.submit(ask([*head[:32], 1490, *head[33:], *prompt(7, 20)], 1), loop)
        gate.opened.set()
        got = await collect(short)
        long.cancel()
        computed = scheduler.stats()["loop"]["prefilled_tokens"]
    assert got.lookup.matched_tokens == len(head)
    assert computed < 1500
