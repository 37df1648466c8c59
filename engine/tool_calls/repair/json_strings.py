"""JSON strings with too few or too many escapes, converted to strict JSON."""

from __future__ import annotations

import json
import re

_STRICT_BODY = re.compile(r'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')
_SPECIAL = re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)|[\x00-\x1f\"]", re.DOTALL)
_LINE_BORDER = re.compile(r"\A\s*,|,\s*\Z")
_JSON_ESCAPES = frozenset('"\\/bfnrt')
_NO_BACKSLASH = frozenset("xuUN0123456789av\n\r")  # an escape of another language, not a single backslash


class NotLenientJson(ValueError):
    """The text is not JSON even by lenient rules, or has two readings.

    Raised by `strict_string` and `lenient_json.read_lenient`.
    """


def strict_string(body: str, quote: str = '"', *, bare_quotes: bool = False) -> tuple[str, tuple[str, ...]]:
    """A string's text between its quotes as strict JSON, and what was repaired.

    With `bare_quotes`, unescaped quotes belong to the text.

    Raises:
        NotLenientJson: its backslashes have two readings.
    """
    if quote == '"' and _STRICT_BODY.fullmatch(body):
        return f'"{body}"', ()
    return _StringRepair(quote, bare_quotes).repair(body)


def may_be_layout(body: str) -> bool:
    """Whether the text between two quotes looks like the end of one line and the beginning of the next.

    Then a quote may be missing or superfluous, so that strings and the text between them are swapped.
    """
    return "\n" in body and _LINE_BORDER.search(body) is not None


class _StringRepair:
    def __init__(self, quote: str, bare_quotes: bool) -> None:
        self._quote = quote
        self._bare_quotes = bare_quotes
        self._seen: set[str] = set()
        self._repairs: dict[str, None] = {}

    def repair(self, body: str) -> tuple[str, tuple[str, ...]]:
        repaired = _SPECIAL.sub(self._replace, body)
        layout = self._seen & {"\\n", "\\r", "\\t", "\\b", "\\f"}
        escapes = {seen for seen in self._seen if seen.startswith("\\")} - {"\\'"}
        # Raw and escaped line breaks, or single backslashes and escapes: it is unclear what was escaped.
        if "\n" in self._seen and layout:
            raise NotLenientJson("a string has line ends both raw and escaped")
        if "\\?" in self._seen and escapes - {'\\"', "\\?"}:
            raise NotLenientJson("a string has backslashes both alone and as escapes")
        if "bare" in self._seen and escapes and ("\n" in self._seen or "\\?" in self._seen):
            raise NotLenientJson("a string has both quotes and backslashes that nothing escapes")
        if "\\'" in self._seen and self._quote == '"' and ("\\?" in self._seen or r"'\''" in body):
            raise NotLenientJson("a string has backslashes both alone and as escapes")
        return f'"{repaired}"', tuple(self._repairs)

    def _replace(self, found: re.Match[str]) -> str:
        token = found[0]
        if token == '"':
            if self._quote == '"':
                if not self._bare_quotes:
                    raise NotLenientJson("a quote stands inside of a string")
                self._seen.add("bare")
                self._repairs["escaped quotes inside of a string"] = None
            return '\\"'
        if len(token) == 1:
            self._seen.add("\n" if token in "\r\n" else token)
            self._repairs["escaped control characters inside of a string"] = None
            return json.dumps(token)[1:-1]
        return self._escape(token)

    def _escape(self, token: str) -> str:
        letter = token[1]
        if len(token) == 6 or letter in _JSON_ESCAPES:
            self._seen.add(token[:2])
            return token
        if len(token) == 4 and self._quote == "'":
            self._seen.add("\\x")
            return f"\\u00{token[2:]}"
        if letter == "'":
            self._seen.add("\\'")
            if self._quote == '"':
                self._repairs["took a backslash from before a single quote"] = None
            return "'"
        if letter in _NO_BACKSLASH:
            raise NotLenientJson(f"{token!r} is no escape in JSON")
        self._seen.add("\\?")
        self._repairs["escaped lone backslashes inside of a string"] = None
        return "\\\\" + (json.dumps(letter, ensure_ascii=False)[1:-1])
