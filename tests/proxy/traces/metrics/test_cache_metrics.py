"""Cache metrics against sums made from the trace files, before and after what can happen to these."""

from __future__ import annotations

import asyncio
import csv
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.events.types import Usage
from proxy.traces.analysis.facts import REQUEST_COLUMNS
from proxy.traces.analysis.sums import day_sums
from proxy.traces.index import INDEX_NAME
from proxy.traces.marks import set_mark
from proxy.traces.metrics.cache_metrics import DAYS_NAME, METRICS_FOLDER, CacheMetrics
from proxy.traces.metrics.groups_csv import COLUMNS, groups_csv
from proxy.traces.retention import Limits, plan_prune, prune
from proxy.traces.writing import TraceStore
from tests.proxy.trace_making import AT, trace_of
from tests.proxy.traces.analysis.test_analysis import PRICES, by, documents, some_trace, sums, told
from tests.proxy.traces.folders import Folder

COUNT = 40


class Home:
    """A home with traces, their index and the metrics."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.traces = Folder(path / "traces")
        self.said = self.traces.notices
        self.metrics = self.another()

    def another(self) -> CacheMetrics:
        """As another process has them."""
        return CacheMetrics(self.path / METRICS_FOLDER, prices=PRICES, notice=self.said.append)

    def collect(self) -> int:
        self.traces.reconcile()
        return self.another().collect(self.traces.index)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    chance = random.Random(11)
    for number in range(1, COUNT + 1):
        made.traces.write(some_trace(number, chance))
    yield made
    made.traces.index.close()


def day_of(row: dict[str, Any]) -> str:
    return datetime.fromtimestamp(row["time"]).strftime("%Y-%m-%d")


def pruned(home: Home) -> None:
    set_mark(home.traces.path, "req_0001")
    plan = plan_prune(home.traces.path, Limits(traces=5), now=AT)
    assert prune(home.traces.path, home.traces.index, plan, metrics=home.another()).traces == len(
        plan.removals
    )
    assert COUNT - 6 <= len(plan.removals) <= COUNT - 5


def index_deleted(home: Home) -> None:
    home.traces.index.close()
    for file in home.traces.path.glob(f"{INDEX_NAME}*"):
        file.unlink()
    home.traces.open()


def index_damaged(home: Home) -> None:
    home.traces.index.close()
    (home.traces.path / INDEX_NAME).write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    home.traces.open()


def pruned_then_index_deleted(home: Home) -> None:
    pruned(home)
    index_deleted(home)


def metrics_deleted(home: Home) -> None:
    for file in (home.path / METRICS_FOLDER).glob("requests-*"):
        file.unlink()


@pytest.mark.parametrize(
    "happening", [pruned, index_deleted, index_damaged, pruned_then_index_deleted, metrics_deleted]
)
def test_sums_equal_those_of_the_files_and_stay_so(home: Home, happening: Callable[[Home], None]) -> None:
    rows = documents(home.traces)
    assert (home.collect(), home.collect()) == (COUNT, 0)
    check(home, rows)
    happening(home)
    assert home.collect() == (COUNT if happening is metrics_deleted else 0)
    check(home, rows)


def check(home: Home, rows: list[dict[str, Any]]) -> None:
    """Check all sums against those made from the documents of the traces."""
    found = home.another().sums()
    assert told(found.total) == pytest.approx(sums(rows))
    wanted = by(rows, day_of)
    assert {day.name for day in found.days} == set(wanted)
    for day in found.days:
        assert told(day) == pytest.approx(wanted[day.name])


def test_a_prune_counts_what_had_no_line_yet(home: Home) -> None:
    home.traces.reconcile()
    pruned(home)
    assert home.another().sums().total.requests == COUNT


def test_days_are_written_once_a_line_was_added_and_say_what_the_sums_say(home: Home) -> None:
    path = home.path / METRICS_FOLDER / DAYS_NAME
    home.metrics.write_days()
    assert not path.exists()
    home.traces.reconcile()
    home.metrics.collect(home.traces.index)
    home.metrics.write_days()
    written = {row["day"]: row for row in csv.DictReader(path.read_text().splitlines())}
    for day in home.metrics.sums().days:
        row = written.pop(day.name)
        assert int(row["requests"]) == day.requests
        assert int(row["read_tokens"]) == day.read
        assert float(row["token_hit_rate"]) == pytest.approx(day.token_hit_rate, abs=1e-6)
        assert int(row["ttft_warm_count"]) == (day.ttft_warm_s.count if day.ttft_warm_s else 0)
        assert float(row["prefill_saved_s"] or 0) == pytest.approx(day.saved_s or 0, abs=1e-6)
        assert float(row["cost"] or 0) == pytest.approx(day.cost or 0, abs=1e-6)
    assert written == {}
    path.write_text("what somebody else has written")
    home.metrics.write_days()
    assert path.read_text() == "what somebody else has written"
    path.unlink()
    home.another().write_days()
    assert path.exists()


def test_each_field_and_column_is_documented() -> None:
    text = (Path(__file__).parents[4] / "docs" / "tracing-and-metrics.md").read_text("utf-8")
    documented = set(re.findall(r"`(\w+)`", text.split("## Cache metrics")[1]))
    assert {"v", *REQUEST_COLUMNS, "day", "zone", *COLUMNS} - documented == set()


@contextmanager
def zone(name: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def test_a_request_counts_for_the_day_it_was_received_on_in_the_zone_of_who_asks(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with zone("Europe/Berlin"):
        midnight = datetime(2026, 10, 25).timestamp()  # begins the day that has 25 hours
        times = [midnight - 0.1, midnight, midnight + 24.9 * 3600, midnight - 60]  # set back at last
        home.traces.put(*(trace_of(number, time=at) for number, at in enumerate(times, 1)))
        home.metrics.collect(home.traces.index)
        days = [(day.name, day.requests) for day in home.metrics.sums().days]
        assert days == [("2026-10-24", 2), ("2026-10-25", 2)]
        home.metrics.write_days()
        lines = (tmp_path / METRICS_FOLDER / DAYS_NAME).read_text().splitlines()
        assert [line.split(",")[1] for line in lines[1:]] == ["UTC+02:00", "UTC+01:00"]
    with zone("Asia/Kathmandu"):
        days = [(day.name, day.requests) for day in home.another().sums().days]
        assert days == [("2026-10-25", 3), ("2026-10-26", 1)]
    assert home.collect() == 0
    home.traces.index.close()


def test_what_cannot_be_written_now_is_written_later_also_when_its_trace_is_pruned(home: Home) -> None:
    home.traces.reconcile()
    (home.path / METRICS_FOLDER).write_text("in the way")
    metrics = home.another()
    assert (metrics.collect(home.traces.index), metrics.collect(home.traces.index)) == (0, 0)
    metrics.write_days()
    assert len(home.said) == 1
    assert "cache metrics cannot be written" in home.said[0]
    home.traces.index.remove([path for page in home.traces.index.paths() for path in page])
    assert metrics.sums().total.requests == COUNT
    (home.path / METRICS_FOLDER).unlink()
    assert metrics.collect(home.traces.index) == COUNT
    assert home.another().sums().total.requests == COUNT
    assert len(home.said) == 1


@pytest.mark.parametrize("place", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
def test_days_that_come_one_by_one_are_those_of_all_together(tmp_path: Path, place: str) -> None:
    """In Newfoundland summer time ended a minute after midnight: it was the day before again."""
    home, chance = Home(tmp_path), random.Random(place)
    with zone(place):
        begin = datetime(2010, 11, 3).timestamp()
        for number in range(1, 121):
            trace = some_trace(number, chance)
            trace.time = begin + chance.choice((chance.uniform(0, 9 * 86_400), 3.95 * 86_400 + number * 97.0))
            home.traces.put(trace)
        home.metrics.collect(home.traces.index)
        with closing(home.metrics.table(many=True)) as table:
            found = groups_csv("day", day_sums(table, PRICES))
        assert found == groups_csv("day", home.metrics.sums().days)
        assert len(found.splitlines()) > 9


async def test_a_store_adds_a_line_for_each_trace_and_writes_the_days(tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / METRICS_FOLDER
    for number in (1, 2):
        store = TraceStore(
            tmp_path / "traces", limits=Limits(traces=1), metrics=folder, prices=PRICES, notice=said.append
        )
        await store.write(trace_of(number, usage=Usage(input_tokens=10, cache_read_input_tokens=90)))
        await store.close()
    (day,) = csv.DictReader((folder / DAYS_NAME).read_text().splitlines())
    assert (day["requests"], day["read_tokens"], day["token_hit_rate"]) == ("2", "180", "0.9")
    assert said == []


async def test_no_answer_waits_for_the_metrics_and_no_trace_is_lost_with_them(tmp_path: Path) -> None:
    (tmp_path / METRICS_FOLDER).write_text("in the way")
    said: list[str] = []
    store = TraceStore(tmp_path / "traces", metrics=tmp_path / METRICS_FOLDER, notice=said.append)
    assert await store.write(trace_of(1))
    assert await store.write(trace_of(2))
    await store.close()
    await asyncio.sleep(0)  # notices come by the event loop
    assert len(list((tmp_path / "traces").glob("*/*.json"))) == 2
    assert [line.split(" (")[0] for line in said] == ["cache metrics cannot be written"]
