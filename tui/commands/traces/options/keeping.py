"""Commands that keep, pass on, ask again or remove traces: `mark`, `replay`, `export`, `import`, `prune`."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.commands.arguments import argument
from tui.commands.completion import backends, trace_ids
from tui.commands.invocation import Invocation
from tui.commands.options import on_disk
from tui.commands.traces.options.shared import (
    Json,
    Session,
    Since,
    TraceId,
    traces,
)


@traces.command("mark")
@on_disk
def traces_mark(
    invocation: Invocation,
    trace: TraceId,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why it is kept.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the mark off.")] = False,
    as_json: Json = False,
) -> None:
    """Mark a trace: it is never pruned, and "traces list --marked" finds it."""
    from tui.commands.traces.listing import run_traces_mark

    raise typer.Exit(run_traces_mark(invocation, trace, note=note, remove=remove, as_json=as_json))


REPLAY_HELP = """Ask a stored request again, and show both answers side by side.

Asks the host that runs; where none does, one is started for this and stopped afterwards. With --backend or
--model a host of its own is started with these, on a free port, and the one that runs is left alone. Only the
request is asked again: tools that the answer calls are not run. Secrets that were taken out stay out. The new
answer is recorded as a trace of its own, without a session.

Exit code 1 where the request is refused.

\b
Examples
  anyclaude-tui traces replay req_3f1
  anyclaude-tui traces replay req_3f1 --model mlx-community/Qwen3-4B-Instruct-2507-4bit
  anyclaude-tui traces replay req_3f1 --backend lmstudio --json
"""


@traces.command("replay", help=REPLAY_HELP)
@on_disk
def traces_replay(
    invocation: Invocation,
    trace: TraceId,
    backend: Annotated[
        str, typer.Option("--backend", metavar="NAME", help="Ask this backend.", autocompletion=backends)
    ] = "",
    model: Annotated[str, typer.Option("--model", metavar="PATH_OR_ID", help="Ask this model.")] = "",
    beside_host: Annotated[
        bool, typer.Option("--beside-host", help="Also beside a host, whose model may leave no memory.")
    ] = False,
    as_json: Json = False,
) -> None:
    from tui.commands.traces.replaying import run_traces_replay

    raise typer.Exit(
        run_traces_replay(
            invocation, trace, backend=backend, model=model, beside_host=beside_host, as_json=as_json
        )
    )


EXPORT_HELP = """Write traces in another program's format, to stdout or to a file that only you can read.

\b
  jsonl   each trace as one line, as "traces show --json" has it
  curl    a shell script that asks the requests again; secrets stay out of it
  har     HAR 1.2, for the network tools of browsers and for proxies
  html    one page with everything in it; it loads and runs nothing
  otlp    OpenTelemetry GenAI spans as OTLP/JSON, for a collector's /v1/traces

Keys and tokens were taken out before anything was written, and are looked for once more. With --redact each
text that a person, a model or a tool wrote becomes its length: for showing traces to others.

\b
Examples
  anyclaude-tui traces export --format html -o week.html --since 7d
  anyclaude-tui traces export --format har req_3f1 req_3f2 > two.har
  anyclaude-tui traces export --format curl req_3f1 | sh
  anyclaude-tui traces export --format otlp --session 4f1c |
    curl -H content-type:application/json -d @- http://127.0.0.1:4318/v1/traces
"""


@traces.command("export", help=EXPORT_HELP)
@on_disk
def traces_export(
    invocation: Invocation,
    ids: Annotated[
        list[str] | None,
        argument(
            "ID",
            "These traces.  [all that the options choose]",
            path=True,
            show_default=False,
            autocompletion=trace_ids,
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help="jsonl, curl, har, html or otlp.")
    ] = "jsonl",
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Where to.  [stdout]")] = "",
    redact: Annotated[bool, typer.Option("--redact", help="Lengths in place of all texts.")] = False,
    session: Session = "",
    since: Since = "",
    marked: Annotated[bool, typer.Option("--marked", help="Only those with a mark.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was written with -o, as JSON.")] = False,
) -> None:
    from tui.commands.traces.exporting import run_traces_export

    raise typer.Exit(
        run_traces_export(
            invocation,
            ids or [],
            form=form,
            output=output,
            redact=redact,
            session=session,
            since=since,
            marked=marked,
            as_json=as_json,
        )
    )


IMPORT_HELP = """Take over traces of earlier anyclaude versions: files or folders of JSON files.

Such a file has "timestamp", "mode", "request" and "response". Each becomes a trace of the backend that "mode"
names, without secrets; the files stay as they are. What was imported before is left out, and what is no such
trace is named. The host's limits count for them as well (traces prune --help); with --mark they stay.

\b
Examples
  anyclaude-tui traces import ~/.anyclaude/traces/lmstudio
  anyclaude-tui traces import old-traces --mark
"""


@traces.command("import", help=IMPORT_HELP)
@on_disk
def traces_import(
    invocation: Invocation,
    paths: Annotated[list[str], argument("PATH", "Files, or folders of them.", path=True)],
    mark: Annotated[bool, typer.Option("--mark", help="Mark them, so that no prune removes them.")] = False,
    as_json: Json = False,
) -> None:
    from tui.commands.traces.importing import run_traces_import

    raise typer.Exit(run_traces_import(invocation, paths, mark=mark, as_json=as_json))


PRUNE_HELP = """Remove traces that are over a limit, the oldest first; without --yes, only say which.

The host does the same by itself: by default it keeps 30 days and 10 GB ("traceMaxDays" and "traceMaxBytes" in
the configuration, 0 for no limit), and says so a week before it does for the first time. Without a limit of
its own this command takes those. Marked traces (traces mark ID) are never removed.

\b
Examples
  anyclaude-tui traces prune                    what the host would remove
  anyclaude-tui traces prune --older 14d        what is older than two weeks
  anyclaude-tui traces prune --size 2GB --yes   remove the oldest, down to 2 GB
"""


@traces.command("prune", help=PRUNE_HELP)
@on_disk
def traces_prune(
    invocation: Invocation,
    older: Annotated[
        str, typer.Option("--older", metavar="WHEN", help="What is older: 12h, 7d, 2w, or a date.")
    ] = "",
    size: Annotated[
        str, typer.Option("--size", metavar="BYTES", help="Down to that size: 500MB, 2GB, or bytes.")
    ] = "",
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=1, help="All but the newest N.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them.")] = False,
    as_json: Json = False,
) -> None:
    from tui.commands.traces.pruning import run_traces_prune

    raise typer.Exit(
        run_traces_prune(invocation, older=older, size=size, keep=keep or 0, yes=yes, as_json=as_json)
    )
