"""`anyclaude-tui verify cache --exact`: is a cached answer the same as an uncached one?"""

from __future__ import annotations

import os
import subprocess
import sys

from engine.process.blas import engine_environment
from engine.process.private_files import private_folder
from proxy.configuration.known_backends import backend_kind
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.model_memory import check_memory, memory_now


def run_verify_exact(
    invocation: Invocation, *, conversations: int, head_tokens: int, beside_host: bool = False
) -> int:
    """Run `engine.verification` on the configured model; returns its exit code.

    `beside_host`: run beside a host without the memory check.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; or
            the backend has no cache of ours; or a host runs, and both models may not fit into memory.
    """
    settled = invocation.settle()
    config = settled.config
    if backend_kind(config.backend_name) != "mlx":
        raise CommandFailed(
            ExitCode.USAGE,
            f"the backend {config.backend_name} has its own cache; verify the built-in engine with:"
            " anyclaude-tui --backend mlx verify cache --exact",
        )
    if not beside_host:
        check_memory(settled, memory_now())
    for line in settled.account:
        say(line)
    # -P and another working directory: Python must not import modules of the user's folder.
    command = [sys.executable, "-P", "-m", "engine.verification"]
    command += ["--conversations", str(conversations), "--head", str(head_tokens)]
    command += ["--model", config.model, "--kv-cache-dir", str(config.kv_cache_folder)]
    command += ["--adapter", config.adapter, "--trust-remote-code", config.trust_remote_code]
    command += ["--draft-model", config.draft_model, "--draft-tokens", str(config.draft_tokens)]
    command += ["--kv-bits", str(config.kv_bits)] if config.kv_bits else []
    environment, _ = engine_environment(os.environ)
    folder = private_folder(config.home)
    return subprocess.run(command, env=environment, cwd=folder, check=False).returncode
