"""A filter as a condition on the index's table `traces`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from proxy.filters.matching import value_pattern
from proxy.filters.terms import (
    SLOW_S,
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
from proxy.traces.analysis.full_text import TextPattern

_FIGURES = {
    "ttft": "ttft",
    "took": "took",
    "tokens": "prompt",
    "out": "out",
    "cache": "share",
    "speed": "speed",
    "calls": "calls",
}
_STATES = {
    "failed": "failed",
    "cancelled": "cancelled",
    "running": "0",  # a trace is written at the end
    "slow": f"ttft >= {SLOW_S}",
    "missed": "missed",
    "toolerror": "toolerror",
    "refused": "refused",
    "repaired": "repaired",
    "own": "own",
}


@dataclass(slots=True)
class SqlFilter:
    """A condition on `traces`, its parameters, and the functions of one text that it calls."""

    where: str = "1"
    parameters: list[object] = field(default_factory=list)
    functions: dict[str, Callable[[str], bool]] = field(default_factory=dict)


def sql_filter(wanted: Filter, *, searchable: bool, marked: Iterable[str] = ()) -> SqlFilter:
    """Translate a filter.

    Args:
        searchable: whether the index has FTS5.
        marked: ids of the traces that have a mark.
    """
    made = _Translation(searchable, list(marked))
    if wanted:
        made.sql.where = " OR ".join(
            "(" + " AND ".join(made.term(term) for term in terms) + ")" for terms in wanted.alternatives
        )
    return made.sql


class _Translation:
    def __init__(self, searchable: bool, marked: list[str]) -> None:
        self.sql = SqlFilter()
        self._searchable = searchable
        self._marked = marked

    def term(self, term: Term) -> str:
        # A figure that is not known makes NULL of a comparison, and NOT would keep it.
        joined = " OR ".join(f"ifnull({self._condition(condition)}, 0)" for condition in term.conditions)
        return f"NOT ({joined})" if term.negated else f"({joined})"

    def _condition(self, condition: Condition) -> str:
        match condition:
            case Word(text):
                return self._with("instr(words, ?)", text)
            case Phrase(text):
                return self._phrase(TextPattern.of(text))
            case Field(name, values):
                return self._field(name, values)
            case Status(ranges):
                return "(" + " OR ".join(self._with("status BETWEEN ? AND ?", *ends) for ends in ranges) + ")"
            case State("marked"):
                return self._with("id IN (SELECT value FROM json_each(?))", json.dumps(self._marked))
            case State(name):
                return f"({_STATES[name]})"
            case Comparison(figure, operator, number):
                return self._with(f"{_FIGURES[figure]} {operator} ?", number)
            case Time(name, moment):
                return self._with("time >= ?" if name == "since" else "time < ?", moment)

    def _field(self, name: str, values: tuple[str, ...]) -> str:
        if name in ("tool", "file"):
            return self._listed("tools" if name == "tool" else "files", name, values)
        columns = ("model", "upstream") if name == "model" else (name,)
        begin, end = ("*" if name == "model" else ""), ("" if name == "lane" else "*")
        patterns = [begin + _glob(value) + end for value in values]
        return self._globs(columns, patterns)

    def _listed(self, column: str, name: str, values: tuple[str, ...]) -> str:
        """Of a column with one value a line; what `*` stands for must not go over its line."""
        if any("*" in value for value in values):
            pattern = value_pattern(name, values)
            function = self._function(
                lambda text: any(pattern.search(line) for line in text.split("\n") if line)
            )
            return f"{function}({column})"
        heads = ("\n", "/", "\\") if name == "file" else ("\n",)
        patterns = [f"*{head}{_glob(value)}\n*" for value in values for head in heads]
        return self._globs((column,), patterns)

    def _phrase(self, wanted: TextPattern) -> str:
        if self._searchable and wanted.fts is not None:
            return self._with(
                "id IN (SELECT trace FROM texts"
                " WHERE row IN (SELECT rowid FROM search WHERE search MATCH ?))",
                wanted.fts,
            )
        function = self._function(wanted.found_in)
        return f"id IN (SELECT trace FROM texts WHERE {function}(text))"

    def _globs(self, columns: tuple[str, ...], patterns: list[str]) -> str:
        tests = [self._with(f"{column} GLOB ?", one) for column in columns for one in patterns]
        return "(" + " OR ".join(tests) + ")"

    def _with(self, text: str, *parameters: object) -> str:
        self.sql.parameters.extend(parameters)
        return text

    def _function(self, function: Callable[[str], bool]) -> str:
        name = f"filter_{len(self.sql.functions)}"
        self.sql.functions[name] = function
        return name


def _glob(value: str) -> str:
    """A value for GLOB: `*` stands for anything there too, `?` and `[` for more than themselves."""
    return value.replace("[", "[[]").replace("?", "[?]")
