"""The command line of what is about a running host: `status`, `stop`, `cancel`, `record`, `bundle` …"""

from __future__ import annotations

from typing import Annotated

import typer

from tui.commands.arguments import argument
from tui.commands.invocation import Invocation
from tui.commands.options import on_host

running_host = typer.Typer(rich_markup_mode=None)

STATUS_HELP = """How does the running host stand? One screen: engine, model, memory, requests, speed.

Asks the host on the configured port; where none runs there, the only one with this state folder.

\b
Examples
  anyclaude-tui status
  anyclaude-tui status --json | jq .tokens_per_s
  anyclaude-tui status >/dev/null 2>&1 || anyclaude-tui --detach

Exit code 1 if no host runs, or it does not answer.
"""


@running_host.command("status", help=STATUS_HELP)
@on_host
def status(
    invocation: Invocation,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object; null: not known.")] = False,
) -> None:
    from tui.commands.status import run_status

    raise typer.Exit(run_status(invocation, json_wanted=as_json))


LOGS_HELP = """Print the log of the running host: lines of its engine, of itself, and about the upstream.

The host keeps the newest 300 lines, and older warnings and errors; the files in ~/.anyclaude/logs have all.
Where no host runs, the ends of these files are printed: what a host that ended has left.

\b
Examples
  anyclaude-tui logs --level error
  anyclaude-tui logs --level warning --follow
  anyclaude-tui logs --from upstream --from host -n 20
  anyclaude-tui logs --follow --json | jq -r 'select(.request != "") | .text'

Exit code 1 if no host runs.
"""


def _levels(incomplete: str) -> list[str]:
    return [level for level in ("error", "warning", "info", "debug") if level.startswith(incomplete)]


def _sources(incomplete: str) -> list[str]:
    return [source for source in ("engine", "host", "upstream") if source.startswith(incomplete)]


@running_host.command("logs", help=LOGS_HELP)
@on_host
def logs(
    invocation: Invocation,
    level: Annotated[
        str,
        typer.Option(
            metavar="LEVEL",
            help="From this level up: error, warning, info or debug.",
            show_default=False,
            autocompletion=_levels,
        ),
    ] = "debug",
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="Only of engine, host or upstream (may be repeated).",
            autocompletion=_sources,
        ),
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="Lines at most.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until ctrl+c.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Each as one line of JSON.")] = False,
) -> None:
    from tui.commands.logs import log_choice, run_logs

    choice = log_choice(level, sources or (), lines)
    raise typer.Exit(run_logs(invocation, choice, follows=follow, as_json=as_json))


STOP_HELP = """End the running host: after the requests that run, or with --now at once.

The host refuses new requests meanwhile, and Claude Code tries those again. Returns when the host is gone.
What does not answer as a host is never ended, except, with --now, the very process that a host of this state
folder has on record.

\b
Examples
  anyclaude-tui stop
  anyclaude-tui stop --now
  anyclaude-tui --port 9000 stop

Exit code 1 if no host runs, or it does not end.
"""


@running_host.command("stop", help=STOP_HELP)
@on_host
def stop(
    invocation: Invocation,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the requests that run.")] = False,
) -> None:
    from tui.commands.stop import run_stop

    raise typer.Exit(run_stop(invocation, now=now))


CANCEL_HELP = """End one running request of the running host.

ID is its id or the beginning of it, with or without req_; a wrong one is answered with those that run. The
engine stops computing, and what it has computed stays in the prefix cache. Claude Code shows an error that
names you, does not repeat the request, and waits for your next prompt.

\b
Examples
  anyclaude-tui cancel req_9f3c
  anyclaude-tui cancel 9f3c --json
  anyclaude-tui events --new --type request.received      shows ids

Exit code 1 if no such request runs, or several do.
"""


