"""The real Claude Code does real work on the bundled model: no part of it is scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.child import Child
from bench.claude_code import run_claude
from proxy.traces.schema import Trace
from tests import servers
from tests.e2e.feed_reader import FeedReader
from tests.e2e.real_client import claude_binary

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Child, Path]]:
    claude_binary()
    folder = tmp_path_factory.mktemp("bundled")
    with servers.proxy(folder, backend="mlx", model="") as proxy:
        yield proxy, folder


@pytest.fixture
def ask(host: tuple[Child, Path], tmp_path: Path) -> Callable[[str], str]:
    """Asks Claude Code in the scratch folder, and returns its last word."""
    proxy, _ = host

    def answer(prompt: str) -> str:
        run = run_claude(proxy.url, prompt, home=tmp_path / "home", project=project(tmp_path))
        assert run.code == 0, run.stderr or run.stdout
        assert run.result["is_error"] is False
        return str(run.result["result"])

    return answer


def project(folder: Path) -> Path:
    """A scratch folder with the files that are asked about."""
    path = folder / "project"
    if not path.exists():
        path.mkdir()
        (path / "hello.txt").write_text("good morning\nto everybody\n")
        (path / "colors.txt").write_text("green\nred\nyellow\n")
    return path


def calls(traces: list[Trace]) -> list[dict[str, Any]]:
    """The tool calls of all answers, in order."""
    blocks = [
        block for trace in traces if trace.response.message for block in trace.response.message["content"]
    ]
    return [block for block in blocks if block["type"] == "tool_use"]


def test_it_reads_a_file_and_says_what_is_in_it(ask: Callable[[str], str]) -> None:
    said = ask("Read the file hello.txt")
    assert "good morning\nto everybody" in said


def test_it_writes_a_file(ask: Callable[[str], str], tmp_path: Path) -> None:
    ask("Create notes.txt containing the words hello world")
    assert (tmp_path / "project" / "notes.txt").read_text().strip() == "hello world"


def test_it_runs_a_command_and_reports_what_it_printed(ask: Callable[[str], str]) -> None:
    assert "2 hello.txt" in ask("Run the command wc -l hello.txt")


def test_it_edits_a_file(ask: Callable[[str], str], tmp_path: Path) -> None:
    ask("Replace red with blue in colors.txt")
    assert (tmp_path / "project" / "colors.txt").read_text() == "green\nblue\nyellow\n"


def test_a_file_that_is_not_there_ends_the_turn_soon(
    host: tuple[Child, Path], ask: Callable[[str], str]
) -> None:
    before = len(servers.traces(host[1]))
    assert ask("Read the file nosuch.txt")
    last = servers.traces(host[1])[before:][-1].response.message
    assert last is not None
    assert last["stop_reason"] == "end_turn"
    assert last["usage"]["output_tokens"] < 1000  # it wrote its whole window full


def test_every_call_was_the_models_and_is_on_record(
    host: tuple[Child, Path], ask: Callable[[str], str]
) -> None:
    proxy, folder = host
    before = len(servers.traces(folder))
    ask("Read the file colors.txt")
    FeedReader(proxy.url).until_type("request.finished", before + 2)
    done = servers.traces(folder)[before:]
    [call] = calls(done)
    assert call["name"] == "Read"
    assert str(call["input"]["file_path"]).endswith("colors.txt")
    assert len(done[-1].request.body["messages"]) > len(done[0].request.body["messages"])
