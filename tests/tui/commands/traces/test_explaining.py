"""`anyclaude-tui traces context`: a session or a trace, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.proxy.trace_making import trace_of
from tests.tui.commands.traces.homes import home_with, invocation_on
from tui.commands.exit_codes import CommandFailed
from tui.commands.traces.explaining import run_traces_context


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home_with(tmp_path, trace_of(1), trace_of(2, lane="subagent"))
    return tmp_path


@pytest.mark.parametrize(("wanted", "trace"), [("session", "req_0001"), ("req_0002", "req_0002")])
def test_the_context_of_a_session_or_of_a_trace(
    home: Path, wanted: str, trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at = invocation_on(home)
    assert run_traces_context(at, wanted, window=100_000, as_json=False) == 0
    shown = capsys.readouterr().out
    assert trace in shown
    assert "3 of 100,000 tokens" in shown
    run_traces_context(at, wanted, window=0, as_json=False)
    assert "a host that runs tells the window: --window N says it" in capsys.readouterr().err
    run_traces_context(at, wanted, window=0, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["trace"], told["window_tokens"], told["compacts_at"]) == (trace, 0, None)


@pytest.mark.parametrize(
    ("wanted", "says"), [("nobody", "no trace is of a session nobody"), ("req_9", "no trace")]
)
def test_what_is_not_there_is_told(home: Path, wanted: str, says: str) -> None:
    with pytest.raises(CommandFailed, match=says):
        run_traces_context(invocation_on(home), wanted, window=0, as_json=False)
