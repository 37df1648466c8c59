"""What counts of a file that came with the working directory before the user has trusted it.

The table of settings says what is harmless, so that a new key is refused until it is
declared harmless: nothing harmless names an address, a path, a port, a host, a token or a key.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from engine.options.kinds import printable
from proxy.configuration.file import ConfigFile
from proxy.configuration.settings import SECTIONS, SETTINGS, setting_at

# A server's or the hub's name for a model: nothing that begins like a path, nor climbs out of a folder.
_MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.:@+-]*(/[A-Za-z0-9][\w.:@+-]*)*", re.ASCII)
_MOST_WARNINGS = 5


def limit_to_harmless(file: ConfigFile) -> tuple[str, ...]:
    """Take out of the file whatever is not harmless; returns the keys that were taken out.

    Raises:
        ConfigError: a harmless key has a wrong value, or the object around it has the wrong shape.
    """
    withheld = withheld_keys(file)
    hidden = [key for key in file.values if not _counts(file, key)]
    for key in hidden:
        del file.values[key]
    refused = {*withheld, *hidden}
    file.problems = [(key, text) for key, text in file.problems if key not in refused]
    file.raise_problems()
    if (more := len(file.warnings) - _MOST_WARNINGS) > 0:
        file.warnings[_MOST_WARNINGS:] = [f"{file.path}: {more} more such lines are left out"]
    return withheld


def withheld_keys(file: ConfigFile) -> tuple[str, ...]:
    """The keys that do not count before the file is trusted."""
    keys = dict.fromkeys([*file.values, *(key for key, _ in file.problems)])
    return tuple(key for key in keys if not _counts(file, key) and not _is_inert(key))


def is_model_name(text: Any, folder: Path) -> bool:
    """Can `text` only be a name, not a path either: is nothing of that name in `folder`?"""
    if not isinstance(text, str) or len(text) > 200 or not _MODEL_NAME.fullmatch(text):
        return False
    return not os.path.lexists(folder / text)


def listed(keys: tuple[str, ...], most: int = 8) -> str:
    """Keys for people, not all of them where they are many."""
    names = [printable(key, 80) for key in keys[:most]]
    return ", ".join(names) + (f" and {len(keys) - most} more" if len(keys) > most else "")


def _counts(file: ConfigFile, key: str) -> bool:
    setting = setting_at(key)
    if setting is None:
        # An object of other keys is no value; its wrong shape has to be reported.
        return key in SECTIONS or (key.count(".") == 1 and key.startswith("backends."))
    if setting is SETTINGS["model"] and key in file.values:
        return is_model_name(file.values[key], file.path.parent)
    return setting.harmless


def _is_inert(key: str) -> bool:
    setting = setting_at(key)
    return setting is not None and setting.inert
