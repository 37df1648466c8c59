"""What the value of a setting may be, wherever it comes from: kinds, each with wording and JSON Schema.

A check takes a value as JSON has it and returns it as the program wants it, or raises ValueError. Text from
the environment and the command line is first read as the kind's own type by `from_text`. A kind's schema
(draft 2020-12) accepts what its check accepts; only 80.0, which JSON Schema cannot tell from 80, is refused
by the check alone.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from engine.tool_calls.families.names import TOOL_FORMATS
from engine.tool_calls.quoted.thinking_marks import THINKING_FORMATS

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
_MOST_BILLIONS = 100_000
_PRICES = ("input", "cacheWrite", "cacheRead", "output")  # of a million tokens
# Text with neither control characters nor halves of UTF-16 pairs.
_TEXT_SCHEMA = {"type": "string", "not": {"pattern": r"[\u0000-\u001f\ud800-\udfff]"}}
_PORT_PATTERN = (
    r"0*(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"  # from 1 to 65535
)
_URL_PATTERN = (
    r"^\s*[hH][tT][tT][pP][sS]?://"
    r"(?:[^/?#\\\s\[\]]*@)?"  # name and password
    r"(?:[^/?#\\\s@:\[\]]+|\[[0-9A-Fa-f:.]+\])"
    rf"(?::(?:{_PORT_PATTERN})?)?"
    r"(?:/[^?#\\\s]*)?\??#?/*\s*$"  # the query and the fragment are empty
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: how it is checked, how text becomes it, and the wording of what is allowed."""

    allowed: str
    check: Callable[[Any], Any]
    schema: Mapping[str, Any]
    from_text: Callable[[str], Any] = str
    secret: bool = False  # never repeated in a message
    masked: Callable[[str], str] = str  # text, right or wrong, without what is secret in it


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


def _flag_or_billions(value: Any) -> bool | float:
    if isinstance(value, bool):
        return value
    if not isinstance(value, int | float) or not 0 < value <= _MOST_BILLIONS:
        raise _refuse()
    return float(value)


def _flag_or_number_word(text: str) -> Any:
    word = _flag_word(text)
    return _number_word(text) if word is text else word


def _whole_word(text: str) -> Any:
    stripped = text.strip()
    # Longer than any allowed number; int() refuses very long ones with an error of its own.
    return int(stripped) if stripped.isascii() and stripped.isdigit() and len(stripped) < 16 else text


def _number_word(text: str) -> Any:
    return float(text) if re.fullmatch(r"\s*\d{1,15}(\.\d{0,15})?\s*", text, re.ASCII) else text


def _prices(value: Any) -> dict[str, dict[str, float]]:
    if not isinstance(value, dict):
        raise _refuse()
    for model, row in value.items():
        if not _filled_text(model) or not isinstance(row, dict) or not row or not row.keys() <= set(_PRICES):
            raise _refuse()
        for price in row.values():
            is_number = isinstance(price, int | float) and not isinstance(price, bool)
            if not is_number or not 0 <= price < 1e9:
                raise _refuse()
    return value


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _refuse()
    return {_filled_text(name): _filled_text(text) for name, text in value.items()}


def _texts_by_name(value: Any) -> dict[str, dict[str, str]]:
    if not isinstance(value, dict):
        raise _refuse()
    return {_filled_text(name): _texts(texts) for name, texts in value.items()}


