"""`.anyclauderc.json`: reads one, and reports exactly what is wrong with it.

The format is that of earlier versions: `backend` picks one of `backends`, `debug` switches records on and
off. `proxy.configuration.files` decides which files there are and what counts of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.options.kinds import checked, nearest, printable, shown
from engine.options.setting import OF_A_BACKEND, Setting
from proxy.configuration.known_backends import KNOWN_BACKENDS
from proxy.configuration.provenance import Origin, Source
from proxy.configuration.settings import FILE_KEYS, SECTIONS, keys_of
from proxy.configuration.settled import ConfigError
from proxy.configuration.small_file import FileTooLarge, SmallFile, read_small_file

FILE_NAME = ".anyclauderc.json"
MOST_BYTES = 1 << 20
_WORD = re.compile(r"""[^\s{}\[\]:,"'/#*]+""")
_WORDS = {
    *(part for key in FILE_KEYS for part in key.split(".")),
    *SECTIONS,
    *KNOWN_BACKENDS,
    "true",
    "false",
}


@dataclass(slots=True)
class ConfigFile:
    """What one file sets: checked values under dotted keys such as `backends.mlx.port`, and its warnings.

    `problems` are its wrong values, each with its key. `standing` is how it counts, for people.
    """

    path: Path
    origin: Origin = Origin.OWN_FILE
    standing: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def where(self, key: str) -> str:
        """How messages name a place in this file."""
        return f"{printable(str(self.path), 4096)}: {printable(key)}"

    def source(self, key: str) -> Source:
        """Where a value of this file comes from."""
        return Source(self.origin, self.where(key), self.path.parent, self.standing)

    def section(self, backend: str) -> str:
        """The name under which `backends` describes it: its own, or the other name of the built-in engine."""
        named = {key.split(".")[1] for key in self.values if key.startswith("backends.")}
        known = KNOWN_BACKENDS.get(backend)
        if backend not in named and known is not None and known.kind == "mlx":
            return next((name for name in ("mlx", "vllm-mlx") if name in named), backend)
        return backend

    def raise_problems(self, keys: Iterable[str] | None = None) -> None:
        """Raises: ConfigError: values are wrong; `keys` limits it to those."""
        wanted = None if keys is None else set(keys)
        if raised := [problem for key, problem in self.problems if wanted is None or key in wanted]:
            raise ConfigError(raised)


def expand_home(path: str, user_home: Path) -> Path:
    """`~` as this user's home; other users' homes are not looked up."""
    return user_home / path[2:] if path.startswith("~/") or path == "~" else Path(path)


def read_config_file(path: Path) -> ConfigFile:
    """Read and check one file.

    Raises:
        ConfigError: it cannot be read, is not JSON, or holds wrong values; one line for each of them.
    """
    found = parse_config(read_content(path))
    found.raise_problems()
    return found


def read_content(path: Path) -> SmallFile:
    """The content of one file, read once.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return read_small_file(path, most=MOST_BYTES)
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> ConfigError:
    """Why a file cannot be read, as the error that ends the command."""
    if isinstance(error, FileTooLarge):
        return ConfigError(f"{path} is no configuration: it holds {error.strerror}")
    return ConfigError(f"{path} cannot be read: {error.strerror or error}")


def parse_config(content: SmallFile, origin: Origin = Origin.OWN_FILE) -> ConfigFile:
    """Check the content of a file; wrong values are in its `problems`.

    Raises:
        ConfigError: it is no JSON object.
    """
    path = content.path
    repeated: list[str] = []
    document = _parse(content, repeated)
    found = ConfigFile(path, origin)
    found.warnings += [
        f'{path}: "{printable(key)}" stands there twice; the last one counts' for key in repeated
    ]
    _take(found, document, "", keys_of(""), SECTIONS)
    if (debug := _object(found, document, "debug")) is not None:
        _take(found, debug, "debug.", keys_of("debug."))
    for name, section in (_object(found, document, "backends") or {}).items():
        _take_backend(found, name, section)
    return found


def _parse(content: SmallFile, repeated: list[str]) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in items:
            if key in seen:
                repeated.append(key)
            seen[key] = value
        return seen

    path = content.path
    try:
        document = json.loads(content.data.decode("utf-8-sig"), object_pairs_hook=pairs)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ConfigError(_syntax_line(content, error)) from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply to be a configuration") from None
    except ValueError:  # a number with thousands of digits
        raise ConfigError(f"{path} holds a number that is too long to be meant") from None
    if not isinstance(document, dict):
        what = "something else" if content.is_link else _shown(document)
        raise ConfigError(f"{path} holds {what}; allowed: one JSON object {{...}}")
    return document


def _syntax_line(content: SmallFile, error: json.JSONDecodeError) -> str:
    place = f"{content.path}, line {error.lineno}, column {error.colno}: {error.msg}"
    if content.is_link:
        return place  # it may lead to any file of the user's, whose text belongs in no log
    line = (error.doc.split("\n")[error.lineno - 1 :] or [""])[0].strip()
    hint = ""
    if line.startswith(("//", "#", "/*")):
        hint = " (JSON has no comments)"
    elif error.msg.startswith(("Expecting property name", "Expecting value", "Illegal trailing comma")):
        before = error.doc[: error.pos].rstrip()
        hint = " (a comma too many?)" if before.endswith(",") or error.msg.startswith("Illegal") else ""
    return f"{place}{hint}: {_shown(line)}"


def _shown(value: Any) -> str:
    """A wrong text without what may be a key: nothing says so in broken JSON or in the wrong place."""
    return shown(_WORD.sub(_known_word, value) if isinstance(value, str) else value)


def _known_word(word: re.Match[str]) -> str:
    known = word[0] in _WORDS or (word[0].isdigit() and len(word[0]) <= 5)
    return word[0] if known else "..."


def _object(found: ConfigFile, parent: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = parent.get(key, {})
    if isinstance(value, dict):
        return value
    found.problems.append((key, f"{found.where(key)} is {_shown(value)}; allowed: an object {{...}}"))
    return None


def _take(
    found: ConfigFile,
    section: Mapping[str, Any],
    prefix: str,
    known: Mapping[str, Setting],
    nested: Sequence[str] = (),
) -> None:
    for key, value in section.items():
        if key in nested:
            continue
        if key not in known:
            hint = nearest(key, [*known, *nested])
            found.warnings.append(f"{found.where(prefix + key)} is not known and was ignored{hint}")
            continue
        try:
            found.values[prefix + key] = checked(known[key].kind, value, found.where(prefix + key))
        except ValueError as error:
            found.problems.append((prefix + key, str(error)))


def _take_backend(found: ConfigFile, name: str, section: Any) -> None:
    where = found.where(f"backends.{name}")
    if name not in KNOWN_BACKENDS:
        found.warnings.append(f"{where} is not known and was ignored{nearest(name, KNOWN_BACKENDS)}")
    elif not isinstance(section, dict):
        problem = f"{where} is {_shown(section)}; allowed: an object {{...}}"
        found.problems.append((f"backends.{name}", problem))
    else:
        _take(found, section, f"backends.{name}.", keys_of(OF_A_BACKEND))
        if section.get("serverScript"):
            found.warnings.append(f"{where}.serverScript is not used: the engine is built in")
