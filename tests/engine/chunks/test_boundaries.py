"""Chunks get shorter with depth, at boundaries that depend on the position alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.chunks.boundaries import HALVED_AT, SMALLEST, chunk_boundaries, chunk_size_at

chunks = st.integers(1, 4096)
lengths = st.integers(0, 300_000)


@pytest.mark.parametrize(
    ("position", "tokens"),
    [
        (0, 2048),
        (32_767, 2048),
        (32_768, 1024),
        (65_535, 1024),
        (65_536, 512),
        (131_072, 256),
        (262_144, 128),
        (524_288, 64),
        (4_000_000, 64),
    ],
)
def test_chunks_are_halved_each_time_that_the_depth_has_doubled(position: int, tokens: int) -> None:
    assert chunk_size_at(position, 2048) == tokens


@pytest.mark.parametrize("chunk", [1, 16, 63, 64])
def test_chunks_that_were_asked_to_be_short_are_not_made_longer(chunk: int) -> None:
    assert chunk_size_at(10_000_000, chunk) == chunk


@given(length=lengths, chunk=chunks)
def test_boundaries_ascend_and_chunks_have_the_size_of_their_position(length: int, chunk: int) -> None:
    places = [0, *chunk_boundaries(length, chunk), length]
    pieces = list(pairwise(places)) if length else []
    assert all(begin < end for begin, end in pieces)
    assert all(end - begin <= chunk_size_at(begin, chunk) for begin, end in pieces)
    steps = {HALVED_AT * 2**n for n in range(5)}
    assert all(end - begin == chunk_size_at(begin, chunk) for begin, end in pieces[:-1] if end not in steps)


@given(length=lengths, shorter=lengths, chunk=chunks)
def test_a_prefix_of_a_prompt_has_the_same_chunk_boundaries(length: int, shorter: int, chunk: int) -> None:
    shorter = min(length, shorter)
    assert chunk_boundaries(shorter, chunk) == [
        edge for edge in chunk_boundaries(length, chunk) if edge < shorter
    ]


@given(length=st.integers(1, 2_000_000), chunk=st.integers(SMALLEST, 4096))
def test_the_work_of_a_chunk_is_bounded(length: int, chunk: int) -> None:
    """Pairs of tokens, which is what attention's time goes by, and what a GPU's watchdog cuts off."""
    places = [0, *chunk_boundaries(length, chunk), length]
    for begin, end in pairwise(places):
        assert (end - begin) * end <= max(chunk * HALVED_AT, SMALLEST * end)


def test_the_longest_chunk_bounds_every_window_that_models_have() -> None:
    places = [0, *chunk_boundaries(1 << 20, 2048), 1 << 20]
    pairs = [(end - begin) * end for begin, end in pairwise(places)]
    assert max(pairs) == 2048 * 32_768


@pytest.mark.parametrize("chunk", [512, 1024, 2048])
def test_a_chunk_deep_in_a_prompt_delays_decoding_little_more_than_a_first_one(chunk: int) -> None:
    """In Qwen3-30B-A3B a token's attention over 8,192 others costs about as much as all else of it."""
    fixed, a_token, a_pair = 0.067, 0.00054, 0.00054 / 8192

    def waits(edges: list[int]) -> list[float]:
        return [
            fixed + (end - begin) * (a_token + a_pair * (begin + end) / 2)
            for begin, end in pairwise([0, *edges, 262_144])
        ]

    by_rule = waits(chunk_boundaries(262_144, chunk))
    assert max(by_rule) < 5 * by_rule[0]
    of_one_size = waits(list(range(chunk, 262_144, chunk)))
    assert max(of_one_size) > 20 * of_one_size[0]
    assert sum(by_rule) < 1.15 * sum(of_one_size)
