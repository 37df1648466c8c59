"""The window is what a model's files state, under any of its names; learned positions are its limit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from engine.model_files.context_window import ContextWindow, learned_positions, read_window
from engine.model_files.errors import BrokenWeights
from engine.model_files.weight_files import WeightChoice
from engine.models.loading import load_model
from engine.scheduling.requests.steps import FailStep, FinishStep
from engine.settings import EngineSettings
from engine.startup import load
from tests.engine.model_thread import answer, ask, running
from tests.models import ModelShelf, bare_model

POSITIONS = 200


def folder_of(path: Path, config: Any, tokenizer: Any = None) -> Path:
    (path / "config.json").write_text(json.dumps(config))
    if tokenizer is not None:
        (path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return path


LONGROPE = {"original_max_position_embeddings": 4096, "rope_scaling": {"type": "longrope"}}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        ({"max_position_embeddings": 40960}, 40960),
        ({"n_positions": 1024, "n_ctx": 1024}, 1024),
        ({"n_ctx": 2048}, 2048),
        ({"seq_length": 131072}, 131072),
        ({"max_sequence_length": 2048}, 2048),
        ({"max_seq_len": 2048}, 2048),
        ({"model_max_length": 1048576}, 1048576),
        ({"text_config": {"max_position_embeddings": 4096}}, 4096),
        ({"llm_config": {"max_position_embeddings": 8192}}, 8192),
        ({"language_config": {"text_config": {"n_positions": 512}}}, 512),
        ({"max_position_embeddings": 131072, "text_config": {"max_position_embeddings": 9}}, 131072),
        ({"max_position_embeddings": 2048, "text_config": {"max_position_embeddings": 8192}}, 8192),
        ({"max_position_embeddings": 8192, "model_max_length": 131072}, 131072),
        ({"max_context_length": 2048}, 2048),
        ({"sequence_len": 2048}, 2048),
        ({"block_size": 512}, 512),
        ({"vision_config": {"max_position_embeddings": 577}, "text_config": {"n_ctx": 2048}}, 2048),
        ({"max_position_embeddings": 32768, "rope_scaling": YARN}, 131072),
        ({"max_position_embeddings": 131072, "rope_scaling": YARN}, 131072),
        ({"max_position_embeddings": 32768, "rope_parameters": {"full_attention": YARN}}, 131072),
        ({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "linear", "factor": 8}}, 131072),
        ({"max_position_embeddings": 40960, "rope_scaling": YARN}, 131072),
        ({"text_config": {"max_position_embeddings": 40960, "rope_scaling": YARN}}, 131072),
        ({"max_position_embeddings": 262144, "rope_scaling": YARN}, 262144),
        ({"max_position_embeddings": 40960, "rope_scaling": YARN | {"rope_type": "llama3"}}, 40960),
        ({"max_position_embeddings": 32768, "rope_scaling": YARN | {"factor": "4"}}, 32768),
        ({"max_position_embeddings": 32768, "rope_scaling": YARN | {"factor": 1e300}}, 32768),
        ({"max_position_embeddings": 4096, "rope_scaling": None}, 4096),
        ({"max_position_embeddings": "131072"}, 131072),
        ({"max_position_embeddings": "²", "n_ctx": "9" * 5000}, 0),
        ({"max_position_embeddings": 4096.0}, 4096),
        ({"sliding_window": 512}, 0),
        ({"max_position_embeddings": 10**30, "n_ctx": 77}, 77),
        ({"max_position_embeddings": "many", "n_positions": True, "text_config": None}, 0),
        ({"max_position_embeddings": -1}, 0),
        ([], 0),
    ],
)
def test_the_window_is_read_under_each_of_its_names(tmp_path: Path, config: Any, tokens: int) -> None:
    assert read_window(folder_of(tmp_path, config)).tokens == tokens


@pytest.mark.parametrize(
    ("config", "stated", "tokens"),
    [
        ({}, 8192, 8192),
        ({}, 10**30, 0),
        ({}, 1e30, 0),
        ({}, None, 0),
        ({"max_position_embeddings": 40960}, 131072, 40960),
    ],
)
def test_the_tokenizers_window_counts_if_the_model_states_none(
    tmp_path: Path, config: Any, stated: Any, tokens: int
) -> None:
    assert read_window(folder_of(tmp_path, config, {"model_max_length": stated})).tokens == tokens


def test_unreadable_files_state_no_window(tmp_path: Path) -> None:
    assert read_window(tmp_path / "gone") == ContextWindow(0, 0)
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").write_text("no weights")
    assert read_window(tmp_path) == ContextWindow(0, 0)


def test_weights_that_vanish_while_being_read_state_no_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "model.safetensors"
    with pytest.raises(BrokenWeights, match="cannot be read: No such file"):
        learned_positions([gone])
    monkeypatch.setattr(
        "engine.model_files.context_window.weight_choices", lambda folder: [WeightChoice((gone,))]
    )
    assert read_window(folder_of(tmp_path, {"n_ctx": 2048})).tokens == 2048


def test_a_table_of_text_positions_is_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    arrays = {
        "visual.position_embedding.weight": mx.ones((50, 4)),
        "model.embed_tokens.weight": mx.ones((9, 4)),
    }
    mx.save_safetensors(str(file), arrays)
    assert learned_positions([file]) == 0
    mx.save_safetensors(str(file), arrays | {"model.wpe.weight": mx.ones((100, 4))})
    assert read_window(folder_of(tmp_path, {"n_positions": 4096})).tokens == 100
    assert read_window(folder_of(tmp_path, {})).tokens == 100
    assert read_window(folder_of(tmp_path, {"n_positions": 80})) == ContextWindow(80, 100)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with learned positions."""
    config = {
        "model_type": "gpt2",
        "n_ctx": POSITIONS,
        "n_positions": POSITIONS,
        "n_embd": 32,
        "n_head": 2,
        "n_layer": 1,
        "layer_norm_epsilon": 1e-5,
        "vocab_size": 512,
        "num_key_value_heads": 2,
    }
    return bare_model(tmp_path_factory.mktemp("gpt2"), config)


