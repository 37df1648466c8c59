"""Sums from the index, against sums made from the files by other means."""

from __future__ import annotations

import json
import random
import statistics
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.events.types import CacheMiss, CacheVerdict, ErrorInfo, Timings, Usage
from proxy.traces.analysis.analysis import Analysis, analyze
from proxy.traces.analysis.groups import Group, Percentiles
from proxy.traces.analysis.prices import PriceTable
from proxy.traces.analysis.sums import Choice
from proxy.traces.schema import Trace, TraceRequest, TraceResponse
from tests.proxy.trace_making import AT, call_of, trace_of
from tests.proxy.traces.folders import Folder

PRICES = PriceTable(
    {"claude-*": {"input": 3, "cacheWrite": 4, "cacheRead": 0.5, "output": 15}, "claude-x": {"input": 1}}
)

MISSED = CacheVerdict(prompt_tokens=9, miss=CacheMiss(reason="cold"))


def some_trace(number: int, chance: random.Random) -> Trace:
    """A trace of any kind."""
    first = chance.choice([None, round(chance.uniform(0.3, 9), 6)])
    failed = chance.random() < 0.2
    answer = TraceResponse(status=200)
    if failed:
        error = ErrorInfo(type="api_error", message="broke off")
        answer = TraceResponse(status=500, error=error, cancelled=chance.random() < 0.5)
    miss = chance.choice(
        [
            None,
            CacheMiss(reason="cold"),
            CacheMiss(reason="diverged", segment=f"message {number}", before=f"was {number}"),
            CacheMiss(reason="evicted", evicted_cause="memory"),
            CacheMiss(reason="evicted", evicted_cause="dropped"),
        ]
    )
    matched = chance.randrange(500)
    return trace_of(
        number,
        time=AT + number * 4000,
        backend=chance.choice(["mlx", "openrouter"]),
        model=chance.choice(["claude-x", "claude-y", "gpt"]),
        upstream_model=chance.choice(["", "qwen"]),
        session=chance.choice(["a1", "a2", "b"]),
        lane=chance.choice(["main", "subagent", "auxiliary"]),
        response=answer,
        usage=Usage(
            input_tokens=chance.randrange(2000),
            cache_creation_input_tokens=chance.choice([0, 700]),
            cache_read_input_tokens=chance.choice([0, 9000]),
            output_tokens=chance.randrange(50),
        ),
        timings=Timings(
            received=AT,
            prefill_start=chance.choice([None, 0.1]),
            queued=chance.choice([None, 0.05]),
            first_token=first,
            last_token=None if first is None else first + 2,
            done=20.0 + number,
        ),
        cache=CacheVerdict(prompt_tokens=1000, matched_tokens=matched, restore_s=0.01, miss=miss)
        if miss
        else None,
        tool_calls=[
            call_of(
                f"t{number}.{place}",
                chance.choice(["Read", "Bash"]),
                verdict=chance.choice(["valid", "unchecked", "invalid", "unparsed", "unknown_tool", "cut"]),
                repairs=chance.choice([[], ["took out a comma"]]),
                is_error=chance.choice([None, True, False]),
                duration_s=chance.choice([None, 0.5]),
            )
            for place in range(chance.randrange(3))
        ],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    made = Folder(tmp_path_factory.mktemp("traces"))
    chance = random.Random(7)
    for number in range(1, 121):
        made.write(some_trace(number, chance))
    made.reconcile()
    yield made
    made.index.close()


def test_what_commands_of_this_program_asked_is_left_out_unless_wanted(tmp_path: Path) -> None:
    ours = ("anyclaude-tui-verify", "anyclaude-tui-doctor", "anyclaude-tui-replay/1")
    theirs = ("claude-cli/2.1.332", "anyclaude-tui-", "my-anyclaude-tui-verify")
    sent = [TraceRequest(headers={"user-agent": agent}) for agent in (*ours, *theirs)]
    own = [
        trace_of(n, request=request, tool_calls=[call_of()], cache=MISSED)
        for n, request in enumerate(sent[:3], 1)
    ]
    others = [trace_of(n, request=request, cache=MISSED) for n, request in enumerate(sent[3:], 4)]
    made = Folder(tmp_path)
    made.put(*own, *others)
    found, whole = analyze(made.index), analyze(made.index, Choice(own=True))
    assert (found.total.requests, found.left_out, found.tools) == (3, 3, [])
    assert (whole.total.requests, whole.left_out, whole.tools[0].calls) == (6, 0, 3)
    assert [sum(miss.requests for miss in each.misses) for each in (found, whole)] == [3, 6]
    rows = {row.id: row.own_command for row in made.index.page().traces}
    assert [rows[trace.id] for trace in (*own, *others)] == ["verify", "doctor", "replay", "", "", ""]
    made.index.close()


def documents(folder: Folder) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in folder.path.glob("*/*.json")]


