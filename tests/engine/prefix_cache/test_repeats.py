"""What auxiliary requests begin with is recognised, and kept at the cost of nothing in use."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.interface import Kind, as_token_array, common_prefix
from engine.prefix_cache.layers import layout_of
from engine.prefix_cache.repeats import WORTH_KEEPING, RepeatedPrompts, Worth
from tests.engine.disk_tiers import cache_on, fetched, files_in, make_tier
from tests.engine.telling_caches import computed, holds

BLOCK = WORTH_KEEPING


def blocks(*kinds: int, tail: int = 0) -> list[int]:
    return [*(kind for kind in kinds for _ in range(BLOCK)), *([200 + tail] if tail else [])]


@pytest.mark.parametrize(
    ("earlier", "now", "kept", "once"),
    [
        ((blocks(1, 2), ()), (blocks(3, 2), ()), 0, 2 * BLOCK),  # nothing in common
        ((blocks(1)[1:], ()), (blocks(1)[1:], ()), 0, 0),  # too little
        ((blocks(1, 2), ()), (blocks(1, 3), ()), BLOCK, 2 * BLOCK),
        ((blocks(1, 2), (BLOCK, 2 * BLOCK)), (blocks(1, 3), (BLOCK, 2 * BLOCK)), BLOCK, 2 * BLOCK),
        (
            (blocks(1, 2), ()),
            (blocks(1, 2), ()),
            2 * BLOCK - 1,
            2 * BLOCK,
        ),  # its last token is computed anyway
        # It goes on behind all but the last message of the earlier one.
        (
            (blocks(1, 2, 9), (BLOCK, 2 * BLOCK, 3 * BLOCK - 1)),
            (blocks(1, 2, 3, 4, 9), (BLOCK, 2 * BLOCK, 3 * BLOCK, 4 * BLOCK, 5 * BLOCK - 1)),
            4 * BLOCK,
            0,
        ),
        # Another conversation behind the same instructions.
        (
            (blocks(1, 2, 9), (BLOCK, 2 * BLOCK, 3 * BLOCK - 1)),
            (blocks(1, 5, 6, 9), (BLOCK, 2 * BLOCK, 3 * BLOCK, 4 * BLOCK - 1)),
            BLOCK,
            4 * BLOCK,
        ),
    ],
)
def test_worth_keeping_is_what_an_earlier_prompt_began_with(
    earlier: tuple[list[int], tuple[int, ...]],
    now: tuple[list[int], tuple[int, ...]],
    kept: int,
    once: int,
) -> None:
    prompts = RepeatedPrompts()
    first = len(earlier[0]) if len(earlier[0]) >= WORTH_KEEPING else 0
    assert prompts.add(as_token_array(earlier[0]), earlier[1], 5) == Worth(0, 5, first)
    assert prompts.add(as_token_array(now[0]), now[1], 9) == Worth(kept, 5 if kept else 9, once)


def test_the_oldest_prompts_are_forgotten() -> None:
    prompts = RepeatedPrompts(most_tokens=3 * BLOCK)
    for kind in range(1, 5):
        assert prompts.add(as_token_array(blocks(kind)), (), kind).repeated == 0
    assert prompts.add(as_token_array(blocks(2, 7)), (), 5) == Worth(BLOCK, 2, 2 * BLOCK)
    assert prompts.add(as_token_array(blocks(3, 7)), (), 6).repeated == 0


REQUESTS = st.tuples(
    st.sampled_from(["main", "auxiliary"]),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(1, 2),
)
ROOMY = 1 << 24


class Side:
    """A cache, and what side requests leave in it, as the scheduler does, at no conversation's cost."""

    def __init__(self, cache: RadixPrefixCache, *, with_state: bool) -> None:
        self.cache, self._with_state = cache, with_state
        self._prompts = RepeatedPrompts()
        self.seen: list[list[int]] = []

    def ask(self, tokens: list[int], clock: int) -> Worth:
        worth = self._prompts.add(as_token_array(tokens), (), clock)
        shared = [common_prefix(as_token_array(one), as_token_array(tokens[:-1])) for one in self.seen]
        self.seen.append(tokens)
        repeated = max(shared, default=0)
        assert worth.repeated == (repeated if repeated >= WORTH_KEEPING else 0)
        assert worth.once == len(tokens)
        if worth.repeated:
            self._insert(tokens[: worth.repeated], "subagent", worth.since)
        self._insert(tokens, "once", worth.since)
        return worth

    def _insert(self, kept: list[int], kind: Kind, since: int) -> None:
        nodes = [node for node in self.cache._tree.nodes() if node.in_memory]
        held = [
            node
            for node in nodes
            if (node.kind == "main" and node.used > since) or kind == "once" != node.kind
        ]
        checkpoints = [node for node in held if node.checkpoint is not None]
        self.cache.insert(kept, computed(kept, with_state=self._with_state), kind, since)
        assert all(node.in_memory for node in held)
        assert all(node.checkpoint is not None for node in checkpoints if kind == "once")


