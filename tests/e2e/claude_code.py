"""The real Claude Code, run in a scratch home against a local endpoint."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def claude_binary() -> Path:
    """The client from `make claude-code`, or the one that ANYCLAUDE_CLAUDE names.

    Without it the calling test is skipped, except in CI, where it fails.
    """
    named = os.environ.get("ANYCLAUDE_CLAUDE")
    binary = Path(named) if named else _ROOT / ".claude-code/node_modules/.bin/claude"
    if os.access(binary, os.X_OK):
        return binary
    reason = f"Claude Code is not at {binary}: run `make claude-code` (needs npm) or set ANYCLAUDE_CLAUDE"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class ClaudeRun:
    """How one `claude -p` ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The result object of `--output-format json`."""
        answer = json.loads(self.stdout)
        assert isinstance(answer, dict)
        return answer


def run_claude(url: str, prompt: str, *, home: Path, project: Path, timeout_s: float = 90.0) -> ClaudeRun:
    """Run `claude -p PROMPT` unattended in `project`, with nothing of this user's settings."""
    home.mkdir(parents=True, exist_ok=True)
    command = [
        str(claude_binary()),
        "-p",
        prompt,
        "--output-format",
        "json",
        "--dangerously-skip-permissions",
    ]
    ended = subprocess.run(
        command,
        cwd=project,
        env=_environment(url, home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return ClaudeRun(ended.returncode, ended.stdout, ended.stderr)


def _environment(url: str, home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "IS_SANDBOX": "1",  # lets it run its tools unattended, also as root
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "any-word",
        "ANTHROPIC_API_KEY": "",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
