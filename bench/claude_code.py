"""The real Claude Code, run in a scratch home against a local endpoint."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent


def claude_path() -> Path:
    """The expected path of the client: from `make claude-code`, or from ANYCLAUDE_CLAUDE."""
    named = os.environ.get("ANYCLAUDE_CLAUDE")
    return Path(named) if named else _ROOT / ".claude-code/node_modules/.bin/claude"


def claude_is_there() -> bool:
    """Whether the client is installed."""
    return os.access(claude_path(), os.X_OK)


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
    """Run `claude -p PROMPT` unattended in `project`, without any of this user's settings."""
    home.mkdir(parents=True, exist_ok=True)
    command = [
        str(claude_path()),
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
        "IS_SANDBOX": "1",  # allows it to run its tools unattended, also as root
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "any-word",
        "ANTHROPIC_API_KEY": "",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
