"""The words about a context budget."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.traces.analysis.context_facts import ContextBudget, ContextKind, ContextPart, ContextThing
from tui.client.context_text import (
    context_growth,
    context_headline,
    context_report,
    part_content,
    reserved_content,
    thing_notes,
    unused_tools,
)


def budget(**more: Any) -> ContextBudget:
    made: dict[str, Any] = {
        "session": "s",
        "trace": "req_1",
        "time": 0.0,
        "lane": "main",
        "prompt_tokens": 1000,
    }
    return ContextBudget(**made | more)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, "1,000 tokens of a window that is not known."),
        ({"window_tokens": 2000, "counted": False}, "~1,000 of 2,000 tokens, 50%."),
        (
            {
                "window_tokens": 2000,
                "parts": [{"name": "said", "tokens": 9}, {"name": "results", "tokens": 560}],
            },
            "1,000 of 2,000 tokens, 50%; ~56% of that: tool results.",
        ),
    ],
)
def test_the_headline_says_how_full_the_window_is(more: dict[str, Any], says: str) -> None:
    assert context_headline(budget(**more)) == says


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, "No growth to be seen yet."),
        ({"compacts_at": 2000}, "No growth to be seen yet. Claude Code compacts at 2,000."),
        ({"growth": 100}, "+100 a turn (median of the last five that grew)."),
        (
            {"growth": 100, "compacts_at": 2000, "turns_left": 1},
            "~1 turn left until Claude Code compacts at 2,000",
        ),
        ({"growth": 100, "compacts_at": 900}, "Claude Code compacts at 900 tokens: with its next turn."),
    ],
)
def test_growth_says_what_is_left(more: dict[str, Any], says: str) -> None:
    assert says in context_growth(budget(**more))


def test_unused_tools_say_their_cost() -> None:
    assert unused_tools(budget()) == ""
    assert "14 tools never called" in unused_tools(budget(unused_tools=14, unused_tokens=9800))


KINDS = [ContextKind(name=name, tokens=10, number=2, calls=0) for name in ("a", "b", "c", "d")]


@pytest.mark.parametrize(
    ("name", "kinds", "says"),
    [
        ("tools", [], ""),
        (
            "tools",
            [ContextKind(name="tools", tokens=9, number=3, calls=4), KINDS[0]],
            "5 tools; a: 2, 10, never called",
        ),
        ("results", KINDS, "a 10, b 10, c 10, 1 more"),
        ("said", [ContextKind(name="text", tokens=9, number=1)], "1 text"),
        ("reminders", [ContextKind(name="file", tokens=9, number=1)], "/a/CLAUDE.md 9"),
    ],
)
def test_a_part_says_what_is_in_it(name: Any, kinds: list[ContextKind], says: str) -> None:
    things = [ContextThing(kind="file", what="/a/CLAUDE.md", tokens=9)]
    assert part_content(ContextPart(name=name, tokens=9, kinds=kinds, things=things)) == says


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"calls": 0}, "never called"),
        ({"calls": 2}, "called 2 times"),
        ({"turns": [4]}, "turn 4"),
        ({"turns": [1, 2, 3, 4], "times": 4}, "turns 1, 2, 3, …  4 times the same text: ~400"),
    ],
)
def test_a_thing_says_where_it_came_from(more: dict[str, Any], says: str) -> None:
    assert thing_notes(ContextThing(kind="Read", what="a.py", tokens=100, **more)) == says


@pytest.mark.parametrize(
    ("whole", "reserved", "says"),
    [(0, 0, "no max_tokens"), (9, 9, "max_tokens"), (9, 5, "of max_tokens 9, as much as fits")],
)
def test_the_reserve_says_what_it_is_of(whole: int, reserved: int, says: str) -> None:
    assert says in reserved_content(budget(max_tokens=whole, reserved_tokens=reserved))


def test_a_report_of_hostile_text_stays_on_its_lines() -> None:
    thing = ContextThing(kind="\x1b[31mRead", what="a\nb", tokens=1)
    kinds = [ContextKind(name="\x1b]0;x\x07R\n", tokens=1, number=1)]
    part = ContextPart(name="results", tokens=1, kinds=kinds, things=[thing])
    lines = context_report(budget(session="\x1b[2Js", parts=[part]))
    assert all(line.isprintable() for line in lines)
