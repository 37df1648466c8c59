"""`anyclaude-tui doctor` on a real host, with the real engine's report of its model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.process.program_code import code_hash
from tests.e2e.conftest import Host
from tests.tui.test_cli import run

pytestmark = pytest.mark.slow


def test_a_real_host_passes_its_checks(caller: Host, tmp_path: Path) -> None:
    claude = tmp_path / "claude"
    claude.write_text("#!/bin/sh\necho 1.2.3\n")
    claude.chmod(0o755)
    ended = run(
        tmp_path,
        *("--port", caller.url.rsplit(":", 1)[1], "--home", str(caller.folder / "anyclaude")),
        *("doctor", "--json"),
        ANYCLAUDE_CLAUDE=str(claude),
    )
    checks = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    # Other tests may run hosts of their own, and this home and model are theirs.
    unwell = {name for name, check in checks.items() if check["standing"] != "ok"}
    assert unwell - {"hosts.other", "state.space"} == {"claude.version"}, ended.stdout
    assert ended.returncode == 0
    assert code_hash() in checks["host.code"]["evidence"]
    assert "Oslo" in checks["answer.tools"]["evidence"]


def test_without_a_host_nothing_is_started(tmp_path: Path) -> None:
    # Another backend: without MLX this is quick.
    ended = run(
        tmp_path, "--port", "9", "--backend", "lmstudio", "doctor", ANYCLAUDE_CLAUDE="/nowhere/claude"
    )
    assert ended.returncode == 1  # no Claude Code
    assert "no host runs on http://127.0.0.1:9" in ended.stdout
    assert 'not checked  engine            it needs "host"' in ended.stdout
    assert [*tmp_path.iterdir()] == []
