"""`anyclaude-tui traces analyze`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict

from proxy.filters.terms import LANES
from proxy.traces.analysis.analysis import analyze
from proxy.traces.analysis.prices import PriceTable
from proxy.traces.analysis.sums import Choice
from proxy.traces.files import TRACES_FOLDER
from proxy.traces.opened_index import asked_index
from tui.client.figures import plural
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.traces.analysis_report import analysis_report
from tui.commands.traces.places import moment


def run_traces_analyze(
    invocation: Invocation,
    chosen: Mapping[str, str],
    *,
    since: str,
    until: str,
    as_json: bool,
    own: bool = False,
) -> int:
    """Print what the chosen traces say together; returns the exit code.

    `own`: also those of this program's own requests.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; a
        time or a lane is none.
    """
    if (lane := chosen.get("lane", "")) and lane not in LANES:
        raise CommandFailed(ExitCode.USAGE, f"--lane {lane}: a lane is one of {', '.join(LANES)}")
    choice = Choice(**chosen, since=moment(since, "--since"), until=moment(until, "--until"), own=own)
    config = invocation.settle().config
    prices = PriceTable(config.prices)
    found = asked_index(config.home / TRACES_FOLDER, lambda index: analyze(index, choice, prices), notice=say)
    say_left_out(found.left_out)
    if as_json:
        write_data(json.dumps(asdict(found), indent=2) + "\n")
    elif not found.total.requests:
        if not found.left_out:
            say("there are no traces yet" if choice == Choice(own=own) else "there are no such traces")
    else:
        columns = shutil.get_terminal_size((160, 40)).columns
        write_data(analysis_report(found, columns))
    return ExitCode.FINE


def say_left_out(requests: int) -> None:
    """Say how many requests of this program's own commands are not in the sums."""
    if requests:
        say(
            f"{plural(requests, 'request')} of verify, doctor and replay"
            f" {'is' if requests == 1 else 'are'} left out; --own counts them too"
        )
