"""What filters mean, and which words of one that cannot be read are wrong."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.filters.language import parse_filter
from proxy.filters.terms import (
    FIGURES,
    KEYS,
    STATES,
    Comparison,
    Condition,
    Field,
    Filter,
    FilterError,
    Phrase,
    State,
    Status,
    Term,
    Time,
    Word,
)

NOW = datetime(2026, 11, 28, 14, 0, 0).timestamp()


def one(query: str) -> Condition:
    """The condition of a filter of one word."""
    [[term]] = parse_filter(query, now=NOW).alternatives
    [condition] = term.conditions
    assert not term.negated
    return condition


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("Main", Word("main")),
        ("req_0001", Word("req_0001")),
        ("http://127.0.0.1:8082/x", Word("http://127.0.0.1:8082/x")),
        ("a->b", Word("a->b")),
        ('it"s"', Word("its")),
        ('"Parse  error: 3"', Phrase("Parse  error: 3")),
        ("tool:Write", Field("tool", ("write",))),
        ("Tool:Read,Edit", Field("tool", ("read", "edit"))),
        ('file:"my notes.md"', Field("file", ("my notes.md",))),
        ("file:src/*.py", Field("file", ("src/*.py",))),
        ("status:404", Status(((404, 404),))),
        ("status:5xx,429", Status(((500, 599), (429, 429)))),
        ("status:500-529", Status(((500, 529),))),
        ("is:failed", State("failed")),
        ("is:tool-error", State("toolerror")),
        ("ttft>2s", Comparison("ttft", ">", 2.0)),
        ("ttft>=250ms", Comparison("ttft", ">=", 0.25)),
        ("took<1.5m", Comparison("took", "<", 90.0)),
        ("tokens>20k", Comparison("tokens", ">", 20_000.0)),
        ("tokens>20,000", Comparison("tokens", ">", 20_000.0)),
        ("cache<50%", Comparison("cache", "<", 0.5)),
        ("calls=0", Comparison("calls", "=", 0.0)),
        ("since:2h", Time("since", NOW - 7200)),
        ("before:today", Time("before", datetime(2026, 11, 28).timestamp())),
        ("since:yesterday", Time("since", datetime(2026, 11, 27).timestamp())),
        ("since:13:30", Time("since", datetime(2026, 11, 28, 13, 30).timestamp())),
        ("since:23:30", Time("since", datetime(2026, 11, 27, 23, 30).timestamp())),
        ("since:2026-11-20", Time("since", datetime(2026, 11, 20).timestamp())),
        ("since:2026-11-20T08:00", Time("since", datetime(2026, 11, 20, 8).timestamp())),
    ],
)
def test_each_form_is_read(query: str, condition: Condition) -> None:
    assert one(query) == condition


def test_blanks_join_bars_part_and_signs_bind_to_their_word() -> None:
    read = parse_filter('  a !b|"c d" |  tool:X ', now=NOW)
    assert read == Filter(
        (
            (Term((Word("a"),)), Term((Word("b"), Phrase("c d")), negated=True)),
            (Term((Field("tool", ("x",)),)),),
        )
    )


@pytest.mark.parametrize("query", ["", "   ", "\t"])
def test_nothing_asks_for_nothing(query: str) -> None:
    assert not parse_filter(query, now=NOW)


@pytest.mark.parametrize(
    ("query", "meant", "reason"),
    [
        ("main tols:Bash", "tols:Bash", "did you mean tool?"),
        ("xyzzy:1", "xyzzy:1", "there is no xyzzy:"),
        ("error: x", "error:", "there is no error:; put it into quotes"),
        ("lane:title", "title", "there is no lane:title; known: main, subagent, compaction, auxiliary"),
        ("lane:main,subagnt", "subagnt", "did you mean subagent?"),
        ("tool:", "tool:", "a value belongs behind tool: such as tool:Write,Edit"),
        ("tool:a,,b", ",", "nothing stands beside this ,"),
        ("a|", "|", "nothing stands beside this |"),
        ("a||b", "|", "nothing stands beside this |"),
        ("| a", "|", "nothing stands before this |"),
        ("a |", "|", "nothing stands behind this |"),
        ("a ! b", "!", "a word belongs behind the !"),
        ("is:broken", "broken", "known: failed, "),
        ("is:fialed", "fialed", "did you mean failed?"),
        ("is:failed,slow", "failed,slow", "is:failed|is:cancelled"),
        ("status:ok", "ok", "a status is 200, 4xx or 500-529"),
        ("status:529-500", "529-500", "a status is 200, 4xx or 500-529"),
        ("tftt>2", "tftt>2", "did you mean ttft?"),
        ("ttft>fast", "ttft>fast", "as in ttft>2s"),
        ("ttft>", "ttft>", "as in ttft>2s"),
        ("ttft>2k", "ttft>2k", "as in ttft>2s"),
        ("x TTFT > 2s", "TTFT >", "without blanks, as in ttft>2s"),
        ("cache <50%", "cache <50%", "without blanks, as in cache<50%"),
        ("since:later", "later", "a time is one of: 90m, 12h, 7d"),
        ("since:25:99", "25:99", "a time is one of"),
        ('a "b', '"b', "this quote does not end"),
        ('a "" b', '""', "nothing between the quotes"),
    ],
)
def test_an_error_names_its_place_and_what_would_do(query: str, meant: str, reason: str) -> None:
    with pytest.raises(FilterError) as raised:
        parse_filter(query, now=NOW)
    assert reason in str(raised.value)
    assert query[raised.value.start : raised.value.end] == meant


def test_a_filter_without_an_end_is_refused() -> None:
    with pytest.raises(FilterError, match="more than 60 terms"):
        parse_filter("a " * 61, now=NOW)


def test_all_examples_of_the_help_can_be_read() -> None:
    for example in [known.example for known in (*KEYS, *FIGURES)] + [f"is:{name}" for name in STATES]:
        one(example)


@given(st.text(alphabet=st.sampled_from('ab:,|!"<>=*% \t1.7dxs\\[]?-\x00é') | st.characters(), max_size=40))
def test_any_text_is_read_or_refused_with_a_place(query: str) -> None:
    with suppress(FilterError):
        parse_filter(query, now=NOW)
        return
    with pytest.raises(FilterError) as raised:
        parse_filter(query, now=NOW)
    assert str(raised.value)
    assert 0 <= raised.value.start < raised.value.end <= len(query)
