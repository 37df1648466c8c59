"""A prompt is computed in chunks whose boundaries depend on the prompt alone."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.chunks.boundaries import chunk_size_at
from engine.prefix_cache.checkpoints import store_positions
from engine.scheduling.prefill import Prefill


class Recorder:
    """Stands for a model: notes the tokens that it is given."""

    def __init__(self) -> None:
        self.parts: list[list[int]] = []

    def __call__(self, inputs: mx.array, cache: list[Any]) -> None:
        (slot,) = inputs.tolist()  # type: ignore[misc]
        self.parts.append(slot)  # type: ignore[arg-type]


@given(
    length=st.integers(1, 40),
    matched=st.integers(0, 39),
    chunk=st.integers(1, 50),
    boundaries=st.lists(st.integers(1, 39), unique=True, max_size=6).map(sorted),
)
def test_a_partly_restored_prompt_has_the_chunk_boundaries_of_a_whole_one(
    length: int, matched: int, chunk: int, boundaries: list[int]
) -> None:
    tokens, matched = list(range(length)), min(matched, length - 1)

    def parts_behind(start: int) -> list[list[int]]:
        model = Recorder()
        stops = store_positions(boundaries, length, start, exact_only=True)
        prefill = Prefill(model, tokens, [], start, stops, chunk)
        met = set()
        while prefill.remaining:
            prefill.advance()
            met.add(prefill.position)
            assert prefill.computed_tokens == tokens[: prefill.position]
        assert set(stops) <= met
        return model.parts

    whole, parts = parts_behind(0), parts_behind(matched)
    assert [token for part in parts for token in part] == tokens[matched:-1]
    assert all(1 <= len(part) <= chunk for part in parts)
    assert {part[-1] for part in parts} <= {part[-1] for part in whole}
    assert {part[0] for part in parts[1:]} <= {part[0] for part in whole}


class Lengths:
    """Stands for a model: notes how many tokens each call has."""

    def __init__(self) -> None:
        self.noted: list[int] = []

    def __call__(self, inputs: mx.array, cache: list[Any]) -> None:
        self.noted.append(inputs.size)


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(30_000, 80_000),
    matched=st.integers(0, 79_999),
    chunk=st.sampled_from([96, 512, 1024, 2048]),
    boundaries=st.lists(st.integers(1, 79_999), unique=True, max_size=6).map(sorted),
)
def test_chunks_get_shorter_with_depth_with_the_same_boundaries_behind_any_prefix(
    length: int, matched: int, chunk: int, boundaries: list[int]
) -> None:
    tokens, matched = [7] * length, min(matched, length - 1)

    def edges_behind(start: int) -> list[int]:
        model = Lengths()
        prefill = Prefill(
            model, tokens, [], start, store_positions(boundaries, length, start, exact_only=True), chunk
        )
        edges = []
        while prefill.remaining:
            begin = prefill.position
            prefill.advance()
            edges.append(prefill.position)
            assert model.noted[-1] <= chunk_size_at(begin, chunk)
        return edges

    assert edges_behind(matched) == [edge for edge in edges_behind(0) if edge > matched]
