"""What could stand where the user types: keys, states, lanes, times, and the values that rows have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.filters.terms import FIGURES, KEYS, LANES, STATES

_FIXED: Mapping[str, tuple[str, ...]] = {
    "lane": LANES,
    "status": ("200", "4xx", "5xx"),
    "is": tuple(STATES),
    "since": ("today", "yesterday", "7d", "12h", "90m"),
    "before": ("today", "yesterday", "7d"),
}


@dataclass(frozen=True, slots=True)
class Completion:
    """The whole text of the query with this taken, and the word alone as lists show it."""

    query: str
    word: str
    help: str = ""


def completions(
    query: str, known: Mapping[str, Iterable[str]] | None = None, most: int = 12
) -> list[Completion]:
    """What the last word of the query may become.

    Args:
        known: values that rows have, by key: tools, models, sessions, files.
        most: how many at most.
    """
    head, word = _last_word(query)
    if word is None:
        return []
    lead = "!" if word.startswith("!") else ""
    body = word[len(lead) :]
    key, colon, value = body.partition(":")
    if colon:
        before, comma, last = value.rpartition(",")
        stem = f"{head}{lead}{key}:{before}{comma}"
        options = [*_FIXED.get(key.lower(), ()), *dict.fromkeys((known or {}).get(key.lower(), ()))]
        found = [
            Completion(stem + _quoted(option), option, STATES.get(option, "") if key.lower() == "is" else "")
            for option in options
            if option.lower().startswith(last.strip('"').lower()) and option.lower() != last.lower()
        ]
        return found[:most]
    names = [(f"{key.name}:", key.help) for key in KEYS]
    names += [(figure.name, f"{figure.help}, {figure.example}") for figure in FIGURES]
    return [
        Completion(head + lead + name, name, text)
        for name, text in names
        if name.startswith(body.lower()) and name != body.lower()
    ][:most]


def _last_word(query: str) -> tuple[str, str | None]:
    """All before the word that is being typed, and that word; None within a phrase."""
    start = quoted = 0
    for at, sign in enumerate(query):
        if sign == '"':
            quoted = not quoted
        elif sign.isspace() and not quoted:
            start = at + 1
    word = query[start:]
    if quoted and ":" not in word:
        return query, None
    return query[:start], word


def _quoted(value: str) -> str:
    return f'"{value}"' if any(sign.isspace() or sign in ",|" for sign in value) else value
