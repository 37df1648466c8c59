from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.events.types import CacheMiss, CacheVerdict, Timings, Usage
from proxy.traces.analysis.analysis import MissGroup
from proxy.traces.schema import Trace, TraceRequest
from tests.proxy.trace_making import AT, call_of, trace_of
from tests.tui.commands.traces.homes import home_with, invocation_on
from tui.commands.exit_codes import CommandFailed
from tui.commands.traces.analysis_report import miss_lines
from tui.commands.traces.analyzing import run_traces_analyze
from tui.commands.traces.listing import run_traces_list

CHOSEN = {"session": "", "backend": "", "model": "", "lane": ""}


def traces() -> list[Trace]:
    missed = CacheVerdict(
        prompt_tokens=2000,
        matched_tokens=100,
        miss=CacheMiss(
            reason="diverged", position=100, segment="message 3", before="on main", now="on \x1b[31mdev"
        ),
    )
    cold = Usage(input_tokens=1000, cache_creation_input_tokens=1000, output_tokens=11)
    warm = Usage(input_tokens=10, cache_read_input_tokens=2990, output_tokens=11)
    slow = Timings(received=AT, prefill_start=0.0, first_token=4.0, last_token=5.0, done=5.5)
    quick = Timings(received=AT, first_token=0.5, last_token=1.5, done=2.0)
    failed = call_of(is_error=True, duration_s=0.25)
    return [
        trace_of(1, usage=cold, timings=slow, cache=missed, tool_calls=[failed]),
        trace_of(2, usage=warm, timings=quick, lane="subagent", session="session-\x1bb"),
    ]


def test_the_report_has_what_a_person_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    home_with(tmp_path, *traces())
    prices = '{"claude-*": {"input": 2000, "cacheWrite": 1000, "cacheRead": 100, "output": 0}}'
    code = run_traces_analyze(
        invocation_on(tmp_path, ANYCLAUDE_PRICES=prices), CHOSEN, since="", until="", as_json=False
    )
    shown = capsys.readouterr().out
    assert code == 0
    for words in (
        "requests   2\n",
        "hit rate   50.0% of requests, 59.8% of prompt tokens",
        "tokens     5,000 in prompts (2,990 restored, 1,000 cached, 1,010 not kept)",
        "tokens/s   10% 10.0",
        "saved      3.0k tokens of prefill, about 6.0s at the measured speed",
        "would have cost 3.32 by the configuration's prices\n",
        "tokens of prompts, by hour",
        "█",
        "by session",
        "diverged in message: 1 request, 1,900 tokens computed; the costliest is req_0001 at token 100",
        "    now    on dev",
        "  Read      1      1",
        "  100%      0.25s",
        "slowest\n    5.5s  req_0001",
    ):
        assert words in shown
    assert "\x1b" not in shown


def test_evictions_are_told_apart_by_their_cause_in_the_words_of_the_screen() -> None:
    causes = ("room", "memory", "fault", "dropped", "flushed", "", "of a later version")
    misses = [MissGroup("evicted", cause, "", 1, 10, "req_1", 0, "", "") for cause in causes]
    told = [line.split(":")[0] for line in miss_lines(misses, 160)]
    assert told == [
        "evicted to make room",
        "evicted for memory",
        "removed, as the device failed",
        "dropped by you",
        "flushed by you",
        "evicted",
        "evicted",
    ]


def test_as_json_it_is_the_whole_analysis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home_with(tmp_path, *traces())
    chosen = CHOSEN | {"lane": "main"}
    run_traces_analyze(invocation_on(tmp_path), chosen, since="2026-01-01", until="", as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["total"]["requests"], shown["total"]["read"]) == (1, 0)
    assert shown["misses"][0]["before"] == "on main"
    assert shown["tools"][0]["errors"] == 1


@pytest.mark.parametrize(("own", "requests"), [(False, 2), (True, 3)])
def test_requests_of_checks_are_counted_only_where_wanted(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    own: bool,
    requests: int,
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    check = trace_of(3, request=TraceRequest(headers={"user-agent": "anyclaude-tui-verify"}))
    home_with(tmp_path, *traces(), check)
    run_traces_analyze(invocation_on(tmp_path), CHOSEN, since="", until="", as_json=False, own=own)
    shown = capsys.readouterr()
    assert f"requests   {requests}\n" in shown.out
    left_out = "" if own else "1 request of verify, doctor and replay is left out; --own counts them too\n"
    assert shown.err == left_out
    run_traces_list(invocation_on(tmp_path), session="", errors=False, marked=False, most=9, as_json=False)
    first, *others = capsys.readouterr().out.splitlines()
    assert first.endswith("  [verify]")
    assert not any("[verify]" in line for line in others)


@pytest.mark.parametrize(
    ("since", "says"), [("", "there are no traces yet"), ("7d", "there are no such traces")]
)
def test_without_traces_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], since: str, says: str
) -> None:
    home_with(tmp_path)
    assert run_traces_analyze(invocation_on(tmp_path), CHOSEN, since=since, until="", as_json=False) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", says + "\n")


def test_a_time_that_is_none_is_told_with_what_is_allowed(tmp_path: Path) -> None:
    home_with(tmp_path)
    with pytest.raises(CommandFailed, match="--since is 'soon'; allowed: a time before now such as 90m"):
        run_traces_analyze(invocation_on(tmp_path), CHOSEN, since="soon", until="", as_json=False)


def test_a_lane_that_is_none_is_told_with_what_is_allowed(tmp_path: Path) -> None:
    home_with(tmp_path)
    with pytest.raises(CommandFailed, match="--lane title: a lane is one of main, subagent, compaction"):
        run_traces_analyze(
            invocation_on(tmp_path), CHOSEN | {"lane": "title"}, since="", until="", as_json=False
        )


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_is_wider_than_the_terminal(
    tmp_path: Path, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    home_with(tmp_path, *[trace.model_copy(update={"model": "m" * 90}) for trace in traces()])
    run_traces_analyze(invocation_on(tmp_path), CHOSEN, since="", until="", as_json=False)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= columns
    assert shown.count("tok/s 50%") == 5
