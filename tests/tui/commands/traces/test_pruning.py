from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from proxy.traces.marks import set_mark
from tests.proxy.trace_making import trace_of
from tests.tui.commands.traces.homes import home_with, invocation_on
from tui.commands.exit_codes import CommandFailed
from tui.commands.traces.pruning import run_traces_prune

DAY = 86_400.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    now = time.time()
    ages = (40, 33, 5, 1)
    home_with(tmp_path, *(trace_of(number, time=now - age * DAY) for number, age in enumerate(ages, 1)))
    return tmp_path


def pruned(home: Path, *, yes: bool = True, as_json: bool = False, **limits: Any) -> int:
    given = {"older": "", "size": "", "keep": 0} | limits
    return run_traces_prune(invocation_on(home), yes=yes, as_json=as_json, **given)


def left(home: Path) -> int:
    return len(list(home.glob("traces/mlx/*.json")))


def test_without_yes_it_only_tells(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pruned(home, yes=False) == 0
    shown = capsys.readouterr()
    assert [line.split()[-2] for line in shown.out.splitlines()] == ["age", "age"]
    assert "req_0001" in shown.out
    assert shown.err.startswith("2 traces (")
    assert "would stay; --yes removes them" in shown.err
    assert "within 30 days and 10 GB" in shown.err
    assert left(home) == 4


def test_with_yes_it_removes_all_but_the_marked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_mark(home / "traces", "req_0001")
    assert pruned(home, older="2d") == 0
    shown = capsys.readouterr().err
    assert "2 traces (" in shown
    assert ") removed; 2 traces (" in shown
    assert "1 of them only for their mark" in shown
    assert left(home) == 2


@pytest.mark.parametrize(("limit", "stay"), [({"keep": 3}, 3), ({"size": "1KB"}, 1), ({"size": "1GB"}, 4)])
def test_by_count_and_by_size(home: Path, limit: dict[str, object], stay: int) -> None:
    assert pruned(home, **limit) == 0
    assert left(home) == stay


def test_a_number_of_traces_is_said_in_words(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pruned(home, yes=False, keep=1) == 0
    assert "within the newest 1 would stay" in capsys.readouterr().err


def test_as_json_it_is_the_plan(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pruned(home, yes=False, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert [one["reason"] for one in shown["removals"]] == ["age", "age"]
    assert (shown["limits"]["days"], shown["removed"], shown["kept"]) == (30, False, 2)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"size": "much"}, "--size is 'much'; allowed: bytes"),
        ({"size": "0"}, "--size"),
        ({"older": "x"}, "--older"),
    ],
)
def test_a_limit_that_is_none_removes_nothing(home: Path, wrong: dict[str, str], says: str) -> None:
    with pytest.raises(CommandFailed, match=says):
        pruned(home, **wrong)
    assert left(home) == 4
