"""Calls of the index as the records that the Tools pane draws, and how each tool fared in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.events.totals import INVALID_VERDICTS, Totals
from tui.client.event_text import one_line_arguments
from tui.client.records import ToolRecord, ToolStats
from tui.client.who import who_asks
from tui.client.wire_text import block_text, line_text

if TYPE_CHECKING:
    from proxy.traces.listing.calls_page import CallPage, ListedCall
    from proxy.traces.schema import Trace

_RESULT = 8000  # characters


def records(page: CallPage) -> tuple[ToolRecord, ...]:
    """The calls of a page, oldest first, as the list of what the screen saw itself has them."""
    return tuple(_record(call) for call in reversed(page.calls))


def _record(call: ListedCall) -> ToolRecord:
    return ToolRecord(
        id=line_text(call.id, 80) or f"{line_text(call.trace, 80)} {call.number}",
        time=call.time,
        request=line_text(call.trace, 80),
        session=line_text(call.session, 80),
        lane=line_text(call.lane, 40),
        who=who_asks(line_text(call.lane, 40)),
        name=line_text(call.name, 80),
        arguments=line_text(call.about, 400),
        input={"file_path": line_text(call.file, 400)} if call.file else None,
        constrained=bool(call.held) or None,
        relaxed=call.held if call.held == "relaxed" else "",
        repairs=("",) * min(call.repairs, 50),
        repaired=call.repairs > 0 and call.verdict not in INVALID_VERDICTS,
        verdict=line_text(call.verdict, 40),
        answered=None if call.is_error is None else call.time,
        is_error=bool(call.is_error),
        duration_s=call.duration_s,
        result_bytes=call.result_bytes,
        result=line_text(call.result, 400),
    )


def in_full(record: ToolRecord, trace: Trace, most: int = _RESULT) -> ToolRecord:
    """The call with all that its trace holds, of its result `most` characters; as it is without it."""
    call = next((one for one in trace.tool_calls if line_text(one.id, 80) == record.id), None)
    if call is None:
        return record
    arguments, more = one_line_arguments(call.input, call.raw)
    return replace(
        record,
        arguments=arguments,
        more=more,
        input=call.input,
        raw=block_text(call.raw),
        raw_tokens=len(call.tokens),
        family=line_text(call.family, 80),
        constrained=call.constrained,
        relaxed=line_text(call.relaxed, 400),
        repairs=tuple(line_text(repair, 400) for repair in call.repairs[:50]),
        detail=block_text(call.detail),
        result=block_text((call.result or "")[:most]),
    )


def tool_stats(page: CallPage) -> tuple[ToolStats, ...]:
    """How each tool fared in the page's range."""
    return tuple(
        ToolStats(
            line_text(one.name, 80),
            calls=one.calls,
            invalid=one.refused,
            repaired=one.repaired,
            results=one.results,
            errors=one.errors,
            p50_s=one.p50_s,
            p95_s=one.p95_s,
        )
        for one in page.tools
    )


def totals_of(stats: Sequence[ToolStats]) -> Totals:
    """The sums of all tools."""
    return Totals(
        tool_calls=sum(one.calls for one in stats),
        tool_calls_invalid=sum(one.invalid for one in stats),
        tool_calls_repaired=sum(one.repaired for one in stats),
        tool_results=sum(one.results for one in stats),
        tool_errors=sum(one.errors for one in stats),
    )


def timed(stats: Sequence[ToolStats], calls: Sequence[ToolRecord]) -> tuple[ToolStats, ...]:
    """The figures of the tools with the percentiles of those calls that the screen has."""
    took: dict[str, list[float]] = defaultdict(list)
    for call in calls:
        if call.duration_s is not None:
            took[call.name].append(call.duration_s)
    return tuple(
        replace(one, p50_s=_at(known, 0.5), p95_s=_at(known, 0.95)) if (known := took.get(one.name)) else one
        for one in stats
    )


def _at(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies, as the host counts those of other ranges."""
    from proxy.traces.analysis.groups import quantile  # not before the first frame

    return quantile(sorted(values), share)
