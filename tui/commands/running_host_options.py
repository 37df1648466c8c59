"""The command line of `status`, `stop` and `statusline`, which are about a host that runs."""

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
