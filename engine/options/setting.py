"""How a setting is declared: one field of a frozen dataclass, with all its names, its default and its help.

`declared` makes such a field. From the declarations come the engine's options, the keys of the configuration
files, the variables, the options and the help of `anyclaude-tui`, the JSON Schema and the tables in the docs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, dataclass
from typing import Any

from engine.options.kinds import NAME, TEXT, Kind

OF_A_BACKEND = "backends.NAME."  # how a key begins that each backend has for itself


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting and the names it goes by; an empty name is one that it does not have."""

    kind: Kind
    help: str  # a phrase without a full stop
    key: str = ""  # in the file; NAME stands for the backend
    env: str = ""
    option: str = ""
    metavar: str = "VALUE"
    default: Any = None
    usual: str = ""  # the default in words, where the value alone explains nothing
    harmless: bool = False  # obeyed also in a working directory's file that the user has not trusted
    live: bool = False  # can be changed while the host runs; where it is the engine's, that restarts
    inert: bool = False  # accepted for other programs' or earlier users' sake, and without an effect
    more: str = ""  # where the docs say more, from their folder

    def key_of(self, backend: str) -> str:
        """The key in the file that counts for this backend."""
        return self.key.replace("NAME", backend)

    @property
    def explained(self) -> str:
        """Its help, with what is allowed where that is not just any text."""
        return self.help if self.kind in (TEXT, NAME) else f"{self.help}; {self.kind.allowed}"

    @property
    def default_text(self) -> str:
        """The default for people; empty where there is none."""
        if self.usual or self.default is None:
            return self.usual
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    @property
    def option_type(self) -> type[Any]:
        """What the command line makes of its option's text; all else is checked with the other layers."""
        return int if self.kind.schema.get("type") == "integer" else str


def declared(default: Any, kind: Kind, help: str, **names: Any) -> Any:
    """A field of a dataclass that is a setting; `default` is MISSING where the field is to have none.

    `names` are the other fields of `Setting`. One with a `key` has a variable, by default named as the field.
    """
    setting = Setting(kind, help, default=None if default is MISSING else default, **names)
    metadata = {"setting": setting}
    if isinstance(default, dict):  # each instance gets one of its own
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def settings_of(declaring: type[Any]) -> dict[str, Setting]:
    """The settings that a dataclass declares or inherits, by the names of their fields."""
    found: dict[str, Setting] = {}
    for field in dataclasses.fields(declaring):
        setting: Setting | None = field.metadata.get("setting")
        if setting is not None:
            env = setting.env or (f"ANYCLAUDE_{field.name.upper()}" if setting.key else "")
            found[field.name] = dataclasses.replace(setting, env=env)
    return found
