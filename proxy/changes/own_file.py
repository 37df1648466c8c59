"""Writes one setting into the user's own configuration file, and leaves the rest of it as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.process.private_files import write_private
from proxy.changes.json_text import with_value
from proxy.configuration.file import MOST_BYTES, unreadable
from proxy.configuration.settled import ConfigError
from proxy.configuration.small_file import NOT_THERE, read_small_file

_MARK = "\ufeff"  # some editors begin a file with it


def save_setting(path: Path, key: str, value: Any) -> None:
    """Set `key`, such as `backends.mlx.loopTokens`, in the file; None takes it out.

    Everything else in the file stays as it is, and so do its permissions; a symbolic link is followed. A new
    file is readable by its user alone.

    Raises:
        ConfigError: the file cannot be read, is no JSON object, or has something else where a section is to
            be; it is left as it was.
        OSError: it cannot be written; it is left as it was.
    """
    text, mode = _read(path)
    try:
        document = json.loads(text.removeprefix(_MARK))
    except (ValueError, RecursionError):
        raise ConfigError(
            f"{path} is not JSON, so nothing was written; see anyclaude-tui config check"
        ) from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is no JSON object, so nothing was written")
    *sections, last = key.split(".")
    _set(document, sections, last, value, path)
    mark, body = (_MARK, text[1:]) if text.startswith(_MARK) else ("", text)
    written = with_value(body, key.split("."), value)
    if written == body:
        return
    if json.loads(written) != document:  # sections that stand twice: what counts is kept
        written = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    target = path.resolve()
    write_private(target, (mark + written).encode("utf-8", "surrogatepass"))
    if mode is not None:
        target.chmod(mode)


def _read(path: Path) -> tuple[str, int | None]:
    try:
        found = read_small_file(path, most=MOST_BYTES)
        return found.data.decode("utf-8"), path.stat().st_mode & 0o777
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8, so nothing was written") from None
    except OSError as error:
        if error.errno in NOT_THERE and not path.is_symlink():
            return "{}\n", None
        raise unreadable(path, error) from None


def _set(document: dict[str, Any], sections: list[str], last: str, value: Any, path: Path) -> None:
    if not sections:
        if value is None:
            document.pop(last, None)
        else:
            document[last] = value
        return
    first, *rest = sections
    inner = document.setdefault(first, {})
    if not isinstance(inner, dict):
        raise ConfigError(f'{path} has something else than a section at "{first}", so nothing was written')
    _set(inner, rest, last, value, path)
    if not inner:
        del document[first]
