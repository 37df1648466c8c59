"""Filters in the index choose what they choose in memory, on each page of the list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.events.types import CacheMiss, CacheVerdict, ErrorInfo, Timings, Usage
from proxy.filters.language import parse_filter
from proxy.filters.matching import fits
from proxy.filters.terms import STATES
from proxy.traces.schema import Trace, TraceRequest, TraceResponse
from tests.proxy.trace_making import AT, call_of, trace_of
from tests.proxy.traces.folders import Folder

NOW = AT + 1000.0


def failed(status: int = 529, *, cancelled: bool = False) -> TraceResponse:
    error = ErrorInfo(type="overloaded_error", message="queue full")
    return TraceResponse(status=status, error=error, cancelled=cancelled)


def answered(text: str) -> TraceResponse:
    return TraceResponse(status=200, message={"content": [{"type": "text", "text": text}]})


TRACES = [
    trace_of(1, text="mend the parser", session="9F3c1e", model="Qwen3-Coder-30B"),
    trace_of(2, lane="subagent", tool_calls=[call_of(name="Read", input={"file_path": "/a/notes.md"})]),
    trace_of(
        3,
        tool_calls=[
            call_of("toolu_2", name="Write", input={"file_path": r"C:\a\Notes.md"}, is_error=True),
            call_of("toolu_3", name="Bash", verdict="invalid"),
        ],
        usage=Usage(input_tokens=900, cache_read_input_tokens=100, output_tokens=40),
        timings=Timings(first_token=12.0, last_token=14.0, done=14.1),
    ),
    trace_of(4, response=failed()),
    trace_of(5, response=failed(499, cancelled=True), time=NOW - 90.0),
    trace_of(
        6,
        cache=CacheVerdict(prompt_tokens=9, miss=CacheMiss(reason="cold")),
        tool_calls=[call_of("toolu_4", name="Edit", repairs=["quotes"], input={"path": "old-notes.md"})],
        usage=Usage(input_tokens=10, cache_read_input_tokens=990),
        timings=Timings(first_token=0.5, done=1.0),
    ),
    trace_of(7, response=answered("The needle lies in a haystack."), model="x[1]?*"),
    trace_of(8, request=TraceRequest(headers={"user-agent": "anyclaude-tui-verify/1"}, body={})),
]


class FoldersRow:
    """A trace as filters see rows in memory, without the index."""

    def __init__(self, trace: Trace, words: str) -> None:
        self._trace = trace
        self.search_text = words
        self.received = trace.time
        self.http_status = trace.response.status

    def filter_values(self, name: str) -> Iterable[str]:
        trace = self._trace
        inputs = [call.input or {} for call in trace.tool_calls]
        return {
            "lane": [trace.lane],
            "model": [trace.model, trace.upstream_model],
            "session": [trace.session],
            "tool": [call.name for call in trace.tool_calls],
            "file": [str(found) for one in inputs if (found := one.get("file_path") or one.get("path"))],
        }[name]

    def filter_figure(self, name: str) -> float | None:
        usage, times = self._trace.usage, self._trace.timings
        prompt = usage.prompt_tokens
        speed = 39 / 2.0 if times.last_token else None
        return {
            "ttft": times.first_token,
            "took": times.done,
            "tokens": prompt or None,
            "out": usage.output_tokens,
            "cache": usage.cache_read_input_tokens / prompt if prompt else None,
            "speed": speed,
            "calls": len(self._trace.tool_calls),
        }[name]

    def filter_states(self) -> frozenset[str]:
        trace, calls = self._trace, self._trace.tool_calls
        held = {
            "failed": trace.response.error is not None and not trace.response.cancelled,
            "cancelled": trace.response.cancelled,
            "slow": (trace.timings.first_token or 0) >= 10,
            "missed": trace.cache is not None and trace.cache.miss is not None,
            "toolerror": any(call.is_error for call in calls),
            "refused": any(call.verdict == "invalid" for call in calls),
            "repaired": any(call.repairs for call in calls),
            "own": bool(trace.own_command),
            "marked": trace.id == TRACES[0].id,
        }
        return frozenset(name for name, holds in held.items() if holds)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    folder = Folder(tmp_path_factory.mktemp("traces"))
    folder.put(*TRACES)
    yield folder
    folder.index.close()


def found(folder: Folder, query: str, **asked: Any) -> list[int]:
    return [int(name[-1]) for name in folder.ids(query=query, now=NOW, marked=[TRACES[0].id], **asked)]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("parser", {1}),
        ("!is:own", {1, 2, 3, 4, 5, 6, 7}),
        ("tool:read,write", {2, 3}),
        ("tool:re*", {2}),
        ("file:notes.md", {2, 3}),
        ("file:*notes.md", {2, 3, 6}),
        ("file:a/notes.md", {2}),
        ("session:9f3", {1}),
        ("model:coder", {1}),
        ("model:x[1]?", {7}),
        ("lane:sub*", {2}),
        ("lane:subagent", {2}),
        ("status:5xx|is:cancelled", {4, 5}),
        ("is:failed", {4}),
        ("is:toolerror is:refused", {3}),
        ("is:repaired", {6}),
        ("is:missed", {6}),
        ("is:marked", {1}),
        ("is:running", set()),
        ("is:slow | is:missed", {3, 6}),
        ("ttft>1", {3}),
        ("!ttft>1", {1, 2, 4, 5, 6, 7, 8}),
        ("cache>=5% cache<50%", {3}),
        ("cache>=99%", {6}),
        ("speed>10 out>30", {3}),
        ("calls=2", {3}),
        ("since:2m", {5}),
        ("before:2m !is:own tool:edit", {6}),
        ('"needle lies in a hay"', {7}),
        ('!"needle" parser', {1}),
    ],
)
def test_a_filter_chooses(folder: Folder, query: str, numbers: set[int]) -> None:
    assert set(found(folder, query)) == numbers


NAMED = ["parser", "main", "529", "tool:read", "tool:*", "tool:b*,edit", "file:notes.md", "file:*"]
CHOSEN = ["lane:main", "session:9f", "model:qwen", "model:[1]?*", "status:2xx", "status:400-599"]
FIGURED = ["ttft>1", "ttft<=0.5s", "took<20", "tokens>=1k", "out=40", "cache>50%", "speed>10", "calls<1"]
TIMED = ["since:5m", "before:5m"]
TERMS = st.sampled_from([*NAMED, *CHOSEN, *FIGURED, *TIMED, *(f"is:{state}" for state in STATES)])
SIGNED = st.tuples(st.sampled_from(["", "!"]), st.lists(TERMS, min_size=1, max_size=2))
ALTERNATIVE = st.lists(SIGNED, min_size=1, max_size=3).map(
    lambda terms: " ".join(sign + "|".join(words) for sign, words in terms)
)
FILTERS = st.lists(ALTERNATIVE, min_size=1, max_size=3).map(" | ".join)


@settings(max_examples=150)
@given(query=FILTERS)
def test_sql_and_memory_choose_the_same(folder: Folder, query: str) -> None:
    words = dict(folder.index.select("SELECT id, words FROM traces"))
    wanted = parse_filter(query, now=NOW)
    rows = {int(trace.id[-1]): FoldersRow(trace, words[trace.id]) for trace in TRACES}
    assert set(found(folder, query)) == {number for number, row in rows.items() if fits(row, wanted)}


@given(
    query=st.sampled_from(["", "tool:*", "!is:own", "zzz"]),
    limit=st.integers(0, 4),
    offset=st.integers(0, 12),
)
def test_pages_by_offset_are_slices_of_the_list(folder: Folder, query: str, limit: int, offset: int) -> None:
    every = found(folder, query)
    page = folder.index.page(query=query, limit=limit, offset=offset)
    assert [int(row.id[-1]) for row in page.traces] == every[offset : offset + limit]
    assert page.total == len(every)