@settings(deadline=None, max_examples=15)
@given(
    requests=st.lists(REQUESTS, min_size=2, max_size=10),
    with_state=st.booleans(),
    budget=st.sampled_from([ROOMY, 400_000, 150_000]),
)
def test_side_requests_evict_nothing_in_use_and_what_is_restored_is_exact(
    requests: list[tuple[str, list[int], int]], with_state: bool, budget: int
) -> None:
    cache = RadixPrefixCache(max_bytes=budget)
    side = Side(cache, with_state=with_state)
    for lane, kinds, tail in requests:
        tokens = blocks(*kinds, tail=tail)
        clock = cache.clock
        match = cache.lookup(tokens)
        if match.cache is not None:
            assert holds(match.cache, tokens[: match.restored])
        if lane == "main":
            cache.insert(tokens, computed(tokens, with_state=with_state), "main")
            continue
        side.ask(tokens, clock)
        assert cache.stats()["bytes"] <= budget
        if budget == ROOMY:
            assert cache.lookup([*tokens, 255]).restored == len(tokens)


@settings(deadline=None, max_examples=10)
@given(requests=st.lists(REQUESTS, min_size=3, max_size=8), files=st.integers(2, 5))
def test_side_requests_remove_no_file_and_a_first_one_gets_none(
    requests: list[tuple[str, list[int], int]], files: int
) -> None:
    layout = layout_of(computed([0], with_state=False))
    with tempfile.TemporaryDirectory() as folder:
        tier = make_tier(Path(folder), max_bytes=files * 60_000)
        with cache_on(tier, layout, kind=RadixPrefixCache) as cache:
            side = Side(cache, with_state=False)
            for lane, kinds, tail in requests:
                tokens = blocks(*kinds, tail=tail)
                before = set(files_in(Path(folder)))
                if lane == "main":
                    cache.insert(tokens, computed(tokens, with_state=False), "main")
                    assert tier.flush()
                    continue
                side.ask(tokens, cache.clock)
                assert tier.flush()
                assert before <= set(files_in(Path(folder)))
                assert not any(node.files for node in cache._tree.nodes() if node.kind == "once")


def test_what_side_requests_leave_is_evicted_first_and_a_large_one_evicts_nothing() -> None:
    one, other = blocks(1), blocks(2)
    size = RadixPrefixCache(max_bytes=ROOMY)
    size.insert(one, computed(one, with_state=False), "main")
    cache = RadixPrefixCache(max_bytes=3 * size.stats()["bytes"])
    cache.insert(one, computed(one, with_state=False), "main")
    cache.insert(other, computed(other, with_state=False), "once")
    large = blocks(3, 4, 5)
    assert not cache.would_keep(len(large), kind="once")
    assert cache.insert(large, computed(large, with_state=False), "once") == []
    assert cache.would_keep(2 * BLOCK - 20, kind="once")  # in place of the other one
    for kind in (6, 7):
        cache.lookup([*one, 0])
        cache.lookup([*other, 0])  # what came once goes, although it was used last
        new = blocks(kind)
        cache.insert(new, computed(new, with_state=False), "main")
    assert cache.lookup([*other, 0]).restored == 0
    assert cache.lookup([*one, 0]).restored == BLOCK


def test_what_came_once_grows_at_no_cost_to_others() -> None:
    talk, once, longer = blocks(1), blocks(2), blocks(2, 3)
    cache = RadixPrefixCache(max_bytes=ROOMY)
    cache.insert(talk, computed(talk, with_state=False), "main")
    cache = RadixPrefixCache(max_bytes=cache.stats()["bytes"] * 5 // 2)
    kinds: list[tuple[list[int], Kind]] = [(talk, "main"), (once, "once"), (longer, "once")]
    for kept, kind in kinds:
        cache.insert(kept, computed(kept, with_state=False), kind)
    assert cache.restorable(as_token_array([*talk, 0])) == BLOCK
    assert cache.restorable(as_token_array([*longer, 0])) == BLOCK


def test_a_side_requests_read_from_disk_evicts_no_conversation(tmp_path: Path) -> None:
    layout = layout_of(computed([0], with_state=False))
    side, talk = blocks(1, 2), blocks(3, 4)
    with cache_on(tier := make_tier(tmp_path), layout, kind=RadixPrefixCache) as cache:
        cache.insert(side, computed(side, with_state=False), "subagent", cache.clock)
        assert tier.flush()
        size = cache.stats()["bytes"]
    with cache_on(make_tier(tmp_path), layout, max_bytes=size * 5 // 3, kind=RadixPrefixCache) as cache:
        cache.insert(talk, computed(talk, with_state=False), "main")
        for unused_since, restored in ((-1, 0), (None, len(side))):
            fetched(cache, [*side, 0], unused_since)
            assert cache.restorable(as_token_array([*side, 0])) == restored
            assert cache.restorable(as_token_array([*talk, 0])) == len(talk) * (not restored)


def test_side_requests_leave_half_of_the_days_writes_to_conversations(tmp_path: Path) -> None:
    layout = layout_of(computed([0], with_state=False))
    tier = make_tier(tmp_path, max_daily_bytes=400_000)
    with cache_on(tier, layout, kind=RadixPrefixCache) as cache:
        for kind in range(1, 20):
            prompt = blocks(kind)
            cache.insert(prompt, computed(prompt, with_state=False), "subagent", cache.clock)
            assert tier.flush()
        assert 0 < cache.stats()["disk_written_today_bytes"] <= 200_000
        saved = len(files_in(tmp_path))
        cache.insert(blocks(30), computed(blocks(30), with_state=False), "main")
        assert tier.flush()
        assert len(files_in(tmp_path)) == saved + 1
