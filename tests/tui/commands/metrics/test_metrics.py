from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.traces.marks import set_mark
from tests.proxy.trace_making import AT, trace_of
from tests.tui.commands.traces.homes import home_with, invocation_on
from tests.tui.commands.traces.test_analyzing import traces
from tui.commands.exit_codes import CommandFailed
from tui.commands.metrics.command import run_metrics
from tui.commands.traces.pruning import run_traces_prune

DAY = datetime.fromtimestamp(AT).strftime("%Y-%m-%d")
PRICES = '{"claude-*": {"input": 2000, "cacheWrite": 1000, "cacheRead": 100, "output": 0}}'
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on a home of two traces; returns what it printed."""
    monkeypatch.setenv("COLUMNS", "160")
    home_with(tmp_path, *traces())
    invocation = invocation_on(tmp_path, ANYCLAUDE_PRICES=PRICES)

    def run(**given: Any) -> str:
        options = {"since": "", "until": "", "by": "day", "csv_file": "", "as_json": False}
        chosen = {"backend": given.pop("backend", ""), "model": given.pop("model", "")}
        capsys.readouterr()
        assert run_metrics(invocation, chosen, **options | given) == 0
        return capsys.readouterr().out

    return run


def test_the_report_has_what_a_person_asks_for(run: Run) -> None:
    shown = run()
    for words in (
        "requests   2\n",
        "hit rate   50.0% of requests, 59.8% of prompt tokens",
        "  warm     10% 0.50s  50% 0.50s  90% 0.50s  99% 0.50s  (1)\n",
        "  cold     10% 4.0s  50% 4.0s  90% 4.0s  99% 4.0s  (1)\n",
        "saved      3.0k tokens of prefill, about 6.0s at the measured speed",
        "would have cost 3.32 by the configuration's prices\n",
        f"days       {DAY}, of this machine's time zone, which is UTC",
        f"tokens of prompts, by day\n  {DAY}  █",
        "TTFT warm  TTFT cold",
    ):
        assert words in shown
    assert "\n  claude-x  " in run(by="model")
    assert "\x1b" not in run(by="session")


def test_what_was_pruned_stays_counted_and_what_is_marked_stays_once(run: Run, tmp_path: Path) -> None:
    before = run(as_json=True)
    set_mark(tmp_path / "traces", "req_0001")
    prune = {"older": "", "size": "", "keep": 1, "yes": True, "as_json": False}
    home_with(tmp_path, trace_of(3, time=trace_of(3).time + 99))
    run_traces_prune(invocation_on(tmp_path), **prune)  # type: ignore[arg-type]
    assert len(list((tmp_path / "traces").glob("mlx/*.json"))) == 2
    assert run(as_json=True, until="2026-09-21T14:14:00+00:00") == before
    assert json.loads(run(as_json=True))["total"]["requests"] == 3


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("day", {DAY}),
        ("model", {"claude-x"}),
        ("backend", {"mlx"}),
        ("lane", {"main", "subagent"}),
        ("session", {"session-a", "session-\x1bb"}),
    ],
)
def test_csv_and_json_have_the_same_groups(run: Run, tmp_path: Path, by: str, names: set[str]) -> None:
    file = tmp_path / "out.csv"
    found = json.loads(run(by=by, csv_file=str(file), as_json=True))
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert {row[by] for row in rows} == {group["name"] for group in found["groups"]} == names
    assert sum(int(row["read_tokens"]) for row in rows) == found["total"]["read"] == 2990
    assert found["zone"].startswith("UTC")
    assert (file.stat().st_mode & 0o777) == 0o600


def test_a_line_for_each_request_in_csv_is_no_formula(run: Run, tmp_path: Path) -> None:
    home_with(tmp_path, trace_of(3, model='=HYPERLINK("x")'))
    rows = list(csv.DictReader(run(by="request", csv_file="-").splitlines()))
    assert [row["id"] for row in rows] == ["req_0001", "req_0002", "req_0003"]
    assert rows[2]["model"] == '\'=HYPERLINK("x")'
    assert [row["read"] for row in rows] == ["0", "2990", "0"]
    found = json.loads(run(by="request", as_json=True, model="claude-x"))
    assert [row["id"] for row in found["groups"]] == ["req_0001", "req_0002"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"by": "week"}, "--by is 'week'; allowed: day, model"),
        ({"by": "request"}, "--by request needs --csv FILE or --json"),
        ({"csv_file": "-", "as_json": True}, "--csv - and --json both want stdout"),
        ({"since": "soon"}, "--since is 'soon'"),
    ],
)
def test_a_wrong_option_says_what_is_allowed(run: Run, given: dict[str, Any], says: str) -> None:
    with pytest.raises(CommandFailed, match=says):
        run(**given)


def test_it_says_so_where_nothing_was_counted(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "empty"
    home_with(home)
    invocation = invocation_on(home)
    options = {"until": "", "by": "day", "csv_file": "", "as_json": False}
    for since, says in (("", "no request was counted yet"), ("7d", "there are no such requests")):
        assert run_metrics(invocation, {"backend": "", "model": ""}, since=since, **options) == 0  # type: ignore[arg-type]
        assert says in capsys.readouterr().err


def test_sums_come_from_the_traces_where_the_metrics_cannot_be_written(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache-metrics").write_text("in the way")
    assert "requests   2\n" in run()
