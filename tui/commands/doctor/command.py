"""`anyclaude-tui doctor`: all checks in their order, as a table or as JSON."""

from __future__ import annotations

import sys

from tui.commands.doctor import (
    answers,
    claude_code,
    configuration,
    host,
    model,
    other_hosts,
    records,
    state_folder,
)
from tui.commands.doctor.examination import Edge, Examination
from tui.commands.doctor.findings import Check, Checked
from tui.commands.doctor.report import ProgressLine, as_json, row, summary, terminal_width
from tui.commands.doctor.running import exit_code_of, run_checks
from tui.commands.invocation import Invocation, say, surroundings
from tui.commands.output import write_data

CHECKS: tuple[Check, ...] = (
    *configuration.CHECKS,
    *state_folder.CHECKS,
    *records.CHECKS,
    *model.CHECKS,
    *host.CHECKS,
    *other_hosts.CHECKS,
    *answers.CHECKS,
    *claude_code.CHECKS,
)
"""All of them; each comes after those that it needs."""


def run_doctor(
    invocation: Invocation,
    *,
    fix: bool = False,
    details: bool = False,
    json_wanted: bool = False,
    edge: Edge | None = None,
) -> int:
    """Run the checks and print what they find; returns the exit code.

    Raises:
        CommandFailed: there is no working directory or no home.
    """
    cwd, user_home = surroundings()
    examination = Examination(invocation, edge or Edge(cwd, user_home))
    progress = ProgressLine()
    title_width = max(len(check.title) for check in CHECKS)
    coloured = sys.stdout.isatty() and not invocation.environ.get("NO_COLOR")
    results: list[Checked] = []
    for result in run_checks(CHECKS, examination, repairs=fix, begun=progress.begun):
        progress.cleared()
        results.append(result)
        if json_wanted:
            for repair in result.repairs:
                say(f"fixed: {repair}")
        else:
            width = terminal_width()
            write_data(row(result, title_width=title_width, width=width, coloured=coloured, details=details))
    if json_wanted:
        write_data(as_json(results))
    else:
        say(summary(results))
    return exit_code_of(results)
