"""A schema's `pattern`, translated for llguidance, which reads patterns as Rust's `regex` crate does.

Schemas write them as in ECMAScript or Python. What means the same is translated token by token. The rest
(look-around, references, flags, possessive counts, inner anchors) is left to the verdict.
"""

from __future__ import annotations

import re
from functools import lru_cache

import llguidance

_HEX = r"x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}"
_ESCAPE = rf"\\(?:[^a-zA-Z0-9]|[dwsSntrfv]|{_HEX})"
_COUNT = r"\{\d{1,3}(?:,\d{0,3})?\}|\{,\d{1,3}\}"
_TOKEN = re.compile(
    rf"(?P<set>\[\^?(?:{_ESCAPE}|[^\\\]])+\])"
    rf"|(?P<escape>{_ESCAPE})"
    # Lazy or not, it matches the same texts; a second count behind it is possessive, or an error.
    rf"|(?P<count>[*+?]|{_COUNT})\??(?![*+?]|\{{[\d,])"
    r"|(?P<group>\((?!\?)|\(\?:|\)|\||\.)"
    r"|(?P<letter>[^\\\[(){|)*+?^$.]|\{(?![\d,]))",
    re.DOTALL,
)
_IN_SET = re.compile(rf"{_ESCAPE}|[^\\]", re.DOTALL)
_CLASSES = ("\\d", "\\w", "\\s", "\\S")
# These classes grow with each version of Unicode: a negated class may differ between versions.
_GROWING = frozenset(("\\d", "\\w"))
_LAYOUT = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\f": "\f", "\\v": "\v"}


def escaped(text: str) -> str:
    """The source of a pattern that matches exactly `text`."""
    special = re.sub(r"([\\.+*?()|\[\]{}^$#&~-])", r"\\\1", text)
    special = special.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return re.sub(r"[\x00-\x1f]", lambda control: f"\\x{ord(control[0]):02x}", special)


def pattern(source: str) -> str:
    """A pattern between slashes."""
    return "/" + re.sub(r"(\\.)|/", lambda found: found[1] or "\\/", source, flags=re.DOTALL) + "/"


@lru_cache(maxsize=512)
def full_text_pattern(source: str) -> str | None:
    """The source of a pattern for all strings that contain a match of a pattern; None for none."""
    begins, body, ends = _anchored(source)
    translated = _translated(body, anchored=begins or ends)
    if translated is None:
        return None
    if not (begins and ends):
        translated = f"(?:{translated})"
    whole = ("" if begins else "(?s:.*)") + (translated or "()") + ("" if ends else "(?s:.*)")
    return whole if _runs(whole) else None


def _anchored(source: str) -> tuple[bool, str, bool]:
    """Whether a pattern is anchored at the start, its source without anchors, whether at the end."""
    begins = source.startswith("^")
    body = source.removeprefix("^")
    before = body.removesuffix("$")
    backslashes = len(before) - len(before.rstrip("\\"))
    ends = before != body and backslashes % 2 == 0
    return begins, before if ends else body, ends


def _translated(body: str, *, anchored: bool) -> str | None:
    parts: list[str] = []
    depth = at = 0
    while at < len(body):
        found = _TOKEN.match(body, at)
        if found is None:
            return None
        at = found.end()
        text = found[found.lastgroup or 0]
        match found.lastgroup:
            case "group":
                depth += text.startswith("(") - (text == ")")
                if depth < 0 or (text == "|" and anchored and not depth):
                    return None  # an anchor belongs to one alternative only
                parts.append("(?:" if text == "(" else text)
            case "count":
                parts.append(text.replace("{,", "{0,"))
            case "set":
                parts.append(_set(text) or "")
            case "escape":
                parts.append(text if text in _CLASSES else escaped(_letter(text)))
            case _:
                parts.append(escaped(text))
        if not parts[-1]:
            return None
    return None if depth else "".join(parts)


def _set(text: str) -> str | None:
    """A character set without Rust's set operators; None if it cannot be translated."""
    begin = "[^" if text.startswith("[^") else "["
    members = _IN_SET.findall(text[len(begin) : -1])
    if begin == "[^" and not _GROWING.isdisjoint(members):
        return None
    parts = []
    while members:
        first = members.pop(0)
        if len(members) > 1 and members[0] == "-":
            last = members[1]
            del members[:2]
            if first in _CLASSES or last in _CLASSES:
                return None
            parts.append(f"{escaped(_letter(first))}-{escaped(_letter(last))}")
        else:
            parts.append(first if first in _CLASSES else escaped(_letter(first)))
    return f"{begin}{''.join(parts)}]"


def _letter(text: str) -> str:
    """The character that a pattern spells literally or with a backslash."""
    if re.fullmatch(rf"\\(?:{_HEX})", text):
        return chr(int(text[2:], 16))
    return _LAYOUT.get(text, text[-1])


def _runs(source: str) -> bool:
    """Whether llguidance accepts a pattern, and some text matches it."""
    try:
        grammar = llguidance.LLMatcher.grammar_from_lark(f"start: {pattern(source)}\n")
    except (ValueError, UnicodeError):  # an unpaired surrogate
        return False
    matcher = llguidance.LLMatcher(_BYTES, grammar, log_level=0)
    if matcher.is_error():
        return False
    can_begin = any(matcher.compute_bitmask())
    return not matcher.is_error() and (can_begin or bool(matcher.is_accepting()))


_BYTES = llguidance.LLTokenizer("byte")
