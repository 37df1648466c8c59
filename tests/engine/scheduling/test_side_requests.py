"""An auxiliary request reads the prefix cache, and leaves what it computed where that costs nothing."""

from __future__ import annotations

import asyncio

import pytest

from bench.random_model import Architecture
from engine.prefix_cache.cache import RadixPrefixCache
from engine.scheduling.requests.steps import GenerationRequest
from engine.scheduling.scheduler import Scheduler
from tests.engine.model_thread import Gate, answer, ask, collect, observed, prompt, running
from tests.models import ModelShelf

ARCHITECTURES: list[Architecture] = ["qwen3", "gemma3_text", "qwen3_5"]
CHUNK = 128
HOOK, INSTRUCTIONS = prompt(70, 40), prompt(71, 300)
TURN = 150  # tokens


def hook(turns: int) -> GenerationRequest:
    """A prompt hook behind so many turns of a conversation, with instructions of its own and no tools."""
    tokens, ends = list(INSTRUCTIONS), [len(INSTRUCTIONS)]
    for message in [*(prompt(100 + number, TURN) for number in range(turns)), HOOK]:
        tokens += message
        ends.append(len(tokens))
    return ask([*tokens, 7], 2, boundaries=tuple(ends), lane="auxiliary")


def check(seed: int) -> GenerationRequest:
    """A check of one call, with the instructions that all checks have."""
    tokens = [*prompt(72, 900), *prompt(seed, 60)]
    return ask([*tokens, 7], 2, boundaries=(900, len(tokens)), lane="auxiliary")


def computed(scheduler: Scheduler) -> int:
    count: int = scheduler.stats()["loop"]["prefilled_tokens"]
    return count


@pytest.mark.parametrize("architecture", ARCHITECTURES)
async def test_a_hook_after_every_turn_computes_what_is_new(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    with (
        running(shelf.tiny(architecture), prefill_chunk=CHUNK) as warm,
        running(shelf.tiny(architecture), cache=RadixPrefixCache(max_bytes=0), prefill_chunk=CHUNK) as cold,
    ):
        for turns in range(1, 11):
            before = computed(warm)
            got = await answer(warm, hook(turns))
            if turns in (2, 3, 6):
                assert got.tokens == (await answer(cold, hook(turns))).tokens
            if turns == 1:
                assert got.lookup.kept_tokens == len(hook(1).prompt)  # there is room
            else:
                assert got.lookup.matched_tokens == len(INSTRUCTIONS) + (turns - 1) * TURN
                assert got.lookup.kept_tokens == TURN
                assert computed(warm) - before == TURN + len(HOOK) + 1
        ever = computed(warm)
    assert ever == len(hook(1).prompt) + 9 * (TURN + len(HOOK) + 1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
async def test_a_request_that_comes_once_leaves_nothing_where_there_is_no_room(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    main = ask([*prompt(3, 400), 7], 2, boundaries=(300, 400))
    with running(
        shelf.tiny(architecture), cache=(probe := RadixPrefixCache(max_bytes=1 << 26)), prefill_chunk=CHUNK
    ) as scheduler:
        await answer(scheduler, main)
    cache = RadixPrefixCache(max_bytes=probe.stats()["bytes"] * 5 // 4)
    with running(shelf.tiny(architecture), cache=cache, prefill_chunk=CHUNK) as scheduler:
        first = await answer(scheduler, main)
        kept = cache.stats()["bytes"]
        one = [*prompt(3, 300), *prompt(72, 800)]
        got = await answer(scheduler, ask([*one, 7], 2, boundaries=(300, 1100), lane="auxiliary"))
        assert got.lookup.matched_tokens == 300
        assert got.lookup.kept_tokens == 0
        assert cache.stats()["bytes"] == kept
        assert first.lookup.kept_tokens == 401


@pytest.mark.parametrize("architecture", ARCHITECTURES)
async def test_what_came_once_is_found_again_while_there_is_room(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    cache = RadixPrefixCache(max_bytes=1 << 26)
    with running(shelf.tiny(architecture), cache=cache, prefill_chunk=CHUNK) as scheduler:
        seen = [(await answer(scheduler, check(seed))).lookup for seed in (1, 2, 3)]
        kinds = {node.kind for node in cache._tree.nodes()}
    assert [(each.matched_tokens, each.kept_tokens) for each in seen] == [(0, 961), (900, 0), (900, 0)]
    assert kinds == {"once", "subagent"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
async def test_the_second_of_two_at_once_waits_for_what_both_begin_with(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    first, second = check(1), check(2)
    gate = Gate(first.prompt[10])
    with running(observed(shelf.tiny(architecture), gate), prefill_chunk=CHUNK) as scheduler:
        loop = asyncio.get_running_loop()
        one = scheduler.submit(first, loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        other = scheduler.submit(second, loop)
        gate.opened.set()
        await collect(one)
        got = await collect(other)
    assert got.lookup.matched_tokens == 900


async def test_no_conversation_in_use_is_evicted_for_side_requests(shelf: ModelShelf) -> None:
    main = [*prompt(3, 900), 7]
    with running(shelf.tiny(), cache=(probe := RadixPrefixCache(max_bytes=1 << 26))) as scheduler:
        await answer(scheduler, ask(main, 2))
    budget = probe.stats()["bytes"] * 3 // 2  # the conversation, and half a check
    cache = RadixPrefixCache(max_bytes=budget)
    with running(shelf.tiny(), cache=cache) as scheduler:
        for seed in range(1, 5):
            turn = await answer(scheduler, ask(main, 2))
            assert turn.lookup.matched_tokens == (900 if seed > 1 else 0)
            assert (await answer(scheduler, check(seed))).lookup.matched_tokens == 0
            assert cache.stats()["bytes"] <= budget
        # The conversation rests; checks that go on take its room.
        lookups = [(await answer(scheduler, check(seed))).lookup for seed in range(5, 8)]
    assert [each.matched_tokens for each in lookups] == [0, 900, 900]
