"""The table of settings for others: as JSON Schema for editors, as tables for the docs.

`python -m proxy.configuration.reference FILE…` writes the tables anew, in each file between the comments
`<!-- settings: NAME -->` and `<!-- /settings -->`; `make settings` does so for all of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from posixpath import normpath
from typing import Any

from engine.options.setting import OF_A_BACKEND, Setting
from proxy.configuration.known_backends import KNOWN_BACKENDS
from proxy.configuration.settings import (
    CONFIG_FILE,
    ENGINE_SETTINGS,
    FILE_ONLY,
    HOST_SETTINGS,
    SETTINGS,
    keys_of,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of `.anyclauderc.json`, in draft 2020-12.

    Like the reader it lets keys and backends pass that are not known: these are warnings, not errors.
    """
    backend = {
        "description": "settings of this backend, which count where it is the one that is used",
        "$ref": "#/$defs/backend",
    }
    return {
        "$schema": DIALECT,
        "title": "The configuration of anyclaude-tui",
        "type": "object",
        "properties": {
            **_properties(keys_of("")),
            "debug": _object("what is recorded and logged", _properties(keys_of("debug."))),
            "backends": _object("a section a backend", dict.fromkeys(KNOWN_BACKENDS, backend)),
        },
        "additionalProperties": True,
        "$defs": {"backend": _object("a section of a backend", _properties(keys_of(OF_A_BACKEND)))},
    }


def _object(description: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": True,
    }


def _properties(settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {key: _property(setting) for key, setting in settings.items()}


def _property(setting: Setting) -> dict[str, Any]:
    usual = f" (default: {setting.usual})" if setting.usual else ""
    schema: dict[str, Any] = {"description": f"{setting.explained}{usual}", **setting.kind.schema}
    if not setting.usual and setting.default is not None:
        schema["default"] = setting.default
    if setting.help.startswith("from earlier versions"):
        schema["deprecated"] = True
    if setting.kind.secret:
        schema["writeOnly"] = True
    return schema


def key_table(settings: Iterable[Setting]) -> str:
    """Settings by their keys in the file; a harmless one is marked."""
    lines = ["| key | meaning | allowed | default | variable, option |", "|---|---|---|---|---|"]
    for setting in settings:
        key = f"`{setting.key}`" + (" ✓" if setting.harmless else "")
        meaning = _cell(setting.help) + (f" ([more]({setting.more}))" if setting.more else "")
        names = ", ".join(f"`{name}`" for name in (setting.env, setting.option) if name)
        cells = (key, meaning, _cell(setting.kind.allowed), setting.default_text, names)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def option_table() -> str:
    """Settings that have an option, for the README beside the folder of the docs."""
    lines = ["| option | meaning | variable |", "|---|---|---|"]
    for setting in (*(each for each in SETTINGS.values() if each.option), CONFIG_FILE):
        default = f" (default: {setting.default_text})" if setting.default_text else ""
        more = f" ([more]({normpath(f'docs/{setting.more}')}))" if setting.more else ""
        option = f"`{setting.option} {setting.metavar}`"
        lines.append(f"| {option} | {_cell(setting.help)}{default}{more} | `{setting.env}` |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


TABLES: dict[str, Callable[[], str]] = {
    "host": lambda: key_table(HOST_SETTINGS.values()),
    "engine": lambda: key_table(ENGINE_SETTINGS.values()),
    "file only": lambda: key_table(FILE_ONLY),
    "options": option_table,
}
_BLOCK = re.compile(r"(<!-- settings: ([a-z ]+) -->\n).*?(<!-- /settings -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """A page with its tables as they have to be now."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", text)


def main(paths: list[str]) -> None:
    """Write the tables of these files anew."""
    for path in map(Path, paths):
        path.write_text(with_tables(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
