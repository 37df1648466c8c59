"""Commands that read the traces: `list`, `show`, `why`, `context`, `diff`, `grep`, `analyze`."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.commands.arguments import argument
from tui.commands.completion import backends, trace_ids
from tui.commands.invocation import Invocation
from tui.commands.options import on_disk
from tui.commands.traces.options.shared import (
    Json,
    JsonLines,
    Own,
    Session,
    Since,
    TraceId,
    traces,
)

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
@on_disk
def traces_list(
    invocation: Invocation,
    words: Annotated[list[str] | None, argument("FILTER", "Which ones; see above.")] = None,
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
) -> None:
    from tui.commands.traces.listing import run_traces_list

    raise typer.Exit(
        run_traces_list(
            invocation,
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


SHOW_HELP = """Show one trace; with --tool, read a stored tool call again, step by step.

\b
Examples
  anyclaude-tui traces show req_3f1
  anyclaude-tui traces show req_3f1 --tool 1
  anyclaude-tui traces show req_3f1 --json | jq .usage

Exit code 1 where the call is read otherwise than it was then.
"""


@traces.command("show", help=SHOW_HELP)
@on_disk
def traces_show(
    invocation: Invocation,
    trace: TraceId,
    tool: Annotated[
        int | None, typer.Option("--tool", metavar="K", help="Read its tool call number K again.")
    ] = None,
    detail: Annotated[bool, typer.Option("--detail", help="All of its prompt, answer and results.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The file as it is on disk.")] = False,
    as_json: Json = False,
) -> None:
    from tui.commands.traces.showing import Form, run_traces_show

    form: Form = "raw" if raw else "json" if as_json else "detail" if detail else "short"
    raise typer.Exit(run_traces_show(invocation, trace, tool=tool, form=form))


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
@on_disk
def traces_why(invocation: Invocation, trace: TraceId, as_json: Json = False) -> None:
    from tui.commands.traces.explaining import run_traces_why

    raise typer.Exit(run_traces_why(invocation, trace, as_json=as_json))


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
@on_disk
def traces_context(
    invocation: Invocation,
    wanted: Annotated[
        str,
        argument(
            "SESSION_OR_TRACE",
            "The id of a session or a trace, how it begins, or a trace's file.",
            path=True,
            autocompletion=trace_ids,
        ),
    ],
    window: Annotated[
        int | None,
        typer.Option("--window", metavar="TOKENS", min=1, help="The window.  [the host's, if one runs]"),
    ] = None,
    as_json: Json = False,
) -> None:
    from tui.commands.traces.explaining import run_traces_context

    raise typer.Exit(run_traces_context(invocation, wanted, window=window or 0, as_json=as_json))


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
@on_disk
def traces_diff(
    invocation: Invocation,
    a: Annotated[
        str,
        argument("A", "The earlier: id, how it begins, or file.", path=True, autocompletion=trace_ids),
    ],
    b: Annotated[str, argument("B", "The later.", path=True, autocompletion=trace_ids)],
    whole: Annotated[bool, typer.Option("--all", help="Name also the segments that are the same.")] = False,
    as_json: Json = False,
) -> None:
    from tui.commands.traces.diffing import run_traces_diff

    raise typer.Exit(run_traces_diff(invocation, a, b, whole=whole, as_json=as_json))


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
@on_disk
def traces_grep(
    invocation: Invocation,
    text: Annotated[str, argument("TEXT", "Words, in their order.")],
    session: Session = "",
    since: Since = "",
    most: Annotated[int, typer.Option("-n", metavar="N", min=1, help="At most so many.")] = 20,
    as_json: JsonLines = False,
) -> None:
    from tui.commands.traces.searching import run_traces_grep

    raise typer.Exit(
        run_traces_grep(invocation, text, session=session, since=since, most=most, as_json=as_json)
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
@on_disk
def traces_analyze(
    invocation: Invocation,
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
) -> None:
    from tui.commands.traces.analyzing import run_traces_analyze

    chosen = {"session": session, "backend": backend, "model": model, "lane": lane}
    raise typer.Exit(
        run_traces_analyze(invocation, chosen, since=since, until=until, as_json=as_json, own=own)
    )
