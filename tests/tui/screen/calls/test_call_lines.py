"""Tool calls in lines, as what they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.traffic_texts import CALLS
from tui.client.records import CallNote, ToolRecord
from tui.screen.calls.call_draft import read_draft
from tui.screen.calls.call_lines import argument_lines, call_lines, draft_lines
from tui.screen.calls.call_words import call_words, calls_words, path_end
from tui.screen.styled_line import line_width, plain_text


def shown(name: str, arguments: dict[str, Any] | None, **fields: Any) -> list[str]:
    call = ToolRecord(id="x", time=1.0, name=name, input=arguments, **fields)
    return [plain_text(line).rstrip() for line in call_lines(call)]


def test_an_edit_is_a_diff() -> None:
    text = {"file_path": "/a/b.py", "old_string": "a\nb\nc\nd\ne\nf\n", "new_string": "a\nb\nc\nd\nE\nf\ng\n"}
    assert shown("Edit", text | {"replace_all": True}) == [
        "▸ Edit  /a/b.py  +2 -1  everywhere",
        "      c",
        "      d",
        "    - e",
        "    + E",
        "      f",
        "    + g",
    ]


def test_no_argument_is_left_out() -> None:
    odd = {"file_path": "/a", "old_string": 3, "new_string": "x", "file": "/b"}
    assert shown("Edit", odd) == ["▸ Edit  /a  +1 -0  old_string=3  file=/b", "    + x"]
    lines = argument_lines("Bash", {"command": "ls", "timeout": 5})
    assert lines is not None
    assert [plain_text(line) for line in lines] == ["timeout=5", "    $ ls"]
    assert argument_lines("mcp__x__y", {"a": 1}) is None


def test_a_write_is_a_file_and_a_command_is_one() -> None:
    assert shown("Write", {"file_path": "/a/b.py", "content": "x\ny\n"}) == [
        "▸ Write  /a/b.py  2 lines",
        "    1 │ x",
        "    2 │ y",
    ]
    command = {"command": "make \\\n  lint", "description": "Check it", "timeout": 5}
    assert shown("Bash", command) == ["▸ Bash  Check it  timeout=5", "    $ make \\", "        lint"]


@pytest.mark.parametrize(
    ("name", "arguments", "lines"),
    [
        ("Read", {"file_path": "/a", "limit": 3}, ["▸ Read  /a  limit=3"]),
        ("mcp__x__y", {"note": "a\nb", "n": 1}, ["▸ mcp__x__y  n=1", "    note:", "    a", "    b"]),
        (
            "TodoWrite",
            {"todos": [{"content": "t", "status": "completed"}, 3]},
            ["▸ TodoWrite  1 of 1 done", "    ✓ t"],
        ),
        (
            "Agent",
            {"subagent_type": "Explore", "description": "d", "prompt": "p"},
            ["▸ Agent  Explore  d", "    p"],
        ),
        ("Bash", None, ["▸ Bash"]),
    ],
)
def test_other_calls(name: str, arguments: dict[str, Any] | None, lines: list[str]) -> None:
    assert shown(name, arguments) == lines


def test_a_path_in_the_clients_folder_is_named_without_it() -> None:
    call = ToolRecord(id="x", time=1.0, name="Read", input={"file_path": "/home/ada/src/a.py"})
    assert plain_text(call_lines(call, folder="/home/ada")[0]) == "▸ Read  src/a.py"
    assert plain_text(call_lines(call, folder="/home/ad")[0]) == "▸ Read  /home/ada/src/a.py"


def test_what_became_of_a_call_stands_with_it() -> None:
    done = shown("Bash", {"command": "ls"}, answered=2.0, duration_s=1.5, result="one\ntwo\n3\n4")
    assert done == ["▸ Bash  ✓ 1.5s", "    $ ls", "    └ one", "      two", "      3"]
    failed = shown("Bash", {"command": "ls"}, answered=2.0, is_error=True, result="no")
    assert failed == ["▸ Bash  ✗", "    $ ls", "    └ no"]
    wrong = shown("Bash", {"command": 3}, verdict="invalid", detail="command is a number")
    assert wrong[-1] == "    ✗ invalid: command is a number"


def test_a_draft_shows_its_head_and_its_last_lines() -> None:
    text = '{"file_path": "/a.py", "content": "' + "\\n".join(f"line {number}" for number in range(40))
    lines = [plain_text(line) for line in draft_lines(read_draft(text, "Write"), most=3)]
    assert lines[0] == "▸ Write  /a.py  40 lines  writing …"
    assert lines[1] == "    … 37 lines above"
    assert lines[-1] == "    40 │ line 39"
    left = draft_lines(read_draft(text, "Write"), writing=False)
    assert plain_text(left[0]) == "▸ Write  /a.py  40 lines  not sent"
    raw = [plain_text(line) for line in draft_lines(read_draft("<|tool|>print(1)"))]
    assert raw == ["▸ …", "    <|tool|>print(1)"]


@pytest.mark.parametrize(
    ("path", "cells", "end"),
    [
        ("/home/ada/ledger/src/export/command.py", 24, "…/src/export/command.py"),
        ("/home/ada/ledger/src/export/command.py", 40, "/home/ada/ledger/src/export/command.py"),
        ("/home/ada/command.py", 6, "comma…"),
    ],
)
def test_of_a_path_the_end_stays(path: str, cells: int, end: str) -> None:
    assert path_end(path, cells) == end


def test_several_calls_share_a_cell() -> None:
    calls = [
        CallNote("1", "Bash", "pytest -q", failed=True),
        CallNote("2", "Edit", "/a/src/writer.py", "/a/src/writer.py", failed=False),
        CallNote("3", "Read", "/a/src/writer.py", "/a/src/writer.py"),
    ]
    assert plain_text(calls_words(calls[:2], 0, 40)) == "Bash pytest -q ✗, Edit writer.py"
    assert plain_text(calls_words(calls, 1, 28)) == "Bash pyte… ✗ +3"
    assert all(line_width(calls_words(calls, 3, cells)) <= cells for cells in range(10, 90))
    assert line_width(call_words("x" * 99, "y", "", 10)) <= 10


HOSTILE = st.text(alphabet="a\n\x1b[]@\u202e{}\"'\\字", max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HOSTILE, inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [name for name, *_ in CALLS] + ["Write", "MultiEdit", "Agent", "AskUserQuestion", "ExitPlanMode"]
)
FIELDS = st.sampled_from(
    [
        "file_path",
        "old_string",
        "new_string",
        "content",
        "command",
        "edits",
        "todos",
        "questions",
        "prompt",
        "x",
    ]
)


@given(NAMES | HOSTILE, st.none() | st.dictionaries(FIELDS | HOSTILE, VALUES, max_size=4), HOSTILE)
def test_no_arguments_raise_or_reach_the_terminal(name: str, arguments: Any, raw: str) -> None:
    call = ToolRecord(id="x", time=1.0, name=name, input=arguments, raw=raw, answered=1.0, result=raw)
    for line in call_lines(call):
        assert plain_text(line).isprintable()
