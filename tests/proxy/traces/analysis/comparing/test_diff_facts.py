"""Sizes and lines of a comparison."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.events.types import Usage
from proxy.traces.analysis.comparing.diff_facts import MOST_CHARACTERS, compare
from proxy.traces.schema import Trace, TraceRequest
from tests.proxy.trace_making import trace_of


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


def test_parts_that_are_the_same_are_of_one_size_also_uncounted() -> None:
    a = asked(1, "one " * 50, "hello", usage=Usage(input_tokens=5_000))
    b = asked(2, "one " * 50, "hello", "more " * 200, usage=Usage(input_tokens=5_400))
    found = compare(a, b)
    assert [part.kind for part in found.segments] == ["same", "same", "only in B"]
    assert all(part.a_tokens == part.b_tokens for part in found.segments[:2])
    assert found.segments[2].b_tokens == 400
    assert sum(part.a_tokens for part in found.segments) == pytest.approx(5_000, abs=2)
