"""What the lists of traces and calls ask the host for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.client.event_text import cleaned
from tui.client.loaded_rows import PAGE
from tui.screen.host_protocols import HostApi
from tui.screen.trace_list.list_query import ListQuery, RangeName, range_begin

if TYPE_CHECKING:
    from proxy.traces.listing.calls_page import CallPage
    from proxy.traces.listing.histogram import Histogram
    from proxy.traces.listing.usage_sums import UsageSums
    from proxy.traces.schema import Trace, TracePage

MOST_CALLS = 1000


class ListSource:
    """Asks as of `clock`; texts come safe to draw. Each method raises an error for people."""

    def __init__(self, api: Callable[[], HostApi], clock: Callable[[], float]) -> None:
        self._api = api
        self._clock = clock

    async def page(self, wanted: ListQuery, offset: int, around: str = "") -> TracePage:
        """The page of `PAGE` rows from `offset` on, or the one that has the trace or the moment `around`."""
        page = await self._api().traces(
            PAGE,
            offset,
            wanted.text,
            sort=wanted.sort,
            reverse=wanted.reverse,
            around=around,
            since=self._begin(wanted.range),
        )
        rows = [row.model_validate(cleaned(row.model_dump())) for row in page.traces]
        return page.model_copy(update={"traces": rows})

    async def histogram(self, wanted: ListQuery, parts: int) -> Histogram:
        """When traces came within the range, and those that fit the filter."""
        return await self._api().histogram(wanted.text, since=self._begin(wanted.range), parts=parts)

    async def trace(self, trace_id: str) -> Trace:
        """One trace without the bodies of its request."""
        trace = await self._api().brief_trace(trace_id)
        return trace.model_validate(cleaned(trace.model_dump()))

    async def calls(self, text: str, range: RangeName, *, failed: bool) -> CallPage:
        """The newest tool calls within the range of requests that fit the filter, or those that failed."""
        return await self._api().calls(MOST_CALLS, text, failed=failed, since=self._begin(range))

    async def usage(self, range: RangeName) -> UsageSums:
        """What the prompts of the range restored and prefilled."""
        return await self._api().usage(self._begin(range))

    def _begin(self, range: RangeName) -> float:
        return range_begin(range, self._clock())
