"""Which request another one is compared with where none is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.events.types import Usage
from proxy.traces.analysis.comparing.comparable import LOOKED_AT, Comparable, comparable
from proxy.traces.reading import TraceNotFound
from proxy.traces.schema import Trace, TraceResponse
from tests.proxy.traces.analysis.comparing.test_diff_facts import asked
from tests.proxy.traces.folders import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.index.close()


def loading(*traces: Trace) -> Callable[[str], Trace]:
    known = {trace.id: trace for trace in traces}

    def load(trace_id: str) -> Trace:
        if trace_id not in known:
            raise TraceNotFound(trace_id)
        return known[trace_id]

    return load


def test_it_is_the_one_before_in_its_session_and_lane_that_was_counted(folder: Folder) -> None:
    traces = [
        asked(1, "a"),
        asked(2, "a", lane="subagent"),
        asked(3, "a", session="other"),
        asked(4, "a", usage=Usage(), response=TraceResponse(status=529)),
        asked(5, "a"),
    ]
    folder.put(*traces)
    assert comparable(asked(5, "a"), folder.index, loading(*traces)) == Comparable("req_0001", "before")


def test_the_first_of_a_session_is_compared_with_the_earlier_one_that_begins_most_like_it(
    folder: Folder,
) -> None:
    traces = [
        asked(1, "be careful", "hello", session="s1"),
        asked(2, "be careful", "help me", session="s2"),
        asked(3, "be quick", "hello", session="s3"),
        asked(4, "be careful", "hello", session="s4", lane="auxiliary"),
        asked(5, "be careful", "hello", session="s5", model="another"),
    ]
    folder.put(*traces)
    first = asked(9, "be careful", "hello you", session="new")
    assert comparable(first, folder.index, loading(*traces)) == Comparable("req_0001", "alike")
    assert comparable(first, folder.index, loading(*traces[1:])) == Comparable(
        "req_0002", "alike"
    )  # one is gone
    nobody = asked(9, "be careful", "hello you", session="")  # its client tells no session
    assert comparable(nobody, folder.index, loading(*traces)) == Comparable("req_0001", "alike")


def test_where_nothing_came_before_it_is_the_next_one_and_else_none(folder: Folder) -> None:
    first = asked(1, "a")
    folder.put(first)
    assert comparable(first, folder.index, loading(first)) is None
    folder.put(asked(2, "a"), asked(3, "a"))
    assert comparable(first, folder.index, loading(first)) == Comparable("req_0002", "next")


def test_no_more_than_the_last_few_are_read(folder: Folder) -> None:
    folder.put(*(asked(number, "a", session=f"s{number}") for number in range(1, LOOKED_AT + 6)))
    read: list[str] = []

    def load(trace_id: str) -> Trace:
        read.append(trace_id)
        return asked(1, "a")

    found = comparable(asked(99, "a", session="new"), folder.index, load)
    assert found == Comparable(read[0], "alike")  # all begin alike: the newest
    assert len(read) == LOOKED_AT
