"""Every tool-call family's reader and grammar, verified by a process of the engine's code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.process.blas import engine_environment
from engine.process.private_files import private_folder
from tui.commands.invocation import Invocation, say
from tui.commands.verify.claims import Claims

FAMILIES = "families"
ADVICE = "this is a fault of anyclaude-tui on this machine: install it again, then report it with this line"
# -P and another working directory: Python must not import modules of the user's folder.
COMMAND = (sys.executable, "-P", "-m", "engine.family_verification")


def verify_families(
    claims: Claims, invocation: Invocation, home: Path, *, command: Sequence[str] = COMMAND
) -> None:
    """A claim for each family.

    Raises:
        OSError: the home cannot be used.
    """
    say("reading and constraining calls of every family")
    environment, _ = engine_environment(invocation.environ)
    done = subprocess.run(
        list(command),
        env=environment,
        cwd=private_folder(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    for line in lines:
        found = json.loads(line)
        faults = [f"{part}: {found[part]}" for part in ("reader", "grammar") if found[part]]
        claims.holds(
            f"family {found['family']}",
            not faults,
            "; ".join(faults)
            or "calls are read back however they are split, and the grammar allows only them",
            ADVICE,
        )
    if done.returncode not in (0, 1) or not lines:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        claims.failed(FAMILIES, f"the process ended with {done.returncode}: {last}", ADVICE)
