"""A request's cost never falls with its tokens, and the window is the longest that fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.memory_budget.costs import RequestCost, window_tokens

CODER = RequestCost(
    kv_bytes=98_304, chunk_bytes=200_000, step_bytes=20_000_000, chunk_size_at=lambda position: 2048
)


def shrinking(position: int) -> int:
    return max(64, 2048 >> (position // 32_768).bit_length())


costs = st.builds(
    RequestCost,
    kv_bytes=st.integers(0, 500_000),
    windows=st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 4096)), max_size=3).map(tuple),
    state_bytes=st.integers(0, 10**9),
    chunk_bytes=st.integers(0, 10**6),
    pair_bytes=st.floats(0, 200),
    step_bytes=st.integers(0, 10**8),
    chunk_size_at=st.sampled_from([shrinking, lambda position: 512]),
)


@given(costs, st.integers(1, 300_000), st.integers(0, 5000))
def test_more_tokens_never_take_less(cost: RequestCost, tokens: int, more: int) -> None:
    assert cost.cache_bytes(tokens) <= cost.cache_bytes(tokens + more)
    assert cost.transient_bytes(tokens) <= cost.transient_bytes(tokens + more)
    assert cost.bytes_alone(tokens) <= cost.bytes_alone(tokens + more)
    assert cost.reserved_bytes(tokens, alone=True) <= cost.reserved_bytes(tokens, alone=False)


@given(costs, st.integers(0, 10**11), st.integers(1, 300_000))
def test_the_window_is_the_longest_context_that_fits(cost: RequestCost, room: int, most: int) -> None:
    window = window_tokens(room, cost, most)
    assert 0 <= window <= most
    assert not window or cost.bytes_alone(window) <= room
    assert window == most or cost.bytes_alone(window + 1) > room


@given(costs, st.integers(1, 300_000), st.data())
def test_no_chunk_of_a_prompt_takes_more_than_is_reckoned(
    cost: RequestCost, tokens: int, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, tokens - 1))
    chunk = min(cost.chunk_size_at(position), tokens - position)
    assert chunk * cost.chunk_bytes + int(
        chunk * cost.pair_bytes * (position + chunk)
    ) <= cost.transient_bytes(tokens)


def test_windows_of_layers_do_not_grow_with_the_context() -> None:
    cost = RequestCost(windows=((100, 1024),), chunk_size_at=lambda position: 512)
    assert cost.cache_bytes(100_000) == cost.cache_bytes(10_000) == 100 * 1536


def test_a_cache_grows_in_steps() -> None:
    assert CODER.cache_bytes(1) == CODER.cache_bytes(256) == 256 * 98_304
