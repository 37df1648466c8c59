from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.child import clean_environment
from tests.tui.scripted_host import ScriptedHost, scripted_host
from tests.tui.test_cli import COMMAND, run
from tui.commands.statusline import (
    ran_quickly,
    session_address,
    session_token,
    status_line,
)

# As Claude Code 2.1.332 writes it, without what is not read.
SESSION: dict[str, Any] = {
    "session_id": "c8333c54",
    "model": {"id": "tiny", "display_name": "Tiny"},
    "context_window": {
        "total_input_tokens": 13_605,
        "total_output_tokens": 18,
        "context_window_size": 200_000,
        "current_usage": {
            "input_tokens": 1_000,
            "output_tokens": 18,
            "cache_creation_input_tokens": 605,
            "cache_read_input_tokens": 12_000,
        },
        "used_percentage": 7,
    },
}
STATE: dict[str, Any] = {
    "model": "/models/Qwen3-Coder-30B/",
    "engine": {"state": "busy", "context_tokens": 131_072, "queue": 1},
    "tokens_per_s": 41.25,
    "counters": {"requests": 9, "finished": 5, "failed": 1, "cancelled": 1, "cache_read_input_tokens": 7},
}
FULL = "Qwen3-Coder-30B · 41.2 tok/s · context 13.6k/131k 10% · hit rate 88% · 2 running, 1 queued"


@pytest.mark.parametrize(
    ("session", "state", "problem", "line"),
    [
        (SESSION, STATE, "", FULL),
        (
            SESSION,
            {},
            "no host on 127.0.0.1:1",
            "Tiny · no host on 127.0.0.1:1 · context 13.6k/200k 7% · hit rate 88%",
        ),
        ({}, {}, "no host on 127.0.0.1:1", "anyclaude-tui · no host on 127.0.0.1:1"),
        ({}, STATE, "", "Qwen3-Coder-30B · 41.2 tok/s · context 131k · hit rate 100% · 2 running, 1 queued"),
        ({}, {"model": "m", "backend": "openai", "counters": {"input_tokens": 9}}, "", "m"),
        ({}, {"model": "M", "engine": {"state": "loading", "progress": 0.4}}, "", "M · engine loading 40%"),
        ({}, {"model": "M", "engine": {"state": "failed"}}, "", "M · engine failed"),
        ({}, {"model": "M", "engine": {"state": "stopped"}, "stopping": True}, "", "M · stopping"),
        ({}, {"model": "M", "engine": {"state": "stopped"}}, "", "M"),
        ({"context_window": {"current_usage": None, "total_input_tokens": 0}}, {"model": "M"}, "", "M"),
        ({"model": "odd", "context_window": [1]}, {"model": 7, "engine": []}, "", "7"),
        ({"model": {"id": "a\x1b[31mb"}}, {}, "", "a?[31mb"),
    ],
)
def test_what_is_known_is_one_line(session: Any, state: Any, problem: str, line: str) -> None:
    assert status_line(session, state, problem) == line


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (200, FULL),
        (80, "Qwen3-Coder-30B · 41.2 tok/s · context 13.6k/131k 10% · hit rate 88%"),
        (60, "Qwen3-Coder-30B · 41.2 tok/s · context 13.6k/131k 10%"),
        (20, "Qwen3-Coder-30B"),
        (8, "Qwen3-C…"),
    ],
)
def test_a_narrow_line_has_what_matters_most(width: int, line: str) -> None:
    assert status_line(SESSION, STATE, "", width=width) == line


def test_a_problem_stays_on_a_narrow_line() -> None:
    problem = "no host on 127.0.0.1:8082"
    assert status_line(SESSION, {}, problem, width=32) == f"Tiny · {problem}"
    assert status_line(SESSION, {}, problem, width=30) == f"T… · {problem}"
    assert status_line(SESSION, {}, problem, width=20) == "no host on 127.0.0.…"


@given(st.integers(1, 60), st.sampled_from(["", "no host on 127.0.0.1:8082"]))
def test_no_line_is_wider_than_asked_for(width: int, problem: str) -> None:
    line = status_line(SESSION, {} if problem else STATE, problem, width=width)
    assert 0 < len(line) <= width


