"""What `models list` finds on a machine, and what it says of each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from engine.wire.model_report import ModelReport
from tests.model_folders import LAYER, write_folder
from tests.tui.commands.models.homes import Home
from tests.tui.scripted_host import scripted_host
from tui.commands.models.listing import run_models_list
from tui.commands.models.showing import run_models_show


def listed(home: Home, capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, dict[str, Any]]:
    """The models by name, without the bundled one."""
    assert run_models_list(home.invocation(**options), as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    return {row["name"]: row for row in rows if row["store"] != "bundled"}


def test_a_model_is_described_by_its_files(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    vision = LAYER | {"vision_tower.patch.weight": (10, 10)}
    home.hub_model("acme/Small-4bit", {"quantization": {"bits": 4, "group_size": 64}}, tensors=vision)
    row = listed(home, capsys)["acme/Small-4bit"]
    assert (row["condition"], row["reason"], row["store"]) == ("ready", "", "Hugging Face")
    assert (row["architecture"], row["quantization"], row["family"]) == ("qwen3", "4-bit", "hermes")
    assert (row["window_tokens"], row["fitting_tokens"], row["cache"]) == (4096, 4096, "KV")
    assert row["ignored_bytes"] == {"vision": 200}


def without(name: str) -> Callable[[Home], None]:
    def broken(home: Home) -> None:
        (home.hub_model("acme/m") / "snapshots" / ("a" * 40) / name).unlink()

    return broken


def in_the_cache(**more: Any) -> Callable[[Home], None]:
    return lambda home: void(home.hub_model("acme/m", **more))


def void(_: object) -> None:
    return None


def interrupted(home: Home) -> None:
    whole = home.hub_model("acme/m")
    (whole / "snapshots" / ("a" * 40) / "model.safetensors").unlink()
    (whole / "blobs" / "0.incomplete").write_bytes(b"half")


def pytorch(home: Home) -> None:
    whole = home.hub_model("acme/m")
    (whole / "snapshots" / ("a" * 40) / "model.safetensors").rename(
        whole / "snapshots" / ("a" * 40) / "pytorch_model.bin"
    )


def only_begun(home: Home) -> None:
    blobs = home.hub / "models--acme--m" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "0.incomplete").write_bytes(b"half")


def truncated(home: Home) -> None:
    blob = home.hub_model("acme/m") / "blobs" / "etag-model.safetensors"
    blob.write_bytes(blob.read_bytes()[:-1])


CASES: dict[str, tuple[Callable[[Home], None], str, str]] = {
    "gguf": (lambda home: void(home.gguf("acme/m")), "not MLX", "GGUF"),
    "code of its own": (
        in_the_cache(config={"model_type": "own", "model_file": "own.py"}),
        "unknown",
        "if trustRemoteCode names it",
    ),
    "unknown to mlx-lm": (in_the_cache(config={"model_type": "brand_new"}), "not MLX", "brand_new"),
    "another quantization": (
        in_the_cache(config={"quantization_config": {"quant_method": "exl3"}}),
        "not MLX",
        "exl3",
    ),
    "no configuration": (without("config.json"), "unknown", "config.json"),
    "no language model": (in_the_cache(config={"model_type": None}), "unknown", "model_type"),
    "no tokenizer": (without("tokenizer.json"), "unfinished", "tokenizer"),
    "no weights": (without("model.safetensors"), "unfinished", "pull acme/m"),
    "PyTorch": (pytorch, "not MLX", "convert it"),
    "interrupted": (interrupted, "unfinished", "anyclaude-tui models pull acme/m"),
    "only begun": (only_begun, "unfinished", "anyclaude-tui models pull acme/m"),
    "truncated": (truncated, "broken", "truncated"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_used_is_listed_with_the_reason(
    home: Home, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arrange, condition, reason = CASES[case]
    arrange(home)
    row = listed(home, capsys)["acme/m"]
    assert row["condition"] == condition
    assert reason in row["reason"]
    assert run_models_list(home.invocation(), as_json=False) == 0
    assert f"{condition}: " in capsys.readouterr().out


def test_ollama_has_gguf_or_weights_of_its_own(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.ollama("qwen3", "8b")
    home.ollama("other", "mlx", kind="tensor")
    (home.root / ".ollama/models/manifests/registry.ollama.ai/library/qwen3/bad").write_text("{")
    rows = listed(home, capsys)
    assert {row["condition"] for row in rows.values()} == {"not MLX"}
    assert rows["qwen3:8b"]["size_bytes"] == 5_000_000_000
    assert "ollama rm qwen3:8b" in rows["qwen3:8b"]["reason"]
    assert "blobs of its own" in rows["other:mlx"]["reason"]
    assert "without weights" in rows["qwen3:bad"]["reason"]


def test_both_layouts_of_lm_studio_are_read(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(home.root / ".cache" / "lm-studio" / "models" / "old" / "m")
    write_folder(home.lm_studio / "new" / "m")
    (home.root / ".lmstudio-home-pointer").write_text(f"{home.root}/pointed\n")
    write_folder(home.root / "pointed" / "models" / "third" / "m")
    moved = home.root / "moved"
    (home.root / ".lmstudio" / "settings.json").write_text(json.dumps({"downloadsFolder": str(moved)}))
    write_folder(moved / "fourth" / "m")
    assert set(listed(home, capsys)) == {"old/m", "new/m", "third/m", "fourth/m"}


def test_folders_of_the_configuration_are_searched(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(home.root / "models" / "a")
    write_folder(home.root / "models" / "b" / "deep" / "er")
    write_folder(home.root / "models" / "far" / "too" / "deep" / "down")
    (home.root / "models" / "again").symlink_to(home.root / "models")
    (home.root / ".anyclauderc.json").write_text(json.dumps({"modelFolders": ["~/models", "/nowhere"]}))
    assert set(listed(home, capsys)) == {"a", "b/deep/er"}


def test_what_cannot_be_read_hides_nothing_else(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.hub_model("acme/hub")
    write_folder(home.lm_studio / "acme" / "m")
    write_folder(home.root / "own" / "m")
    (home.root / ".anyclauderc.json").write_text(json.dumps({"modelFolders": [str(home.root / "own")]}))
    loops = (home.hub / "models--loop", home.lm_studio / "loop", home.lm_studio / "acme" / "loop")
    for loop in (*loops, home.root / "own" / "loop"):
        loop.symlink_to(loop)
    (home.gguf("acme/gone") / "model.gguf").unlink()
    (home.lm_studio / "acme" / "gone" / "model.gguf").symlink_to("/gone")  # an unplugged disk
    rows = listed(home, capsys)
    assert {name: row["condition"] for name, row in rows.items()} == {
        "acme/hub": "ready",
        "acme/m": "ready",
        "m": "ready",
        "acme/gone": "not MLX",
    }


def test_wrong_types_and_control_characters_of_a_model_do_no_harm(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"quantization": {"bits": 4, "mode": "\x1b[31m\n"}}
    folder = write_folder(home.lm_studio / "acme" / "m\x1b[2J\n", config)
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text('{"chat_template": [{"name": [], "template": []}]}')
    assert run_models_list(home.invocation(), as_json=False) == 0
    mlx = subprocess.CompletedProcess([], 0, json.dumps(asdict(ModelReport(fault="no"))), "")
    assert run_models_show(home.invocation(), str(folder), as_json=False, run=lambda *_: mlx) == 1
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "acme/m?[2J?\n" in shown.out


def test_the_store_of_the_hub_follows_its_variables(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.hub_model("acme/m")
    home.environ["HF_HOME"] = str(home.root / "elsewhere")
    assert listed(home, capsys) == {}
    shutil.move(home.hub, home.root / "elsewhere" / "hub")
    assert set(listed(home, capsys)) == {"acme/m"}


def test_the_configured_model_and_those_of_hosts_are_marked(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.hub_model("acme/m")
    folder = write_folder(home.lm_studio / "acme" / "other")
    with scripted_host() as host:
        host.model = str(folder)
        rows = listed(home, capsys, port=int(host.url.rpartition(":")[2]), model="acme/m")
        assert rows["acme/m"]["used_by"] == ["configured"]
        assert rows["acme/other"]["used_by"] == [f"host {host.url}"]


def test_what_does_not_fit_says_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.environ["ANYCLAUDE_MEMORY_LIMIT_BYTES"] = str(10**8)
    shapes = {"model.layers.0.self_attn.k_proj.weight": (1 << 13, 8)} | LAYER
    home.hub_model("acme/m", {"max_position_embeddings": 1 << 20}, tensors=shapes)
    row = listed(home, capsys)["acme/m"]
    assert row["condition"] == "too large"
    assert "memoryLimitBytes" in row["reason"]


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_the_table_keeps_to_the_terminal(
    home: Home, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    home.hub_model("acme/A-Name-That-Is-Longer-Than-All-Others-And-Then-Some-30B-A3B-Instruct-4bit")
    home.gguf("acme/m")
    assert run_models_list(home.invocation(), as_json=False) == 0
    shown = capsys.readouterr()
    assert all(len(line) <= columns + 14 for line in shown.out.splitlines())  # marks stand behind
    assert "Long tasks of Claude Code need" in shown.err


def test_a_hundred_folders_are_read_by_their_headers_without_mlx(home: Home) -> None:
    """In a process of its own, with weights of 100 TB that are holes in their files."""
    size = 1 << 40
    entry = {"dtype": "BF16", "shape": [4, size // 8], "data_offsets": [0, size]}
    header = json.dumps({"model.layers.0.self_attn.k_proj.weight": entry}).encode()
    for number in range(100):
        file = write_folder(home.lm_studio / "acme" / f"m{number}") / "model.safetensors"
        file.write_bytes(len(header).to_bytes(8, "little") + header)
        os.truncate(file, 8 + len(header) + size)
    program = (
        "import sys; from tui.commands.invocation import Invocation\n"
        "from tui.commands.models.inventory import Inventory\n"
        "inventory = Inventory.settle(Invocation())\n"
        "rows = [inventory.facts(model) for model in inventory.models()]\n"
        "print(sum(row.size_bytes > 1 << 40 for row in rows))\n"
        "print(sorted({'mlx', 'mlx_lm', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[4],
        env={"HOME": str(home.root), "PATH": "/usr/bin:/bin"},
    )
    assert ended.stdout.splitlines() == ["100", "[]"]
