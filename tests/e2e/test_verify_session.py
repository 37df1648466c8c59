"""`anyclaude-tui verify session` with the real Claude Code on the bundled model."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.child import clean_environment
from tests.e2e.real_client import claude_binary
from tests.proxy.trace_making import trace_of
from tests.tui.commands.traces.homes import home_with
from tui.commands.exit_codes import ExitCode
from tui.commands.verify.session_reading import LATER, PIECES, RATE, TOOLS

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]

COMMAND = Path(sys.executable).with_name("anyclaude-tui")


def test_the_real_claude_code_passes_and_nothing_of_the_users_is_touched(tmp_path: Path) -> None:
    older = home_with(tmp_path / "state", trace_of(1, time=time.time() - 60))
    (user_home := tmp_path / "user").mkdir()
    # Others may write in the folder of temporary files: the client must not start what they name there.
    (temporary := tmp_path / "temporary").mkdir()
    server = {"command": "touch", "args": [str(started := tmp_path / "started")]}
    (temporary / ".mcp.json").write_text(json.dumps({"mcpServers": {"theirs": server}}))
    environment = clean_environment(
        HOME=str(user_home), ANYCLAUDE_CLAUDE=str(claude_binary()), TMPDIR=str(temporary)
    )
    command = [str(COMMAND), "--home", str(tmp_path / "state"), "--port", "0", "verify", "session", "--json"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == ExitCode.FINE, done.stdout + done.stderr
    shown = json.loads(done.stdout)
    quick = (PIECES,)  # a machine may be too fast to tell
    assert {claim["status"] for claim in shown["claims"] if claim["name"] not in quick} == {"ok"}, shown
    found = {claim["name"]: claim["evidence"] for claim in shown["claims"]}
    assert found[RATE].startswith("66.7% of requests")
    assert all(int(count) >= 12 for count in found[TOOLS].removesuffix(" tools").split(", "))
    assert LATER in found
    assert "claude-cli/" in shown["interpretation"][0]
    assert "is the most that a first test can reach" in shown["interpretation"][-1]
    assert 'claude -p "What is 2+2?"' in done.stderr
    assert "removed the 3 traces of this check" in done.stderr
    assert not started.exists()
    assert len(list(older.glob("*/*.json"))) == 1
    assert not [path for path in user_home.rglob("*") if "claude" in path.name.lower()]
