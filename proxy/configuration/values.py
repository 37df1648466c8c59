"""What a configuration value may be, wherever it comes from: a table of kinds, each with its wording.

A check takes a value as JSON has it and returns it as `HostConfig` wants it, or raises ValueError. Text from
the environment and the command line is first read as the kind's own type by `from_text`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from engine.tool_calls.families.names import FAMILY_NAMES
from proxy.configuration.known_backends import KNOWN_BACKENDS

_WORDS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: how it is checked, how text becomes it, and how to say what is allowed."""

    allowed: str
    check: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str
    secret: bool = False  # never repeated in a message


def _refuse() -> ValueError:
    return ValueError("not allowed")


def _text(value: Any) -> str:
    # Halves of UTF-16 pairs, which JSON can hold, are no text: no path, no request can be made of them.
    if not isinstance(value, str) or any(ord(char) < 32 or "\ud800" <= char <= "\udfff" for char in value):
        raise _refuse()
    return value.strip()


def _secret(value: Any) -> str:
    if not (text := _text(value)).isascii() or "\x7f" in text:  # it has to go into a header
        raise _refuse()
    return text


def _filled_text(value: Any) -> str:
    if not (text := _text(value)):
        raise _refuse()
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refuse()
    return value


def _flag_word(text: str) -> Any:
    return _WORDS.get(text.strip().lower(), text)


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _refuse()
        return value

    return check


def _none_or(low: int, high: int) -> Callable[[Any], int]:
    whole = _whole(0, high)

    def check(value: Any) -> int:
        if 0 < whole(value) < low:
            raise _refuse()
        return whole(value)

    return check


def _one_of(*allowed: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or value not in allowed:
            raise _refuse()
        return int(value)

    return check


def _word(*allowed: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if _text(value) not in allowed:
            raise _refuse()
        return _text(value)

    return check


def _whole_word(text: str) -> Any:
    stripped = text.strip()
    # Longer than any allowed number; int() refuses very long ones with an error of its own.
    return int(stripped) if stripped.isascii() and stripped.isdigit() and len(stripped) < 16 else text


def _backend(value: Any) -> str:
    if _text(value) not in KNOWN_BACKENDS:
        raise _refuse()
    return _text(value)


def _tool_format(value: Any) -> str:
    if (text := _text(value)) and text not in FAMILY_NAMES:
        raise _refuse()
    return text


def _url(value: Any) -> str:
    text = _text(value).rstrip("/")
    if "\\" in text or any(char.isspace() for char in text):  # read in different ways by different programs
        raise _refuse()
    parts = urlsplit(text)  # raises ValueError itself for a broken IPv6 address
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise _refuse()
    if parts.port is not None and not 0 < parts.port < 65536:
        raise _refuse()
    return text


TEXT = Kind("a text in quotes", _text)
SECRET = Kind("a text in quotes, of plain letters, digits and signs (ASCII)", _secret, secret=True)
NAME = Kind("a text that is not empty", _filled_text)
FLAG = Kind("true or false", _flag, _flag_word)
PORT = Kind("a whole number from 0 to 65535 (0: any free port)", _whole(0, 65535), _whole_word)
LEVEL = Kind("a whole number from 0 to 3", _whole(0, 3), _whole_word)
TOKENS = Kind("a whole number of tokens from 1024 to 100000000", _whole(1024, 100_000_000), _whole_word)
BYTES = Kind("a whole number of bytes, 0 for off", _whole(0, 10**14), _whole_word)
MEMORY = Kind("a whole number of bytes from 100000000", _whole(10**8, 10**14), _whole_word)
WIRED = Kind('"weights" or "off"', _word("weights", "off"))
KV_BITS = Kind("4 or 8", _one_of(4, 8), _whole_word)
GUESSES = Kind("a whole number from 1 to 16", _whole(1, 16), _whole_word)
LOOP = Kind("a whole number of tokens from 100, or 0 for off", _none_or(100, 10**8), _whole_word)
TOOL_FORMAT = Kind("one of " + ", ".join(FAMILY_NAMES), _tool_format)
URL = Kind("a web address such as http://127.0.0.1:1234/v1", _url)
BACKEND = Kind("one of " + ", ".join(KNOWN_BACKENDS), _backend)


def checked(kind: Kind, value: Any, where: str) -> Any:
    """The value as `HostConfig` wants it.

    Raises:
        ValueError: with a line that names `where`, the value and what is allowed.
    """
    try:
        return kind.check(value)
    except ValueError:
        what = "not usable" if kind.secret else shown(value)
        raise ValueError(f"{where} is {what}; allowed: {kind.allowed}") from None


def shown(value: Any) -> str:
    """A value for people: JSON, shortened, without control characters."""
    text = printable(json.dumps(value, ensure_ascii=False), most=10_000)
    return text if len(text) <= 60 else text[:57] + "..."


def printable(text: str, most: int = 200) -> str:
    """Text from elsewhere for a terminal: no control or direction characters, and not without end."""
    text = "".join(char if char.isprintable() else "?" for char in text[: most + 1])
    return text if len(text) <= most else text[: most - 3] + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "port"?`, or which words there are when none is near."""
    words = list(known)
    lowered = {name.lower(): name for name in words}
    match = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    if match:
        return f'; did you mean "{lowered[match[0]]}"?'
    return f"; known here: {', '.join(words)}"
