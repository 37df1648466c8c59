"""`anyclaude-tui models use`: the running host loads another model."""

from __future__ import annotations

import json

from tui.client.figures import plural
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.host_actions import ask_host, refused
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data


def run_models_use(invocation: Invocation, name: str, *, now: bool = False, as_json: bool = False) -> int:
    """Load another model in the running host; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, or it cannot load the model.
    """
    try:
        changed = ask_host(invocation, lambda client: client.use_model(name, drain=not now))
    except CommandFailed as failed:
        return refused(failed, as_json, model=None)
    if as_json:
        write_data(json.dumps(changed.model_dump(exclude={"changed"})) + "\n")
    elif not changed.restarting:
        say(f"the host has {changed.model} already")
    else:
        after = f" after {plural(changed.running, 'request')}" if changed.running else ""
        say(
            f"the host loads {changed.model}{after}; Claude Code goes on with it, and tries again until it is"
            " there. Where it does not come up, the one before is loaded again: anyclaude-tui status"
        )
    return ExitCode.FINE
