"""Models whose results change in a batch are detected when they load, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.models.cache import make_prompt_cache

from bench.random_model import Architecture
from engine.models.loading import LoadedModel, load_model
from engine.settings import EngineSettings
from engine.startup import load
from engine.trials.batching import batch_fault
from engine.trials.models import with_batching_check
from tests.engine.model_thread import answers, ask, running
from tests.models import ModelShelf, bare_model

AFM7: dict[str, Any] = {
    "model_type": "afm7",
    "vocab_size": 512,
    "hidden_dim": 64,
    "num_layers": 4,
    "num_kv_reuse_layers": 2,
    "num_heads": 2,
    "num_kv_heads": 1,
    "hidden_dim_scale_factor": 3.25,
    "rope_theta": 50000,
    "rms_norm_eps": 1e-05,
    "max_position_embeddings": 4096,
}
"""Takes the padded length for the position."""

GPT_BIGCODE: dict[str, Any] = {
    "model_type": "gpt_bigcode",
    "n_embd": 64,
    "n_layer": 2,
    "n_inner": 128,
    "n_head": 2,
    "n_positions": 4096,
    "layer_norm_epsilon": 1e-05,
    "vocab_size": 512,
    "num_key_value_heads": 1,
}
"""Raises in every batch."""

SPARSE = {
    "sparse_num_index_heads": 2,
    "sparse_index_dim": 32,
    "sparse_block_size": 128,
    "sparse_topk_blocks": 16,
    "sparse_local_block": 1,
    "sparse_attention_freq": [0, 1],
}
MINIMAX_M3: dict[str, Any] = {
    "model_type": "minimax_m3_vl",
    "text_config": {
        "hidden_size": 64,
        "intermediate_size": 64,
        "dense_intermediate_size": 128,
        "shared_intermediate_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_hidden_layers": 2,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "head_dim": 32,
        "vocab_size": 512,
        "moe_layer_freq": [0, 1],
        "sparse_attention_config": SPARSE,
    },
}
"""Cuts its blocks over the padding, in prompts of more than 2048 tokens, as the published model does."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], LoadedModel]:
    def loaded(config: dict[str, Any]) -> LoadedModel:
        return load_model(bare_model(tmp_path_factory.mktemp("bare") / config["model_type"], config))

    return loaded


def fault_of(model: Any, most: int | None = None) -> str:
    return batch_fault(model, lambda: make_prompt_cache(model), most)


@pytest.mark.parametrize(
    ("config", "says"),
    [(AFM7, "others beside them change them"), (MINIMAX_M3, "others"), (GPT_BIGCODE, "fails on several")],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_a_model_that_is_wrong_in_a_batch_is_found(
    bare: Callable[[dict[str, Any]], LoadedModel], config: dict[str, Any], says: str
) -> None:
    assert says in fault_of(bare(config).model)


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_a_model_that_is_right_is_not(shelf: ModelShelf, architecture: Architecture, dtype: mx.Dtype) -> None:
    model = load_model(shelf.tiny(architecture)).model
    model.set_dtype(dtype)
    assert fault_of(model) == ""
    assert fault_of(model, most=30) == ""
    assert fault_of(model, most=8) == ""


class Rounding:
    """A model that computes one row and several by other kernels, as Metal does: they round differently."""

    def __init__(self, model: Any, size: float) -> None:
        self._model = model
        self._size = size

    def __call__(self, inputs: mx.array, **kwargs: Any) -> Any:
        logits = self._model(inputs, **kwargs)
        drawn = mx.random.normal(logits.shape, key=mx.random.key(inputs.size))
        return logits + self._size * mx.std(logits) * drawn if inputs.size > 1 else logits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.1])
def test_rounding_is_no_fault_however_coarse(
    shelf: ModelShelf, bare: Callable[[dict[str, Any]], LoadedModel], size: float
) -> None:
    assert fault_of(Rounding(load_model(shelf.tiny()).model, size)) == ""
    if size < 0.1:
        assert fault_of(Rounding(bare(AFM7).model, size)) != ""


def test_the_result_is_stored_by_model_and_libraries(
    tmp_path: Path,
    bare: Callable[[dict[str, Any]], LoadedModel],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loaded = bare(AFM7)
    found = with_batching_check(loaded, tmp_path)
    assert found.alone
    assert found.notes == (f"answers are generated one at a time, {found.alone}",)
    told = [record.getMessage() for record in caplog.records if record.name.startswith("engine")]
    assert told == [f"{loaded.name}: {found.notes[0]}"]

    def never(*_: Any) -> str:
        pytest.fail("tried again")

    monkeypatch.setattr("engine.trials.models.batch_fault", never)
    assert with_batching_check(loaded, tmp_path).alone == found.alone
    monkeypatch.setattr("engine.trials.models.batch_fault", lambda *_: "")
    monkeypatch.setattr("engine.trials.models.libraries", lambda: {"mlx": "another"})
    assert with_batching_check(loaded, tmp_path).alone == ""


@pytest.mark.parametrize("config", [AFM7, GPT_BIGCODE], ids=lambda config: str(config["model_type"]))
async def test_such_a_model_answers_beside_others_as_it_does_alone(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    settings = EngineSettings(model=str(bare_model(tmp_path / "model", config)))
    prompts = [list(range(20, 20 + length)) for length in (90, 40, 65)]
    with running(lambda on_progress: load(settings, on_progress)) as scheduler:
        alone = [(await answers(scheduler, ask(prompt, 12)))[0].tokens for prompt in prompts]
        together = await answers(scheduler, *(ask(prompt, 12) for prompt in prompts))
        assert [answer.tokens for answer in together] == alone
        assert scheduler.stats()["loop"]["rebuilds"] == 0
        assert scheduler.loaded is not None
        assert "one at a time" in scheduler.loaded.notes[-1]
