"""The command line of `anyclaude-tui service`."""

from __future__ import annotations

from typing import Annotated

import typer

HELP = """A host that starts with your login and again when it fails, by systemd or launchd.

\b
Examples
  anyclaude-tui service install
  anyclaude-tui --model ~/models/Qwen3-Coder --port 9000 service install
  anyclaude-tui service status
  anyclaude-tui service remove
"""

INSTALL_HELP = """Write the service's file and start it; a second time, it is replaced.

The service runs this program with the options that stand before "service" here, and with the ANYCLAUDE_*
variables that are set now, but for secrets: a token or key belongs into ~/.anyclauderc.json. It is started
again when it fails, but not when the configuration is wrong. The file's path goes to stdout.
"""

service = typer.Typer(
    help=HELP, no_args_is_help=True, rich_markup_mode=None, context_settings={"max_content_width": 100}
)


@service.command("install", help=INSTALL_HELP)
def install(context: typer.Context) -> None:
    from tui.commands.service.command import run_install

    raise typer.Exit(run_install(context.obj))


@service.command("remove")
def remove(context: typer.Context) -> None:
    """Stop the service and remove its file; data and configuration are kept."""
    from tui.commands.service.command import run_remove

    raise typer.Exit(run_remove(context.obj))


@service.command("status")
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Is it installed, and does it run? Exit code 1 if it does not run."""
    from tui.commands.service.command import run_service_status

    raise typer.Exit(run_service_status(context.obj, json_wanted=as_json))
