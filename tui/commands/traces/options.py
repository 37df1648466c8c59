"""The command line of `anyclaude-tui traces`; imports nothing heavy, so that help comes at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from tui.commands.completion import backends, trace_ids
from tui.commands.invocation import Invocation

traces = typer.Typer(
    help="""The record of each request, as stored on disk.

\b
Examples
  anyclaude-tui traces list --errors           what went wrong
  anyclaude-tui traces show req_3f             one request; the beginning of its id is enough
  anyclaude-tui traces why req_3f              why it was slow, and what to do
  anyclaude-tui traces diff req_3f req_41      where two prompts part, and what it cost
  anyclaude-tui traces context 9f3c            what fills a session's window, and what is left
  anyclaude-tui traces replay req_3f           ask it again; both answers side by side
  anyclaude-tui traces export --format html    a page to look at, or to hand on with --redact
  anyclaude-tui traces grep "parse error"      in prompts, results and answers
  anyclaude-tui traces prune --older 14d       what that would remove; --yes removes it
  anyclaude-tui traces analyze --since 7d      hit rates, speeds, misses and tools of a week
""",
    no_args_is_help=True,
)

Config = Annotated[str | None, typer.Option(metavar="FILE", help="Configuration file.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Each as one line of JSON.")]
TraceId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Its id, how it begins, or its file.", autocompletion=trace_ids),
]
Session = Annotated[
    str, typer.Option("--session", metavar="ID", help="Only this session, or those that begin so.")
]
Own = Annotated[bool, typer.Option("--own", help="Also the requests of verify, doctor and traces replay.")]
Since = Annotated[
    str, typer.Option("--since", metavar="WHEN", help="Only from then on: 90m, 12h, 7d, 2w, or a date.")
]


def invocation_of(context: typer.Context, config: str | None) -> Invocation:
    """The invocation, with the configuration file that stands after the command over one before it."""
    before: Invocation = context.obj
    return replace(before, options={**before.options, "config": config}) if config else before


LIST_HELP = """List the traces, a line each, the newest first; with a filter, those that fit.

The columns of a table are time, id, session, who, model, asked, did, end, tokens, cache, out, calls, ttft,
took and size. A trace without the figure that --sort names comes last.

All terms of a filter must hold; `!` excludes, ` | ` stands between alternatives. A word is looked for in
what the line is about, a text in quotes in all that is new in the request and in its answer. In a shell a
filter with signs such as > belongs into quotes; the list in the screen has the same filters.

\b
  tool:Write,Edit  file:notes.md  lane:main  session:9f3c  model:qwen
  status:5xx  is:failed  is:cancelled  is:slow  is:missed  is:toolerror
  is:refused  is:repaired  is:marked  is:own
  ttft>2s  took>1m  tokens>20k  out>500  cache<50%  speed<20  calls>1
  since:7d  since:today  before:14:30  before:2026-11-28

\b
Examples
  anyclaude-tui traces list tool:Write file:notes.md since:7d
  anyclaude-tui traces list 'lane:main ttft>5s !is:missed'
  anyclaude-tui traces list 'is:failed | is:toolerror' -n 50
  anyclaude-tui traces list '"Permission denied" tool:Bash' --json
  anyclaude-tui traces list since:today --sort took --columns time,who,asked,did,took
