"""Stored spans are restored where they match, and an answer is the same with the cache as without."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import mlx.core as mx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import ArraysCache, KVCache

from bench.random_model import Architecture
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.interface import Kind, MissAt, as_token_array, common_prefix
from engine.prefix_cache.tree import NODE_BYTES
from engine.scheduling.requests.steps import Sampling
from engine.scheduling.scheduler import Scheduler
from engine.wire.feed import Lookup
from tests.engine.model_thread import answer, ask, running
from tests.engine.telling_caches import computed, holds
from tests.models import ModelShelf

ARCHITECTURES: list[Architecture] = ["qwen3", "gemma3_text", "qwen3_5"]
BYTES_PER_TOKEN = 2 * 4 * 4  # keys and values, four float32 each
STORED_PER_TOKEN = BYTES_PER_TOKEN + 4  # and the token


def plain(length: int) -> list[KVCache]:
    """A cache whose keys tell their positions, so that what was cut off can be seen."""
    cache = KVCache()
    positions = mx.arange(length, dtype=mx.float32).reshape(1, 1, length, 1)
    cache.keys = cache.values = mx.broadcast_to(positions, (1, 1, length, 4))
    cache.offset = length
    return [cache]


def recurrent() -> list[ArraysCache]:
    """A cache that cannot be cut back; 32 bytes."""
    cache = ArraysCache(2)
    cache.cache = [mx.zeros((1, 4)), mx.zeros((1, 4))]
    return [cache]


def roomy() -> RadixPrefixCache:
    return RadixPrefixCache(max_bytes=1 << 20)


class Pair:
    """The same model twice: once with a prefix cache, once without."""

    def __init__(self, warm: Scheduler, with_disk: Scheduler) -> None:
        self.warm, self.with_disk = warm, with_disk
        self.restorable: dict[tuple[int, ...], list[int]] = {}

    def ask_warm(self, prompt: list[int], boundaries: tuple[int, ...]) -> tuple[list[int], Lookup]:
        got = asyncio.run(answer(self.warm, ask(prompt, 6, boundaries=boundaries)))
        return got.tokens, got.lookup

    def ask_cold(self, prompt: list[int]) -> list[int]:
        key = tuple(prompt)
        if key not in self.restorable:
            self.restorable[key] = asyncio.run(answer(self.with_disk, ask(prompt, 6))).tokens
        return self.restorable[key]


@pytest.fixture(scope="module")
def pairs(shelf: ModelShelf) -> Iterator[dict[str, Pair]]:
    with ExitStack() as stack:
        made = {}
        for architecture in ARCHITECTURES:
            path = shelf.tiny(architecture)
            warm_cache, no_cache = RadixPrefixCache(max_bytes=1 << 28), RadixPrefixCache(max_bytes=0)
            warm = stack.enter_context(running(path, cache=warm_cache, prefill_chunk=32))
            with_disk = stack.enter_context(running(path, cache=no_cache, prefill_chunk=32))
            made[architecture] = Pair(warm, with_disk)
        yield made


tokens = st.lists(st.integers(0, 5), min_size=1, max_size=30)


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[str, list[int], int]]:
    """Turns of one conversation: how the next prompt comes from the last one and its answer."""
    turn = st.sampled_from(["extend", "fork", "repeat", "truncate", "edit"])
    count = draw(st.integers(2, 5))
    return [(draw(turn), draw(tokens), draw(st.integers(0, 100))) for _ in range(count)]


def next_prompt(last: list[int], said: list[int], how: str, new: list[int], place: int) -> list[int]:
    boundary = 1 + place * (len(last) - 1) // 100
    match how:
        case "extend":
            return [*last, *said, *new]
        case "fork":
            return [*last[:boundary], *new]
        case "truncate":
            return last[:boundary]
        case "edit":
            return [*last[:boundary], 9, *last[boundary:]]
        case _:
            return last


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(start=tokens, turns=conversations())
def test_warm_answers_are_cold_answers(
    pairs: dict[str, Pair],
    architecture: Architecture,
    start: list[int],
    turns: list[tuple[str, list[int], int]],
) -> None:
    pair = pairs[architecture]
    # The first prompt is past gemma3_text's window of 32, so that its caches cannot be cut back.
    prompt = [*range(10, 50), *start]
    said, lookup = pair.ask_warm(prompt, boundaries=(20, 40))
    assert said == pair.ask_cold(prompt)
    for how, new, place in turns:
        before, prompt = prompt, next_prompt(prompt, said, how, new, place)
        said, lookup = pair.ask_warm(
            prompt, boundaries=tuple(boundary for boundary in (20, 40) if boundary < len(prompt))
        )
        assert said == pair.ask_cold(prompt), (how, len(before), lookup)
        assert 0 <= lookup.matched_tokens < len(prompt)
        assert lookup.matched_tokens + lookup.kept_tokens == len(prompt)
        if how == "repeat":
            assert lookup.matched_tokens == len(prompt) - 1
        if how == "extend":
            assert lookup.matched_tokens >= len(before) - 1


def test_a_seeded_answer_is_the_same_warm_and_cold(pairs: dict[str, Pair]) -> None:
    request = ask(list(range(60)), 12, sampling=Sampling(temperature=1.0, seed=3))
    with_disk, first, warm = (
        asyncio.run(answer(scheduler, request)).tokens
        for scheduler in (pairs["qwen3"].with_disk, pairs["qwen3"].warm, pairs["qwen3"].warm)
    )
    assert with_disk == first == warm


def test_a_prompt_that_extends_an_entry_reuses_all_of_it() -> None:
    cache = roomy()
    cache.insert([1, 2, 3], plain(3), "main")
    match = cache.lookup([1, 2, 3, 4, 5])
    assert (match.restored, match.tier, match.miss) == (3, "memory", None)
    assert match.cache is not None
    assert match.cache[0].offset == 3


def test_a_diverging_prompt_restores_the_common_prefix_and_reports_the_miss() -> None:
    cache = roomy()
    cache.insert([1, 2, 3, 4, 5, 6], plain(6), "main")
    match = cache.lookup([1, 2, 3, 9, 9])
    assert match.restored == 3
    assert match.cache is not None
    assert match.cache[0].offset == 3
    assert match.miss == MissAt("diverged", 3, before=(1, 2, 3, 4, 5, 6), now=(1, 2, 3, 9, 9))


def test_a_miss_shows_stored_tokens_beyond_the_span() -> None:
    cache = roomy()
    stored = list(range(10, 60))
    cache.insert(stored, plain(50), "main")
    cache.insert([*stored[:31], *[500] * 9], plain(40), "main")
    cache.lookup([*stored, 0])
    assert cache.lookup([*stored[:30], 900, 900]).miss == MissAt(
        "diverged", 30, before=tuple(range(34, 56)), now=(*range(34, 40), 900, 900)
    )


def test_a_prompt_that_is_the_beginning_of_another_does_not_differ_from_it() -> None:
    cache = roomy()
    cache.insert([1, 2], recurrent(), "head")
    cache.insert([1, 2, 3, 4, 5, 6], recurrent(), "main")
    match = cache.lookup([1, 2, 3, 4])
    assert (match.restored, match.miss) == (2, None)


def test_an_evicted_checkpoint_is_reported_as_evicted() -> None:
    state = 32 + 4 + NODE_BYTES
    cache = RadixPrefixCache(max_bytes=4 * state - 32)
    for length in (1, 2, 3, 4):
        cache.insert([7] * length, recurrent(), "main")
    miss = cache.lookup([7, 7]).miss
    assert miss is not None
    assert (miss.reason, miss.position, miss.now, miss.lost) == ("evicted", 0, (7, 7), 1)
    assert miss.eviction is not None
    assert (miss.eviction.start, miss.eviction.tokens) == (0, 0)  # only the checkpoint
    assert cache.lookup([7, 7, 7]).miss is None


def test_no_match_covers_the_whole_prompt() -> None:
    cache = roomy()
    cache.insert([1, 2, 3, 4], plain(4), "main")
    assert cache.lookup([1, 2, 3, 4]).restored == 3
    assert cache.lookup([1, 2, 3, 4]).miss is None
    assert cache.lookup([1]).restored == 0


def test_a_checkpoint_serves_only_prompts_with_all_of_its_tokens() -> None:
    cache = roomy()
    cache.insert([1, 2], recurrent(), "head")
    cache.insert([1, 2, 3, 4, 5], recurrent(), "main")
    assert cache.lookup([1, 2, 3, 4, 5, 6]).restored == 5
    forked = cache.lookup([1, 2, 3, 9, 9])
    assert forked.restored == 2
    assert forked.miss == MissAt("diverged", 3, before=(1, 2, 3, 4, 5), now=(1, 2, 3, 9, 9))


def test_a_taken_cache_can_be_written_to_without_harm_to_the_stored_one() -> None:
    cache = roomy()
    cache.insert([1, 2, 3], plain(3), "main")
    taken = cache.lookup([1, 2, 3, 4]).cache
    assert taken is not None
    taken[0].update_and_fetch(mx.full((1, 1, 1, 4), -1.0), mx.full((1, 1, 1, 4), -1.0))
    taken[0].keys[..., 0, :] = -1.0
    again = cache.lookup([1, 2, 3, 4]).cache
    assert again is not None
    assert again[0].offset == 3
    assert again[0].keys[0, 0, :3, 0].tolist() == [0.0, 1.0, 2.0]


def test_what_prompts_share_is_stored_once() -> None:
    cache = roomy()
    changes = cache.insert([1, 2], plain(2), "head")
    changes += cache.insert([1, 2, 3, 4], plain(4), "main")
    changes += cache.insert([1, 2, 5], plain(3), "main")
    assert [(change.event, change.tokens, change.entries) for change in changes] == [
        ("inserted", 2, 1),
        ("inserted", 2, 2),
        ("inserted", 1, 3),
    ]
    assert cache.insert([1, 2, 3], plain(3), "main") == []
    assert cache.stats()["bytes"] == 5 * STORED_PER_TOKEN + 3 * NODE_BYTES


def test_the_budget_holds_and_the_least_recently_used_goes_first() -> None:
    size = 2000
    one = size * STORED_PER_TOKEN + NODE_BYTES
    cache = RadixPrefixCache(max_bytes=3 * one - 1)
    cache.insert([1] * size, plain(size), "main")
    cache.insert([2] * size, plain(size), "main")
    cache.lookup([1] * (size + 1))
    changes = cache.insert([3] * size, plain(size), "main")
    assert [(change.event, change.tokens) for change in changes] == [("evicted", size), ("inserted", size)]
    assert changes[-1].total_bytes <= 3 * one - 1
    assert cache.lookup([1] * (size + 1)).restored == size
    lost = cache.lookup([2] * (size + 1))
    assert lost.miss is not None
    assert lost.miss.reason == "evicted"


def test_what_was_evicted_and_comes_again_is_kept_again() -> None:
    cache = RadixPrefixCache(max_bytes=2 * (4 * STORED_PER_TOKEN + NODE_BYTES) - 1)
    cache.insert([1, 1, 1, 1], plain(4), "main")
    cache.insert([2, 2, 2, 2], plain(4), "main")
    cache.insert([1, 1, 1, 1], plain(4), "main")
    assert cache.lookup([1, 1, 1, 1, 1]).restored == 4
    assert cache.lookup([2, 2, 2, 2, 2]).restored == 0


@pytest.mark.parametrize("kinds", [("subagent", "main"), ("main", "head")])
def test_lower_kinds_are_evicted_first(kinds: tuple[Kind, Kind]) -> None:
    cache = RadixPrefixCache(max_bytes=2 * NODE_BYTES + 1000)
    cache.insert([2] * 9, plain(9), kinds[1])
    cache.insert([1] * 9, plain(9), kinds[0])
    cache.insert([3] * 9, plain(9), kinds[1])
    assert [cache.lookup([token] * 10).restored for token in (1, 2, 3)] == [0, 9, 9]


def test_a_shared_prefix_outlives_its_conversations() -> None:
    cache = RadixPrefixCache(max_bytes=3 * NODE_BYTES)
    cache.insert([1, 2], plain(2), "head")
    for last in range(3, 30):
        cache.insert([1, 2, last], plain(3), "main")
        assert cache.lookup([1, 2, last, 0]).restored == 3
    assert cache.lookup([1, 2, 99]).restored == 2
    assert cache.stats()["bytes"] <= 3 * NODE_BYTES


def test_states_inside_of_a_conversation_go_before_its_end() -> None:
    state = 32 + 4 + NODE_BYTES
    cache = RadixPrefixCache(max_bytes=4 * state - 32)
    for length in (1, 2, 3, 4):
        cache.insert([7] * length, recurrent(), "main")
    assert cache.lookup([7] * 5).restored == 4
    assert cache.lookup([7, 8]).restored == 0  # the oldest state went
    assert cache.lookup([7, 7, 8]).restored == 2


def test_a_prompt_larger_than_the_budget_is_not_stored_and_not_announced() -> None:
    cache = RadixPrefixCache(max_bytes=10 * STORED_PER_TOKEN + NODE_BYTES)
    assert cache.would_keep(11)  # nothing is known yet
    cache.learn_sizes(plain(1), 1)
    assert not cache.would_keep(11)
    assert cache.would_keep(10)
    assert cache.insert(list(range(11)), plain(11), "main") == []
    assert cache.insert(list(range(10)), plain(10), "main") != []


def test_what_is_larger_than_the_budget_takes_no_room_where_it_leaves_what_is_kept() -> None:
    budget = 60 * STORED_PER_TOKEN + 4 * NODE_BYTES
    cache = RadixPrefixCache(max_bytes=budget)
    kept = list(range(60))
    cache.insert(kept, plain(60), "main")
    for place in range(1, 60):
        cache.insert([*kept[:place], *[99] * 10_000], plain(place + 10_000), "main")
        assert cache.stats()["bytes"] <= budget
    assert cache.lookup([*kept, 99]).restored == 60


def test_an_empty_cache_is_cold_and_a_switched_off_one_says_so() -> None:
    assert roomy().lookup([1, 2]).miss == MissAt("cold", 0, (), (1, 2))
    off = RadixPrefixCache(max_bytes=0)
    assert off.insert([1, 2], plain(2), "main") == []
    assert off.lookup([1, 2, 3]).miss == MissAt("disabled", 0)
    assert not off.would_keep(1)


def test_clearing_reports_each_evicted_entry() -> None:
    cache = roomy()
    cache.insert([1, 2], plain(2), "main")
    cache.insert([3, 4, 5], plain(3), "main")
    assert [(change.event, change.tokens, change.entries) for change in cache.clear()] == [
        ("evicted", 2, 1),
        ("evicted", 3, 0),
    ]
    assert cache.stats()["bytes"] == 0


def test_a_cache_that_is_laid_out_differently_is_refused() -> None:
    cache = roomy()
    cache.insert([1, 2], plain(2), "main")
    with pytest.raises(ValueError, match="another layout"):
        cache.insert([1, 2, 3], recurrent(), "main")
    cache.clear()
    cache.insert([1, 2, 3], recurrent(), "main")
    assert cache.lookup([1, 2, 3, 4]).restored == 3


SEQUENCES = st.lists(st.integers(0, 2), min_size=1, max_size=14)


@settings(deadline=None, max_examples=150)
@given(
    steps=st.lists(st.tuples(SEQUENCES, st.sampled_from(["subagent", "main", "head"])), max_size=14),
    with_state=st.booleans(),
    budget=st.sampled_from([1 << 22, 20_000, 8_000, 4_000]),
)
def test_what_is_restored_is_what_was_computed_and_the_budget_holds(
    steps: list[tuple[list[int], Kind]], with_state: bool, budget: int
) -> None:
    cache = RadixPrefixCache(max_bytes=budget)
    inserted: list[list[int]] = []
    for tokens, kind in steps:
        match = cache.lookup(tokens)
        assert match.restored < len(tokens)
        if match.cache is not None:
            assert holds(match.cache, tokens[: match.restored])
        best = max((reach(known, tokens[:-1], with_state) for known in inserted), default=0)
        assert match.restored == best if budget == 1 << 22 else match.restored <= best
        cache.insert(tokens, computed(tokens, with_state=with_state), kind)
        inserted.append(tokens)
        assert cache.stats()["bytes"] <= budget
        assert cache.stats()["bytes"] == sum(node.nbytes for node in cache._tree.nodes())
        assert cache.stats()["entries"] == sum(node.in_memory for node in cache._tree.nodes())
    cache.clear()
    assert cache.stats()["bytes"] == cache.stats()["entries"] == 0


def reach(known: list[int], prompt: list[int], with_state: bool) -> int:
    """How much of `prompt` a stored sequence serves."""
    shared = common_prefix(as_token_array(known), as_token_array(prompt))
    return shared if not with_state or shared == len(known) else 0


@given(st.lists(st.integers(0, 2), max_size=12), st.lists(st.integers(0, 2), max_size=12))
def test_the_common_prefix_is_where_two_sequences_part(first: list[int], second: list[int]) -> None:
    shared = common_prefix(as_token_array(first), as_token_array(second))
    assert first[:shared] == second[:shared]
    assert shared in (len(first), len(second)) or first[shared] != second[shared]
