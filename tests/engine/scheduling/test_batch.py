"""Slots of a batch decode as each would alone, and join and leave with their caches."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.models.cache import ArraysCache, CacheList, KVCache, QuantizedKVCache, make_prompt_cache
from mlx_lm.sample_utils import greedy_sampler

from bench.random_model import Architecture
from engine.models.loading import load_model
from engine.scheduling.batch import DecodeBatch, Slot, mergeable
from engine.scheduling.prefill import Prefill
from tests.models import ModelShelf

ARCHITECTURES: tuple[Architecture, ...] = ("qwen3", "gemma3_text", "qwen3_5")


def prompt(seed: int, length: int) -> list[int]:
    return [(seed * 7919 + position * 104729) % 1500 for position in range(length)]


def prefilled(model: Any, tokens: list[int]) -> Prefill:
    prefill = Prefill(model, tokens, make_prompt_cache(model), 0, (), 64)
    while prefill.remaining:
        prefill.advance()
    return prefill


def join(batch: DecodeBatch, model: Any, tokens: list[int]) -> Slot:
    prefill = prefilled(model, tokens)
    slot = Slot(prefill.computed_tokens, greedy_sampler)
    assert batch.accepts(len(slot.tokens), prefill.cache)
    batch.join(slot, prefill.cache, prefill.last_token)
    return slot


def alone(model: Any, tokens: list[int], count: int) -> list[int]:
    batch = DecodeBatch(model)
    join(batch, model, tokens)
    return [batch.step()[0] for _ in range(count)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_slots_join_and_leave_and_each_answers_as_alone(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    model = load_model(shelf.tiny(architecture)).model
    prompts = [prompt(seed, 30 + 40 * seed) for seed in range(3)]
    expected = [alone(model, tokens, 12) for tokens in prompts]
    batch = DecodeBatch(model)
    got: dict[Slot, list[int]] = {}

    def steps(count: int) -> None:
        for _ in range(count):
            for slot, token in zip(list(batch.slots), batch.step(), strict=True):
                got[slot].append(token)

    slots: list[Slot] = []
    for tokens in prompts:
        slots.append(join(batch, model, tokens))
        got[slots[-1]] = []
        steps(3)
    left = batch.leave(slots[0])
    steps(2)
    batch.leave(slots[2])
    steps(4)
    assert [got[slot] for slot in slots] == [
        tokens[: len(got[slot])] for slot, tokens in zip(slots, expected, strict=True)
    ]
    assert [len(got[slot]) for slot in slots] == [9, 12, 5]

    # What left holds exactly its tokens: the library goes on from there.
    assert slots[0].tokens == [*prompts[0], *expected[0][:9]]
    logits = model(mx.array([expected[0][9:10]]), cache=left)
    assert int(mx.argmax(logits[0, -1]).item()) == expected[0][10]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_slot_that_left_has_the_cache_of_a_prefill_of_its_tokens(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    model = load_model(shelf.tiny(architecture)).model
    batch = DecodeBatch(model)
    slots = [join(batch, model, prompt(seed, 50 + seed)) for seed in range(2)]
    for _ in range(4):
        batch.step()
    cache = batch.leave(slots[0])
    follow_up = mx.array([[7, 8, 9]])
    fresh = prefilled(model, [*slots[0].tokens, 0]).cache
    np.testing.assert_allclose(
        np.array(model(follow_up, cache=cache)), np.array(model(follow_up, cache=fresh)), atol=2e-4
    )


def test_slots_of_similar_length_share_a_batch_and_others_do_not(shelf: ModelShelf) -> None:
    model = load_model(shelf.tiny()).model
    batch = DecodeBatch(model)
    assert batch.accepts(100_000, [KVCache()])
    join(batch, model, prompt(1, 1000))
    assert batch.accepts(760, [KVCache()])
    assert batch.accepts(1250, [KVCache()])
    assert batch.accepts(1500, [KVCache()])
    assert not batch.accepts(2500, [KVCache()])
    assert not batch.accepts(100, [KVCache()])


def test_a_short_slot_beside_a_long_one_is_not_padded_to_it(shelf: ModelShelf) -> None:
    model = load_model(shelf.tiny()).model
    long, short = DecodeBatch(model), DecodeBatch(model)
    join(long, model, prompt(1, 4000))
    before = long.nbytes
    join(short, model, prompt(2, 100))
    assert (long.nbytes + short.nbytes) / before < 1.1


def test_some_caches_cannot_share_a_batch(shelf: ModelShelf) -> None:
    assert mergeable([KVCache(), CacheList(KVCache(), ArraysCache(2))])
    assert not mergeable([KVCache(), CacheList(QuantizedKVCache())])
    model = load_model(shelf.tiny()).model
    batch = DecodeBatch(model)
    assert batch.accepts(100, [QuantizedKVCache()])
    join(batch, model, prompt(1, 100))
    assert not batch.accepts(100, [QuantizedKVCache()])
