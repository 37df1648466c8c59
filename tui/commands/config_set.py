"""`anyclaude-tui config set`: one setting of the running host, and of the user's own file."""

from __future__ import annotations

import json
from typing import Any

from engine.options.kinds import shown
from proxy.changes.change_facts import LiveSetting
from proxy.changes.live_settings import LIVE, fields_by_key
from proxy.changes.own_file import save_setting
from proxy.configuration.provenance import Origin
from proxy.configuration.settings import SETTINGS
from tui.client.figures import plural
from tui.client.host_client import HostClient
from tui.commands.doctor.report import terminal_width
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.host_actions import ask_host, refused
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data


def run_config_set(
    invocation: Invocation,
    key: str,
    value: str | None,
    *,
    default: bool = False,
    save: bool = False,
    now: bool = False,
    as_json: bool = False,
) -> int:
    """Change a setting of the running host; without a key, list those that can be. Returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong, or cannot be written.
        CommandFailed: no host runs, or it refuses the change.
    """
    if not key:
        return _list(ask_host(invocation, HostClient.settings), as_json)
    if (value is None) is not default:
        raise CommandFailed(ExitCode.USAGE, "give a value, or --default to take the setting back")
    wished = None if value is None else _typed(key, value)
    try:
        changed = ask_host(invocation, lambda client: client.change({key: wished}, drain=not now))
    except CommandFailed as failed:
        return refused(failed, as_json, changed=[])
    saved = _save(invocation, next(iter(changed.changed), key), wished) if save else ""
    if as_json:
        write_data(json.dumps(changed.model_dump(exclude={"model"}) | {"saved": saved}) + "\n")
        return ExitCode.FINE
    if not changed.changed:
        say(f"{key} has this value already")
    elif changed.running:
        say(f"the engine restarts with it after {plural(changed.running, 'request')}")
    else:
        say("the engine restarts with it" if changed.restarting else f"{key} counts from now on")
    say(f"written to {saved}" if saved else "until the host ends; --save writes it to your file as well")
    return ExitCode.FINE


def _typed(key: str, text: str) -> Any:
    """The value that a text of the command line stands for."""
    setting = LIVE.get(fields_by_key("").get(key.rpartition(".")[2], ""))
    return text if setting is None else setting.kind.from_text(text)  # the host says what is wrong with a key


def _save(invocation: Invocation, key: str, value: Any) -> str:
    """Write the value to the user's file, also under a short key; returns its path."""
    settled, path = invocation.settle(), invocation.own_file
    backend = settled.config.backend_name
    name = fields_by_key(backend).get(key, "")  # empty: the host's backend is not the one configured here
    whole = SETTINGS[name].key_of(backend) if name else key
    save_setting(path, whole, value)
    source = settled.sources.get(name)
    # A named file is the one that was written to.
    if source and source.origin not in (Origin.OWN_FILE, Origin.NAMED_FILE, Origin.DEFAULT):
        say(f"warning: at the next start {source.described} still decides about {whole}")
    return str(path)


def _list(settings: list[LiveSetting], as_json: bool) -> int:
    if as_json:
        write_data(json.dumps([one.model_dump() for one in settings], indent=1) + "\n")
        return ExitCode.FINE
    names = max((len(one.key) for one in settings), default=0)
    width = terminal_width()
    for one in settings:
        value = one.default_text if one.value == one.default and one.default_text else shown(one.value)
        mark = "*" if one.changed else " "
        write_data(f"{mark} {one.key:<{names}}  {value:<12}  {one.effect}"[:width].rstrip() + "\n")
    say("* changed since the host began; anyclaude-tui config set KEY VALUE changes one")
    return ExitCode.FINE
