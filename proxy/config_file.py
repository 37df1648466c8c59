"""`.anyclauderc.json`: finding it, reading it, and saying exactly what is wrong with it.

The format is that of earlier versions: `backend` picks one of `backends`, `debug` switches records on and
off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.config import ConfigError
from proxy.config_values import (
    BACKEND,
    BYTES,
    FLAG,
    GUESSES,
    KV_BITS,
    LEVEL,
    NAME,
    PORT,
    SECRET,
    TEXT,
    TOKENS,
    TOOL_FORMAT,
    URL,
    Kind,
    checked,
    nearest,
    shown,
)
from proxy.known_backends import KNOWN_BACKENDS

FILE_NAME = ".anyclauderc.json"

_TOP: dict[str, Kind] = {
    "backend": BACKEND,
    "port": PORT,
    "enginePort": PORT,
    "host": NAME,
    "home": NAME,
    "token": SECRET,
}
_DEBUG: dict[str, Kind] = {"level": LEVEL, "enableTraces": FLAG, "enableStreamLogging": FLAG}
_BACKEND: dict[str, Kind] = {
    "enabled": FLAG,
    "port": PORT,
    "baseUrl": URL,
    "apiKey": SECRET,
    "model": TEXT,
    "contextTokens": TOKENS,
    "systemTurns": FLAG,
    "serverScript": TEXT,
    "prefixCacheBytes": BYTES,
    "kvBits": KV_BITS,
    "toolFormat": TOOL_FORMAT,
    "grammar": FLAG,
    "draftModel": TEXT,
    "draftTokens": GUESSES,
    "diskCacheBytes": BYTES,
    "diskWritesPerDayBytes": BYTES,
}


@dataclass(slots=True)
class ConfigFile:
    """What one file says: checked values under dotted keys such as `backends.mlx.port`, and its warnings."""

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def where(self, key: str) -> str:
        """How messages name a place in this file."""
        return f"{self.path}: {key}"

    def section(self, backend: str) -> str:
        """The name under which `backends` describes it: its own, or the other name of the built-in engine."""
        named = {key.split(".")[1] for key in self.values if key.startswith("backends.")}
        if backend not in named and KNOWN_BACKENDS[backend].kind == "mlx":
            return next((name for name in ("mlx", "vllm-mlx") if name in named), backend)
        return backend


def expand_home(path: str, user_home: Path) -> Path:
    """`~` as this user's home; other users' homes are not looked up."""
    return user_home / path[2:] if path.startswith("~/") or path == "~" else Path(path)


def find_config_file(named: str, cwd: Path, user_home: Path) -> Path | None:
    """The file to read: the one that was named, else the nearest of the two usual ones, else None.

    Raises:
        ConfigError: a file was named and is not there.
    """
    if named:
        path = cwd / expand_home(named, user_home)
        if not os.path.isfile(path):
            what = "is a folder" if os.path.isdir(path) else "is not there"
            raise ConfigError(f"the config file {path} {what}; name a file, or leave --config out")
        return path
    usual = (cwd / FILE_NAME, user_home / FILE_NAME)
    return next((path for path in usual if os.path.isfile(path)), None)


def read_config_file(path: Path) -> ConfigFile:
    """Read and check one file.

    Raises:
        ConfigError: it cannot be read, is not JSON, or holds wrong values; one line for each of them.
    """
    repeated: list[str] = []
    document = _parse(path, repeated)
    found = ConfigFile(path)
    found.warnings += [f'{path}: "{key}" stands there twice; the last one counts' for key in repeated]
    problems: list[str] = []
    _take(found, document, "", _TOP, {"debug", "backends"}, problems)
    if (debug := _object(found, document, "debug", problems)) is not None:
        _take(found, debug, "debug.", _DEBUG, set(), problems)
    for name, section in (_object(found, document, "backends", problems) or {}).items():
        _take_backend(found, name, section, problems)
    if problems:
        raise ConfigError(problems)
    return found


def _parse(path: Path, repeated: list[str]) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in items:
            if key in seen:
                repeated.append(key)
            seen[key] = value
        return seen

    try:
        text = path.read_bytes().decode("utf-8-sig")
        document = json.loads(text, object_pairs_hook=pairs)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ConfigError(_syntax_line(path, error)) from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply to be a configuration") from None
    except ValueError:  # a number with thousands of digits
        raise ConfigError(f"{path} holds a number that is too long to be meant") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path} holds {shown(document)}; allowed: one JSON object {{...}}")
    return document


def _syntax_line(path: Path, error: json.JSONDecodeError) -> str:
    line = (error.doc.split("\n")[error.lineno - 1 :] or [""])[0].strip()
    hint = ""
    if line.startswith(("//", "#", "/*")):
        hint = " (JSON has no comments)"
    elif error.msg.startswith(("Expecting property name", "Expecting value", "Illegal trailing comma")):
        before = error.doc[: error.pos].rstrip()
        hint = " (a comma too many?)" if before.endswith(",") or error.msg.startswith("Illegal") else ""
    return f"{path}, line {error.lineno}, column {error.colno}: {error.msg}{hint}: {shown(line)}"


def _object(
    found: ConfigFile, parent: Mapping[str, Any], key: str, problems: list[str]
) -> dict[str, Any] | None:
    value = parent.get(key, {})
    if isinstance(value, dict):
        return value
    problems.append(f"{found.where(key)} is {shown(value)}; allowed: an object {{...}}")
    return None


def _take(
    found: ConfigFile,
    section: Mapping[str, Any],
    prefix: str,
    kinds: Mapping[str, Kind],
    nested: set[str],
    problems: list[str],
) -> None:
    for key, value in section.items():
        if key in nested:
            continue
        if key not in kinds:
            hint = nearest(key, [*kinds, *sorted(nested)])
            found.warnings.append(f"{found.where(prefix + key)} is not known and was ignored{hint}")
            continue
        try:
            found.values[prefix + key] = checked(kinds[key], value, found.where(prefix + key))
        except ValueError as error:
            problems.append(str(error))


def _take_backend(found: ConfigFile, name: str, section: Any, problems: list[str]) -> None:
    where = found.where(f"backends.{name}")
    if name not in KNOWN_BACKENDS:
        found.warnings.append(f"{where} is not known and was ignored{nearest(name, KNOWN_BACKENDS)}")
    elif not isinstance(section, dict):
        problems.append(f"{where} is {shown(section)}; allowed: an object {{...}}")
    else:
        _take(found, section, f"backends.{name}.", _BACKEND, set(), problems)
        if section.get("serverScript"):
            found.warnings.append(f"{where}.serverScript is not used: the engine is built in")
