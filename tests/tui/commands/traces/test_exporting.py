from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from proxy.events.types import ErrorInfo
from proxy.traces.marks import read_marks, set_mark
from proxy.traces.schema import CallSummary, TraceResponse, TraceSummary
from tests.proxy.trace_making import AT, trace_of
from tests.proxy.traces.test_importing import old
from tests.tui.commands.traces.homes import home_with, invocation_on
from tui.client.wire_text import width
from tui.commands.exit_codes import CommandFailed
from tui.commands.traces.diffing import run_traces_diff
from tui.commands.traces.exporting import run_traces_export
from tui.commands.traces.importing import run_traces_import
from tui.commands.traces.listing import EVERY, MARKED, list_traces, run_traces_list, run_traces_mark
from tui.commands.traces.options import traces
from tui.commands.traces.showing import run_traces_show
from tui.commands.traces.trace_report import list_table


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home_with(tmp_path, *(trace_of(number, session=f"session-{number % 2}") for number in (1, 2, 3)))
    return tmp_path


def exported(home: Path, *ids: str, **options: Any) -> int:
    given = {"form": "jsonl", "output": "", "redact": False, "session": "", "since": "", "marked": False}
    return run_traces_export(invocation_on(home), ids, **(given | options))


@pytest.mark.parametrize(
    ("ids", "options", "wanted"),
    [
        ((), {}, [1, 2, 3]),
        (("req_0003", "req_0001"), {}, [3, 1]),
        ((), {"session": "session-1"}, [1, 3]),
        ((), {"marked": True}, [2]),
        ((), {"since": "2999-01-01"}, []),
    ],
)
def test_what_is_chosen_is_written_oldest_first(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    ids: tuple[str, ...],
    options: dict[str, Any],
    wanted: list[int],
) -> None:
    set_mark(home / "traces", "req_0002")
    assert exported(home, *ids, **options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [int(json.loads(line)["id"][-1]) for line in lines] == wanted


def test_a_file_is_private_and_whole(home: Path) -> None:
    file = home / "page.html"
    exported(home, form="html", output=str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().endswith("</html>\n")
    assert not list(home.glob(".page*"))


def test_json_says_what_a_file_got(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported(home, "req_0003", "req_0001", form="har", output=str(file := home / "a.har"), as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"file": str(file), "format": "har", "traces": ["req_0003", "req_0001"], "left_out": []}
    with pytest.raises(CommandFailed, match="--json prints what was written to the file of -o"):
        exported(home, as_json=True)


def test_every_command_has_json() -> None:
    group = typer.main.get_command(traces)
    assert isinstance(group, TyperGroup)
    lacking = [
        name
        for name, command in group.commands.items()
        if not any("--json" in option.opts for option in command.params)
    ]
    assert (lacking, len(group.commands)) == ([], 12)


def test_a_trace_that_cannot_be_read_is_left_out_with_a_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    list_traces(home / "traces")  # into the index
    next((home / "traces").glob("mlx/*req_0002.json")).write_text("{")
    exported(home)
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert "left out: " in shown.err


def test_a_format_that_is_none_is_told_with_those_there_are(home: Path) -> None:
    with pytest.raises(CommandFailed, match="allowed: jsonl, curl, har, html, otlp"):
        exported(home, form="pdf")


@pytest.mark.parametrize(
    ("chosen", "said"), [({}, "there are no traces yet\n"), ({"marked": True}, "there are no such traces\n")]
)
def test_an_empty_list_says_so(
    tmp_path: Path, chosen: dict[str, bool], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = {"session": "", "errors": False, "marked": False} | chosen
    home_with(tmp_path)
    assert run_traces_list(invocation_on(tmp_path), **choice, most=9, as_json=False) == 0  # type: ignore[arg-type]
    assert capsys.readouterr() == ("", said)


def test_the_list_is_sorted_and_is_a_table_of_chosen_columns(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = invocation_on(home)
    more: dict[str, Any] = {"session": "", "errors": False, "marked": False, "most": 9, "as_json": False}
    run_traces_list(at, **more, sort="time", reverse=True, columns="id,Who,asked,took")
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split() == ["ID", "WHO", "ASKED", "TOOK"]
    ids = [row.split()[0] for row in rows]
    assert ids == sorted(ids)
    assert {len(row) for row in rows} == {len(title)}
    run_traces_list(at, **more, sort="took", reverse=True)
    shortest = re.findall(r"req_\d+", capsys.readouterr().out)
    run_traces_list(at, **more, sort="took")
    longest = re.findall(r"req_\d+", capsys.readouterr().out)
    assert sorted(shortest) == sorted(longest) == ids
    for wrong in ({"sort": "size"}, {"columns": "time,colour"}):
        with pytest.raises(CommandFailed, match=r"size|colour"):
            run_traces_list(at, **more, **wrong)


def test_long_texts_give_way_in_a_table_that_is_too_wide() -> None:
    did = [CallSummary(name="Bash", about="make lint", is_error=True)]
    row = TraceSummary(id="req_1", time=1.0, preview="fix " * 20, did=did, tool_calls=2, duration_s=3.0)
    whole = list_table([row], ["asked", "did", "took"])
    assert whole[1] == f"{row.preview.strip()}  Bash make lint ✗, +1  3.0s"
    title, cut = list_table([row], ["asked", "did", "took"], columns=60)
    assert (len(title), len(cut)) == (60, 60)
    assert cut.endswith("…  Bash make lint ✗, +1  3.0s")
    assert all(len(line) <= 9 for line in list_table([row], ["asked", "did", "took"], columns=9))


def test_a_filter_chooses_and_a_wrong_one_is_pointed_at(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = invocation_on(home)
    more: dict[str, Any] = {"session": "", "errors": False, "marked": False, "most": 9, "as_json": False}
    run_traces_list(at, ["session:session-1", "!req_0001"], **more)
    assert re.findall(r"req_\d+", capsys.readouterr().out) == ["req_0003"]
    with pytest.raises(CommandFailed) as raised:
        run_traces_list(at, ["main", "is:fialed"], **more)
    assert str(raised.value).splitlines() == [
        "the filter cannot be read: there is no is:fialed; did you mean failed?; known: failed, cancelled,"
        " running, slow, missed, toolerror, refused, repaired, marked, own",
        "  main is:fialed",
        "          ^^^^^^",
    ]


def test_marks_are_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = invocation_on(home)
    assert run_traces_mark(at, "req_0002", note="the\x1b[31m one", remove=False) == 0
    run_traces_list(at, session="", errors=False, marked=True, most=9, as_json=False)
    assert capsys.readouterr().out.endswith("  [marked] the one\n")
    run_traces_show(at, "req_0002", tool=None, form="short")
    assert capsys.readouterr().out.endswith("\nmark       [marked] the one\n")
    run_traces_list(at, session="", errors=False, marked=False, most=1, as_json=True)
    assert json.loads(capsys.readouterr().out)["mark"] is None
    next((home / "traces").glob("mlx/*req_0002.json")).unlink()
    run_traces_mark(at, "req_0002", note="", remove=True, as_json=True)
    shown = capsys.readouterr()
    assert "taken off" in shown.err
    assert json.loads(shown.out) == {"id": "req_0002", "mark": None}


def test_lines_fit_the_terminal(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = invocation_on(home)
    error = ErrorInfo(type="api_error", message="全 " * 60)
    home_with(home, trace_of(4, text="one " * 90 + "wörter", response=TraceResponse(status=500, error=error)))
    set_mark(home / "traces", "req_0004", "kept " * 30)
    for columns in (60, 80, 132):
        monkeypatch.setenv("COLUMNS", str(columns))
        run_traces_list(at, session="", errors=False, marked=False, most=9, as_json=False)
        run_traces_show(at, "req_0004", tool=None, form="short")
        run_traces_diff(at, "req_0003", "req_0004", whole=True, as_json=False)
        shown = capsys.readouterr().out.splitlines()
        assert max(map(width, shown)) <= columns
    monkeypatch.delenv("COLUMNS")
    run_traces_list(at, session="", errors=False, marked=False, most=9, as_json=False)
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_old_traces_are_imported_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "old" / "lmstudio"
    folder.mkdir(parents=True)
    (folder / "2025-11-03T10-20-30-456Z.json").write_bytes(old())
    (folder / "notes.json").write_text("{}")
    assert run_traces_import(invocation_on(home), [str(home / "old")], mark=False, as_json=True) == 1
    shown = capsys.readouterr()
    [taken] = json.loads(shown.out)["imported"]
    assert "left out: " in shown.err
    assert "1 of them are older than 30 days" in shown.err
    assert [row.id for row in list_traces(home / "traces") if row.time < AT] == [taken]
    run_traces_import(invocation_on(home), [str(folder)], mark=True, as_json=False)
    assert "0 traces imported, 1 were there already" in capsys.readouterr().err
    assert [row.id for row in list_traces(home / "traces", EVERY.also(MARKED), marked={taken})] == [taken]


def test_a_path_that_is_not_there_is_a_mistake(home: Path) -> None:
    with pytest.raises(CommandFailed, match="is not there"):
        run_traces_import(invocation_on(home), [str(home / "nowhere")], mark=False, as_json=False)


def test_a_folder_with_pipes_and_our_own_files_is_imported_without_them(tmp_path: Path) -> None:
    home_with(home := tmp_path / "home")
    old = tmp_path / "old"
    (old / ".marks").mkdir(parents=True)
    (old / ".marks" / "req_1.json").write_text("{}")
    os.mkfifo(old / "pipe.json")
    (old / "folder.json").mkdir()
    assert run_traces_import(invocation_on(home), [str(old)], mark=False, as_json=True) == 0


def test_a_mark_goes_by_the_files_name(tmp_path: Path) -> None:
    folder = home_with(home := tmp_path / "home", trace_of(1))
    [file] = folder.glob("mlx/*.json")
    file.write_bytes(file.read_bytes().replace(b"req_0001", b"../../x"))
    elsewhere = tmp_path / "20260101T000000.000Z-req_9.json"
    elsewhere.write_bytes(file.read_bytes())
    run_traces_mark(invocation_on(home), "req_0001", note="", remove=False)
    assert list(read_marks(folder)) == ["req_0001"]
    for path in (elsewhere, tmp_path / "x.json"):
        with pytest.raises(CommandFailed, match="no trace"):
            run_traces_mark(invocation_on(home), str(path), note="", remove=False)


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    home_with(home := tmp_path / "home", trace_of(1))
    os.mkfifo(pipe := tmp_path / "pipe")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    at = invocation_on(home)
    chosen = {"form": "jsonl", "redact": False, "session": "", "since": "", "marked": False}
    run_traces_export(at, ["req_0001"], output=str(pipe), **chosen)  # type: ignore[arg-type]
    assert os.read(reader, 1 << 16).endswith(b"}\n")
    os.close(reader)
    assert pipe.is_fifo()
