"""The tool calls that the screen knows, each with its result, and how each tool has fared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxy.events.totals import INVALID_VERDICTS
from proxy.filters.matching import file_of
from tui.client.event_text import one_line_arguments
from tui.client.records import CallNote, RequestSnapshot, ToolRecord, ToolStats
from tui.client.wire_text import line_text

if TYPE_CHECKING:
    from proxy.events.types import Event

LIMIT = 2000
REPAIRS = 50  # shown of one call


def call_note(data: Any) -> CallNote:
    """A `request.tool_call` as its request names it."""
    about = one_line_arguments(data.input, data.raw)[0]
    return CallNote(
        line_text(data.tool_use_id, 80), line_text(data.name, 80), about, line_text(file_of(data.input), 400)
    )


class ToolReducer:
    """Calls in the order in which they were made; the oldest of more than `limit` are forgotten."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._calls: dict[str, ToolRecord] = {}
        self._stats: dict[str, ToolStats] = {}
        self._snapshot: tuple[ToolRecord, ...] | None = ()
        self._stats_snapshot: tuple[ToolStats, ...] | None = ()

    def records(self) -> tuple[ToolRecord, ...]:
        """All calls; the same tuple as long as nothing changed."""
        if self._snapshot is None:
            self._snapshot = tuple(self._calls.values())
        return self._snapshot

    def get(self, key: str) -> ToolRecord | None:
        """A call by its id."""
        return self._calls.get(key)

    def stats(self) -> tuple[ToolStats, ...]:
        """One entry a tool, the most used first; the same tuple as long as nothing changed."""
        if self._stats_snapshot is None:
            self._stats_snapshot = tuple(sorted(self._stats.values(), key=lambda one: (-one.calls, one.name)))
        return self._stats_snapshot

    def call(self, event: Event, data: Any, request: RequestSnapshot) -> None:
        """Take one `request.tool_call` event; a result that came before it is kept."""
        key = line_text(data.tool_use_id, 80)
        known = self._calls.get(key, ToolRecord(id=key, time=event.time))
        name = line_text(data.name, 80)
        arguments, more = one_line_arguments(data.input, data.raw)
        self._put(
            replace(
                known,
                time=event.time,
                request=request.id,
                session=line_text(data.session, 80) or request.session,
                lane=request.lane,
                who=request.who,
                name=name,
                arguments=arguments,
                more=more,
                input=data.input,
                raw=data.raw,
                raw_tokens=data.raw_tokens,
                family=line_text(data.family, 80),
                constrained=data.constrained,
                relaxed=line_text(data.relaxed, 400),
                repairs=tuple(line_text(repair, 400) for repair in data.repairs[:REPAIRS]),
                repaired=data.repaired,
                verdict=data.verdict,
                detail=data.detail,
            )
        )
        stats = self._stats.get(name, ToolStats(name))
        invalid = stats.invalid + (data.verdict in INVALID_VERDICTS)
        repaired = stats.repaired + data.repaired
        self._stats[name] = replace(stats, calls=stats.calls + 1, invalid=invalid, repaired=repaired)

    def result(self, event: Event, data: Any, carrier: RequestSnapshot | None) -> None:
        """Take one `request.tool_result` event; a call that was not seen gets a record of its own."""
        key = line_text(data.tool_use_id, 80)
        call = self._calls.get(key) or ToolRecord(
            id=key,
            time=event.time,
            request=line_text(data.call_request, 80),
            session=line_text(data.session, 80),
            lane=carrier.lane if carrier else "main",
            who=carrier.who if carrier else "main",
            name=line_text(data.name, 80),
        )
        self._put(
            replace(
                call,
                answered=event.time,
                is_error=data.is_error,
                duration_s=data.duration_s,
                result_bytes=data.result_bytes,
                result=data.preview,
            )
        )
        stats = self._stats.get(call.name, ToolStats(call.name))
        self._stats[call.name] = replace(
            stats,
            results=stats.results + 1,
            errors=stats.errors + data.is_error,
            last_s=stats.last_s if data.duration_s is None else data.duration_s,
        )

    def _put(self, call: ToolRecord) -> None:
        self._calls[call.id] = call
        while len(self._calls) > self._limit:
            del self._calls[next(iter(self._calls))]
        self._snapshot = self._stats_snapshot = None
