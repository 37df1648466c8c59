"""Whether a row fits a filter, for rows that are in memory."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from proxy.filters.terms import (
    Comparison,
    Condition,
    Field,
    Filter,
    Phrase,
    State,
    Status,
    Term,
    Time,
    Word,
)

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}

_STARS = re.compile(r"\*+")
_FILES = ("file_path", "notebook_path", "path")


class FilteredRow(Protocol):
    """What filters ask of a row."""

    @property
    def search_text(self) -> str:
        """All of its words, in lower case."""

    @property
    def received(self) -> float:
        """When it was received, in epoch seconds."""

    @property
    def http_status(self) -> int:
        """Its HTTP status; 0 where there is none yet."""

    def filter_values(self, name: str) -> Iterable[str]:
        """Its values of a key of `KEYS`, such as the names of its tools."""

    def filter_figure(self, name: str) -> float | None:
        """A figure of `FIGURES`, in that unit; None where it is not known."""

    def filter_states(self) -> frozenset[str]:
        """Those of `STATES` that hold."""


def fits(row: FilteredRow, wanted: Filter) -> bool:
    """Whether a row fits; each fits an empty filter."""
    return not wanted or any(all(_holds(row, term) for term in terms) for terms in wanted.alternatives)


def _holds(row: FilteredRow, term: Term) -> bool:
    return any(_meets(row, condition) for condition in term.conditions) is not term.negated


def _meets(row: FilteredRow, condition: Condition) -> bool:
    match condition:
        case Word(text):
            return text in row.search_text
        case Phrase(text):  # of a row in memory the words are all that is known
            return " ".join(text.lower().split()) in row.search_text
        case Field(name, values):
            pattern = value_pattern(name, values)
            return any(pattern.search(value.lower()) for value in row.filter_values(name))
        case Status(ranges):
            return any(low <= row.http_status <= high for low, high in ranges)
        case State(name):
            return name in row.filter_states()
        case Comparison(figure, sign, number):
            value = row.filter_figure(figure)
            return value is not None and _COMPARE[sign](value, number)
        case Time("since", moment):
            return row.received >= moment
        case Time(_, moment):
            return row.received < moment


@lru_cache(maxsize=64)
def value_pattern(name: str, values: tuple[str, ...]) -> re.Pattern[str]:
    """What fits the values of a field, in lower case.

    A session's id is as it begins, a file as its path ends (`notes.md` fits `/a/notes.md`, not
    `/a/old-notes.md`), of a model's name any part is enough, all else is whole; `*` stands for anything.
    """
    begin = {"file": r"(?:^|[\\/])", "model": ""}.get(name, "^")
    end = "" if name in ("session", "model") else "$"
    return re.compile(f"{begin}(?:{'|'.join(map(_body, values))}){end}", re.DOTALL)


def _body(value: str) -> str:
    """A value as an expression that takes no longer for many stars: what the first fits first is enough."""
    first, *others = (re.escape(part) for part in _STARS.split(value))
    if not others:
        return first
    *between, last = others
    return first + "".join(f"(?>.*?{part})" for part in between) + f".*{last}"


def file_of(arguments: Any) -> str:
    """The file or folder that a tool call's input names; empty: none."""
    if isinstance(arguments, Mapping):
        for name in _FILES:
            if isinstance(value := arguments.get(name), str) and value:
                return value
    return ""