"""


@traces.command("list", help=LIST_HELP)
def traces_list(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="FILTER", help="Which ones; see above.")
    ] = None,
    session: Session = "",
    errors: Annotated[
        bool, typer.Option("--errors", help="Only requests that failed, or with a tool that did.")
    ] = False,
    marked: Annotated[bool, typer.Option("--marked", help="Only those with a mark.")] = False,
    most: Annotated[int, typer.Option("-n", metavar="N", min=1, help="At most so many.")] = 20,
    sort: Annotated[
        str,
        typer.Option(
            "--sort", metavar="FIGURE", help="time, took, ttft, tokens, cache or out: the largest first."
        ),
    ] = "time",
    reverse: Annotated[bool, typer.Option("--reverse", help="The smallest or oldest first.")] = False,
    columns: Annotated[
        str,
        typer.Option(
            "--columns", metavar="A,B", help="As a table of these columns, such as time,who,asked,did,took."
        ),
    ] = "",
    as_json: JsonLines = False,
    config: Config = None,
) -> None:
    from tui.commands.traces.listing import run_traces_list

    raise typer.Exit(
        run_traces_list(
            invocation_of(context, config),
            words or (),
            session=session,
            errors=errors,
            marked=marked,
            most=most,
            as_json=as_json,
            sort=sort,
            reverse=reverse,
            columns=columns,
        )
    )


@traces.command("show")
def traces_show(
    context: typer.Context,
    trace: TraceId,
    tool: Annotated[
        int | None, typer.Option("--tool", metavar="K", help="Read its tool call number K again.")
    ] = None,
    detail: Annotated[bool, typer.Option("--detail", help="All of its prompt, answer and results.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The file as it is on disk.")] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Show one trace; with --tool, read a stored tool call again, step by step.

    Exit code 1 where the call is read otherwise than it was then.
    """
    from tui.commands.traces.showing import Form, run_traces_show

    form: Form = "raw" if raw else "json" if as_json else "detail" if detail else "short"
    raise typer.Exit(run_traces_show(invocation_of(context, config), trace, tool=tool, form=form))


WHY_HELP = """Say why a request was slow, missed, failed or left: cause, cost, what is usual, what to do.

Its phases are set beside those of like requests before it: of the same session, else of the same model, in
the same lane, with a prompt of about its size. What could have been restored is counted by the session's
request before.

\b
Examples
  anyclaude-tui traces why req_3f1
  anyclaude-tui traces list is:slow since:today
"""


@traces.command("why", help=WHY_HELP)
def traces_why(context: typer.Context, trace: TraceId, as_json: Json = False, config: Config = None) -> None:
    from tui.commands.traces.explaining import run_traces_why

    raise typer.Exit(run_traces_why(invocation_of(context, config), trace, as_json=as_json))


CONTEXT_HELP = """Say what fills the context window of a session, and how many turns are left.

Of the newest whole request of its main lane, or of the request that is named: tools, system, reminders, tool
results, what you said and what the model wrote, each by its share of the characters of a prompt that was
counted as a whole; the largest things in them; tools that were never called; the growth of a turn, and when
Claude Code compacts. The window is that of the configuration, else of the host that runs.

\b
Examples
  anyclaude-tui traces context 9f3c
  anyclaude-tui traces context req_3f1 --window 200000
"""


@traces.command("context", help=CONTEXT_HELP)
def traces_context(
    context: typer.Context,
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="SESSION_OR_TRACE",
            help="The id of a session or a trace, how it begins, or a trace's file.",
            autocompletion=trace_ids,
        ),
    ],
    window: Annotated[
        int, typer.Option("--window", metavar="TOKENS", min=0, help="The window, where no host tells it.")
    ] = 0,
    as_json: Json = False,
    config: Config = None,
) -> None:
    from tui.commands.traces.explaining import run_traces_context

    at = invocation_of(context, config)
    raise typer.Exit(run_traces_context(at, wanted, window=window, as_json=as_json))


