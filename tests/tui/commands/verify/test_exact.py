"""`anyclaude-tui verify cache --exact` runs the configured model, and says what it cannot verify."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.verify.exact import run_verify_exact


def invocation(tmp_path: Path, **options: Any) -> Invocation:
    return Invocation({"home": str(tmp_path), "port": 0, **options}, "", dict(os.environ))


def test_what_cannot_be_verified_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="verify cache --exact") as failed:
        run_verify_exact(invocation(tmp_path, backend_name="claude"), conversations=1, head_tokens=60)
    assert failed.value.exit_code == ExitCode.USAGE


def test_the_model_of_the_folders_file_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0)

    (folder := tmp_path / "repository").mkdir()
    (folder / ".anyclauderc.json").write_text('{"backends": {"mlx": {"model": "their/model"}}}')
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tui.commands.verify.exact.subprocess.run", nothing)
    run_verify_exact(invocation(tmp_path), conversations=1, head_tokens=60)
    assert "model: their/model (from " in capsys.readouterr().err


def test_the_model_is_verified_as_the_engine_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def noted(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("tui.commands.verify.exact.subprocess.run", noted)
    configured = invocation(
        tmp_path,
        model="some/model",
        trust_remote_code="some/model",
        adapter="/some/adapter",
        draft_model="some/draft",
        draft_tokens=5,
        kv_bits=8,
    )
    assert run_verify_exact(configured, conversations=1, head_tokens=60) == 0
    (command,) = commands
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert options["--draft-tokens"] == "5"
    assert options["--draft-model"] == "some/draft"
    assert options["--kv-cache-dir"] == str(tmp_path / "kv-cache")
    assert options["--kv-bits"] == "8"
    assert options["--adapter"] == "/some/adapter"
    assert options["--trust-remote-code"] == "some/model"
