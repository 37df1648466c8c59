from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.proxy.trace_making import trace_of
from tests.tui.commands.traces.homes import home_with, invocation_on
from tui.commands.exit_codes import CommandFailed
from tui.commands.traces.searching import run_traces_grep


def grep(home: Path, text: str, *, most: int = 20, as_json: bool = False) -> int:
    return run_traces_grep(invocation_on(home), text, session="", since="", most=most, as_json=as_json)


def test_a_line_a_trace_with_the_place_in_brackets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home_with(
        tmp_path, trace_of(1, text="read the\nfile\x1b[31m now"), trace_of(2), trace_of(3, text="The file")
    )
    assert grep(tmp_path, "the file", most=1) == 0
    shown = capsys.readouterr()
    assert shown.out.endswith("req_0003  main        [The file]\n")
    assert shown.err == "1 older trace with it not shown; -n 2 shows all\n"
    assert grep(tmp_path, "the file") == 0
    assert "req_0001  main        read [the file] now\n" in capsys.readouterr().out


def test_as_json_it_is_the_row_and_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home_with(tmp_path, trace_of(1, text="one two three"))
    grep(tmp_path, "two", as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["before"], shown["match"], shown["after"]) == (
        "req_0001",
        "one ",
        "two",
        " three",
    )


def test_nothing_found_is_exit_code_1_and_no_text_is_a_mistake(tmp_path: Path) -> None:
    home_with(tmp_path, trace_of(1))
    assert grep(tmp_path, "nowhere") == 1
    with pytest.raises(CommandFailed, match="no text to look for"):
        grep(tmp_path, "  ")
