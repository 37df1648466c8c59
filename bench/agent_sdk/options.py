"""Options for `claude-agent-sdk`: the real Claude Code on a host, without any of this user's settings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from claude_agent_sdk import ClaudeAgentOptions

from bench.child import FOREIGN
from bench.claude_code import claude_path
from tui.commands.claude_environment import claude_environment


def sdk_options(
    url: str, *, home: Path, project: Path, context_tokens: int = 200_000, **more: Any
) -> ClaudeAgentOptions:
    """The client of `make claude-code` in `project`, in the environment that `anyclaude-tui env` prints.

    `home` is the client's home folder; `more` are fields of `ClaudeAgentOptions`.
    """
    home.mkdir(parents=True, exist_ok=True)
    environment = claude_environment(
        url, token="", backend="openai", model="scripted", context_tokens=context_tokens, environ={}
    )
    inherited = {name: "" for name in os.environ if name.startswith(FOREIGN)}
    own = {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "IS_SANDBOX": "1",  # allows it to run its tools unattended, also as root
        "DISABLE_AUTOUPDATER": "1",
    }
    defaults: dict[str, Any] = {
        "system_prompt": {"type": "preset", "preset": "claude_code"},
        "settings": json.dumps(environment.settings()),
        "permission_mode": "bypassPermissions",
    }
    return ClaudeAgentOptions(
        cli_path=claude_path(),
        cwd=project,
        env=inherited | own | dict(environment.variables),
        **(defaults | more),
    )
