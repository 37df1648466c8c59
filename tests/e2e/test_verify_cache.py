"""`anyclaude-tui verify cache` runs the check on the configured model and passes its verdict on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.child import clean_environment
from tests.models import ModelShelf
from tui.commands.exit_codes import ExitCode

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("anyclaude-tui")


def verified(folder: Path, model: str) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), "--model", model, "--home", str(folder), "--port", "0"]
    return subprocess.run(
        [*command, "verify", "cache", "--exact", "--conversations", "1", "--head", "60"],
        cwd=folder,
        env=clean_environment(HOME=str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_configured_model_is_verified(tmp_path: Path, shelf: ModelShelf) -> None:
    done = verified(tmp_path, str(shelf.tiny()))
    assert (
        "Exact: prompts restored from memory and from disk give the same answers to the last bit."
        in done.stdout
    )
    assert "conversation 1 of 1 compared" in done.stderr
    assert done.returncode == ExitCode.FINE


def test_a_model_that_cannot_be_loaded_fails_the_engine(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "qwen3"}')
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    done = verified(tmp_path, str(tmp_path / "model"))
    assert done.returncode == ExitCode.ENGINE_FAILED
    assert "no tokenizer" in done.stderr