def served(model: Path, **settings: Any) -> int:
    return load(EngineSettings(model=str(model), **settings), lambda done, what: None).context_length


def test_the_settings_window_is_served_up_to_the_learned_positions(
    gpt2: Path, shelf: ModelShelf, caplog: pytest.LogCaptureFixture
) -> None:
    assert served(gpt2) == POSITIONS
    assert served(gpt2, context_tokens=100) == 100
    assert not [record for record in caplog.records if record.name.startswith("engine")]
    assert served(gpt2, context_tokens=5000) == POSITIONS
    assert f"it has learned {POSITIONS} positions; it serves so many tokens, not 5000" in caplog.text
    assert served(shelf.tiny(), context_tokens=100_000) == 100_000
    assert "it serves 100000 tokens as asked; its files state 32768" in caplog.text


def test_an_unstated_window_is_assumed_and_logged(
    tmp_path: Path, shelf: ModelShelf, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(shelf.tiny(), tmp_path / "model"))
    for name, key in (
        ("config.json", "max_position_embeddings"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | {key: 10**30}))
    assert load_model(folder).context_length == 32768
    assert "32768 tokens are assumed" in caplog.text


async def test_a_prompt_beyond_the_learned_positions_is_refused_and_one_that_fills_them_is_answered(
    gpt2: Path,
) -> None:
    settings = EngineSettings(model=str(gpt2), context_tokens=4096)
    with running(lambda on_progress: load(settings, on_progress)) as scheduler:
        got = await answer(scheduler, ask([5] * (POSITIONS - 1), 100))
        assert isinstance(got.end, FinishStep)
        assert len(got.tokens) <= 1
        refused = await answer(scheduler, ask([5] * POSITIONS, 4))
        assert isinstance(refused.end, FailStep)
        assert f"this model's context is {POSITIONS}" in refused.end.message


@pytest.mark.parametrize(
    ("config", "scaling"),
    [
        ({"max_position_embeddings": 131072, "rope_scaling": YARN}, "131072 tokens is one of 32768"),
        ({"max_position_embeddings": 32768, "rope_scaling": YARN}, "extended by yarn position scaling"),
        ({"text_config": {"max_position_embeddings": 32768, "rope_parameters": YARN}}, "one of 32768"),
        ({"max_position_embeddings": 131072, **LONGROPE}, "one of 4096, extended by longrope"),
        ({"max_position_embeddings": 32768}, ""),
        ({"max_position_embeddings": 32768, "rope_scaling": {"rope_type": "linear", "factor": 8}}, ""),
        ({"max_position_embeddings": 16384, "rope_scaling": YARN}, ""),
    ],
)
def test_a_window_that_position_scaling_extends_says_so(
    tmp_path: Path, config: dict[str, Any], scaling: str
) -> None:
    told = read_window(folder_of(tmp_path, config)).scaling
    assert scaling in told
    assert bool(told) == bool(scaling)
