from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
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
        "     one\n    -on branch main\n    +on branch \\x1b[31mdev\n     three\n",
    ):
        assert words in shown
    assert "\x1b" not in shown


def shown_difference(folder: Path, capsys: pytest.CaptureFixture[str], a: str, b: str) -> str:
    home_with(folder, trace_of(1, text=a), trace_of(2, text=b))
    run_traces_diff(invocation_on(folder), "req_0001", "req_0002", whole=False, as_json=False)
    return capsys.readouterr().out


def test_lines_that_differ_in_blanks_alone_do_not_look_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = shown_difference(tmp_path, capsys, "if x:\n  return 1", "if x:\n\treturn 1")
    assert "     if x:\n    -  return 1\n    +" in shown
    assert "+  return 1" not in shown


def test_of_a_long_line_the_part_that_differs_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = shown_difference(tmp_path, capsys, "x" * 9000 + " before", "x" * 9000 + " after")
    assert " before\n" in shown
    assert " after\n" in shown
    assert "x" * 2000 not in shown


def test_what_takes_long_to_compare_line_by_line_is_compared_as_on_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    class Counting(SequenceMatcher[str]):
        def __init__(self, isjunk: None, a: Sequence[str], b: Sequence[str], **more: bool) -> None:
            compared.append(len(a) * len(b))
            super().__init__(isjunk, a, b, **more)

    monkeypatch.setattr("difflib.SequenceMatcher", Counting)
    monkeypatch.setattr("proxy.traces.analysis.comparing.line_diff.SequenceMatcher", Counting)
    lines = [f"line {number}" for number in range(5000)]
    others = [line if number % 10 else f"{line}!" for number, line in enumerate(lines)]
    shown = shown_difference(tmp_path, capsys, "\n".join(lines), "\n".join(others))
    assert "    -line 0\n    +line 0!\n" in shown
    assert " more lines; --json has both texts\n" in shown
    assert sum(compared) < 100 * len(lines)


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
