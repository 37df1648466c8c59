"""A tour of the screen in a real terminal, by keys alone: a real Claude Code works on the bundled model."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import psutil
import pytest

from bench.child import clean_environment
from bench.terminal_session import DOWN, ENTER, ESCAPE, UP, TerminalSession, terminal_session
from proxy.traces.schema import Trace
from tests.e2e.real_client import claude_binary
from tests.e2e.test_claude_command import COMMAND, run
from tests.e2e.test_command_line import free_port

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]

Ask = Callable[[str], "Future[CompletedProcess[str]]"]


# A shell: the end of the screen is seen in what it leaves to it.
SHELL = """
import subprocess, sys
input("$")
print("it ended with", subprocess.run(sys.argv[1:]).returncode, flush=True)
input("$")
"""


@pytest.fixture(scope="module")
def port() -> str:
    """The screen's, known to who asks."""
    return str(free_port())


@pytest.fixture
def screen(tmp_path: Path, port: str) -> Iterator[TerminalSession]:
    """A terminal with a shell that waits for enter, to start the screen."""
    environ = clean_environment(
        HOME=str(tmp_path), ANYCLAUDE_HOME=str(tmp_path / "anyclaude"), COLORFGBG="15;0", CI=""
    )
    command = [sys.executable, "-c", SHELL, str(COMMAND), "--port", port]
    with terminal_session(command, cwd=tmp_path, environ=environ) as terminal:
        yield terminal


@pytest.fixture
def ask(tmp_path: Path, port: str) -> Iterator[Ask]:
    """Asks Claude Code in the background, on the host of the screen."""
    claude_binary()
    (tmp_path / "project").mkdir()
    # The bundled model copies it until it goes round in circles, which takes it a second or two.
    lines = (f"line {number} green red yellow\n" for number in range(1200))
    (tmp_path / "project" / "long.txt").write_text("".join(lines))
    with ThreadPoolExecutor(1) as pool:
        yield lambda prompt: pool.submit(
            run, tmp_path, "--port", port, asks=prompt, more=["--dangerously-skip-permissions"]
        )


def test_a_tour(tmp_path: Path, ask: Ask, screen: TerminalSession) -> None:
    screen.wait_for(r"\$")
    before = screen.modes
    screen.press(ENTER)
    screen.wait_for(r"● ready")

    watch(screen, ask)
    find_the_slowest(screen)
    export(screen, tmp_path / "anyclaude" / "exports")
    kill_the_engine(screen, ask)
    search(screen)
    cancel(screen, ask)

    children = psutil.Process(screen.process.pid).children(recursive=True)
    screen.press("q")
    screen.wait_for(r"this run: \d+ requests(?s:.*)it ended with 0\n\$")
    assert screen.modes == before
    assert psutil.wait_procs(children, timeout=10)[1] == []


def watch(screen: TerminalSession, ask: Ask) -> None:
    """A session that writes a file: its call, what came back, and its answer."""
    session = ask("Create notes.md containing the words hello world")
    screen.wait_for(r"→ Write notes\.md +✓ 1 call")
    screen.wait_for(r"Done: notes\.md is written\. +✓ answered")
    screen.wait_for(r"✓ idle \d+s, 2 requests")
    assert session.result().returncode == 0


def find_the_slowest(screen: TerminalSession) -> None:
    """Why it was slow, and what the other one has that it had not."""
    screen.press("5")
    screen.wait_for(r"2 in all")
    screen.press("s")
    screen.wait_for(r"by took ↓ s\n.*TOOK↓\n▌today")
    screen.press(DOWN + "m")
    screen.wait_for(r"◉today")
    screen.press(UP)
    screen.wait_for(r"▌today.*\n●today")
    screen.press("w")
    screen.wait_for(r"│ +prefill +[\d.]+m?s +▒(?s:.*)│ +decode +[\d.]+m?s +▓(?s:.*)t trace +d diff")
    screen.press("d")
    screen.wait_for(r"Traces › Diff.*\n A .*\n B .*\n .*tokens")
    screen.wait_for(r"=  tool Write")
    screen.press(ESCAPE)
    screen.wait_for(r"by took ↓")


def export(screen: TerminalSession, folder: Path) -> None:
    """Its trace, to a file whose path is said."""
    screen.press(ENTER)
    screen.wait_for(r"Traces › Trace(?s:.*)▾ Same session")
    screen.press("E")
    screen.wait_for(r"Export this trace as")
    screen.press(ENTER)
    screen.wait_for(r"Wrote \d+ kB to")
    [file] = folder.glob("*.json")
    assert "notes.md" in json.dumps(Trace.model_validate_json(file.read_bytes()).response.message)
    screen.press(ESCAPE)
    screen.wait_for(r"by took ↓")


def kill_the_engine(screen: TerminalSession, ask: Ask) -> None:
    """While it answers: the client repeats its request by itself, and the two are linked."""
    session, engine = answering(screen, ask)
    os.kill(engine, signal.SIGKILL)
    screen.wait_for(r"↻ \d\d:\d\d:\d\d ✓  engin.* +535 ")
    assert session.result().returncode == 0
    screen.wait_for(r"✗ 0 of ")  # none failed for good


def answering(screen: TerminalSession, ask: Ask) -> tuple[Future[CompletedProcess[str]], int]:
    """A session whose answer has begun, and the engine that writes it."""
    screen.press("4")
    engine = int(screen.wait_for(r"● READY (?s:.*) pid (\d+) on :")[1])
    screen.press("1")
    session = ask("Read the file long.txt")
    screen.wait_for(r"yellow +● writing")
    return session, engine


def search(screen: TerminalSession) -> None:
    """The request that wrote a file, by the file's name."""
    screen.press("5/")
    screen.wait_for(r"keep the filter")
    screen.press("file:notes.md")
    screen.wait_for(re.escape("file:notes.md"))
    screen.press(ENTER)
    screen.wait_for(r"● found")
    screen.wait_for(r"1 found +by took(?s:.*)▌today .*→ Write notes\.md")
    screen.press(ESCAPE)
    screen.wait_for(r"(in all|of \d+) +by took ↓")


def cancel(screen: TerminalSession, ask: Ask) -> None:
    """A request that runs; the client is told so that it does not repeat it."""
    session, engine = answering(screen, ask)
    os.kill(engine, signal.SIGSTOP)  # so that the answer cannot end before the keys
    try:
        screen.press("x")
        screen.wait_for(r"Cancel this request\?")
        screen.press(ENTER)
        screen.wait_for(r"⊘ cancelled by you")
    finally:
        os.kill(engine, signal.SIGCONT)
    session.result()
    screen.wait_for(r"▶ ?0 ")
