"""`models show`: one model, by name or path, with what MLX says of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from engine.wire.model_report import ModelReport
from tests.model_folders import write_folder
from tests.tui.commands.models.homes import Home
from tui.commands.exit_codes import CommandFailed
from tui.commands.models.showing import run_models_show

REPORT = ModelReport(
    limit_bytes=10**10,
    limit_reason="RAM less 4 GB",
    tokens=1000,
    family="hermes",
    thinking_switch="enable_thinking",
    adaptations=["the system text stands in the first turn of the user", "ids carry the tool's name"],
    new_project={"prompt": 14_669, "computed": 13_407, "behind": 942},
    cache_kinds={"KVCache": 36},
    kv_bytes=98_304,
    window_tokens=65_536,
    fitting_tokens=40_000,
)


class Mlx:
    """Stands in for `engine.model_report`, whose own test has the real one."""

    def __init__(self, **fields: Any) -> None:
        self.report = ModelReport(**(asdict(REPORT) | fields))
        self.commands: list[Sequence[str]] = []

    def __call__(
        self, command: Sequence[str], environ: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        assert environ["HF_HUB_OFFLINE"] == "1"
        return subprocess.CompletedProcess(command, 0, json.dumps(asdict(self.report)), "")


def test_files_weights_template_and_memory_are_shown(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    config = {
        "quantization": {"bits": 4, "group_size": 64, "a": {"bits": 8}},
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024},
    }
    whole = home.hub_model("acme/Small-4bit", config)
    snapshot = whole / "snapshots" / ("a" * 40)
    (snapshot / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (snapshot / "generation_config.json").write_text('{"temperature": 0.7, "other": 1}')
    mlx = Mlx()
    assert run_models_show(home.invocation(), "small", as_json=False, run=mlx) == 0
    shown = capsys.readouterr().out
    for words in (
        "acme/Small-4bit",
        "apache-2.0",
        "switched by enable_thinking",
        "the system text stands in the first turn of the user",
        "ids carry the tool's name",
        "computes about 13,407 of 14,669",
        "4-bit mixed, groups of 64, some modules in other bits",
        "4,096 tokens",
        "yarn",
        "temperature 0.7",
        "tool calls    hermes",
        "36 x KVCache; prompts are reused from any token on",
        "about 40,000 of 65,536 tokens",
    ):
        assert words in shown
    assert ["--model", str(snapshot)] == list(mlx.commands[0][4:6])


def test_json_has_all_of_it(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(home.root / "a folder")  # of no store
    assert run_models_show(home.invocation(), "a folder", as_json=True, run=Mlx()) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["path"], document["condition"]) == (str(folder), "ready")
    assert document["description"]["model_type"] == "qwen3"
    assert document["report"]["fitting_tokens"] == 40_000
    assert {file["name"] for file in document["files"]} >= {"config.json", "model.safetensors"}


def test_a_model_that_cannot_run_ends_with_1(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.gguf("acme/m")
    home.hub_model("acme/other")
    mlx = Mlx()
    assert run_models_show(home.invocation(), "acme/m", as_json=False, run=mlx) == 1
    assert mlx.commands == []
    assert "GGUF" in capsys.readouterr().out
    fault = "mlx-lm cannot build it"
    assert run_models_show(home.invocation(), "acme/other", as_json=False, run=Mlx(fault=fault)) == 1
    assert fault in capsys.readouterr().out


def test_mlx_that_does_not_answer_is_a_fault(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.hub_model("acme/m")

    def silent(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "")

    assert run_models_show(home.invocation(), "acme/m", as_json=False, run=silent) == 1
    assert "anyclaude-tui doctor" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "says"),
    [("nothing", "models pull nothing"), ("acme", "may be any of acme/a, acme/b"), ("x/y", "more than once")],
)
def test_a_name_that_is_not_of_one_model_is_refused(home: Home, name: str, says: str) -> None:
    home.hub_model("acme/a")
    home.gguf("acme/b")
    home.hub_model("x/y")
    write_folder(Path(home.lm_studio) / "x" / "y")
    with pytest.raises(CommandFailed, match=says):
        run_models_show(home.invocation(), name, as_json=False, run=Mlx())


@pytest.mark.parametrize("trusted", ["acme/m", "acme/other"])
def test_mlx_runs_the_code_of_a_model_that_is_trusted_by_its_id(
    home: Home, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.hub_model("acme/m")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home.hub))
    home.environ["ANYCLAUDE_TRUST_REMOTE_CODE"] = trusted
    mlx = Mlx()
    assert run_models_show(home.invocation(model=trusted), "acme/m", as_json=True, run=mlx) == 0
    assert ("--trust-remote-code" in mlx.commands[0]) == (trusted == "acme/m")
