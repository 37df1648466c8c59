from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.events.types import CacheMiss, CacheVerdict, Usage
from proxy.filters.terms import FilterError
from tui.client.filter import known_values, matcher
from tui.client.records import MissRecord, RequestSnapshot, Snapshot, ToolRecord, ToolStats

USED = Usage(input_tokens=900, cache_read_input_tokens=100, output_tokens=40)
REQUEST = RequestSnapshot(
    "req_1",
    1.0,
    9.0,
    session="9f3c1e77-1",
    model="Qwen3",
    phase="failed",
    status=529,
    usage=USED,
    output_tokens=40,
    ttft_s=12.0,
    ended=9.0,
    cache=CacheVerdict(prompt_tokens=1000, miss=CacheMiss(reason="cold")),
)
WRITE = ToolRecord(
    "toolu_1",
    2.0,
    name="Write",
    session="9f3c",
    input={"file_path": "/a/notes.md"},
    is_error=True,
    duration_s=3.0,
    answered=5.0,
)
MISS = MissRecord(3.0, "req_1", "9f3c", "main", 1000, "diverged", 100, "a", "b")


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("", True),
        ("read", True),
        ("READ main", True),
        ("read sub", False),
        ("!sub", True),
        ("read !main", False),
        ('"main read"', True),
        ('"read main"', False),
        ('!"main read"', False),
    ],
)
def test_all_words_must_occur_and_none_of_the_unwanted(query: str, fits: bool) -> None:
    assert matcher(query, 0.0)(None, "main read /etc/hosts") is fits


@pytest.mark.parametrize("query", ["!", '"main', "tool:"])
def test_a_filter_that_is_not_whole_is_an_error(query: str) -> None:
    with pytest.raises(FilterError):
        matcher(query, 0.0)


@pytest.mark.parametrize(
    ("row", "query", "fits"),
    [
        (REQUEST, "is:failed is:slow is:missed status:5xx session:9f3c model:qwen", True),
        (REQUEST, "is:running", False),
        (REQUEST, "status:529", True),
        (REQUEST, "status:500-528", False),
        (replace(REQUEST, phase="lost"), "is:failed", True),
        (replace(REQUEST, phase="cancelled"), "is:failed", False),
        (replace(REQUEST, ttft_s=10.0), "is:slow", True),
        (replace(REQUEST, ttft_s=9.9), "is:slow", False),
        (replace(REQUEST, phase="decode", ended=None), "is:running", True),
        (replace(REQUEST, phase="decode", ended=None), "took<1h", False),  # nobody knows yet
        (REQUEST, "ttft>10s took=8s tokens>=1k out=40 cache<=10% calls=0", True),
        (REQUEST, "speed>1", False),
        (REQUEST, "tool:Write", False),
        (WRITE, "tool:write,edit file:notes.md is:toolerror took>2s", True),
        (WRITE, "is:refused", False),
        (MISS, "is:missed tokens>900 cache<20% session:9f", True),
    ],
)
def test_each_record_tells_what_it_knows(row: object, query: str, fits: bool) -> None:
    assert matcher(query, 0.0)(row, "") is fits


@pytest.mark.parametrize(("query", "fits"), [("since:1m", True), ("before:1m", False)])
def test_a_time_includes_its_own_moment(query: str, fits: bool) -> None:
    assert matcher(query, REQUEST.received + 60.0)(REQUEST, "") is fits


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("file:**/*.py", True),
        ("file:/w/*src*a*.p*", True),
        ("file:*a*b", False),
        ("file:*.py*.py", False),
        ("file:" + "*a" * 30 + "*b", False),  # of the ways in which that many stars fit, none is tried twice
        ("file:" + "*a" * 30 + "*.py", True),
    ],
)
def test_any_number_of_stars_is_looked_for_once(query: str, fits: bool) -> None:
    call = replace(WRITE, input={"file_path": f"/w/src/{'a' * 300}.py"})
    assert matcher(query, 0.0)(call, "") is fits


def test_completion_gets_the_values_that_rows_have() -> None:
    snapshot = Snapshot(requests=(REQUEST,), tools=(WRITE,), tool_stats=(ToolStats("Write"),))
    assert known_values(snapshot) == {
        "tool": ["Write"],
        "file": ["notes.md"],
        "session": ["9f3c1e77"],
        "model": ["Qwen3"],
    }