def prompt(document: dict[str, Any]) -> int:
    return sum(count for name, count in document["usage"].items() if name != "output_tokens")


def sums(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a group has to say of these files."""
    tokens: Counter[str] = Counter()
    for row in rows:
        tokens.update(row["usage"])
    prompts = [row for row in rows if prompt(row)]
    hits = [row for row in rows if row["usage"]["cache_read_input_tokens"]]
    return {
        "requests": len(rows),
        "failed": sum(bool(row["response"]["error"]) and not row["response"]["cancelled"] for row in rows),
        "cancelled": sum(row["response"]["cancelled"] for row in rows),
        "input": tokens["input_tokens"],
        "created": tokens["cache_creation_input_tokens"],
        "read": tokens["cache_read_input_tokens"],
        "output": tokens["output_tokens"],
        "request_hit_rate": len(hits) / len(prompts) if prompts else None,
        "token_hit_rate": tokens["cache_read_input_tokens"] / sum(map(prompt, rows)) if prompts else None,
        "median": median_ttft(rows),
        "warm": median_ttft(hits),
        "cold": median_ttft([row for row in prompts if row not in hits]),
    }


def median_ttft(rows: list[dict[str, Any]]) -> float | None:
    ttfts = [row["timings"]["first_token"] for row in rows if row["timings"]["first_token"] is not None]
    return statistics.median(ttfts) if ttfts else None


def told(group: Group) -> dict[str, Any]:
    spreads = {"median": group.ttft_s, "warm": group.ttft_warm_s, "cold": group.ttft_cold_s}
    fields = {name: getattr(group, name) for name in sums([]) if name not in spreads}
    return fields | {name: spread.p50 if spread else None for name, spread in spreads.items()}


def by(rows: list[dict[str, Any]], key: Any) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return {name: sums(part) for name, part in found.items()}


def test_sums_equal_those_made_from_the_files(folder: Folder) -> None:
    rows, found = documents(folder), analyze(folder.index)
    assert told(found.total) == pytest.approx(sums(rows))
    for groups, key in (
        (found.backends, lambda row: row["backend"]),
        (found.models, lambda row: row["upstream_model"] or row["model"]),
        (found.sessions, lambda row: row["session"]),
        (found.lanes, lambda row: row["lane"]),
        (found.days, lambda row: datetime.fromtimestamp(row["time"]).strftime("%Y-%m-%d")),
    ):
        wanted = by(rows, key)
        assert {group.name for group in groups} == set(wanted)
        for group in groups:
            assert told(group) == pytest.approx(wanted[group.name])
    assert [group.name for group in found.days] == sorted(group.name for group in found.days)


def test_tools_and_misses_equal_those_in_the_files(folder: Folder) -> None:
    rows, found = documents(folder), analyze(folder.index)
    calls = [call for row in rows for call in row["tool_calls"]]
    for tool in found.tools:
        own = [call for call in calls if call["name"] == tool.name]
        usable = [call for call in own if call["verdict"] in ("valid", "unchecked")]
        assert (tool.calls, tool.valid + tool.repaired) == (len(own), len(usable))
        assert tool.repaired == sum(bool(call["repairs"]) for call in usable)
        assert tool.truncated == sum(call["verdict"] == "cut" for call in own)
        assert tool.as_text == len(own) - len(usable) - tool.truncated
        assert tool.results == sum(call["is_error"] is not None for call in own)
        assert tool.errors == sum(call["is_error"] is True for call in own)
    assert sum(tool.calls for tool in found.tools) == len(calls)
    missed = [row["cache"] for row in rows if row["cache"] and row["cache"]["miss"]]
    for miss in found.misses:
        own = [
            cache
            for cache in missed
            if (cache["miss"]["reason"], cache["miss"]["evicted_cause"]) == (miss.reason, miss.cause)
        ]
        computed = [cache["prompt_tokens"] - cache["matched_tokens"] for cache in own]
        assert (miss.requests, miss.tokens) == (len(own), sum(computed))
        worst = own[computed.index(max(computed))]["miss"]
        if miss.reason == "diverged":
            assert (miss.segment, miss.before) == ("message", worst["before"])
    kinds = {("cold", ""), ("diverged", ""), ("evicted", "memory"), ("evicted", "dropped")}
    assert {(miss.reason, miss.cause) for miss in found.misses} == kinds
    assert [one.duration_s for one in found.slowest] == [140.0, 139.0, 138.0, 137.0, 136.0]


@pytest.mark.parametrize(
    ("choice", "fits"),
    [
        (Choice(session="a"), lambda row: row["session"].startswith("a")),
        (Choice(backend="mlx", lane="main"), lambda row: (row["backend"], row["lane"]) == ("mlx", "main")),
        (Choice(model="qwen"), lambda row: row["upstream_model"] == "qwen"),
        (Choice(model="gpt"), lambda row: row["model"] == "gpt"),
        (Choice(since=AT + 80_000), lambda row: row["time"] >= AT + 80_000),
        (Choice(until=AT + 80_000), lambda row: row["time"] < AT + 80_000),
    ],
)
def test_a_choice_counts_what_fits_and_nothing_else(folder: Folder, choice: Choice, fits: Any) -> None:
    rows = [row for row in documents(folder) if fits(row)]
    found = analyze(folder.index, choice)
    assert told(found.total) == pytest.approx(sums(rows))
    assert sum(tool.calls for tool in found.tools) == sum(len(row["tool_calls"]) for row in rows)
    assert sum(miss.requests for miss in found.misses) == sum(
        bool(row["cache"] and row["cache"]["miss"]) for row in rows
    )


def test_time_saved_is_what_was_read_at_the_speed_of_that_models_long_prefills(folder: Folder) -> None:
    found = analyze(folder.index)
    spent: Counter[str] = Counter()
    took: dict[str, float] = {}
    read: Counter[str] = Counter()
    restored: dict[str, float] = {}
    for row in documents(folder):
        name = f"{row['backend']} {row['upstream_model'] or row['model']}"
        times = row["timings"]
        computed = prompt(row) - row["usage"]["cache_read_input_tokens"]
        read[name] += row["usage"]["cache_read_input_tokens"]
        restored[name] = restored.get(name, 0.0) + (row["cache"]["restore_s"] if row["cache"] else 0.0)
        began = times["prefill_start"] if times["prefill_start"] is not None else times["queued"] or 0.0
        if computed >= 512 and times["first_token"] is not None:
            spent[name] += computed
            took[name] = took.get(name, 0.0) + times["first_token"] - began
    rates = {name: took[name] / spent[name] for name in spent}
    assert found.prefill_s_per_token == pytest.approx(rates)
    saved = sum(read[name] * rates[name] - restored[name] for name in rates)
    assert found.total.saved_s == pytest.approx(saved)


def test_the_price_is_that_of_the_model_that_was_asked_for(folder: Folder) -> None:
    found = analyze(folder.index, prices=PRICES)
    cost, unpriced = 0.0, 0
    for row in documents(folder):
        usage = row["usage"]
        if row["model"] == "claude-y":
            cost += usage["input_tokens"] * 3e-6 + usage["cache_creation_input_tokens"] * 4e-6
            cost += usage["cache_read_input_tokens"] * 0.5e-6 + usage["output_tokens"] * 15e-6
        elif row["model"] == "claude-x":  # its own name wins over the pattern; its cache costs as input does
            cost += prompt(row) * 1e-6
        else:
            unpriced += 1
    assert found.total.cost == pytest.approx(cost)
    assert (found.total.unpriced, found.priced) == (unpriced, True)
    assert analyze(folder.index).total.cost is None


def test_nothing_is_an_analysis_too(tmp_path: Path) -> None:
    empty = Folder(tmp_path)
    found: Analysis = analyze(empty.index)
    assert (found.total.requests, found.total.token_hit_rate, found.total.ttft_s) == (0, None, None)
    assert (found.days, found.misses, found.tools, found.slowest) == ([], [], [], [])
    empty.index.close()


def test_a_count_beyond_64_bits_costs_no_other_trace_its_place(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "traces")
    usage = Usage(input_tokens=2**63, output_tokens=2**64 - 1)
    for trace in (trace_of(1), trace_of(2, usage=usage), trace_of(3, usage=usage)):
        folder.write(trace)
    assert folder.reconcile() == 3
    found = analyze(folder.index, Choice(), PRICES)
    folder.index.close()
    assert found.total.requests == 3
    assert 2**54 <= found.total.output < 2**55  # each limited to what SQLite can sum


def test_one_day_is_told_by_the_hour(tmp_path: Path) -> None:
    noon = datetime(2026, 11, 3, 12).timestamp()
    made = Folder(tmp_path)
    made.put(trace_of(1, time=noon), trace_of(2, time=noon + 60), trace_of(3, time=noon + 7200))
    assert [(hour.name, hour.requests) for hour in analyze(made.index).hours] == [("12:00", 2), ("14:00", 1)]
    made.index.close()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_percentiles_are_those_of_the_standard_library(values: list[float]) -> None:
    found = Percentiles.of(values)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    assert found is not None
    assert (found.p10, found.p50, found.p90, found.p99) == pytest.approx(
        (cuts[9], cuts[49], cuts[89], cuts[98]), abs=1e-3
    )
