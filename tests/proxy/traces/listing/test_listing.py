"""Orders, places, histograms and calls of the index are those of the same traces in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.events.types import Timings, Usage
from proxy.traces.analysis.sums import request_sums
from proxy.traces.listing.histogram import edges_of
from proxy.traces.listing.order import SORTS, Order
from proxy.traces.listing.usage_sums import usage_sums
from proxy.traces.schema import Trace, TraceRequest, TraceResponse
from proxy.traces.summary import summarize
from tests.proxy.trace_making import AT, call_of, trace_of
from tests.proxy.traces.folders import Folder

HOUR = 3600.0


def made(number: int, at: float, took: float | None, read: int = 0, out: int = 5) -> Trace:
    usage = Usage(input_tokens=100, cache_read_input_tokens=read, output_tokens=out)
    timings = Timings(first_token=took and took / 2, done=took)
    failed = number % 2 == 0
    call = call_of(
        f"toolu_{number}",
        name="Bash" if failed else "Write",
        input={"command": f"make\nlint {number}"} if failed else {"file_path": f"/home/ada/n{number}.md"},
        is_error=failed,
        duration_s=float(number),
        result="error: no\nrule" if failed else "ok",
    )
    calls = [] if number == 5 else [call]
    message = {"content": [{"type": "text", "text": "It is\ndone."}]}
    return trace_of(
        number,
        time=at,
        timings=timings,
        usage=usage,
        tool_calls=calls,
        lane="main" if number % 3 else "subagent",
        response=TraceResponse(status=200, message=message),
    )


TRACES = [
    made(1, AT, 4.0, 50),
    made(2, AT + 1, None, 900),
    made(3, AT + 1, 9.0, 0, 70),
    made(4, AT + 2 * HOUR, 4.0, 50, 0),
    made(5, AT + 2 * HOUR, 0.5, 9, 70),
    made(6, AT + 90 * HOUR, None),
    made(7, AT + 91 * HOUR, 4.0, 1),
]
FIGURES = {
    "time": lambda one: one.time,
    "took": lambda one: one.timings.done,
    "ttft": lambda one: one.timings.first_token,
    "tokens": lambda one: one.usage.prompt_tokens,
    "cache": lambda one: one.usage.cache_read_input_tokens / one.usage.prompt_tokens,
    "out": lambda one: one.usage.output_tokens,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    folder = Folder(tmp_path_factory.mktemp("traces"))
    folder.put(*TRACES)
    yield folder
    folder.index.close()


def in_order(order: Order, chosen: list[Trace]) -> list[str]:
    newest_first = sorted(chosen, key=lambda one: (one.time, one.id), reverse=True)
    if order.by == "time":
        return [one.id for one in (newest_first[::-1] if order.reverse else newest_first)]
    figure = FIGURES[order.by]
    known = [one for one in newest_first if figure(one) is not None]
    ordered = sorted(known, key=figure) if order.reverse else sorted(known, key=lambda one: -figure(one))
    return [one.id for one in [*ordered, *(one for one in newest_first if figure(one) is None)]]


@given(
    by=st.sampled_from(SORTS),
    reverse=st.booleans(),
    lane=st.sampled_from(["", "main", "subagent", "compaction"]),
    since=st.sampled_from([0.0, AT + 1, AT + 3 * HOUR]),
    limit=st.integers(1, 4),
    offset=st.integers(0, 8),
    around=st.integers(0, 7),
)
def test_pages_are_slices_of_the_list_in_its_order(
    folder: Folder, by: str, reverse: bool, lane: str, since: float, limit: int, offset: int, around: int
) -> None:
    order, query = Order.of(by, reverse), f"lane:{lane}" if lane else ""
    chosen = [one for one in TRACES if one.lane == (lane or one.lane) and one.time >= since]
    every = in_order(order, chosen)
    page = folder.index.page(query=query, order=order, since=since, limit=limit, offset=offset)
    assert ([row.id for row in page.traces], page.total) == (every[offset : offset + limit], len(every))
    at = TRACES[around - 1]
    moment = folder.index.page(query=query, order=order, since=since, limit=limit, around=str(at.time + 0.5))
    newest_first = in_order(Order(), chosen)
    older = [one for one in newest_first if next(t for t in TRACES if t.id == one).time <= at.time + 0.5]
    meant = (older or newest_first[-1:] or [""])[0]
    assert moment.place == (every.index(meant) if meant else None)
    assert moment.offset == (moment.place or 0) // limit * limit
    row = folder.index.page(query=query, order=order, since=since, limit=limit, around=at.id)
    assert row.place == (every.index(at.id) if at.id in every else None)
    assert at.id not in every or at.id in [one.id for one in row.traces]


@given(
    since=st.sampled_from([0.0, AT - 5, AT + 1.5, AT + 89 * HOUR]),
    parts=st.integers(2, 200),
    query=st.sampled_from(["", "lane:main", "zzz", '"is done"']),
    until=st.sampled_from([AT + 91 * HOUR, AT + 92 * HOUR, AT + 3 * HOUR, AT + 4000 * HOUR, 1e300]),
)
def test_a_histogram_counts_each_trace_of_its_time_once(
    folder: Folder, since: float, parts: int, query: str, until: float
) -> None:
    told = folder.index.histogram(since=since, until=until, parts=parts, query=query)
    assert len(told.requests) == len(told.found) == len(told.edges) - 1 <= parts
    within = [one for one in TRACES if since <= one.time <= until]
    fit = [one for one in within if query != "zzz" and (query != "lane:main" or one.lane == "main")]
    for counts, expected in ((told.requests, within), (told.found, fit)):
        assert counts == [
            sum(begin <= one.time < end for one in expected) for begin, end in pairwise(told.edges)
        ]
        assert sum(counts) == len(expected)
    assert (told.total, told.bytes) == (len(TRACES), 100 * len(TRACES))


def test_without_a_trace_there_is_nothing_to_count(tmp_path: object) -> None:
    empty = Folder(tmp_path)  # type: ignore[arg-type]
    told = empty.index.histogram(until=AT)
    assert (sum(told.requests), told.total, told.bytes) == (0, 0, 0)
    assert empty.index.page(around=str(AT)).place is None
    empty.index.close()


def test_parts_of_a_day_begin_at_the_hours_of_the_wall_also_where_it_has_25(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        begin = datetime(2026, 10, 24, 9).timestamp()
        edges = edges_of(begin, begin + 3 * 86_400.0, 20)
        walls = [datetime.fromtimestamp(edge) for edge in edges]
        assert {one.hour % 4 for one in walls} == {0}
        assert {one.minute for one in walls} == {0}
        assert edges[0] <= begin < edges[1]
        days = [one for one in walls if one.hour == 0]
        assert [one.day for one in days] == [25, 26, 27]
        assert days[1].timestamp() - days[0].timestamp() == 25 * HOUR
    finally:
        monkeypatch.undo()
        time.tzset()


def test_calls_are_listed_newest_first_and_counted_by_tool(folder: Folder) -> None:
    every = folder.index.calls()
    assert [(call.trace[-1], call.name) for call in every.calls[:3]] == [
        ("7", "Write"),
        ("6", "Bash"),
        ("4", "Bash"),
    ]
    failed = folder.index.calls(failed=True, since=AT + HOUR, limit=1)
    assert failed.total == 2
    [newest] = failed.calls
    assert (newest.about, newest.result, newest.is_error) == ("make lint 6", "error: no rule", True)
    assert (newest.session, newest.time, newest.duration_s) == ("session-a", AT + 90 * HOUR, 6.0)
    assert [(one.name, one.calls, one.errors, one.p50_s) for one in failed.tools] == [
        ("Bash", 2, 2, 5.0),
        ("Write", 1, 0, 7.0),
    ]
    assert folder.index.calls(query="lane:subagent is:failed").total == 0
    assert [call.id for call in folder.index.calls(query="file:n3.md").calls] == ["toolu_3"]


def test_a_row_says_what_a_side_request_is_for() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    body = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    said = {"content": [{"type": "text", "text": '{"title": "Add  an export"}'}]}
    answer = TraceResponse(status=200, message=said)
    trace = trace_of(1, lane="auxiliary", request=TraceRequest(body=body), response=answer)
    row = summarize(trace, "a.json", 1)
    assert (row.purpose, row.said) == ("title", "Add an export")


def test_a_row_says_what_the_answer_did(folder: Folder) -> None:
    rows = {row.id[-1]: row for row in folder.index.page().traces}
    assert [(one.name, one.about, one.is_error) for one in rows["4"].did] == [("Bash", "make lint 4", True)]
    assert [(one.name, one.about, one.is_error) for one in rows["3"].did] == [("Write", "n3.md", False)]
    assert (rows["5"].did, rows["5"].said, rows["3"].said) == ([], "It is done.", "")


def test_usage_of_a_time_is_the_sum_of_its_prompts(folder: Folder) -> None:
    for since in (0.0, AT + 1, AT + 2 * HOUR, AT + 1000 * HOUR):
        chosen = [one.usage for one in TRACES if one.time >= since]
        sums = usage_sums(folder.index, since)
        assert (sums.requests, sums.prompts) == (len(chosen), len(chosen))
        assert sums.restored == sum(usage.cache_read_input_tokens for usage in chosen)
        assert sums.cached == sum(usage.cache_creation_input_tokens for usage in chosen)
        assert sums.not_kept == sum(usage.input_tokens for usage in chosen)
        assert sums.saved_s is None  # no long prefill was measured


def test_the_time_saved_is_estimated_as_the_sums_of_all_requests_do(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number, (read, took) in enumerate([(0, 8.0), (4000, 1.0), (3000, 2.0)]):
        timings = Timings(prefill_start=0.5, first_token=0.5 + took, done=12.0)
        usage = Usage(cache_creation_input_tokens=2000, cache_read_input_tokens=read, output_tokens=9)
        folder.put(trace_of(number, time=AT + number, usage=usage, timings=timings))
    expected = request_sums(folder.index).total
    sums = usage_sums(folder.index)
    assert expected.saved_s
    assert sums.saved_s == pytest.approx(expected.saved_s)
    assert (sums.restored, sums.cached, sums.not_kept) == (expected.read, expected.created, expected.input)
    folder.index.close()
