"""`anyclaude-tui config set`: one setting of the running host, and of the user's own file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from engine.options.kinds import shown
from proxy.changes.change_facts import Changed, LiveSetting
from proxy.changes.live_settings import LIVE, fields_by_key
from proxy.changes.own_file import save_setting
from proxy.configuration.provenance import Origin
from proxy.configuration.settings import SETTINGS
from tui.client.figures import plural
from tui.client.host_client import HostClient, HostError
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
    told = (lambda line: None) if as_json else say
    try:
        changed, unproven = ask_host(
            invocation, lambda client: _change(client, key, wished, drain=not now, save=save, told=told)
        )
    except CommandFailed as failed:
        return refused(failed, as_json, changed=[])
    whole = next(iter(changed.values), key)
    saved = ""
    if save and not unproven:
        try:
            saved = _save(invocation, whole, wished)
        except OSError as error:
            unproven = f"{error.strerror}; it counts until the host ends"
    if as_json:
        answer = changed.model_dump(include={"changed", "restarting", "running"}) | {"saved": saved}
        write_data(json.dumps(answer | ({"reason": unproven} if unproven else {})) + "\n")
    elif unproven:
        raise CommandFailed(ExitCode.FAILED, f"not written to {invocation.own_file}: {unproven}")
    else:
        say(f"written to {saved}" if saved else "until the host ends; --save writes it to your file as well")
    return ExitCode.FAILED if unproven else ExitCode.FINE


async def _change(
    client: HostClient, key: str, wished: Any, *, drain: bool, save: bool, told: Callable[[str], None]
) -> tuple[Changed, str]:
    """Change it; where it shall be saved, also why it must not be, once that is known."""
    changed = await client.change({key: wished}, drain=drain)
    if not changed.changed:
        told(f"{key} has this value already")
    elif changed.running:
        told(f"the engine restarts with it after {plural(changed.running, 'request')}")
    else:
        told("the engine restarts with it" if changed.restarting else f"{key} counts from now on")
    if not save:
        return changed, ""
    if changed.restarting:
        told("it is written once the engine is up with it …")
    try:
        return changed, await _unproven(client, changed)
    except HostError as error:
        return changed, f"the host answers no more, and its engine was not up with it: {error}"
    except asyncio.CancelledError:
        told("not written: the engine is not up with it yet")
        raise


async def _unproven(client: HostClient, changed: Changed) -> str:
    """Why the value must not be saved, once the engine is up, or not; empty where it holds."""
    for key, value in changed.values.items():
        setting = await client.settled_setting(key)
        if setting is None or (setting.held and setting.value == value):
            continue
        if not setting.refused:
            return f"somebody else changed it meanwhile, to {shown(setting.value)}"
        back = f"; {shown(setting.value)} counts again" if setting.value != value else ""
        return f"the engine did not come up with it: {setting.refused}{back}"
    return ""


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
