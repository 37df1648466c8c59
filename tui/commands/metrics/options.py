"""The command line of `anyclaude-tui metrics`; imports nothing heavy, so that help comes at once."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.commands.invocation import Invocation
from tui.commands.options import on_disk
from tui.commands.traces.options import Own, Since

METRICS_HELP = """What the prefix cache did, day by day: also for requests whose traces were removed.

Each request leaves a line in the folder cache-metrics, without any text of it, when its trace is written. The
lines stay when traces are pruned, so these sums go back to the first request. Tokens, hit rates of requests
and of prompt tokens, TTFT warm (tokens of the prompt were in the cache) and cold, the prefill time that the
cache saved, and what the same tokens would have cost by "prices" (traces analyze --help).

A request counts for the day on which it was received, in this machine's time zone; TZ=UTC before the command
counts in another one. The host keeps the daily totals in cache-metrics/days.csv too.

\b
Examples
  anyclaude-tui metrics
  anyclaude-tui metrics --since 7d --by model
  anyclaude-tui metrics --csv days.csv           for a spreadsheet
  anyclaude-tui metrics --by request --csv -     a line for each request
  anyclaude-tui metrics --json | jq .total.token_hit_rate
"""


@on_disk
def metrics(
    invocation: Invocation,
    since: Since = "",
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="Only before then.")] = "",
    by: Annotated[
        str,
        typer.Option("--by", metavar="NAME", help="day, model, backend, lane, session; request with --csv."),
    ] = "day",
    backend: Annotated[str, typer.Option("--backend", metavar="NAME", help="Only this backend.")] = "",
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="Only this model, asked for or answering.")
    ] = "",
    csv_file: Annotated[
        str, typer.Option("--csv", metavar="FILE", help="Write CSV there; - is stdout.")
    ] = "",
    own: Own = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    from tui.commands.metrics.command import run_metrics

    chosen = {"backend": backend, "model": model}
    raise typer.Exit(
        run_metrics(
            invocation,
            chosen,
            since=since,
            until=until,
            by=by,
            csv_file=csv_file,
            as_json=as_json,
            own=own,
        )
    )
