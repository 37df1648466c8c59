"""The tests with the real Claude Code: where it is not, they are skipped."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.claude_code import claude_is_there, claude_path


def claude_binary() -> Path:
    """The client; without it the calling test is skipped, except in CI, where it fails."""
    binary = claude_path()
    if claude_is_there():
        return binary
    reason = f"Claude Code is not at {binary}: run `make claude-code` (needs npm) or set ANYCLAUDE_CLAUDE"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def settle_in(home: Path, project: Path) -> None:
    """A home in which an interactive client asks nothing before the first prompt, also in `project`."""
    home.mkdir(parents=True, exist_ok=True)
    known = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    remembered = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "projects": {str(project.resolve()): known},
    }
    (home / ".claude.json").write_text(json.dumps(remembered))
