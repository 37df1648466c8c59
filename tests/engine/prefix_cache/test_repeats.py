"""What auxiliary requests begin with a second time is recognised, and kept at the cost of nothing in use."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.interface import as_token_array, common_prefix
from engine.prefix_cache.repeats import WORTH_KEEPING, Repeat, RepeatedPrompts
from tests.engine.telling_caches import computed, holds

BLOCK = WORTH_KEEPING


def blocks(*kinds: int, tail: int = 0) -> list[int]:
    return [*(kind for kind in kinds for _ in range(BLOCK)), *([200 + tail] if tail else [])]


@pytest.mark.parametrize(
    ("earlier", "now", "kept"),
    [
        ((blocks(1, 2), ()), (blocks(3, 2), ()), None),  # nothing in common
        ((blocks(1)[1:], ()), (blocks(1)[1:], ()), None),  # too little
        ((blocks(1, 2), ()), (blocks(1, 3), ()), BLOCK),
        ((blocks(1, 2), (BLOCK, 2 * BLOCK)), (blocks(1, 3), (BLOCK, 2 * BLOCK)), BLOCK),
        ((blocks(1, 2), ()), (blocks(1, 2), ()), 2 * BLOCK - 1),  # its last token is computed anyway
        # It goes on behind all but the last message of the earlier one.
        (
            (blocks(1, 2, 9), (BLOCK, 2 * BLOCK, 3 * BLOCK - 1)),
            (blocks(1, 2, 3, 4, 9), (BLOCK, 2 * BLOCK, 3 * BLOCK, 4 * BLOCK, 5 * BLOCK - 1)),
            4 * BLOCK,
        ),
        # Another conversation behind the same instructions.
        (
            (blocks(1, 2, 9), (BLOCK, 2 * BLOCK, 3 * BLOCK - 1)),
            (blocks(1, 5, 6, 9), (BLOCK, 2 * BLOCK, 3 * BLOCK, 4 * BLOCK - 1)),
            BLOCK,
        ),
    ],
)
def test_worth_keeping_is_what_an_earlier_prompt_began_with(
    earlier: tuple[list[int], tuple[int, ...]],
    now: tuple[list[int], tuple[int, ...]],
    kept: int | None,
) -> None:
    prompts = RepeatedPrompts()
    assert prompts.add(as_token_array(earlier[0]), earlier[1], 5) is None
    assert prompts.add(as_token_array(now[0]), now[1], 9) == (Repeat(kept, 5) if kept else None)


def test_the_oldest_prompts_are_forgotten() -> None:
    prompts = RepeatedPrompts(most_tokens=3 * BLOCK)
    for kind in range(1, 5):
        assert prompts.add(as_token_array(blocks(kind)), (), kind) is None
    assert prompts.add(as_token_array(blocks(2, 7)), (), 5) == Repeat(BLOCK, 2)
    assert prompts.add(as_token_array(blocks(3, 7)), (), 6) is None


REQUESTS = st.tuples(
    st.sampled_from(["main", "auxiliary"]),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(1, 2),
)


@settings(deadline=None, max_examples=15)
@given(
    requests=st.lists(REQUESTS, min_size=2, max_size=10),
    with_state=st.booleans(),
    budget=st.sampled_from([1 << 24, 400_000, 150_000]),
)
def test_side_requests_evict_nothing_in_use_and_what_is_restored_is_exact(
    requests: list[tuple[str, list[int], int]], with_state: bool, budget: int
) -> None:
    cache, prompts = RadixPrefixCache(max_bytes=budget), RepeatedPrompts()
    seen: list[list[int]] = []
    for lane, kinds, tail in requests:
        tokens = blocks(*kinds, tail=tail)
        clock = cache.clock
        match = cache.lookup(tokens)
        if match.cache is not None:
            assert holds(match.cache, tokens[: match.restored])
        if lane == "main":
            cache.insert(tokens, computed(tokens, with_state=with_state), "main")
            continue
        repeat = prompts.add(as_token_array(tokens), (), clock)
        shared = [common_prefix(as_token_array(one), as_token_array(tokens[:-1])) for one in seen]
        seen.append(tokens)
        if max(shared, default=0) < WORTH_KEEPING:
            assert repeat is None
            continue
        assert repeat is not None
        assert repeat.tokens == max(shared)
        in_use = [node for node in cache._tree.nodes() if node.in_memory and node.kind == "main"]
        in_use = [node for node in in_use if node.used > repeat.since]
        kept = tokens[: repeat.tokens]
        held = computed(kept if with_state else tokens, with_state=with_state)
        cache.insert(kept, held, "subagent", repeat.since)
        assert all(node.in_memory for node in in_use)
        assert cache.stats()["bytes"] <= budget
        if budget == 1 << 24:
            assert cache.lookup([*kept, 255]).restored == len(kept)
