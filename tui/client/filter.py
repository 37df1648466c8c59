"""The filter of the lists whose rows the screen holds: the language of `proxy.filters`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.events.totals import INVALID_VERDICTS
from proxy.filters.language import parse_filter
from proxy.filters.matching import file_of, fits
from proxy.filters.terms import SLOW_S
from tui.client.figures import ratio
from tui.client.holdings.rows import HeldRow
from tui.client.records import MissRecord, RequestSnapshot, Snapshot, ToolRecord


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What a filter asks of a row; what a record does not know fits no term."""

    search_text: str
    received: float = 0.0
    http_status: int = 0
    values: Mapping[str, Iterable[str]] = field(default_factory=dict)
    figures: Mapping[str, float | None] = field(default_factory=dict)
    states: frozenset[str] = frozenset()

    def filter_values(self, name: str) -> Iterable[str]:
        """Its values of a key."""
        return self.values.get(name, ())

    def filter_figure(self, name: str) -> float | None:
        """A figure; None where it is not known."""
        return self.figures.get(name)

    def filter_states(self) -> frozenset[str]:
        """The states that hold."""
        return self.states


def matcher(query: str, now: float) -> Callable[[Any, str], bool]:
    """Whether a row with this lower-case text fits `query`; an empty query fits everything.

    Times are counted back from `now` (epoch seconds), which in a recording is the moment shown.

    Raises:
        proxy.filters.terms.FilterError: the query cannot be read.
    """
    wanted = parse_filter(query, now=now)
    return lambda row, text: fits(facts_of(row, text), wanted)


def facts_of(row: Any, text: str) -> RecordFacts:
    """What a filter can know of a row; of rows of other kinds only the text."""
    match row:
        case RequestSnapshot():
            return _request(row, text)
        case ToolRecord():
            return _call(row, text)
        case MissRecord():
            return RecordFacts(
                text,
                row.time,
                values={"session": (row.session,), "lane": (row.lane,)},
                figures={"tokens": row.prompt_tokens, "cache": ratio(row.position, row.prompt_tokens)},
                states=frozenset({"missed"}),
            )
        case HeldRow():
            return RecordFacts(
                text,
                values={"session": row.entry.sessions, "lane": (row.entry.lane,)},
                figures={"tokens": row.entry.tokens},
                states=frozenset({"running"}) if row.state == "running" else frozenset(),
            )
    return RecordFacts(text)


def known_values(snapshot: Snapshot) -> dict[str, list[str]]:
    """Values that rows on the screen have, by key, newest first: what completion can offer."""
    calls = tuple(reversed(snapshot.tools))
    found = {
        "tool": [stats.name for stats in snapshot.tool_stats],
        "file": [
            file.replace("\\", "/").rpartition("/")[2] for call in calls if (file := file_of(call.input))
        ],
        "session": [row.session[:8] for row in reversed(snapshot.requests) if row.session],
        "model": [row.model for row in reversed(snapshot.requests) if row.model],
    }
    return {key: list(dict.fromkeys(values)) for key, values in found.items()}


def _request(row: RequestSnapshot, text: str) -> RecordFacts:
    prompt = row.prompt_tokens
    states = {
        "failed": row.phase in ("failed", "lost"),
        "cancelled": row.phase == "cancelled",
        "running": row.active,
        "slow": (row.ttft_s or 0.0) >= SLOW_S,
        "missed": row.cache is not None and row.cache.miss is not None,
        "toolerror": any(call.failed for call in row.calls),
    }
    return RecordFacts(
        text,
        row.received,
        row.status,
        values={
            "lane": (row.lane,),
            "model": (row.model,),
            "session": (row.session,),
            "tool": [call.name for call in row.calls],
            "file": [call.file for call in row.calls],
        },
        figures={
            "ttft": row.ttft_s,
            "took": None if row.ended is None else row.duration_s(row.ended),
            "tokens": prompt or None,
            "out": row.output_tokens,
            "cache": ratio(row.reused_tokens, prompt),
            "speed": row.tokens_per_s or None,
            "calls": row.tool_calls,
        },
        states=frozenset(name for name, holds in states.items() if holds),
    )


def _call(row: ToolRecord, text: str) -> RecordFacts:
    states = {
        "failed": row.is_error,
        "toolerror": row.is_error,
        "running": row.answered is None,
        "refused": row.verdict in INVALID_VERDICTS,
        "repaired": row.repaired,
    }
    return RecordFacts(
        text,
        row.time,
        values={
            "tool": (row.name,),
            "file": (file_of(row.input),),
            "session": (row.session,),
            "lane": (row.lane,),
        },
        figures={"took": row.duration_s},
        states=frozenset(name for name, holds in states.items() if holds),
    )
