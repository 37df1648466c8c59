"""Checks which hosts run on this machine beside the one that is meant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePath

from tui.client.figures import plural
from tui.commands.doctor.examination import Examination
from tui.commands.doctor.findings import Check, Finding, ok, warning
from tui.commands.program_name import NAME


def host_command(command: Sequence[str]) -> bool:
    """Is this the command line of a host: `python -m proxy`, or `anyclaude-tui --no-ui`?"""
    started = any(PurePath(word).name == NAME for word in command[:2])
    return ("-m", "proxy") in pairwise(command[:5]) or (started and "--no-ui" in command)


def check_other_hosts(examination: Examination) -> Finding:
    """Each host has a model of its own in memory."""
    state = examination.state
    meant = state.pid if state is not None else examination.listener
    hosts = [pid for pid, command in examination.edge.processes() if host_command(command)]
    others = sorted(pid for pid in hosts if pid != meant)
    listed = ", ".join(str(pid) for pid in others)
    if not others or (examination.settled is None and len(others) == 1):  # it may be the one that is meant
        return ok(f"only pid {listed}" if others else "none")
    return warning(
        f"{plural(len(others), 'other host')} of yours on this machine (pid {listed})",
        "each may have a model of its own in memory; end those that you do not use, with kill",
    )


CHECKS = (Check("hosts.other", "other hosts", check_other_hosts),)
