"""The real Claude Code on a server that leaves calls in the text: the meant ones are carried out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.claude_code import ClaudeRun, run_claude
from bench.scripted_upstream import ScriptedUpstream, Turn, in_order, serving
from proxy.traces.schema import Trace
from tests import servers
from tests.e2e.feed_reader import FeedReader
from tests.e2e.real_client import claude_binary

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]


def line(command: str) -> str:
    return json.dumps({"name": "Bash", "arguments": {"command": command, "description": "Run it"}})


def hermes(command: str) -> str:
    return f"<tool_call>\n{line(command)}\n</tool_call>"


def tagged(command: str) -> str:
    parameters = {"command": command, "description": "Run it"}
    written = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in parameters.items())
    return f"<function=Bash>\n{written}</function>"


REMOVE = "rm precious.txt"
LAST = (
    f"All is done. It would look like this, do not run it:\n{line(REMOVE)}\n\n```json\n{line(REMOVE)}\n```\n"
)
SHOWN = [
    f"Do not run it:\n{hermes(REMOVE)}\nThe file is needed.",
    f"```xml\n{hermes(REMOVE)}\n```",
    f"<think>\nOne way is\n{hermes(REMOVE)}\nbut nobody asked for it.\n</think>\n\nI leave it.",
    f"<think>\nI begin with\n{hermes(REMOVE)}",
]


@dataclass(frozen=True)
class Session:
    """What a run left behind."""

    folder: Path
    ended: ClaudeRun
    traces: list[Trace]


def run(folder: Path, turns: list[Turn]) -> Session:
    claude_binary()
    project = folder / "project"
    project.mkdir()
    (project / "precious.txt").write_text("keep me")
    scripted = ScriptedUpstream(in_order(turns))
    with (
        serving(scripted.app) as upstream,
        servers.proxy(folder, backend="openai", backend_url=upstream, model="scripted") as proxy,
    ):
        ended = run_claude(proxy.url, "Please look around.", home=folder / "home", project=project)
        feed = FeedReader(proxy.url)
        feed.until(lambda f: len(f.of("request.finished")) >= len(scripted.bodies), what="the last answer")
        return Session(project, ended, servers.traces(folder))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    turns = [
        Turn(f"I look.\n{hermes('echo one >> done.txt')}"),
        Turn(tagged("echo two >> done.txt")),
        Turn(f"<think>Or `{REMOVE}`? {hermes(REMOVE)} No.</think>\n{hermes('echo three >> done.txt')}"),
        Turn(LAST),
    ]
    return run(tmp_path_factory.mktemp("meant"), turns)


def test_calls_at_the_end_of_a_text_are_carried_out(session: Session) -> None:
    assert session.ended.code == 0, session.ended.stderr
    assert (session.folder / "done.txt").read_text().split() == ["one", "two", "three"]
    inputs = [call.input or {} for trace in session.traces for call in trace.tool_calls]
    assert [given["command"].split()[1] for given in inputs] == ["one", "two", "three"]


def test_calls_that_the_text_shows_or_thinks_about_are_not(session: Session) -> None:
    assert (session.folder / "precious.txt").exists()
    assert session.ended.result["result"] == LAST
    assert any("quotes a tool call" in note for note in session.traces[-1].notes)


@pytest.mark.parametrize("text", SHOWN)
def test_an_answer_that_only_shows_a_call_ends_the_turn(tmp_path: Path, text: str) -> None:
    ended = run(tmp_path, [Turn(text), Turn("Something was carried out.")])
    assert ended.ended.code == 0, ended.ended.stderr
    assert (ended.folder / "precious.txt").exists()
    result: Any = ended.ended.result["result"]
    assert result.strip()
    assert result != "Something was carried out."
