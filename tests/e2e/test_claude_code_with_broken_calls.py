"""The real Claude Code finishes its work although its calls are broken in the ways that models break them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.claude_code import ClaudeRun, run_claude
from bench.scripted_upstream import Call, ScriptedUpstream, Turn, in_order, serving
from proxy.events.tool_call import ToolCall
from proxy.traces.schema import Trace
from tests import servers
from tests.e2e.feed_reader import FeedReader
from tests.e2e.real_client import claude_binary

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]

WORK = "write the long report"
LINE = 'print("a \\"quoted\\" word", {"k": [1, 2]})  # </tool_call> </parameter>\n'
LONG = "".join(f"{number}: {LINE}" for number in range(1_400))  # some 100 KB
HALF, NO_JSON = '{"command": "echo half >> order.txt", "descr', '{"command": echo half >> order.txt}'
FINDINGS = [
    {"file": "a.py", "summary": 'It is "wrong"', "failure_scenario": "x -> y", "line": 3},
    {"file": "b.py", "summary": "So is this", "failure_scenario": "{y} -> [z]"},
]


@dataclass(frozen=True)
class Way:
    """One way of being broken: the turn that has it, and the calls that are meant."""

    name: str
    turn: Turn
    meant: tuple[tuple[str, dict[str, Any]], ...]


def ways(folder: Path) -> list[Way]:
    """One a round; a later round reads or changes what an earlier one wrote."""
    long, small = str(folder / "long.txt"), str(folder / "small.txt")

    def way(name: str, tool: str, arguments: dict[str, Any], written: str, **turn: Any) -> Way:
        call = Call(turn.pop("spelled", tool), arguments, written)
        return Way(name, Turn("", (call,), **turn), ((tool, arguments),))

    def bash(command: str) -> dict[str, Any]:
        return {"command": command, "description": "Run it"}

    write_long = {"file_path": long, "content": LONG}
    write_small = {"file_path": small, "content": "one\ntwo\n"}
    read = {"file_path": small, "limit": 2}
    edit = {"file_path": small, "old_string": "two", "new_string": "2", "replace_all": True}
    report = {"findings": FINDINGS}
    both = (("Bash", bash("echo first >> order.txt")), ("Bash", bash("echo second >> order.txt")))
    return [
        way(
            "line breaks bare in 100 KB of content",
            "Write",
            write_long,
            json.dumps(write_long).replace("\\n", "\n"),
        ),
        way("a trailing comma", "Write", write_small, json.dumps(write_small)[:-1] + ",}"),
        way("numbers as text", "Read", read, json.dumps(read | {"limit": "2"})),
        way("a flag as text", "Edit", edit, json.dumps(edit | {"replace_all": "true"})),
        way("Python's quotes", "Bash", bash("ls"), repr(bash("ls"))),
        way("no closing brace", "Bash", bash("pwd"), json.dumps(bash("pwd"))[:-1]),
        way("a fence around it", "Bash", bash("date"), f"```json\n{json.dumps(bash('date'))}\n```"),
        way("encoded twice", "Bash", bash("id"), json.dumps(json.dumps(bash("id")))),
        way(
            "the tool's name in other letters", "Bash", bash("true"), json.dumps(bash("true")), spelled="bash"
        ),
        way(
            "a nested list as text",
            "ReportFindings",
            report,
            json.dumps({"findings": json.dumps(FINDINGS)}),
        ),
        Way(
            "parallel calls with one index",
            Turn("", tuple(Call(name, arguments) for name, arguments in both), one_index=True),
            both,
        ),
        Way("half of it at the limit", Turn("", (Call("Bash", {}, HALF),), ends="length"), ()),
        Way("no JSON at all", Turn("", (Call("Bash", {}, NO_JSON),)), ()),
        way("an end that says stop", "Bash", bash("echo six"), json.dumps(bash("echo six")), ends="stop"),
    ]


@dataclass(frozen=True)
class Session:
    """What the run left behind."""

    folder: Path
    ended: ClaudeRun
    traces: list[Trace]

    def calls(self) -> list[ToolCall]:
        return [call for trace in self.traces for call in trace.tool_calls if call.input is not None]

    def unread(self) -> list[ToolCall]:
        return [call for trace in self.traces for call in trace.tool_calls if call.input is None]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    claude_binary()
    folder = tmp_path_factory.mktemp("broken")
    project = folder / "project"
    project.mkdir()
    work = in_order([*(way.turn for way in ways(project)), Turn("All is done.")])
    scripted = ScriptedUpstream(work)
    with (
        serving(scripted.app) as upstream,
        servers.proxy(folder, backend="openai", backend_url=upstream, model="scripted") as proxy,
    ):
        ended = run_claude(proxy.url, f"Please {WORK}.", home=folder / "home", project=project)
        feed = FeedReader(proxy.url)
        feed.until(lambda f: len(f.of("request.finished")) >= len(scripted.bodies), what="the last answer")
        yield Session(project, ended, servers.traces(folder))


def test_the_client_does_all_of_it_and_ends_well(session: Session) -> None:
    assert session.ended.code == 0, session.ended.stderr
    assert session.ended.result["result"] == "All is done."
    assert (session.folder / "long.txt").read_text() == LONG
    assert (session.folder / "small.txt").read_text() == "one\n2\n"
    assert sorted((session.folder / "order.txt").read_text().split()) == ["first", "second"]


def test_each_call_is_what_was_meant_and_fits_its_schema(session: Session) -> None:
    meant = [call for way in ways(session.folder) for call in way.meant]
    assert [(call.name, call.input) for call in session.calls()] == meant
    assert {call.verdict for call in session.calls()} == {"valid"}


def test_the_client_took_every_one_of_them(session: Session) -> None:
    failed = [(call.name, call.result) for call in session.calls() if call.is_error]
    assert failed == []
    assert all(call.result is not None for call in session.calls())


def test_it_answers_what_nobody_can_read_with_an_error_and_goes_on(session: Session) -> None:
    half, no_json = session.unread()
    assert (half.verdict, no_json.verdict) == ("cut", "unparsed")
    for call in (half, no_json):
        assert call.is_error
        assert "could not be parsed as JSON" in (call.result or "")


def test_each_repair_is_on_record(session: Session) -> None:
    repaired = {call.id: call for call in session.calls() if call.repairs}
    whole = {"parallel calls with one index", "an end that says stop"}
    broken = sum(len(way.meant) for way in ways(session.folder) if way.name not in whole)
    assert len(repaired) == broken
    assert all(call.raw for call in repaired.values())
