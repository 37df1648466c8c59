"""The command line of `status`, `stop`, `cancel`, `restart`, `statusline`: what is about a running host."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.commands.options import Attach, Config, Port

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
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object; null: not known.")] = False,
    attach: Attach = None,
    port: Port = None,
    config: Config = None,
) -> None:
    from tui.commands.status import run_status

    invocation = context.obj.over(attach=attach, port=port, config=config)
    raise typer.Exit(run_status(invocation, json_wanted=as_json))


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
def stop(
    context: typer.Context,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the requests that run.")] = False,
    attach: Attach = None,
    port: Port = None,
    config: Config = None,
) -> None:
    from tui.commands.stop import run_stop

    invocation = context.obj.over(attach=attach, port=port, config=config)
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
def cancel(
    context: typer.Context,
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id, or how it begins.")],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    attach: Attach = None,
    port: Port = None,
    config: Config = None,
) -> None:
    from tui.commands.host_actions import run_cancel

    invocation = context.obj.over(attach=attach, port=port, config=config)
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
def restart(
    context: typer.Context,
    drain: Annotated[bool, typer.Option("--drain", help="After the requests that run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    attach: Attach = None,
    port: Port = None,
    config: Config = None,
) -> None:
    from tui.commands.host_actions import run_restart

    invocation = context.obj.over(attach=attach, port=port, config=config)
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
def statusline(
    context: typer.Context,
    plain: Annotated[bool, typer.Option("--plain", help="Without colours.")] = False,
    width: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Most columns.  [COLUMNS, else no limit]", show_default=False),
    ] = 0,
    attach: Attach = None,
    port: Port = None,
    config: Config = None,
) -> None:
    from tui.commands.statusline_settling import run_statusline

    invocation = context.obj.over(attach=attach, port=port, config=config)
    raise typer.Exit(run_statusline(invocation, plain=plain, width=width))
