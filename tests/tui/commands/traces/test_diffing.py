from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.events.types import Timings, Usage
from tests.proxy.trace_making import trace_of
from tests.tui.commands.traces.homes import home_with, invocation_on
from tui.commands.traces.diffing import run_traces_diff


@pytest.fixture
def home(tmp_path: Path) -> Path:
    usage, times = Usage(input_tokens=1000), Timings(prefill_start=0.0, first_token=4.0)
    home_with(
        tmp_path,
        trace_of(1, text="one\non branch main\nthree"),
        trace_of(2, text="one\non branch \x1b[31mdev\nthree", usage=usage, timings=times),
    )
    return tmp_path


def test_it_opens_at_the_first_difference_with_what_it_cost(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_traces_diff(invocation_on(home), "req_0001", "req_0002", whole=False, as_json=False) == 1
    shown = capsys.readouterr().out
    for words in (
        "A  req_0001",
        "the first difference is message 1 (user): changed at its character 20",
        "  A     main three\n",
        "  B     dev three\n",
        "of prefill\n",
        "= 1 the same\n! message 1 (user)",
        "<- first difference\n",
        "    -on branch main\n    +on branch dev\n",
    ):
        assert words in shown
    assert "\x1b" not in shown


def test_equal_prompts_are_fine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_traces_diff(invocation_on(home), "req_0001", "req_0001", whole=True, as_json=False) == 0
    assert "both prompts are the same\n\n= tool Read" in capsys.readouterr().out


def test_as_json_both_texts_are_whole(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_traces_diff(invocation_on(home), "req_0001", "req_0002", whole=False, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["first"], shown["segments"][1]["kind"]) == (1, "changed")
    assert shown["segments"][1]["b"].endswith("dev\nthree")


def test_another_model_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home_with(tmp_path, trace_of(1), trace_of(2, upstream_model="other"))
    run_traces_diff(invocation_on(tmp_path), "req_0001", "req_0002", whole=False, as_json=False)
    assert "their models differ (claude-x, other): nothing of A's state could" in capsys.readouterr().out
