"""The real Claude Code in a terminal, as a person uses it: read the screen, answer questions by keys."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.child import clean_environment
from bench.scripted_upstream import Body, Call, ScriptedUpstream, Turn, in_order, serving
from bench.terminal_session import TerminalSession, terminal_session
from tests import servers
from tests.e2e.real_client import claude_binary, settle_in

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]

COMMAND = Path(sys.executable).with_name("anyclaude-tui")
AUTO_MODE_DIALOG = "Auto mode can"
SAID = "The till adds up now."


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "project"
    folder.mkdir()
    (folder / "till.py").write_text("print(6 - 7)\n")
    settle_in(tmp_path / "home", folder)
    return folder


def mending(project: Path) -> ScriptedUpstream:
    """A model that reads the till, mends it and runs it."""
    till = str(project / "till.py")
    turns = [
        Turn("I will look at it.", (Call("Read", {"file_path": till}),)),
        Turn("", (Call("Edit", {"file_path": till, "old_string": "6 - 7", "new_string": "6 + 7"}),)),
        Turn("", (Call("Bash", {"command": "python3 till.py > said.txt", "description": "Run it"}),)),
        Turn(SAID),
    ]

    def script(body: Body) -> Turn:
        return in_order(turns)(body) if body.get("tools") else Turn('{"title": "The till"}')

    return ScriptedUpstream(script)


def results(scripted: ScriptedUpstream) -> list[str]:
    """What the tools gave back, as the last request of the conversation has it."""
    longest = max(scripted.bodies, key=lambda body: len(body["messages"]))
    return [str(message["content"]) for message in longest["messages"] if message["role"] == "tool"]


def test_a_fresh_session_reads_edits_and_runs_with_the_ordinary_questions(
    tmp_path: Path, project: Path
) -> None:
    scripted = mending(project)
    environ = clean_environment(
        HOME=str(tmp_path / "home"),
        ANYCLAUDE_HOME=str(tmp_path / "anyclaude"),
        ANYCLAUDE_CLAUDE=str(claude_binary()),
        DISABLE_AUTOUPDATER="1",
    )
    with (
        serving(scripted.app) as url,
        servers.proxy(tmp_path, backend="openai", backend_url=url, model="scripted") as proxy,
        terminal_session(
            [str(COMMAND), "--attach", proxy.url, "claude", "--status-line"], cwd=project, environ=environ
        ) as terminal,
    ):
        begin(terminal, "Mend the till")
        terminal.answer(r"Do you want to make this edit to till\.py\?", "1")
        terminal.answer(r"Do you want to proceed\?", "1")
        terminal.wait_for(SAID, unless=AUTO_MODE_DIALOG)
        terminal.wait_for(r"scripted · (?:[\d.k]+ tok/s · )?context [\d.k]+/1\.0M 1% · hit rate \d+%")

    assert (project / "till.py").read_text() == "print(6 + 7)\n"
    assert (project / "said.txt").read_text() == "13\n"
    assert len(results(scripted)) == 3
    assert "print(6 - 7)" in results(scripted)[0]
    assert not any("safeguards" in trace.request.body for trace in servers.traces(tmp_path))


def begin(terminal: TerminalSession, prompt: str) -> None:
    """Type the first prompt once the client listens; a session that stands in auto mode is none of ours."""
    terminal.wait_for(r"manual mode on")
    terminal.type_line(prompt)
    terminal.wait_for("Do you want", unless=AUTO_MODE_DIALOG)