@traces.command("mark")
def traces_mark(
    context: typer.Context,
    trace: TraceId,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why it is kept.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the mark off.")] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Mark a trace: it is never pruned, and "traces list --marked" finds it."""
    from tui.commands.traces.listing import run_traces_mark

    raise typer.Exit(
        run_traces_mark(invocation_of(context, config), trace, note=note, remove=remove, as_json=as_json)
    )


ANALYZE_HELP = """What the traces say together: hit rates, tokens, speeds, misses, tools, what was saved.

By backend, model, session, lane and day. What checks and replays asked is left out unless --own is given. A
request hits where tokens of its prompt came from the prefix cache. The time that this saved is counted by the
speed of that model's own long prefills. With "prices" in the configuration, the cost of the same tokens
elsewhere:

\b
  "prices": {"claude-sonnet-*": {"input": 3, "cacheWrite": 3.75, "cacheRead": 0.3, "output": 15}}

\b
Examples
  anyclaude-tui traces analyze
  anyclaude-tui traces analyze --since 7d --lane main
  anyclaude-tui traces analyze --session 4f1c --json
"""


@traces.command("analyze", help=ANALYZE_HELP)
def traces_analyze(
    context: typer.Context,
    session: Session = "",
    since: Since = "",
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="Only before then.")] = "",
    backend: Annotated[
        str,
        typer.Option("--backend", metavar="NAME", help="Only this backend.", autocompletion=backends),
    ] = "",
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="Only this model, asked for or answering.")
    ] = "",
    lane: Annotated[
        str, typer.Option("--lane", metavar="NAME", help="main, subagent, compaction or auxiliary.")
    ] = "",
    own: Own = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    from tui.commands.traces.analyzing import run_traces_analyze

    invocation = invocation_of(context, config)
    chosen = {"session": session, "backend": backend, "model": model, "lane": lane}
    raise typer.Exit(
        run_traces_analyze(invocation, chosen, since=since, until=until, as_json=as_json, own=own)
    )


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
def traces_replay(
    context: typer.Context,
    trace: TraceId,
    backend: Annotated[
        str, typer.Option("--backend", metavar="NAME", help="Ask this backend.", autocompletion=backends)
    ] = "",
    model: Annotated[str, typer.Option("--model", metavar="PATH_OR_ID", help="Ask this model.")] = "",
    beside_host: Annotated[
        bool, typer.Option("--beside-host", help="Also beside a host, whose model may leave no memory.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    from tui.commands.traces.replaying import run_traces_replay

    invocation = invocation_of(context, config)
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
def traces_export(
    context: typer.Context,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]",
            help="These traces.  [all that the options choose]",
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
    config: Config = None,
) -> None:
    from tui.commands.traces.exporting import run_traces_export

    invocation = invocation_of(context, config)
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
def traces_import(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files, or folders of them.")],
    mark: Annotated[bool, typer.Option("--mark", help="Mark them, so that no prune removes them.")] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    from tui.commands.traces.importing import run_traces_import

    raise typer.Exit(run_traces_import(invocation_of(context, config), paths, mark=mark, as_json=as_json))


DIFF_HELP = """Compare the prompts of two requests by segment, and open at their first difference.

The prefix cache can reuse a prompt as far as it is the same from its beginning. So the first difference
decides what B had to compute again: system, then each tool, then each message, as they were sent upstream.
If the prefix cache reported the token at which B diverged, that is the figure; else it is counted from the
tokens of the segments before it, or, of another server than the built-in engine, an estimate by characters.

Exit code 1 where the prompts differ.

\b
Examples
  anyclaude-tui traces diff req_3f1 req_3f2
  anyclaude-tui traces diff req_3f1 req_3f2 --all   with the segments that are the same
"""


@traces.command("diff", help=DIFF_HELP)
def traces_diff(
    context: typer.Context,
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="The earlier: id, how it begins, or file.", autocompletion=trace_ids
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The later.", autocompletion=trace_ids)],
    whole: Annotated[bool, typer.Option("--all", help="Name also the segments that are the same.")] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    from tui.commands.traces.diffing import run_traces_diff

    raise typer.Exit(run_traces_diff(invocation_of(context, config), a, b, whole=whole, as_json=as_json))


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
def traces_prune(
    context: typer.Context,
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
    config: Config = None,
) -> None:
    from tui.commands.traces.pruning import run_traces_prune

    invocation = invocation_of(context, config)
    raise typer.Exit(
        run_traces_prune(invocation, older=older, size=size, keep=keep or 0, yes=yes, as_json=as_json)
    )


GREP_HELP = """Find a text in prompts, tool results and answers, newest first.

Looks into what was new in each request: what came since the answer before it, the answer itself, its calls
and its error; of a conversation's first request the system text as well. Definitions of tools are left out.
Words match in order, case plays no part, and the last word may go on. Secrets were taken out before anything
was written, so no search finds them.

Exit code 1 where nothing is found.

\b
Examples
  anyclaude-tui traces grep "permission denied"
  anyclaude-tui traces grep parse_config --since 2d -n 50
"""


@traces.command("grep", help=GREP_HELP)
def traces_grep(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words, in their order.")],
    session: Session = "",
    since: Since = "",
    most: Annotated[int, typer.Option("-n", metavar="N", min=1, help="At most so many.")] = 20,
    as_json: JsonLines = False,
    config: Config = None,
) -> None:
    from tui.commands.traces.searching import run_traces_grep

    invocation = invocation_of(context, config)
    raise typer.Exit(
        run_traces_grep(invocation, text, session=session, since=since, most=most, as_json=as_json)
    )
