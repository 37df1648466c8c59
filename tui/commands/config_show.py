"""`anyclaude-tui config show`: each setting, its value, and where that comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.options.kinds import URL
from engine.options.setting import Setting
from proxy.configuration.destination import without_password
from proxy.configuration.provenance import DEFAULT, Source
from proxy.configuration.settings import SETTINGS
from proxy.configuration.settling import Settled
from tui.commands.exit_codes import ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.trust_question import shown_value


def run_config_show(invocation: Invocation, *, as_json: bool) -> int:
    """Print what a host would be started with; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError, CommandFailed: see `Invocation.settle`.
    """
    settled = invocation.settle()
    if not as_json:
        for line in settled.account:
            say(line)
    if as_json:
        write_data("".join(json.dumps(record) + "\n" for record in setting_records(settled)))
        return ExitCode.FINE
    rows = _rows(settled)
    cells = [(_key(settled, setting), _words(setting, value, source)) for _, setting, value, source in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for (key, words), (*_, source) in zip(cells, rows, strict=True):
        write_data(f"{key:<{widths[0]}}  {words:<{min(widths[1], 40)}}  {source.described}\n")
    return ExitCode.FINE


def setting_records(settled: Settled) -> list[dict[str, Any]]:
    """Each setting for programs, without secrets."""
    return [_record(settled, *row) for row in _rows(settled)]


def _rows(settled: Settled) -> list[tuple[str, Setting, Any, Source]]:
    return [
        (name, setting, getattr(settled.config, name), settled.sources.get(name, DEFAULT))
        for name, setting in SETTINGS.items()
    ]


def _key(settled: Settled, setting: Setting) -> str:
    return setting.key_of(settled.config.backend_name)


def _words(setting: Setting, value: Any, source: Source) -> str:
    if source == DEFAULT and setting.usual and value == setting.default:
        return setting.usual
    return shown_value(setting.kind, _plain(value))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _record(settled: Settled, name: str, setting: Setting, value: Any, source: Source) -> dict[str, Any]:
    """One setting for programs; a secret is null, and `set` says whether there is one."""
    record: dict[str, Any] = {"name": name, "key": _key(settled, setting)}
    if setting.kind.secret:
        record |= {"value": None, "set": bool(value)}
    else:
        value = _plain(value)
        record["value"] = without_password(value) if setting.kind is URL else value
    return record | {
        "origin": source.origin.name.lower(),
        "source": source.place,
        "standing": source.standing,
        "variable": setting.env,
        "option": setting.option,
    }