def _folders(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _refuse()
    folders = tuple(_filled_text(each) for each in value)
    if any(not (folder.startswith(("/", "~/")) or folder == "~") for folder in folders):
        raise _refuse()
    return folders


def _folder_words(text: str) -> Any:
    """Folders between colons, as PATH has them, or as JSON."""
    if text.lstrip().startswith("["):
        return _json(text)
    return [each for each in text.split(":") if each.strip()]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _url(value: Any) -> str:
    text = _text(value).rstrip("/")
    if "\\" in text or any(char.isspace() for char in text):  # read in different ways by different programs
        raise _refuse()
    parts = urlsplit(text)  # raises ValueError itself for a broken IPv6 address
    if any(char in parts.netloc.rpartition("@")[0] for char in "[]"):  # of an address, never of a name
        raise _refuse()
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise _refuse()
    if parts.port is not None and not 0 < parts.port < 65536:
        raise _refuse()
    return text


def masked_address(text: str) -> str:
    """An address, right or wrong, without name, password, query and fragment: any may be secret."""
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        scheme, rest = "", text
    _, at, after = rest.rpartition("@")  # a password that is not escaped may hold any sign
    path = re.split("[?#&]", after, maxsplit=1)[0]
    return scheme + slashes + ("***@" if at else "") + path + ("" if path == after else "...")


def whole(low: int, high: int, allowed: str = "", *, or_none: bool = False) -> Kind:
    """A whole number in a range; with `or_none` also 0."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _refuse()
        if not (low <= value <= high or (or_none and value == 0)):
            raise _refuse()
        return value

    schema: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
    if or_none:
        schema = {"type": "integer", "anyOf": [{"const": 0}, {"minimum": low, "maximum": high}]}
    return Kind(allowed or f"a whole number from {low} to {high}", check, schema, _whole_word)


def number(low: float, high: float, allowed: str) -> Kind:
    """A number in a range, whole or not."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _refuse()
        return float(value)

    return Kind(allowed, check, {"type": "number", "minimum": low, "maximum": high}, _number_word)


def one_of(*allowed: int) -> Kind:
    """One of a few whole numbers."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or value not in allowed:
            raise _refuse()
        return int(value)

    wording = " or ".join(map(str, allowed))
    return Kind(wording, check, {"type": "integer", "enum": list(allowed)}, _whole_word)


def word(words: Iterable[str], allowed: str = "", *, or_empty: bool = False) -> Kind:
    """One of a few words; blanks around it do not count. With `or_empty` also none of them."""
    named = tuple(words)
    known = (*named, "") if or_empty else named

    def check(value: Any) -> str:
        if (text := _text(value)) not in known:
            raise _refuse()
        return text

    with_blanks = rf"^\s*(?:{'|'.join(known)})\s*$"  # no word has a sign that patterns obey
    schema = _TEXT_SCHEMA | {"anyOf": [{"enum": list(known)}, {"pattern": with_blanks}]}
    return Kind(allowed or "one of " + ", ".join(named), check, schema)


TEXT = Kind("a text in quotes", _text, _TEXT_SCHEMA)
SECRET = Kind(
    "a text in quotes, of plain letters, digits and signs (ASCII)",
    _secret,
    _TEXT_SCHEMA | {"pattern": r"^\s*[ -~]*\s*$"},
    secret=True,
)
NAME = Kind("a text that is not empty", _filled_text, _TEXT_SCHEMA | {"pattern": r"\S"})
FLAG = Kind("true or false", _flag, {"type": "boolean"}, _flag_word)
FLAG_OR_BILLIONS = Kind(
    "true, false, or a number: true for models of at most so many billions of parameters",
    _flag_or_billions,
    {"anyOf": [{"type": "boolean"}, {"type": "number", "exclusiveMinimum": 0, "maximum": _MOST_BILLIONS}]},
    _flag_or_number_word,
)
PORT = whole(0, 65535, "a whole number from 0 to 65535 (0: any free port)")
LEVEL = whole(0, 3)
TOKENS = whole(1024, 100_000_000, "a whole number of tokens from 1024 to 100000000")
BYTES = whole(0, 10**14, "a whole number of bytes, 0 for off")
DISK = whole(0, 10**14, "a whole number of bytes, 0 for no limit")
MEMORY = whole(10**8, 10**14, "a whole number of bytes from 100000000")
WIRED = word(("weights", "off"), '"weights" or "off"')
KV_BITS = one_of(4, 8)
GUESSES = whole(1, 16)
LOOP = whole(100, 10**8, "a whole number of tokens from 100, or 0 for off", or_none=True)
BATCH = whole(1, 256)
QUEUE = whole(1, 100_000)
CHUNK = whole(1, 1 << 20, "a whole number of tokens from 1 to 1048576")
SECONDS = number(1, 86_400, "a number of seconds from 1 to 86400")
TOOL_FORMAT = word(TOOL_FORMATS, or_empty=True)
THINKING_FORMAT = word(THINKING_FORMATS, or_empty=True)
DAYS = whole(0, 36_500, "a whole number of days, 0 for no limit")
PRICES = Kind(
    'prices of a million tokens by model, such as {"claude-*": {'
    + ", ".join(f'"{name}": 1.5' for name in _PRICES)
    + "}}",
    _prices,
    {
        "type": "object",
        "propertyNames": _TEXT_SCHEMA | {"pattern": r"\S"},
        "additionalProperties": {
            "type": "object",
            "minProperties": 1,
            "properties": {
                name: {"type": "number", "minimum": 0, "exclusiveMaximum": 10**9} for name in _PRICES
            },
            "additionalProperties": False,
        },
    },
    _json,
)
NOTIFY = word(("off", "bell", "terminal", "system"), '"off", "bell", "terminal" or "system"')
_FILLED = _TEXT_SCHEMA | {"pattern": r"\S"}
_TEXTS_SCHEMA = {"type": "object", "propertyNames": _FILLED, "additionalProperties": _FILLED}
KEYS = Kind('keys by action, such as {"why": "f2", "streams.cancel": "X"}', _texts, _TEXTS_SCHEMA, _json)
THEMES = Kind(
    'colours by theme, such as {"mine": {"base": "anyclaude-night", "background": "#000000"}}',
    _texts_by_name,
    {"type": "object", "propertyNames": _FILLED, "additionalProperties": _TEXTS_SCHEMA},
    _json,
)
FOLDERS = Kind(
    'absolute folders, such as ["~/models", "/Volumes/models"]',
    _folders,
    {"type": "array", "items": _TEXT_SCHEMA | {"pattern": r"^\s*(?:/|~/|~\s*$)"}},
    _folder_words,
)
URL = Kind(
    "a web address such as http://127.0.0.1:1234/v1",
    _url,
    _TEXT_SCHEMA | {"pattern": _URL_PATTERN},
    masked=masked_address,
)


def checked(kind: Kind, value: Any, where: str) -> Any:
    """The value as the program wants it.

    Raises:
        ValueError: with a line that names `where`, the value and what is allowed.
    """
    try:
        return kind.check(value)
    except ValueError:
        said = kind.masked(value) if isinstance(value, str) else value
        what = "not usable" if kind.secret else shown(said)
        raise ValueError(f"{where} is {what}; allowed: {kind.allowed}") from None


def shown(value: Any) -> str:
    """A value for people: JSON, shortened, without control characters.

    Texts within an object or an array are left out: a section in the wrong place may hold a key.
    """
    text = printable(json.dumps(_without_texts(value), ensure_ascii=False), most=10_000)
    return text if len(text) <= 60 else text[:57] + "..."


def _without_texts(value: Any, depth: int = 0) -> Any:
    if depth > 8:
        return "..."
    if isinstance(value, dict):
        return {name: _without_texts(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_texts(each, depth + 1) for each in value]
    return "..." if depth and isinstance(value, str) else value


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
