from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.events.types import ErrorInfo
from proxy.traces import index_tables
from proxy.traces.analysis.new_text import new_text
from proxy.traces.analysis.search import search
from proxy.traces.schema import Trace, TraceRequest, TraceResponse
from tests.proxy.trace_making import trace_of
from tests.proxy.traces.folders import Folder


def turn(role: str, *blocks: Any) -> dict[str, Any]:
    return {"role": role, "content": list(blocks) if not isinstance(blocks[0], str) else blocks[0]}


def told(number: int, messages: list[dict[str, Any]], answer: Any = "Sure.", **fields: Any) -> Trace:
    body = {"system": [{"type": "text", "text": "You are careful."}], "messages": messages}
    message = {"content": [{"type": "text", "text": answer}] if isinstance(answer, str) else answer}
    response = TraceResponse(status=200, message=message)
    made = {"request": TraceRequest(body=body), "response": response} | fields
    return trace_of(number, **made)


NO_FTS5 = "CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts9 (text)"
FIRST = [turn("user", "Please mend parse_config")]
SECOND = [
    *FIRST,
    turn("assistant", {"type": "text", "text": "Sure."}),
    turn("user", {"type": "tool_result", "content": "Permission denied: straße"}),
]
CALL = [
    {"type": "thinking", "thinking": "hm"},
    {"type": "tool_use", "name": "Bash", "input": {"command": "ls -la"}},
]


def test_a_first_request_brings_its_system_text_and_all_messages() -> None:
    assert new_text(told(1, FIRST)) == "You are careful.\nPlease mend parse_config\nSure."


def test_a_later_request_brings_what_came_since_the_last_answer() -> None:
    assert new_text(told(2, SECOND, CALL)) == 'Permission denied: straße\nhm\nBash {"command":"ls -la"}'


def test_an_error_is_part_of_it() -> None:
    failed = TraceResponse(status=500, error=ErrorInfo(type="api_error", message="broke off"))
    assert new_text(told(2, SECOND, response=failed)).endswith("broke off")


@pytest.mark.parametrize(
    "body", [None, [], "text", {"messages": 3}, {"messages": [3, {"role": "user"}]}, {"system": 4}]
)
def test_a_body_of_any_shape_has_some_text_or_none(body: Any) -> None:
    trace = trace_of(1)
    trace.request.body = body
    assert new_text(trace) == ""


@pytest.fixture(params=["FTS5", "a scan"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Folder]:
    if request.param == "a scan":
        monkeypatch.setattr(index_tables, "_SEARCH", NO_FTS5)
    made = Folder(tmp_path)
    made.put(
        told(1, FIRST), told(2, SECOND, CALL, session="session-b"), told(3, [turn("user", "==> a\tb_c")])
    )
    assert made.index.searchable is (request.param == "FTS5")
    yield made
    made.index.close()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("careful", [3, 1]),
        ("PARSE_CONFIG", [1]),
        ("mend parse conf", [1]),
        ("end parse", []),
        ("parse mend", []),
        ("permission denied", [2]),
        ("STRASSE", []),
        ("straße", [2]),
        ("a b c", [3]),
        ("ls -la", [2]),
        ("==>", [3]),
        ('"; DROP TABLE texts; --', []),
        ("nowhere", []),
        ("100%", []),
    ],
)
def test_words_are_found_in_their_order(folder: Folder, text: str, numbers: list[int]) -> None:
    result = search(folder.index, text)
    assert [int(found.summary.id[-1]) for found in result.found] == numbers
    assert result.total == len(numbers)
    assert result.scanned is not folder.index.searchable


def test_a_place_is_shown_with_what_is_around_it(folder: Folder) -> None:
    [found] = search(folder.index, "denied").found
    assert (found.before, found.match, found.after[:8]) == ("Permission ", "denied", ": straße")


def test_the_newest_come_first_and_the_rest_is_counted(folder: Folder) -> None:
    result = search(folder.index, "careful", most=1)
    assert ([found.summary.id for found in result.found], result.total) == (["req_0003"], 2)
    assert search(folder.index, "denied", session="session-a").total == 0
    assert search(folder.index, "careful", since=trace_of(2).time).total == 1


def test_what_is_removed_or_replaced_is_found_no_more(folder: Folder) -> None:
    folder.put(told(1, [turn("user", "Something else")]))
    assert search(folder.index, "parse_config").total == 0
    assert search(folder.index, "something else").total == 1
    folder.index.remove([row.path for row in folder.index.page().traces])
    assert search(folder.index, "something").total == 0


def test_an_empty_text_is_refused(folder: Folder) -> None:
    with pytest.raises(ValueError, match="no text"):
        search(folder.index, " ")


def test_what_a_process_without_fts5_wrote_is_found_by_one_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    folder.put(told(1, FIRST))
    with monkeypatch.context() as without:
        without.setattr(index_tables, "_SEARCH", NO_FTS5)
        folder.reopen()
        folder.put(told(1, [turn("user", "instead")]), told(2, SECOND))
    folder.reopen()
    assert folder.index.searchable
    assert [search(folder.index, text).total for text in ("parse", "instead", "denied")] == [0, 1, 1]
    with sqlite3.connect(folder.path / "index.sqlite") as db:
        db.execute("INSERT INTO search (search) VALUES ('integrity-check')")
    db.close()
    folder.index.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("测试", "测试"),
        ("テキスト", "テキスト"),
        ("ชาว", "ชาว"),
        ("re\u0301sume\u0301", "re\u0301sume\u0301"),
        ("🎉", "🎉"),
        ("NEAR(", "NEAR"),
    ],
)
def test_scripts_without_spaces_and_parted_accents_are_found(folder: Folder, text: str, found: str) -> None:
    held = "这是中文测试 日本語のテキスト สวัสดีชาวโลก re\u0301sume\u0301 🎉🎉 (NEAR/2"
    folder.put(told(1, [turn("user", held)]))
    result = search(folder.index, text)
    assert [place.match for place in result.found] == [found]
