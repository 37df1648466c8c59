"""What a folder's config.json and headers say of its model, beside what the built model says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.memory.table import SAMPLES, mac, window_of
from engine.memory_budget.estimate import CHUNK_BYTES, default_working_set, estimated_machine, fitting_tokens
from engine.memory_budget.limits import memory_limit
from engine.model_files.cache_layers import cache_layers
from engine.model_files.description import added_tokens, describe
from engine.model_files.errors import ConfigMissing
from engine.model_files.known_architectures import is_known, module_text
from engine.model_files.quantization import quantization_of
from engine.model_files.safetensors_header import TensorEntry
from engine.model_report import machine_report, with_model
from tests.model_folders import write_folder
from tests.models import ModelShelf

HEADS = {"num_attention_heads": 4, "num_hidden_layers": 2, "hidden_size": 64}
SLIDING = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
SPLIT = {"k_proj.weight": (32, 8), "v_proj.weight": (32, 8)}


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
def test_it_agrees_with_the_built_model(shelf: ModelShelf, architecture: str) -> None:
    folder = shelf.tiny(architecture)  # type: ignore[arg-type]
    report, found = with_model(machine_report(), folder), describe(folder)
    assert found.known
    assert found.cache.kv_bytes == report.kv_bytes
    assert found.cache.needs_checkpoints == report.needs_checkpoints
    assert (found.file_bytes, found.window_tokens) == (report.weights_bytes, report.window_tokens)


@pytest.mark.parametrize(
    ("config", "shapes", "module", "kind", "kv_bytes"),
    [
        (HEADS, SPLIT, "", "KV", 2 * 2 * 64),
        (HEADS, {"qkv_proj.weight": (128, 8)}, "", "KV", 2 * 2 * 2 * 4 * 16),
        (
            {**HEADS, "kv_lora_rank": 24, "qk_rope_head_dim": 8},
            {"kv_a_proj_with_mqa.weight": (32, 8)},
            "cache.update_and_fetch(kv_latent, k_pe)",
            "latent KV",
            2 * 2 * 32,
        ),
        (HEADS, {"linear_attn.k_proj.weight": (9, 8), "A_log": (4,)}, "ArraysCache", "state", 0),
        ({**HEADS, **SLIDING}, SPLIT, "RotatingKVCache", "KV + window", 2 * 64),
        ({**HEADS, **SLIDING}, SPLIT, "all layers keep all tokens", "KV", 2 * 2 * 64),
        (HEADS, {"something.weight": (1, 1)}, "", "", 0),
    ],
)
def test_the_kinds_of_layers(
    config: dict[str, Any], shapes: dict[str, tuple[int, ...]], module: str, kind: str, kv_bytes: int
) -> None:
    each = {f"model.layers.{n}.self_attn.{name}": shape for n in (0, 1) for name, shape in shapes.items()}
    found = cache_layers({"text_config": config}, each, module)
    assert (found.kind, found.kv_bytes) == (kind, kv_bytes)


@pytest.mark.parametrize(
    ("config", "name", "foreign"),
    [
        ({}, "bf16", ""),
        ({"quantization": {"bits": 4, "group_size": 64}}, "4-bit", ""),
        ({"quantization": {"bits": 4, "group_size": 32, "mode": "mxfp4"}}, "mxfp4", ""),
        ({"quantization": {"bits": 4, "group_size": 64, "lm_head": {"bits": 8}}}, "4-bit mixed", ""),
        ({"quantization": {"bits": 4, "group_size": 64, "gate": {"bits": 4}}}, "4-bit", ""),
        ({"quantization_config": {"bits": 8, "group_size": 64}}, "8-bit", ""),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq", "gptq"),
        ({"quantization": "nonsense"}, "bf16", ""),
    ],
)
def test_quantization(config: dict[str, Any], name: str, foreign: str) -> None:
    found = quantization_of(config, [TensorEntry("BF16", (2, 2), 8), TensorEntry("U32", (9, 9), 324)])
    assert (found.name, found.foreign) == (name, foreign)


def test_weights_for_other_senses_are_counted_apart(tmp_path: Path) -> None:
    tensors = {
        "vision_tower.blocks.0.attn.qkv.weight": (8, 8),
        "model.layers.0.self_attn.k_proj.weight": (4, 8),
        "model.layers.0.self_attn.v_proj.weight": (4, 8),
        "mtp.layers.0.self_attn.k_proj.weight": (4, 8),
    }
    found = describe(write_folder(tmp_path / "m", {"num_hidden_layers": 1}, tensors))
    assert found.ignored_bytes == {"vision": 128, "multi-token prediction": 64}
    assert (found.weights_bytes, found.cache.kv_bytes) == (128, 16)


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    for text in (None, "not JSON", "[]", json.dumps({"architectures": ["UNet"]})):
        if text is not None:
            (tmp_path / "config.json").write_text(text)
        with pytest.raises(ConfigMissing, match=r"config\.json"):
            describe(tmp_path)


def test_added_tokens_come_from_either_file(tmp_path: Path) -> None:
    assert added_tokens(tmp_path) == set()
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": [{"content": "<a>"}]}))
    assert added_tokens(tmp_path) == {"<a>"}
    document = {"added_tokens_decoder": {"1": {"content": "<b>"}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(document))
    assert added_tokens(tmp_path) == {"<b>"}


def test_architectures_are_those_of_mlx_lm() -> None:
    assert is_known("qwen3_moe")
    assert is_known("kimi_k2")  # which mlx-lm runs with another type's module
    assert "RotatingKVCache" in (module_text("gemma3") or "")  # of the text model that it wraps
    for wrong in ("no_such_model", "../utils", "", "a/b"):
        assert not is_known(wrong)


def test_the_working_set_of_a_mac_is_its_setting_or_the_default() -> None:
    ram = 64 << 30
    assert estimated_machine("Darwin", ram, lambda: 0).working_set_bytes == ram * 3 // 4
    assert estimated_machine("Darwin", ram, lambda: 1000).working_set_bytes == 1000 << 20
    assert estimated_machine("Linux", ram).working_set_bytes == 0
    assert default_working_set(16 << 30) == int((16 << 30) * 2 / 3)


@pytest.mark.parametrize("gigabytes", [32, 48, 64])
def test_what_fits_is_what_the_table_of_the_readme_says(gigabytes: int) -> None:
    sample = SAMPLES[1]
    assert sample.chunk_bytes == CHUNK_BYTES
    machine = mac(gigabytes)
    room = memory_limit(machine).bytes - sample.weights_bytes
    fits = fitting_tokens(room, sample.kv_bytes, (), sample.context_tokens, on_gpu=True)
    assert fits == window_of(sample, machine)


def test_no_room_fits_nothing() -> None:
    assert fitting_tokens(-1, 100, (), 4096, on_gpu=True) == 0
    assert fitting_tokens(10**9, 1000, (), 4096, on_gpu=False) == 4096
    half = fitting_tokens(300 * 10**6, 100_000, (), 4096, on_gpu=False)
    assert half < fitting_tokens(300 * 10**6, 100_000, (), 4096, kv_bits=8, on_gpu=False) <= 4096
