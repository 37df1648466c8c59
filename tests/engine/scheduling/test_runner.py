"""Quantized KV and draft models work where the caches support it, and are refused elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.models.cache import QuantizedKVCache

from engine.model_files.errors import OptionUnsupported
from engine.models.loading import LoadedModel, OnProgress, load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.scheduling.loop import DecodeLoop
from engine.scheduling.requests.steps import FinishStep, Sampling
from engine.scheduling.runner import ModelRunner, kv_group
from engine.settings import EngineSettings
from engine.startup import learn_sizes, load
from tests.engine.model_thread import answer, answers, ask, running
from tests.models import TINY, ModelShelf, tiny_model

Load = Callable[[OnProgress], LoadedModel]


def prompt(seed: int, length: int = 40) -> list[int]:
    return [(seed * 7919 + position * 104729) % 1500 for position in range(length)]


def loading(path: Path, **settings: Any) -> Load:
    chosen = EngineSettings(model=str(path), **settings)
    return lambda on_progress: load(chosen, on_progress)


async def test_a_draft_model_changes_no_answer(shelf: ModelShelf, tmp_path: Path) -> None:
    path = shelf.tiny()
    with running(path) as scheduler:
        alone = await answers(scheduler, *(ask(prompt(seed), 20) for seed in (1, 2)))
    for draft in (path, tiny_model(tmp_path / "draft", seed=5)):
        with running(loading(path, draft_model=str(draft))) as scheduler:
            drafted = await answers(scheduler, *(ask(prompt(seed), 20) for seed in (1, 2)))
            again = await answer(scheduler, ask([*prompt(1), *alone[0].tokens[:10]], 10))
        assert [one.tokens for one in drafted] == [one.tokens for one in alone]
        assert again.lookup.matched_tokens == 49
        assert again.tokens == alone[0].tokens[10:]


def padded(out: Path, path: Path, rows: int, scale: float) -> Path:
    """The model with embeddings and logits for `rows` more numbers, which no token has."""
    weights = dict(mx.load(str(path / "model.safetensors")))  # type: ignore[arg-type]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = mx.concatenate([weights[name], scale * weights[name][100 : 100 + rows]])
    shutil.copytree(path, out)
    mx.save_safetensors(str(out / "model.safetensors"), weights, metadata={"format": "mlx"})
    config = json.loads((path / "config.json").read_text())
    config["vocab_size"] += rows
    (out / "config.json").write_text(json.dumps(config))
    return out


async def test_a_draft_may_have_more_or_less_padding_behind_the_same_tokens(
    shelf: ModelShelf, tmp_path: Path
) -> None:
    path = shelf.tiny()
    more = padded(tmp_path / "more", path, 300, 4.0)  # logits of padding are often the largest
    with running(path) as scheduler:
        alone = await answers(scheduler, *(ask(prompt(seed), 20) for seed in (1, 2)))
    for model, draft in ((path, more), (more, path)):
        with running(loading(model, draft_model=str(draft))) as scheduler:
            drafted = await answers(scheduler, *(ask(prompt(seed), 20) for seed in (1, 2)))
            assert scheduler.wait_until_loaded().vocab_size == TINY.vocab_size
        assert [one.tokens for one in drafted] == [one.tokens for one in alone]


async def test_penalties_see_the_whole_sequence_beside_a_draft_model(shelf: ModelShelf) -> None:
    path = shelf.tiny()
    penalties = Sampling(temperature=0.0, repetition_penalty=1.5, presence_penalty=1.0)
    with running(path) as scheduler:
        alone = await answer(scheduler, ask(prompt(1), 20, sampling=penalties))
    with running(loading(path, draft_model=str(path))) as scheduler:
        drafted = await answer(scheduler, ask(prompt(1), 20, sampling=penalties))
    assert drafted.tokens == alone.tokens


async def test_a_drafted_answer_ends_where_the_model_ends_it(shelf: ModelShelf) -> None:
    path = shelf.scripted("The answer is forty two.")
    with running(loading(path, draft_model=str(path), draft_tokens=4)) as scheduler:
        tokenizer = scheduler.wait_until_loaded().tokenizer
        ids = tokenizer.apply_chat_template([{"role": "user", "content": "hm?"}], add_generation_prompt=True)
        got = await answer(scheduler, ask(ids, 100))
    assert tokenizer.decode(got.tokens) == "The answer is forty two."
    assert got.end == FinishStep("stop", len(got.tokens) + 1)


@pytest.mark.parametrize("architecture", ["qwen3", "qwen3_5"])
async def test_quantized_keys_and_values_take_less_and_are_reused(
    shelf: ModelShelf, architecture: Any
) -> None:
    path = shelf.tiny(architecture)
    sizes = {}
    for bits in (None, 8, 4):
        with running(loading(path, kv_bits=bits)) as scheduler:
            first = await answer(scheduler, ask(prompt(1, 300), 6))
            again = await answer(scheduler, ask([*prompt(1, 300), *first.tokens, 5], 6))
            both = await answers(scheduler, ask(prompt(2), 6), ask(prompt(3), 6))
            sizes[bits] = scheduler.stats()["prefix_cache"]["bytes"]
        assert again.lookup.matched_tokens == 306
        assert [one.end for one in both] == [FinishStep("length", 6)] * 2
    assert sizes[4] < sizes[8] < sizes[None]


def test_a_quantized_cache_has_the_layers_that_can_be_quantized(shelf: ModelShelf) -> None:
    loaded = load_model(shelf.tiny("qwen3_5"))
    kinds = {type(layer) for layer in ModelRunner(replace(loaded, kv_bits=8)).new_cache()}
    assert QuantizedKVCache in kinds
    assert len(kinds) == 2


def test_quantized_keys_are_tried_out_once(shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def noted(loaded: LoadedModel, bits: int) -> int:
        tried.append(bits)
        return kv_group(loaded, bits)

    for module in ("engine.startup", "engine.scheduling.runner"):
        monkeypatch.setattr(f"{module}.kv_group", noted)
    loaded = load(EngineSettings(model=str(shelf.tiny()), kv_bits=8), lambda done, what: None)
    learn_sizes(RadixPrefixCache(max_bytes=1 << 20), loaded)
    DecodeLoop(loaded, RadixPrefixCache(max_bytes=1 << 20))
    assert tried == [8]


@pytest.mark.parametrize(
    ("architecture", "settings", "says"),
    [
        ("gemma3_text", {"kv_bits": 4}, "RotatingKVCache"),
        ("qwen3_5", {"draft_model": "itself"}, "cannot be trimmed"),
    ],
)
def test_an_unsupported_option_is_refused_with_a_reason(
    shelf: ModelShelf, architecture: Any, settings: dict[str, Any], says: str
) -> None:
    path = shelf.tiny(architecture)
    settings = {key: str(path) if value == "itself" else value for key, value in settings.items()}
    with running(loading(path, **settings), loaded=False) as scheduler:
        with pytest.raises(OptionUnsupported, match=says):
            scheduler.wait_until_loaded(30)
        assert says in scheduler.health().detail


def test_a_draft_with_other_tokens_is_refused(shelf: ModelShelf) -> None:
    loaded = load_model(shelf.tiny())
    other = load_model(shelf.scripted("Some other words, and more of them."))
    with pytest.raises(OptionUnsupported, match="other tokens"):
        ModelRunner(replace(loaded, draft=other))


def test_other_ways_to_run_have_other_fingerprints(shelf: ModelShelf) -> None:
    path = shelf.tiny()
    prints = {
        load(EngineSettings(model=str(path), **settings), lambda done, what: None).fingerprint
        for settings in ({}, {"kv_bits": 4}, {"kv_bits": 8}, {"draft_model": str(path)})
    }
    assert len(prints) == 4
