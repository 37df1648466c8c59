"""The command line of `anyclaude-tui config`: reads it, then hands over to the module of each command."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.options.setting import OF_A_BACKEND
from proxy.configuration.settings import SETTINGS
from tui.commands.arguments import argument
from tui.commands.invocation import Invocation
from tui.commands.options import Config, Port, on_host

_HARMLESS = ", ".join(each.key.removeprefix(OF_A_BACKEND) for each in SETTINGS.values() if each.harmless)

TRUST_HELP = f"""Trust the .anyclauderc.json of a folder: obey all of it, until it changes.

A file that came with a repository could lead prompts and keys elsewhere. So of the working directory's file
only this counts at first: {_HARMLESS}; model only by name.
Trust is remembered in ~/.anyclaude/trust, by place and content; a file that changes has to be trusted anew.

Even then a key from your environment or your own file goes only to an address from the same source or the
command line, and backend "claude" takes no address from such a file.

\b
Examples
  anyclaude-tui config trust              the file here
  anyclaude-tui config trust ~/project    that folder's
  anyclaude-tui config trust --list       what was decided so far
  anyclaude-tui config trust --revoke     take it back for the file here
"""

SHOW_HELP = """Show each setting: its value, and where that comes from. Keys and tokens are hidden.

As a host started here and now would have them: options, ANYCLAUDE_* variables, files, defaults. Of a folder's
file that is not trusted only what is harmless counts.

\b
Examples
  anyclaude-tui config show
  anyclaude-tui --backend lmstudio config show
  anyclaude-tui config show --json | jq 'select(.origin != "default")'
"""

CHECK_HELP = """Check a configuration file: every key and value in it, whether it counts now or not.

Without FILE: the files that count here, your own and the working directory's, and whether a host could start
with them, the options and the variables. Wrong values are errors, a line each, with exit code 2; unknown
keys are warnings.
"""

SCHEMA_HELP = """Print the JSON Schema of .anyclauderc.json, for editors that complete and check it.

\b
Example
  anyclaude-tui config schema > ~/.anyclauderc.schema.json
and in the file: "$schema": ".anyclauderc.schema.json"
"""

SET_HELP = """Change a setting of the running host. Without KEY: list those that can be changed, and how.

KEY is a key of the configuration file, or its last part. Some count at once, those of the engine by a restart
of it, after the requests that run. A change lasts until the host ends; with --save also your own file gets it
(~/.anyclauderc.json, or that of --config), once the engine is up with it.

\b
Examples
  anyclaude-tui config set
  anyclaude-tui config set loopTokens 4000
  anyclaude-tui config set prefixCacheBytes 6000000000 --save
  anyclaude-tui config set keepAwake --default

Exit code 1 if no host runs, if it refuses the change, or if the engine does not come up with it where --save
waits for that; then nothing is written.
"""

KEYS_HELP = """List the commands of the screen: the name of each, its keys, and what it does.

Your own keys stand in the configuration under these names, or without the place for all places at once:

\b
  "keys": {"why": "f2", "streams.cancel": "X,ctrl+k", "pane:cache": "f6"}

A key is a sign (X, ?), f1 to f24, or a name (space, delete), with ctrl+, shift+ or alt+ before it.

\b
Examples
  anyclaude-tui config keys
  anyclaude-tui config keys --json | jq -r 'select(.yours) | .name'
"""

app = typer.Typer(
    help="The configuration: what counts, from where, whether it is right.", no_args_is_help=True
)


@app.command("show", help=SHOW_HELP)
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Each as one line of JSON.")] = False,
    port: Port = None,
    config: Config = None,
) -> None:
    from tui.commands.config_show import run_config_show

    invocation: Invocation = context.obj
    raise typer.Exit(run_config_show(invocation.over(port=port, config=config), as_json=as_json))


@app.command("set", help=SET_HELP)
@on_host
def set_(
    invocation: Invocation,
    key: Annotated[str | None, argument("KEY", "The setting.", show_default=False)] = None,
    value: Annotated[str | None, argument("VALUE", "Its value.", show_default=False)] = None,
    default: Annotated[bool, typer.Option("--default", help="Take it back to its default.")] = False,
    save: Annotated[bool, typer.Option("--save", help="Write it to your own file as well.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the requests that run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    from tui.commands.config_set import run_config_set

    raise typer.Exit(
        run_config_set(invocation, key or "", value, default=default, save=save, now=now, as_json=as_json)
    )


@app.command("check", help=CHECK_HELP)
def check(
    context: typer.Context,
    file: Annotated[
        str | None, argument("FILE", "The file, or its folder.", path=True, show_default=False)
    ] = None,
) -> None:
    from tui.commands.config_check import run_config_check

    raise typer.Exit(run_config_check(context.obj, file or ""))


@app.command("schema", help=SCHEMA_HELP)
def schema() -> None:
    import json

    from proxy.configuration.reference import json_schema
    from tui.commands.output import write_data

    write_data(json.dumps(json_schema(), indent=2) + "\n")


@app.command("keys", help=KEYS_HELP)
def keys(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Each as one line of JSON.")] = False,
) -> None:
    from tui.commands.screen import run_config_keys

    raise typer.Exit(run_config_keys(context.obj, as_json=as_json))


@app.command("trust", help=TRUST_HELP)
def trust(
    file: Annotated[
        str | None, argument("FILE", "The file, or its folder.  [here]", path=True, show_default=False)
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Forget what was decided about it.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="All decisions, a line each.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: each as one line of JSON.")] = False,
) -> None:
    from tui.commands.config_trust import run_config_trust

    raise typer.Exit(run_config_trust(file or "", revoke=revoke, listing=listing, as_json=as_json))
