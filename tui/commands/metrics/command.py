"""`anyclaude-tui metrics`: sums of the cache metrics as a report, JSON or CSV."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from engine.process.private_files import write_private
from proxy.configuration.file import expand_home
from proxy.traces.analysis.facts import REQUEST_COLUMNS
from proxy.traces.analysis.groups import Group
from proxy.traces.analysis.prices import PriceTable
from proxy.traces.analysis.sums import ALL, Choice, Requests, RequestSums, conditions, request_sums
from proxy.traces.files import TRACES_FOLDER
from proxy.traces.metrics.cache_metrics import METRICS_FOLDER, CacheMetrics
from proxy.traces.metrics.groups_csv import csv_text, groups_csv, zone_of
from proxy.traces.opened_index import asked_index
from tui.client.figures import plural
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.metrics.report import metrics_report
from tui.commands.output import write_data
from tui.commands.traces.analyzing import say_left_out
from tui.commands.traces.places import moment

STDOUT = "-"
REQUEST = "request"
KINDS = ("day", "model", "backend", "lane", "session", REQUEST)


def run_metrics(
    invocation: Invocation,
    chosen: Mapping[str, str],
    *,
    since: str,
    until: str,
    by: str,
    csv_file: str,
    as_json: bool,
    own: bool = False,
) -> int:
    """Print the sums of the chosen requests, pruned ones too; returns the exit code.

    `own`: also those of this program's own requests.

    Raises:
        proxy.configuration.settled.ConfigError, tui.commands.exit_codes.CommandFailed: see `Invocation`; an
        option is wrong.
        OSError: the metrics cannot be read, or the CSV file not be written.
    """
    _check(by, csv_file, as_json=as_json)
    choice = Choice(**chosen, since=moment(since, "--since"), until=moment(until, "--until"), own=own)
    config = invocation.settle().config
    prices = PriceTable(config.prices)
    metrics = CacheMetrics(config.home / METRICS_FOLDER, prices=prices, notice=say)
    _bring_up_to_date(metrics, config.home / TRACES_FOLDER)
    with closing(metrics.table(choice)) as table:
        sums = request_sums(table, choice, prices)
        say_left_out(sums.left_out)
        groups = _groups(sums, by)
        if csv_file:
            _write_csv(csv_file, _requests_csv(table, choice) if by == REQUEST else groups_csv(by, groups))
            count = sums.total.requests if by == REQUEST else len(groups)
            if csv_file != STDOUT:
                say(f"{plural(count, by)} written to {csv_file}")
        if as_json:
            rows = _requests(table, choice) if by == REQUEST else [_with_zone(by, group) for group in groups]
            found = {"by": by, "zone": _zone(), "total": asdict(sums.total), "groups": rows}
            write_data(
                json.dumps(found | {"prefill_s_per_token": sums.prefill_s_per_token, "priced": sums.priced})
                + "\n"
            )
    if csv_file or as_json:
        return ExitCode.FINE
    if not sums.total.requests:
        say("no request was counted yet" if choice == replace(ALL, own=own) else "there are no such requests")
        return ExitCode.FINE
    columns = shutil.get_terminal_size((160, 40)).columns
    write_data(metrics_report(sums, by, groups, zone=_zone(), columns=columns))
    return ExitCode.FINE


def _check(by: str, csv_file: str, *, as_json: bool) -> None:
    if by not in KINDS:
        raise CommandFailed(ExitCode.USAGE, f"--by is {by!r}; allowed: {', '.join(KINDS)}")
    if by == REQUEST and not (csv_file or as_json):
        raise CommandFailed(ExitCode.USAGE, "--by request needs --csv FILE or --json: it is a line for each")
    if csv_file == STDOUT and as_json:
        raise CommandFailed(ExitCode.USAGE, "--csv - and --json both want stdout; name a file for one")


def _bring_up_to_date(metrics: CacheMetrics, traces: Path) -> None:
    """Add what the traces have and the metrics lack, as a host does when it starts."""
    try:
        if traces.is_dir():
            asked_index(traces, metrics.collect, notice=say)
        metrics.write_days()
    except (OSError, sqlite3.Error) as error:
        say(f"the traces cannot be read ({error}); the sums are of the requests that were counted before")


def _groups(sums: RequestSums, by: str) -> list[Group]:
    kinds = {
        "day": sums.days,
        "model": sums.models,
        "backend": sums.backends,
        "lane": sums.lanes,
        "session": sums.sessions,
    }
    return kinds.get(by, [])


def _with_zone(by: str, group: Group) -> dict[str, object]:
    return asdict(group) | ({"zone": zone_of(group.name)} if by == "day" else {})


def _zone() -> str:
    """The zone that this machine is in now."""
    return zone_of(datetime.now().date().isoformat())


def _requests(table: Requests, choice: Choice) -> list[dict[str, object]]:
    where, parameters, _ = conditions(table, choice)
    columns = ", ".join(REQUEST_COLUMNS)
    rows = table.select(f"SELECT {columns} FROM requests WHERE {where} ORDER BY time, id", parameters)
    return [dict(zip(REQUEST_COLUMNS, row, strict=True)) for row in rows]


def _requests_csv(table: Requests, choice: Choice) -> str:
    rows = _requests(table, choice)
    received = [datetime.fromtimestamp(float(str(row["time"]))).astimezone() for row in rows]
    return csv_text(
        ["received", *REQUEST_COLUMNS],
        ([at.isoformat(), *row.values()] for at, row in zip(received, rows, strict=True)),
    )


def _write_csv(name: str, text: str) -> None:
    path = expand_home(name, Path.home())
    if name == STDOUT:
        write_data(text)
    elif path.exists() and not path.is_file():  # /dev/null, a pipe
        path.write_bytes(text.encode())
    else:
        write_private(path, text.encode())
