"""A prompt is computed in chunks whose edges depend on the prompt alone."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.checkpoints import checkpoints
from engine.prefill import Prefill, largest_chunk, measured_chunk


class Recorder:
    """Stands for a model: notes the tokens that it is given."""

    def __init__(self) -> None:
        self.parts: list[list[int]] = []

    def __call__(self, inputs: mx.array, cache: list[Any]) -> None:
        (row,) = inputs.tolist()  # type: ignore[misc]
        self.parts.append(row)  # type: ignore[arg-type]


@given(
    length=st.integers(1, 40),
    matched=st.integers(0, 39),
    chunk=st.integers(1, 50),
    cuts=st.lists(st.integers(1, 39), unique=True, max_size=6).map(sorted),
)
def test_what_is_left_of_a_prompt_is_cut_where_a_whole_one_is_cut(
    length: int, matched: int, chunk: int, cuts: list[int]
) -> None:
    tokens, matched = list(range(length)), min(matched, length - 1)

    def parts_behind(start: int) -> list[list[int]]:
        model = Recorder()
        stops = checkpoints(cuts, length, start, exact_only=True)
        prefill = Prefill(model, tokens, [], start, stops, chunk)
        met = set()
        while prefill.remaining:
            prefill.advance()
            met.add(prefill.position)
            assert prefill.held_tokens == tokens[: prefill.position]
        assert set(stops) <= met
        return model.parts

    whole, parts = parts_behind(0), parts_behind(matched)
    assert [token for part in parts for token in part] == tokens[matched:-1]
    assert all(1 <= len(part) <= chunk for part in parts)
    assert {part[-1] for part in parts} <= {part[-1] for part in whole}
    assert {part[0] for part in parts[1:]} <= {part[0] for part in whole}


@pytest.mark.parametrize(
    ("tokens_per_s", "chunk"), [(10_000, largest_chunk()), (700, 128), (320, 64), (50, 64)]
)
def test_a_chunk_is_what_a_model_computes_in_a_fifth_of_a_second(tokens_per_s: int, chunk: int) -> None:
    now = 0.0

    def model(inputs: mx.array, cache: list[Any]) -> None:
        nonlocal now
        now += inputs.size / tokens_per_s

    assert measured_chunk(model, list, lambda: now) == chunk
