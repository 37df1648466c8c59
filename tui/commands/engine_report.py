"""Asks `engine.model_report` about MLX and a model, in a process of its own: only there is mlx imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from proxy.configuration.settled import HostConfig
from tui.commands.model_memory import folder_of


def report_command(folder: Path | None, config: HostConfig, *, beside_bytes: int = 0) -> list[str]:
    """The command for a model folder, or for the machine alone, as the user has set the engine up.

    `beside_bytes` are those of a draft model's weights.
    """
    # -P: a module of another folder must not be imported.
    command = [sys.executable, "-P", "-m", "engine.model_report"]
    command += ["--model", str(folder)] if folder is not None else []
    command += ["--tool-format", config.tool_format, "--context-tokens", str(config.context_tokens)]
    command += ["--kv-bits", str(config.kv_bits or 0)]
    command += ["--beside", str(beside_bytes)]
    trusted = config.trust_remote_code  # a folder or, as the model's name, a hub id
    if folder is not None and trusted and str(folder) in (trusted, str(folder_of(trusted))):
        command += ["--trust-remote-code"]
    if config.memory_limit_bytes is not None:
        command += ["--memory-limit", str(config.memory_limit_bytes)]
    return command


def report_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for it: all is on this machine, and nothing is to be asked of the hub."""
    return {**environ, "HF_HUB_OFFLINE": "1"}
