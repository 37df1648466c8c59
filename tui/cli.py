"""The `anyclaude-tui` command: reads the command line, then hands over to `tui.commands`.

Imports nothing heavy by itself, so that `--help` and a mistyped option answer at once; Textual is imported
where a screen is wanted and nowhere else.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from engine.process.install_check import refusal_here
from tui.commands.cache.options import cache
from tui.commands.completion import event_types
from tui.commands.config import app as config_app
from tui.commands.endings import run_to_its_end
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.metrics.options import METRICS_HELP, metrics
from tui.commands.models.options import models
from tui.commands.options import Attach, Config, on_host, with_settings
from tui.commands.running_host_options import running_host
from tui.commands.service.options import service
from tui.commands.traces.options import traces
from tui.commands.verify.options import verify

HELP = """Run Claude Code on a model of your own, and see everything that happens.

Without a command: starts the MLX engine, the Anthropic Messages proxy and the control center here.

\b
Examples
  anyclaude-tui --model mlx-community/Qwen3-Coder-30B-A3B-Instruct-4bit
  anyclaude-tui claude                    Claude Code on it, in another terminal
  anyclaude-tui claude -p "Who are you?"  all arguments go to Claude Code
  eval "$(anyclaude-tui env)"; claude     the same, by hand
  anyclaude-tui --backend lmstudio        LM Studio's model instead of the engine
  anyclaude-tui --no-ui                   without a screen: a server, an ssh session
  anyclaude-tui --detach                  in the background; then: status, stop
  anyclaude-tui --attach 127.0.0.1:8082   only the screen, for a host that runs
  anyclaude-tui --play demo               the screen on a recording, without a model
  anyclaude-tui traces show ID --tool 1   how a tool call was read, step by step
  anyclaude-tui cache list                who holds what in the prefix cache
  anyclaude-tui metrics                   what the cache did, day by day
  anyclaude-tui models list               which models are here, and what fits
  anyclaude-tui config show               what is set here, and by what
  anyclaude-tui doctor                    is everything well? What to do if not
  anyclaude-tui verify session            does all of it work? With evidence

\b
Configuration
  ~/.anyclauderc.json, over it .anyclauderc.json here; --config FILE alone
  replaces both. Options win over ANYCLAUDE_* variables (ANYCLAUDE_MODEL,
  ANYCLAUDE_PORT, ...), those over the files. The file here may have come with
  a repository: what decides where prompts and keys go counts only after
  "anyclaude-tui config trust".

\b
Where data lives
  ~/.anyclaude (--home, ANYCLAUDE_HOME), readable by you alone:
  traces/ one file a request, cache-metrics/, health/, logs/, kv-cache/.
  Nothing leaves this machine unless the configuration names another one.

\b
Exit codes
  0 fine   1 a check failed   2 usage or configuration   3 port busy
  4 engine failed   130 interrupted
"""

CLAUDE_HELP = """Run Claude Code on the host, and end with its exit code.

Joins the host that runs on the port; where there is none, one is started for this session and stopped after
it. All arguments go to Claude Code as they are; put a first -- before one that this command has itself.

\b
Examples
  anyclaude-tui claude
  anyclaude-tui claude -p "What is 2+2?"
  anyclaude-tui --model ~/models/Qwen3-Coder claude --continue
  anyclaude-tui claude -- --help          Claude Code's own help
"""

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        sys.stdout.write(f"anyclaude-tui {version('anyclaude-tui')}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True, help=HELP)
@with_settings
def start(
    context: typer.Context,
    no_ui: Annotated[
        bool, typer.Option("--no-ui", help="No screen: the proxy in the foreground, with its log on stderr.")
    ] = False,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="No screen: the proxy in the background; returns when it listens."),
    ] = False,
    under_launchd: Annotated[bool, typer.Option("--under-launchd", hidden=True)] = False,
    play: Annotated[
        str,
        typer.Option(
            "--play",
            metavar="FILE",
            show_default=False,
            help="Show a recording or a bug bundle, without a host; demo: the bundled one.",
        ),
    ] = "",
    attach: Attach = None,
    config: Config = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print it and end.", callback=_show_version, is_eager=True),
    ] = False,
    **settings: Any,
) -> None:
    if refusal := refusal_here():
        raise CommandFailed(ExitCode.USAGE, refusal)
    invocation = Invocation({**settings, "config": config}, attach or "")
    context.obj = invocation
    starts = "--detach" if detach else "--no-ui"
    if (no_ui or detach) and (attach or context.invoked_subcommand):
        what = "--attach" if attach else f'"{context.invoked_subcommand}"'
        raise CommandFailed(ExitCode.USAGE, f"{starts} starts a host, {what} uses one; leave one of them out")
    if play and (no_ui or detach or attach or context.invoked_subcommand):
        raise CommandFailed(ExitCode.USAGE, "--play shows a recording, without a host or another command")
    if context.invoked_subcommand:
        return
    if play:
        from tui.commands.playing import run_play

        raise typer.Exit(run_play(invocation, play))
    if detach:
        from tui.commands.detached import run_detached

        raise typer.Exit(run_detached(invocation))
    if no_ui and under_launchd:
        from tui.commands.service.launchd import run_under_launchd

        raise typer.Exit(run_under_launchd(invocation))
    if no_ui:
        from tui.commands.headless import run_headless

        raise typer.Exit(run_headless(invocation))
    from tui.commands.screen import run_screen

    raise typer.Exit(run_screen(invocation))


class PassingThrough(TyperCommand):
    """A command whose arguments are another program's, but for its own options at the very beginning."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = 0
        while own < len(args) and args[own].split("=")[0] in ("--claude-path", "--status-line", "--help"):
            own += 2 if args[own] == "--claude-path" else 1
        rest = args[own:]
        super().parse_args(ctx, args[:own])
        ctx.args = rest[1:] if rest[:1] == ["--"] else rest
        return list(ctx.args)


