"""Sizes and lines of a comparison, and which request is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.events.types import Usage
from proxy.traces.analysis.comparing.diff_facts import MOST_CHARACTERS, compare, request_before
from proxy.traces.schema import Trace, TraceRequest, TraceResponse
from tests.proxy.trace_making import trace_of
from tests.proxy.traces.folders import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.index.close()


def asked(number: int, system: str, *texts: str, **fields: Any) -> Trace:
    messages = [{"role": "user", "content": text} for text in texts]
    body = {"system": system, "messages": messages}
    usage = Usage(input_tokens=sum(map(len, (system, *(f"user:\n{text}" for text in texts)))))
    return trace_of(number, **{"request": TraceRequest(body=body), "usage": usage} | fields)


def test_tokens_are_shares_and_only_what_differs_has_lines() -> None:
    found = compare(
        asked(1, "one\ntwo\nthree", "hello there"), asked(2, "one\n2\nthree", "hello there", "more")
    )
    assert [(part.name, part.kind) for part in found.segments] == [
        ("system", "changed"),
        ("message 1 (user)", "same"),
        ("message 2 (user)", "only in B"),
    ]
    assert [part.lines for part in found.segments] == [
        ["@@ -1,3 +1,3 @@", " one", "-two", "+2", " three"],
        [],
        ["+user:", "+more"],
    ]
    assert found.first == 0
    assert sum(part.b_tokens for part in found.segments) == pytest.approx(found.b.prompt_tokens, abs=2)


def test_long_differences_say_how_much_is_left_out() -> None:
    line, lines = "x" * 9_999, MOST_CHARACTERS // 10_000
    found = compare(asked(1, "a"), asked(2, "a", "\n".join([line] * (lines + 5))))
    [part] = found.segments[1:]
    assert (len(part.lines), part.left_out) == (lines, 6)  # before them stands the role


def test_a_difference_late_in_a_long_line_is_in_it() -> None:
    text = "x" * 100_000
    found = compare(asked(1, text + "1"), asked(2, text + "2"))
    assert found.segments[0].lines == ["@@ -1 +1 @@", f"-{text}1", f"+{text}2"]


def test_the_request_before_is_of_its_session_and_lane_and_was_counted(folder: Folder) -> None:
    failed = TraceResponse(status=529)
    folder.put(
        asked(1, "a"),
        asked(2, "a", lane="subagent"),
        asked(3, "a", session="other"),
        asked(4, "a", usage=Usage(), response=failed),
        asked(5, "a"),
    )
    assert request_before(asked(5, "a"), folder.index) == "req_0001"
    assert request_before(asked(1, "a"), folder.index) is None
    assert request_before(asked(9, "a", session=""), folder.index) is None


def test_parts_that_are_the_same_are_of_one_size_also_uncounted() -> None:
    a = asked(1, "one " * 50, "hello", usage=Usage(input_tokens=5_000))
    b = asked(2, "one " * 50, "hello", "more " * 200, usage=Usage(input_tokens=5_400))
    found = compare(a, b)
    assert [part.kind for part in found.segments] == ["same", "same", "only in B"]
    assert all(part.a_tokens == part.b_tokens for part in found.segments[:2])
    assert found.segments[2].b_tokens == 400
    assert sum(part.a_tokens for part in found.segments) == pytest.approx(5_000, abs=2)