@given(st.dictionaries(st.sampled_from([*SESSION, *STATE]), st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([
        "state", "progress", "queue", "context_tokens", "current_usage", "cache_read_input_tokens",
        "input_tokens", "display_name", "total_input_tokens",
    ]), inner), max_leaves=6,
)))  # fmt: skip
@settings(max_examples=50)
def test_whatever_is_sent_there_is_a_line(sent: dict[str, Any]) -> None:
    line = status_line(sent, sent, "", width=80, coloured=True)
    assert line
    assert "\n" not in line


def test_colours_are_kept_out_of_the_width() -> None:
    coloured = status_line(SESSION, STATE, "", width=80, coloured=True)
    plain = re.sub(r"\x1b\[\d+m", "", coloured)
    assert (plain, coloured != plain) == (status_line(SESSION, STATE, "", width=80), True)


@pytest.mark.parametrize(
    ("environ", "address", "token"),
    [
        (
            {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8082", "ANTHROPIC_AUTH_TOKEN": "t"},
            "http://127.0.0.1:8082",
            "t",
        ),
        ({"ANTHROPIC_BASE_URL": "https://api.example.com", "ANTHROPIC_AUTH_TOKEN": "t"}, "", ""),
        ({"ANTHROPIC_BASE_URL": "http://127.0.0.1:99999"}, "", ""),
        ({"ANYCLAUDE_TOKEN": "own", "ANTHROPIC_AUTH_TOKEN": "t"}, "", "own"),
    ],
)
def test_the_sessions_token_goes_to_the_sessions_host_alone(
    environ: dict[str, str], address: str, token: str
) -> None:
    assert session_address(environ) == address
    assert session_token(address or "http://127.0.0.1:1", environ) == token


@pytest.fixture
def host() -> Iterator[ScriptedHost]:
    with scripted_host() as running:
        yield running


@pytest.fixture
def in_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.TextIOWrapper]:
    """The session's object on stdin, without a terminal's variables."""
    for name in (
        "COLUMNS",
        "NO_COLOR",
        "TERM",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_AUTH_TOKEN",
        "ANYCLAUDE_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    reading, writing = os.pipe()
    os.write(writing, json.dumps(SESSION).encode())
    os.close(writing)
    with open(reading, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield stdin


def test_a_host_is_asked_with_the_sessions_token(
    host: ScriptedHost, in_session: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.token = "sesame"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", host.url)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sesame")
    monkeypatch.setenv("NO_COLOR", "1")
    assert ran_quickly([])
    assert capsys.readouterr().out == "Tiny · context 13.6k/200k 7% · hit rate 88%\n"
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "wrong")
    assert ran_quickly(["--width=200"])
    assert "asks for its token" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["--port", "9"], ["--attach"], ["--width", "wide"], []])
def test_what_it_cannot_do_at_once_goes_to_the_command_line(arguments: list[str], in_session: Any) -> None:
    assert not ran_quickly(arguments)


def test_a_program_that_does_not_answer_is_not_waited_for(
    in_session: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        assert ran_quickly(["--plain", "--attach", where])
    assert capsys.readouterr().out.startswith(f"Tiny · the host on {where} does not answer")


@pytest.mark.slow
def test_the_command_imports_neither_a_parser_nor_a_model_of_the_wire(
    host: ScriptedHost, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.argv = ['anyclaude-tui', 'statusline', '--attach', sys.argv[1]]\n"
        "from tui.program import main; main()\n"
        "slow = {'typer', 'pydantic', 'httpx', 'http.client', 'asyncio', 'subprocess', 'tui.cli', 'ssl'}\n"
        "sys.exit(' '.join(slow & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, host.url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(NO_COLOR="1"),
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Tiny\n", "")


@pytest.mark.slow
def test_without_a_host_or_with_a_broken_configuration_it_still_ends_well(tmp_path: Path) -> None:
    assert COMMAND.exists()
    ended = run(tmp_path, "--port", "1", "statusline", "--plain")
    assert (ended.returncode, ended.stdout, ended.stderr) == (
        0,
        "anyclaude-tui · no host on 127.0.0.1:1\n",
        "",
    )
    (tmp_path / ".anyclauderc.json").write_text("{")
    ended = run(tmp_path, "statusline", "--plain")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "its configuration is wrong" in ended.stdout


def test_a_width_that_is_no_number_is_left_to_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ran_quickly(["--attach", "127.0.0.1:1", "--width", "\u00b2"])  # a digit that `int` refuses