@app.command(
    "claude",
    cls=PassingThrough,
    help=CLAUDE_HELP,
    options_metavar="[--claude-path FILE] [--status-line] [--] [ARGS]...",
)
def claude(
    context: typer.Context,
    claude_path: Annotated[
        str, typer.Option(metavar="FILE", help="The claude program.  [ANYCLAUDE_CLAUDE, else as installed]")
    ] = "",
    status_line: Annotated[
        bool,
        typer.Option("--status-line", help="Tokens/s, context and hit rate in Claude Code's status line."),
    ] = False,
) -> None:
    from tui.commands.claude_session import run_claude

    raise typer.Exit(run_claude(context.obj, context.args, claude_path=claude_path, status_line=status_line))


ENV_HELP = """Print the environment that points Claude Code at the host, for a shell.

With it Claude Code is started by hand, or by an editor: "anyclaude-tui claude" needs none of this.

\b
Examples
  eval "$(anyclaude-tui env)"; claude
  anyclaude-tui env --fish | source
  anyclaude-tui env --json | jq -r .ANTHROPIC_BASE_URL
"""


@app.command("env", help=ENV_HELP)
@on_host
def env(
    invocation: Invocation,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; null means unset.")] = False,
    fish: Annotated[bool, typer.Option("--fish", help="For the shell fish.")] = False,
) -> None:
    from tui.commands.env import run_env

    raise typer.Exit(run_env(invocation, as_json=as_json, fish=fish))


EVENTS_HELP = """Print what happens on the host, an event a line: what it still has, then what is new.

\b
Examples
  anyclaude-tui events
  anyclaude-tui events --new --type 'cache.*'
  anyclaude-tui events --json --type request.failed | jq .data

Ends with ctrl+c, or with the host.
"""


@app.command("events", help=EVENTS_HELP)
@on_host
def events(
    invocation: Invocation,
    as_json: Annotated[
        bool, typer.Option("--json", help="Each as one line of JSON, as it was sent.")
    ] = False,
    since: Annotated[
        int, typer.Option(metavar="SEQ", min=0, show_default=False, help="Only what came after this event.")
    ] = 0,
    only_new: Annotated[bool, typer.Option("--new", help="Only what comes from now on.")] = False,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only this type, such as request.* (may be repeated).",
            autocompletion=event_types,
        ),
    ] = None,
) -> None:
    from tui.commands.events import run_events

    raise typer.Exit(
        run_events(invocation, as_json=as_json, since=since, only_new=only_new, types=types or ())
    )


app.add_typer(running_host)
app.add_typer(config_app, name="config")


DOCTOR_HELP = """Is everything well here? All checks in a table: ok, warning, failed or not checked.

Each line has its evidence and, where something is wrong, what to do. Checks the configuration, the state
folder, traces and their index, the model's files, MLX, memory, ports, and Claude Code with its settings. Of a
running host also: is it this code, is its engine ready, a real answer of one token, caching over two
requests, a tool call. These requests are recorded as traces.

Nothing is started. Without a running host that is a warning, and what needs one is "not checked", as is all
that needs a check which failed.

\b
Examples
  anyclaude-tui doctor
  anyclaude-tui doctor --details          every setting and its source, and more
  anyclaude-tui doctor --fix              repairs permissions, a stale or damaged
                                          index, files of dead processes
  anyclaude-tui doctor --json | jq '.checks[] | select(.standing == "failed")'
  anyclaude-tui --attach 127.0.0.1:9000 doctor

Exit code 1 if a check failed; a warning is no failure.
"""


@app.command("doctor", help=DOCTOR_HELP)
@on_host
def doctor(
    invocation: Invocation,
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair what is safe, and say each thing that was done.")
    ] = False,
    details: Annotated[bool, typer.Option("--details", help="More evidence for each line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with all of it.")] = False,
) -> None:
    from tui.commands.doctor.command import run_doctor

    raise typer.Exit(run_doctor(invocation, fix=fix, details=details, json_wanted=as_json))


app.command("metrics", help=METRICS_HELP)(metrics)
app.add_typer(cache, name="cache")
app.add_typer(models, name="models")
app.add_typer(service, name="service")
app.add_typer(verify, name="verify")
app.add_typer(traces, name="traces")


def main() -> None:
    """Run the command line."""
    run_to_its_end(lambda: app(prog_name="anyclaude-tui"))
