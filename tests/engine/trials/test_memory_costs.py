"""The estimated cost of requests is their real cost, for each kind of cache."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import mlx.core as mx
import pytest

from bench.random_model import Architecture
from engine.models.loading import load_model
from engine.prefix_cache.layers import cache_arrays
from engine.scheduling.runner import ModelRunner
from engine.trials.memory_costs import arrays_of_a_request, request_cost, weight_bytes
from tests.models import ModelShelf

CHUNK = 64
_SLACK = 16_384  # of small arrays


@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_a_prompt_takes_no_more_than_is_reckoned(shelf: ModelShelf, architecture: Architecture) -> None:
    loaded = load_model(shelf.tiny(architecture))
    cost = request_cost(loaded, lambda position: CHUNK)
    runner = ModelRunner(loaded)
    for tokens in (CHUNK, 10 * CHUNK, 30 * CHUNK):
        cache = runner.new_cache()
        mx.clear_cache()
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        for _ in range(tokens // CHUNK):
            runner(mx.zeros((1, CHUNK), mx.int32), cache=cache)
            mx.eval(cache_arrays(cache))
        kept = mx.get_active_memory() - before
        assert kept <= cost.cache_bytes(tokens) + _SLACK
        # With one or two layers of its kind, a cache that grows is there twice; with 48 of them it is not.
        assert mx.get_peak_memory() - before <= cost.bytes_alone(tokens) + cost.cache_bytes(tokens) + _SLACK
        assert cost.cache_bytes(tokens) <= 1.6 * kept + 256 * cost.kv_bytes


def test_quantized_kv_and_a_draft_model_count(shelf: ModelShelf) -> None:
    loaded = load_model(shelf.tiny())
    plain = request_cost(loaded, lambda position: CHUNK)
    quantized = request_cost(replace(loaded, kv_bits=8, kv_group=32), lambda position: CHUNK)
    drafted = request_cost(replace(loaded, draft=loaded), lambda position: CHUNK)
    assert plain.kv_bytes / 4 < quantized.kv_bytes < plain.kv_bytes
    assert drafted.kv_bytes == 2 * plain.kv_bytes
    assert arrays_of_a_request(loaded) == 4
    assert arrays_of_a_request(replace(loaded, kv_bits=8, kv_group=32)) == 12


def test_weights_are_counted_by_model(shelf: ModelShelf) -> None:
    loaded = load_model(shelf.tiny())
    own, draft, arrays = weight_bytes(loaded)
    assert draft == 0
    assert own >= sum(file.stat().st_size for file in loaded.path.glob("*.safetensors")) * 0.9
    assert weight_bytes(replace(loaded, draft=loaded)) == (own, own, 2 * arrays)


def test_learned_positions_are_not_exceeded(shelf: ModelShelf) -> None:
    loaded = replace(load_model(shelf.tiny()), most_tokens=32)
    assert request_cost(loaded, lambda position: CHUNK).kv_bytes > 0
