"""What a filter says, as data: alternatives, of which each is a list of terms that all must hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from engine.wire.chat import Lane

Operator = Literal["<", "<=", ">", ">=", "="]


@dataclass(frozen=True, slots=True)
class Word:
    """The row has this text somewhere in its words; lower case."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """The words of this text stand in the request's new text or answer (full text search)."""

    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """One of these values: `tool:Read,Edit`; lower case, `*` stands for anything."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The HTTP status lies in one of these ranges, both ends included."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class State:
    """One of the words behind `is:`."""

    name: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure against a number in the figure's unit; a row without the figure never fits."""

    figure: str
    operator: Operator
    number: float


@dataclass(frozen=True, slots=True)
class Time:
    """The request was received at or after (`since`) or before this moment, in epoch seconds."""

    name: Literal["since", "before"]
    moment: float


Condition = Word | Phrase | Field | Status | State | Comparison | Time


@dataclass(frozen=True, slots=True)
class Term:
    """One of these conditions (`error|timeout`), or with `!` none of them."""

    conditions: tuple[Condition, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Alternatives; a row fits where all terms of one hold. Without any, each row fits."""

    alternatives: tuple[tuple[Term, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.alternatives)

    def also(self, *terms: Term) -> Filter:
        """This filter, of which each alternative must fit these terms too."""
        return Filter(tuple((*held, *terms) for held in self.alternatives or ((),))) if terms else self


class FilterError(ValueError):
    """Raised when a filter cannot be read: why, and which of its characters are meant."""

    def __init__(self, reason: str, start: int, end: int) -> None:
        super().__init__(reason)
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class Key:
    """A name that stands before `:`, for completion and help."""

    name: str
    example: str
    help: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A name that stands before a comparison; `unit` is that of its numbers."""

    name: str
    unit: Literal["seconds", "count", "share"]
    example: str
    help: str


LANES: tuple[str, ...] = get_args(Lane)
KEYS = (
    Key("lane", "lane:subagent", "main, subagent, compaction or auxiliary"),
    Key("model", "model:qwen3*", "asked for or answering"),
    Key("session", "session:9f3c", "its id, or how it begins"),
    Key("tool", "tool:Write,Edit", "a tool that the answer calls"),
    Key("file", "file:notes.md", "a file that a call names, or how its path ends"),
    Key("status", "status:5xx", "the HTTP status: 200, 4xx, 500-529"),
    Key("is", "is:failed", "a state, see below"),
    Key("since", "since:7d", "from then on: 90m, 12h, 7d, 2w, today, yesterday, 14:30, 2026-11-28"),
    Key("before", "before:today", "until then, in the same forms"),
)
STATES = {
    "failed": "ended with an error",
    "cancelled": "the client left, or you cancelled it",
    "running": "not at its end yet",
    "slow": "ten seconds or more to the first token",
    "missed": "could have restored more of its prompt",
    "toolerror": "a tool that it called failed",
    "refused": "a call of the answer did not fit its tool",
    "repaired": "a call of the answer was repaired",
    "marked": "has a mark: never pruned",
    "own": "asked by verify, doctor or replay",
}
FIGURES = (
    Figure("ttft", "seconds", "ttft>2s", "time to the first token"),
    Figure("took", "seconds", "took>1m", "from its arrival to the last byte"),
    Figure("tokens", "count", "tokens>20k", "tokens of the prompt"),
    Figure("out", "count", "out>500", "tokens of the answer"),
    Figure("cache", "share", "cache<50%", "share of the prompt that was restored"),
    Figure("speed", "count", "speed<20", "tokens a second while it wrote"),
    Figure("calls", "count", "calls>1", "tool calls of the answer"),
)
SLOW_S = 10.0  # to the first token, for `is:slow`