@running_host.command("cancel", help=CANCEL_HELP)
@on_host
def cancel(
    invocation: Invocation,
    request_id: Annotated[str, argument("ID", "The request's id, or how it begins.")],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    from tui.commands.host_actions import run_cancel

    raise typer.Exit(run_cancel(invocation, request_id, json_wanted=as_json))


RESTART_HELP = """Restart the engine of the running host: at once, or with --drain after its requests.

Requests that a restart breaks are repeated by Claude Code. With --drain none breaks: new ones are told to
retry meanwhile, and "anyclaude-tui status" and Health say how many the restart waits for. The prefix cache
comes back from disk.

\b
Examples
  anyclaude-tui restart --drain
  anyclaude-tui restart                   also after the engine has failed

Exit code 1 if no host runs, or it runs no engine.
"""


@running_host.command("restart", help=RESTART_HELP)
@on_host
def restart(
    invocation: Invocation,
    drain: Annotated[bool, typer.Option("--drain", help="After the requests that run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    from tui.commands.host_actions import run_restart

    raise typer.Exit(run_restart(invocation, drain=drain, json_wanted=as_json))


STATUSLINE_HELP = """Print one line: model, tokens/s, context, hit rate. For Claude Code, tmux or a prompt.

Reads the object that Claude Code writes to stdin, if there is one, and asks the host of that session, else
the one on the configured port. Without a host it says that. It never fails; NO_COLOR and COLUMNS count.

\b
Examples
  anyclaude-tui claude --status-line      in a session of Claude Code
  ANYCLAUDE_STATUS_LINE=1                 in each, as "statusLine": true
  set -g status-right '#(anyclaude-tui statusline --plain)'      for tmux
"""


@running_host.command("statusline", help=STATUSLINE_HELP)
@on_host
def statusline(
    invocation: Invocation,
    plain: Annotated[bool, typer.Option("--plain", help="Without colours.")] = False,
    width: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Most columns.  [COLUMNS, else no limit]", show_default=False),
    ] = 0,
) -> None:
    from tui.commands.statusline_settling import run_statusline

    raise typer.Exit(run_statusline(invocation, plain=plain, width=width))


RECORD_HELP = """Record what the running host says into FILE, until ctrl+c. --play FILE shows it, anywhere.

Begins with what the host still has, some hours in general. In it are requests, answers, tool calls, the
engine's states and log, the list of traces, and marked traces with their texts. What looks like a secret is
taken out; --without-contents takes all texts out. Without FILE it goes to ~/.anyclaude/recordings.

\b
Examples
  anyclaude-tui record
  anyclaude-tui record --new --minutes 10 slow.jsonl.gz
  anyclaude-tui record --trace req_9f3c0a2b1d4e --without-contents
  anyclaude-tui --play slow.jsonl.gz

Prints the file's path. A recording whose writer was killed can be played up to there. Exit code 1 if no host
runs, or the disk does not take it.
"""

_Contents = Annotated[
    bool, typer.Option("--without-contents", help="Leave out all texts of prompts, answers and tools.")
]
_File = Annotated[str | None, argument("FILE", "Where it goes.", path=True, show_default=False)]
_Traces = Annotated[
    list[str] | None,
    typer.Option("--trace", metavar="ID", help="Also this trace with its texts (may be repeated)."),
]


@running_host.command("record", help=RECORD_HELP)
@on_host
def record(
    invocation: Invocation,
    file: _File = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.0, help="End after so many minutes.", show_default=False),
    ] = None,
    only_new: Annotated[bool, typer.Option("--new", help="Only what comes from now on.")] = False,
    without_contents: _Contents = False,
    traces: _Traces = None,
    as_json: Annotated[bool, typer.Option("--json", help="What was recorded, as one JSON object.")] = False,
) -> None:
    from tui.commands.recording import run_record

    raise typer.Exit(
        run_record(
            invocation,
            file or "",
            minutes=minutes,
            only_new=only_new,
            contents="none" if without_contents else "redacted",
            traces=traces or (),
            as_json=as_json,
        )
    )


BUNDLE_HELP = """Make a bug bundle: one file for whoever looks into a problem. B does the same on the screen.

In it: a recording of the last minutes (see record), versions, the configuration without secrets, the ends of
the logs, and marked traces. Secrets are taken out of all of it; --without-contents takes the texts out, and
the logs. Nothing is sent anywhere. Without a host that runs it has what is on this disk.

\b
Examples
  anyclaude-tui bundle
  anyclaude-tui bundle --trace req_9f3c0a2b1d4e --minutes 60 bug.zip
  anyclaude-tui bundle --without-contents
  anyclaude-tui --play bug.zip

Prints the file's path; without FILE it is in ~/.anyclaude/bundles.
"""


@running_host.command("bundle", help=BUNDLE_HELP)
@on_host
def bundle(
    invocation: Invocation,
    file: _File = None,
    minutes: Annotated[float, typer.Option(metavar="N", min=0, help="How many minutes it goes back.")] = 15,
    without_contents: _Contents = False,
    traces: _Traces = None,
    as_json: Annotated[bool, typer.Option("--json", help="What is in it, as one JSON object.")] = False,
) -> None:
    from tui.commands.recording import run_bundle

    raise typer.Exit(
        run_bundle(
            invocation,
            file or "",
            minutes=minutes,
            contents="none" if without_contents else "redacted",
            traces=traces or (),
            as_json=as_json,
        )
    )
