"""Random models under a grammar: alone, in a batch, and with a draft model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.sample_utils import greedy_sampler, make_sampler

from engine.constrained.answer_grammar import AnswerRules
from engine.constrained.grammar import CompiledGrammar, Grammars
from engine.models.loading import LoadedModel, load_model
from engine.scheduling.batch import DecodeBatch, Slot
from engine.scheduling.prefill import Prefill
from engine.scheduling.speculative import SpeculativeDecode
from tests.engine.scheduling.test_batch import ARCHITECTURES, alone, join, prompt
from tests.models import ModelShelf, tiny_model

SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["left", "right", "straight on"]},
        "steps": {"type": "integer", "minimum": 0, "maximum": 999},
        "sure": {"type": "boolean"},
    },
    "required": ["kind", "steps", "sure"],
    "additionalProperties": False,
}
MOST_TOKENS = 400


@pytest.fixture(scope="module")
def loaded(shelf: ModelShelf) -> LoadedModel:
    return load_model(shelf.tiny("qwen3"))


@pytest.fixture(scope="module")
def grammar(loaded: LoadedModel) -> CompiledGrammar:
    return Grammars(loaded.tokenizer, loaded.eos_token_ids).compile(AnswerRules(schema=SCHEMA))


def fits(loaded: LoadedModel, tokens: list[int]) -> bool:
    found = json.loads(loaded.tokenizer.decode(tokens))
    return (
        list(found) == ["kind", "steps", "sure"]
        and found["kind"] in ("left", "right", "straight on")
        and isinstance(found["steps"], int)
        and isinstance(found["sure"], bool)
    )


def join_held(batch: Any, cache: list[Any], model: Any, tokens: list[int], slot: Slot) -> None:
    prefill = Prefill(model, tokens, cache, 0, (), 64)
    while prefill.remaining:
        prefill.advance()
    slot.tokens[:] = prefill.computed_tokens
    batch.join(slot, prefill.cache, prefill.last_token)


def until_end(batch: Any, loaded: LoadedModel, slots: list[Slot]) -> dict[int, list[int]]:
    """What each slot writes, by its position in `slots`; a slot leaves at its end token."""
    written: dict[int, list[int]] = {number: [] for number in range(len(slots))}
    for _ in range(MOST_TOKENS):
        if not batch.slots:
            return written
        for slot, token in zip(list(batch.slots), batch.step(), strict=True):
            if token in loaded.eos_token_ids:
                batch.leave(slot)
            else:
                written[slots.index(slot)].append(token)
    raise AssertionError(f"no end after {MOST_TOKENS} tokens")


@pytest.mark.parametrize("seed", range(4))
def test_a_random_model_writes_json_that_fits_and_then_ends(
    loaded: LoadedModel, grammar: CompiledGrammar, seed: int
) -> None:
    mx.random.seed(seed)
    batch = DecodeBatch(loaded.model)
    slot = Slot([], make_sampler(1.0), guide=grammar.guide())
    join_held(batch, make_prompt_cache(loaded.model), loaded.model, prompt(seed, 20), slot)
    assert fits(loaded, until_end(batch, loaded, [slot])[0])


def test_each_row_of_a_batch_is_constrained_by_its_own_grammar(
    loaded: LoadedModel, grammar: CompiledGrammar
) -> None:
    mx.random.seed(7)
    batch = DecodeBatch(loaded.model)
    slots = [Slot([], make_sampler(1.0), guide=grammar.guide()) for _ in range(3)]
    for number, slot in enumerate(slots):
        join_held(batch, make_prompt_cache(loaded.model), loaded.model, prompt(number, 30), slot)
    written = until_end(batch, loaded, slots)
    assert all(fits(loaded, tokens) for tokens in written.values())
    assert len({tuple(tokens) for tokens in written.values()}) > 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_unconstrained_row_is_unchanged_by_a_constrained_one(
    shelf: ModelShelf, loaded: LoadedModel, grammar: CompiledGrammar, architecture: Any
) -> None:
    model = load_model(shelf.tiny(architecture)).model
    expected = alone(model, prompt(1, 40), 12)
    batch = DecodeBatch(model)
    free = join(batch, model, prompt(1, 40))
    held = Slot([], greedy_sampler, guide=grammar.guide())
    join_held(batch, make_prompt_cache(model), model, prompt(2, 40), held)
    got = [batch.step()[batch.slots.index(free)] for _ in range(12)]
    assert got == expected


def test_a_draft_model_is_constrained_too(
    tmp_path: Path, loaded: LoadedModel, grammar: CompiledGrammar
) -> None:
    def written(batch: Any, cache: list[Any], model: Any) -> list[int]:
        slot = Slot([], greedy_sampler, guide=grammar.guide())
        join_held(batch, cache, model, prompt(5, 25), slot)
        return until_end(batch, loaded, [slot])[0]

    model, draft = loaded.model, load_model(tiny_model(tmp_path / "draft", seed=3)).model
    layers = len(model.layers)

    def both(tokens: Any, cache: list[Any]) -> Any:
        draft(tokens, cache=cache[layers:])
        return model(tokens, cache=cache[:layers])

    plain = written(DecodeBatch(model), make_prompt_cache(model), model)
    drafted = written(
        SpeculativeDecode(model, draft, 3), make_prompt_cache(model) + make_prompt_cache(draft), both
    )
    assert drafted == plain
    assert fits(loaded, drafted)
