"""`anyclaude-tui traces` on real trace files, with the real command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.child import clean_environment
from engine.process.private_files import write_private
from engine.wire.json_text import encode_json
from proxy.events.types import CacheMiss, CacheVerdict, ErrorInfo, Usage
from proxy.traces.files import trace_path
from proxy.traces.schema import Trace, TraceResponse
from tests.proxy.trace_making import body_of, call_of, trace_of
from tests.tui.commands.traces.homes import home_with, invocation_on
from tests.tui.test_cli import COMMAND, run
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.traces.listing import list_traces
from tui.commands.traces.places import open_trace
from tui.commands.traces.showing import run_traces_show

READ = {
    "name": "Read",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}
RAW = '<tool_call>\n{"name": "Read", "arguments": {"path": "a"}}\n</tool_call>'
BROKEN = '{"name": "Read", "arguments": {"path": "a",}}'


def write(folder: Path, trace: Trace) -> Path:
    path = folder / ".anyclaude" / "traces" / trace_path(trace.backend, trace.time, trace.id)
    write_private(path, encode_json(trace.model_dump()))
    return path


def with_calls(number: int = 1, **fields: Any) -> Trace:
    made = {
        "tool_calls": [
            call_of(
                raw=RAW,
                tokens=[1, 2, 3],
                family="hermes",
                constrained=True,
                result="a\x1b[31mb",
                is_error=False,
                duration_s=0.25,
            ),
            call_of("toolu_2", raw=BROKEN, repairs=["took out a comma"]),
            call_of("toolu_3", raw=RAW, family="hermes", input={"path": "b"}),
        ],
        "cache": CacheVerdict(
            prompt_tokens=100,
            matched_tokens=60,
            kept_tokens=30,
            tier="memory",
            miss=CacheMiss(reason="diverged", position=60, segment="message 2", before="old", now="new"),
        ),
        "usage": Usage(input_tokens=10, cache_creation_input_tokens=30, cache_read_input_tokens=60),
        "notes": ["a system turn was folded"],
    }
    trace = trace_of(number, **made | fields)
    trace.request.body = body_of("hi", tools=[READ])
    return trace


class TestShow:
    def test_a_trace_is_shown_by_the_beginning_of_its_id(self, tmp_path: Path) -> None:
        write(tmp_path, with_calls())
        ended = run(tmp_path, "traces", "show", "req_00")
        assert (ended.returncode, ended.stderr) == (0, "")
        shown = ended.stdout
        for words in (
            "req_0001",
            "POST /v1/messages",
            "claude-x on mlx",
            "first token 0.50s",
            "60 restored, 30 cached, 10 not kept",
            "restored 60 of 100 tokens from memory",
            "diverged at token 60 in message 2",
            "1  Read  valid  hermes  grammar  3 tokens  ok after 0.25s",
            "repair: took out a comma",
            "a system turn was folded",
        ):
            assert words in shown

    def test_an_error_is_shown(self, tmp_path: Path) -> None:
        answer = TraceResponse(status=529, error=ErrorInfo(type="overloaded_error", message="full"))
        write(tmp_path, with_calls(response=answer))
        assert "overloaded_error: full" in run(tmp_path, "traces", "show", "req_0001").stdout

    def test_a_file_is_shown_wherever_it_lies(self, tmp_path: Path) -> None:
        path = write(tmp_path, with_calls())
        other = tmp_path / "kept.json"
        path.rename(other)
        assert "req_0001" in run(tmp_path, "traces", "show", "kept.json").stdout

    def test_in_detail_prompt_answer_and_results_are_there(self, tmp_path: Path) -> None:
        answer = {"content": [{"type": "text", "text": "It is \x1b[31mdone."}], "stop_reason": "end_turn"}
        write(tmp_path, with_calls(response=TraceResponse(status=200, message=answer)))
        shown = run(tmp_path, "traces", "show", "req_0001", "--detail").stdout
        for words in (
            "usage      prompt 100 tokens",
            "\n--- headers, 4 characters\nx: y\n",
            "\n--- tool Read, ",
            "\n--- message 1 (user), 8 characters\nuser:\nhi\n",
            "\n--- answer, 16 characters\nIt is done.\n",
            '\n--- call 1: input, 12 characters\n{"path":"a"}\n',
            "\n--- call 1: result, 7 characters\nab\n",
        ):
            assert words in shown

    def test_raw_it_is_the_file(self, tmp_path: Path) -> None:
        path = write(tmp_path, with_calls())
        assert run(tmp_path, "traces", "show", "req_0001", "--raw").stdout == path.read_text() + "\n"

    def test_as_json_it_is_the_whole_trace(self, tmp_path: Path) -> None:
        trace = with_calls()
        write(tmp_path, trace)
        shown = run(tmp_path, "traces", "show", "req_0001", "--json").stdout
        assert Trace.model_validate_json(shown) == trace


class TestACallReadAgain:
    def test_each_step_is_shown(self, tmp_path: Path) -> None:
        write(tmp_path, with_calls())
        ended = run(tmp_path, "traces", "show", "req_0001", "--tool", "1")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.splitlines() == [
            "req_0001  call 1 of 3: Read  toolu_1",
            "raw        69 characters, 3 tokens",
            "           | <tool_call>",
            '           | {"name": "Read", "arguments": {"path": "a"}}',
            "           | </tool_call>",
            "read by    hermes, constrained by a grammar",
            "           name       Read",
            '           arguments  {"path": "a"}',
            "           end",
            "JSON       an object with 1 key",
            "repairs    none",
            "verdict    valid",
            "stored     valid: agrees",
            "result     ok after 0.25s",
            "           | ab",
        ]

    def test_its_repairs_are_made_again(self, tmp_path: Path) -> None:
        write(tmp_path, with_calls())
        ended = run(tmp_path, "traces", "show", "req_0001", "--tool", "2")
        assert ended.returncode == 0
        assert "read by    structured by the upstream" in ended.stdout
        assert "JSON       broken: " in ended.stdout
        assert "repairs    1  " in ended.stdout
        assert "stored     valid after 1 repair: agrees" in ended.stdout
        assert "result     the client has not sent one" in ended.stdout

    def test_another_end_than_then_is_a_failed_check(self, tmp_path: Path) -> None:
        write(tmp_path, with_calls())
        ended = run(tmp_path, "traces", "show", "req_0001", "--tool", "3")
        assert ended.returncode == 1
        assert "stored     valid: DISAGREES" in ended.stdout
        assert "the input is another" in ended.stdout

    def test_as_json_it_is_what_was_stored_and_what_is_read(self, tmp_path: Path) -> None:
        write(tmp_path, with_calls())
        shown = json.loads(run(tmp_path, "traces", "show", "req_0001", "--tool", "1", "--json").stdout)
        assert shown["agrees"] is True
        assert shown["stored"]["tokens"] == [1, 2, 3]
        assert [piece["piece"] for piece in shown["read"]["pieces"]] == [
            "CallBegin",
            "CallArguments",
            "CallEnd",
        ]
        assert shown["read"]["input"] == {"path": "a"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "req_0003"], "; did you mean req_000"),
        (["show", "nonsense"], "the newest are req_0002, req_0001"),
        (["show", "req_000"], "2 traces begin with req_000"),
        (["show", "gone.json"], "gone.json cannot be read"),
        (["show", "req_0001", "--tool", "4"], "its calls are 1 Read, 2 Read, 3 Read"),
        (["show", "req_0001", "--tool", "0"], "no call number 0"),
        (["show", "req_0002", "--tool", "1"], "made no tool call"),
        (["show"], "ID"),
    ],
)
def test_what_is_not_there_ends_with_2_and_the_nearest(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    write(tmp_path, with_calls(1))
    write(tmp_path, trace_of(2))
    ended = run(tmp_path, "traces", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_that_leaves_ends_it_in_peace(tmp_path: Path) -> None:
    write(tmp_path, with_calls(notes=["x" * 1000] * 1000))
    with subprocess.Popen(
        [str(COMMAND), "traces", "show", "req_0001"],
        cwd=tmp_path,
        env=clean_environment(HOME=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.read(1)
        command.stdout.close()
        assert (command.stderr.read(), command.wait(60)) == (b"", 0)


def test_without_traces_there_is_none_to_show(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="there are no traces yet") as failed:
        open_trace(tmp_path / "nowhere", "req_1")
    assert failed.value.exit_code == ExitCode.USAGE
    assert list_traces(tmp_path / "nowhere") == []


class TestList:
    def test_the_newest_come_first_a_line_each(self, tmp_path: Path) -> None:
        for number in (1, 2, 3):
            write(tmp_path, with_calls(number) if number == 2 else trace_of(number))
        ended = run(tmp_path, "traces", "list", "-n", "2", COLUMNS="160")
        assert (ended.returncode, ended.stderr) == (0, "")
        first, second = ended.stdout.splitlines()
        assert "req_0003" in first
        assert "req_0002" in second
        assert second.endswith("end_turn  3 calls")

    def test_sessions_and_failures_can_be_picked(self, tmp_path: Path) -> None:
        fault = TraceResponse(status=500, error=ErrorInfo(type="api_error", message="broke off"))
        write(tmp_path, trace_of(1, session="session-b", response=fault))
        write(tmp_path, trace_of(2, session="session-b"))
        write(tmp_path, trace_of(3, tool_calls=[call_of(is_error=True)]))
        folder = tmp_path / ".anyclaude" / "traces"
        assert [row.id for row in list_traces(folder, session="session-b")] == ["req_0002", "req_0001"]
        assert [row.id for row in list_traces(folder, errors=True)] == ["req_0003", "req_0001"]
        ended = run(tmp_path, "traces", "list", "--session", "session-b", "--errors", "--json")
        assert json.loads(ended.stdout)["error"] == "broke off"


@pytest.mark.parametrize("tool", [None, 1])
def test_no_id_reaches_the_terminal_as_it_came(
    tmp_path: Path, tool: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home_with(tmp_path, trace_of(1, tool_calls=[call_of("toolu\x1b[31m_1")]))
    [file] = folder.glob("mlx/*.json")
    file.write_bytes(file.read_bytes().replace(b"req_0001", b"req_\\u001b[2J"))
    run_traces_show(invocation_on(tmp_path), "req_0001", tool=tool, form="short")
    assert "\x1b" not in capsys.readouterr().out


def test_a_body_that_is_nested_very_deeply_is_shown_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep: Any = "deep"
    for _ in range(400):
        deep = [deep]
    home_with(tmp_path, trace_of(1))
    file = next((tmp_path / "traces").rglob("*req_0001.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"upstream": deep}))
    assert run_traces_show(invocation_on(tmp_path), "req_0001", tool=None, form="json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == "req_0001"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (TraceResponse(status=429, error=ErrorInfo(type="rate_limit_error", message="slow down")), "429"),
        (
            TraceResponse(status=499, error=ErrorInfo(type="cancelled", message="left"), cancelled=True),
            "499 the client left before its end",
        ),
        (TraceResponse(status=200, message={"content": []}), "200 no stop reason"),
        (TraceResponse(status=200, message={"stop_reason": "end_turn"}), "200 end_turn"),
    ],
)
def test_how_a_request_ended_is_told_without_a_reason_that_it_cannot_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], response: TraceResponse, answer: str
) -> None:
    home_with(tmp_path, trace_of(1, response=response))
    run_traces_show(invocation_on(tmp_path), "req_0001", tool=None, form="short")
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("answer")]
    assert line.split() == ["answer", *answer.split()]
