"""What a host remembers of its health: figures, states and requests, bounded, to disk and back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.events.bus import EventBus
from proxy.events.causes import RESTART_REQUESTED
from proxy.events.health_types import HostDisk, HostHistory
from proxy.events.types import PAYLOADS
from proxy.timeline.buckets import TIERS, HealthSample, HealthSamples
from proxy.timeline.health_file import HealthFileDamaged, health_path, read_health, write_health
from proxy.timeline.health_history import KEPT_SPANS, UNCLOSED, WEEK_S, HealthHistory, Span, StateMark
from proxy.timeline.health_keeper import SAVE_S, HealthKeeper

NOW = 1_790_000_000.0


def history(*events: tuple[float, str, dict[str, Any]]) -> HealthHistory:
    """One that saw these events, each so many seconds after `NOW`."""
    made = HealthHistory()
    for moment, type_, data in events:
        fields = dict(data)
        request = fields.pop("request", None)
        made.observe(NOW + moment, type_, request, PAYLOADS[type_].model_validate(fields))
    return made


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, WEEK_S), st.integers(1, 1000)), min_size=1, max_size=30),
    st.sampled_from([(300.0, 60), (1800.0, 90), (7200.0, 90), (28_800.0, 96), (86_400.0, 96), (WEEK_S, 84)]),
)
def test_no_token_is_lost_or_counted_twice_at_any_scale(
    answers: list[tuple[float, int]], scale: tuple[float, int]
) -> None:
    samples = HealthSamples()
    for ago, tokens in sorted(answers, reverse=True):
        samples.add(NOW - ago, HealthSample(tokens=tokens))
    range_s, number = scale
    step = range_s / number
    cells = samples.cells(NOW - range_s, step, number, NOW)
    shown = sum(cell.tokens for cell in cells if cell is not None)
    inside = sum(tokens for ago, tokens in answers if 700 < ago < range_s - 700)
    near = sum(tokens for ago, tokens in answers if ago <= range_s + 700)
    # A rate times the cell's length: a cell of two and a half buckets is off by at most its share.
    assert inside * 0.45 <= shown * step <= near * 2.05


def test_memory_stays_bounded_however_long_a_host_runs() -> None:
    samples = HealthSamples()
    for second in range(0, 40_000, 2):
        samples.add(NOW + second, HealthSample(tokens=1.0))
    assert sum(map(len, samples.rows())) <= sum(keep for _, keep in TIERS)
    known = history()
    for number in range(3 * KEPT_SPANS):
        at = NOW + number * 10
        known.add_span(Span(at, at + 5, f"s{number % 4}", tokens=2))
    assert len(known.spans) <= KEPT_SPANS + 1
    assert known.spans[-1].end == NOW + (3 * KEPT_SPANS - 1) * 10 + 5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, WEEK_S), st.floats(0, 1e9), st.booleans()), max_size=40))
@example([(5.0, 0.0, False)])
def test_what_is_written_is_what_is_read(figures: list[tuple[float, float, bool]]) -> None:
    samples = HealthSamples()
    for ago, memory, failed in sorted(figures, reverse=True):
        samples.add(NOW - ago, HealthSample(probes=1, failed=int(failed), memory_bytes=memory))
    rows = json.loads(json.dumps(samples.rows()))
    again = HealthSamples()
    again.load(rows)
    for range_s in (300.0, 7200.0, 86_400.0):
        before = samples.cells(NOW - range_s, range_s / 90, 90, NOW)
        after = again.cells(NOW - range_s, range_s / 90, 90, NOW)
        assert [cell and (cell.memory_bytes, bool(cell.failed)) for cell in before] == [
            cell and (cell.memory_bytes, bool(cell.failed)) for cell in after
        ]


def test_states_are_marks_where_they_change() -> None:
    asked = {"state": "restarting", "last_exit": RESTART_REQUESTED, "detail": RESTART_REQUESTED}
    made = history(
        (0, "engine.state", {"state": "ready"}),
        (1, "engine.state", {"state": "busy"}),
        (2, "engine.state", {"state": "exited", "detail": "signal 9"}),
        (2, "engine.state", {"state": "exited", "detail": "signal 9 (held by x)"}),
        (3, "engine.state", {"state": "restarting", "last_exit": "signal 9"}),
        (4, "engine.state", asked | {"detail": "x"}),
        (5, "engine.state", {"state": "ready"}),
        (6, "engine.state", asked),
    )
    assert [(mark.time - NOW, mark.state, mark.detail, mark.by_you) for mark in made.marks] == [
        (0, "ready", "", False),
        (2, "exited", "signal 9 (held by x)", False),
        (3, "restarting", "", False),
        (5, "ready", "", False),
        (6, "restarting", RESTART_REQUESTED, True),
    ]


def test_tokens_are_counted_when_they_came_and_those_of_one_burst_over_its_time() -> None:
    usage = {"output_tokens": 600}
    timings = {"received": NOW, "first_token": 10.0, "done": 40.0}
    made = history(
        (0, "request.received", {"session": "s", "request": "a"}),
        (12, "request.delta", {"output_tokens": 100, "request": "a"}),
        (40, "request.finished", {"usage": usage, "timings": timings, "request": "a"}),
    )
    cells = made.samples.cells(NOW, 10.0, 5, NOW + 50)
    rates = [0.0 if cell is None else cell.tokens * 10 for cell in cells]
    assert sum(rates) == pytest.approx(600, rel=0.35)
    assert rates[0] == 0
    assert rates[2] == pytest.approx(500 * 10 / 28, rel=0.4)
    assert list(made.spans) == [Span(NOW, NOW + 40, "s", 1, 0, "a", 600)]
    assert made.running == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"version": 1}',
        '{"version": 1, "since": 1, "until": 2, "samples": [[[1]]], "marks": [], "spans": []}',
        '{"version": 1, "since": 1, "until": 2, "samples": [], "marks": [["x", 1, 2, 3]], "spans": []}',
        '{"version": 1, "since": 1, "until": 2, "samples": [], "marks": [], "spans": [[1, 2]]}',
        '{"version": 1, "since": "y", "until": 2, "samples": [], "marks": [], "spans": []}',
        '{"version": 1, "since": "nan", "until": 2, "samples": [], "marks": [], "spans": []}',
        '{"version": 1, "since": 1, "until": -1, "samples": [], "marks": [[1, "", "", 0]], "spans": []}',
    ],
)
def test_a_damaged_file_is_said_to_be_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "health.json"
    path.write_text(content)
    with pytest.raises(HealthFileDamaged):
        read_health(path, HealthHistory(), now=NOW)


def test_a_host_that_was_killed_is_not_drawn_as_running_until_the_next_start(tmp_path: Path) -> None:
    path = health_path(tmp_path, "../my server")
    assert path.parent == tmp_path / "health"
    made = history((0, "engine.state", {"state": "ready", "memory_bytes": 7}))
    write_health(path, made.dump(), since=NOW, now=NOW + 60)
    again = HealthHistory()
    again.begin(NOW + 600)
    assert read_health(path, again, now=NOW + 600) is not None
    assert list(again.marks) == [
        StateMark(NOW, "ready"),
        StateMark(NOW + 60, "off", UNCLOSED),
        StateMark(NOW + 600, "host"),
    ]
    assert again.samples.cells(NOW, 60, 1, NOW + 600)[0] == HealthSample(memory_bytes=7)
    path.write_text('{"version": 2}')
    assert read_health(path, HealthHistory(), now=NOW) is None


def test_cells_that_are_shorter_than_a_bucket_all_show_it() -> None:
    samples = HealthHistory().samples
    begin = NOW - NOW % 4
    for at in range(4):
        samples.add(begin + 2 * at, HealthSample(tokens=20, memory_bytes=5))
    shown = samples.cells(begin, 0.5, 16, begin + 8)
    assert [(one.tokens, one.memory_bytes) if one else None for one in shown] == [(10, 5)] * 16
    assert samples.cells(begin, 2.0, 1, begin + 8)[0] == shown[0]  # and the bucket is as it was


class Index:
    """The one request that an earlier host has traced."""

    def select(self, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        assert parameters[:2] == (NOW - WEEK_S, NOW)
        return [(NOW - 100, 20.0, 4.0, "s1", 0, 80, "r1")]


async def test_a_host_that_was_killed_is_last_seen_at_the_end_of_its_last_request(tmp_path: Path) -> None:
    path = health_path(tmp_path, "mlx")
    write_health(
        path, history((-300, "engine.state", {"state": "ready"})).dump(), since=NOW - 300, now=NOW - 150
    )
    made = HealthKeeper(EventBus(clock=lambda: NOW), tmp_path, "mlx", started=NOW, clock=lambda: NOW)
    made.start(Index(), list)
    await made.recalled.wait()
    [off] = [mark for mark in made.history.marks if mark.state == "off"]
    assert (off.time, off.detail) == (NOW - 80, UNCLOSED)
    await made.close()


async def test_a_host_begins_with_what_earlier_ones_left_and_leaves_its_own(tmp_path: Path) -> None:
    bus = EventBus(clock=lambda: NOW)

    def keeper() -> HealthKeeper:
        return HealthKeeper(bus, tmp_path, "mlx", started=NOW, clock=lambda: NOW)

    first = keeper()
    first.start(Index(), list)
    await first.recalled.wait()
    [event] = [first.past_event()]
    told = event.payload()
    assert isinstance(told, HostHistory)
    assert told.spans == [[NOW - 100, NOW - 80, "s1", 1, 0, "r1", 80]]
    rates = first.history.samples.cells(NOW - 120, 120, 1, NOW)[0]
    assert rates is not None
    assert rates.tokens == pytest.approx(80 / 120, rel=0.1)
    bus.publish("engine.state", PAYLOADS["engine.state"].model_validate({"state": "ready"}))
    await first.close()
    second = keeper()
    second.start(Index(), list)
    await second.recalled.wait()
    assert [mark.state for mark in second.history.marks] == ["host", "ready", "off", "host"]
    await second.close()
    (tmp_path / "health" / "mlx.json").write_text("damaged")
    third = keeper()
    third.start(Index(), list)
    await third.recalled.wait()
    assert [mark.state for mark in third.history.marks] == ["host"]
    await third.close()
    assert read_health(tmp_path / "health" / "mlx.json", HealthHistory(), now=NOW + 1) is not None


async def test_screens_are_told_at_once_that_requests_are_not_recorded(tmp_path: Path) -> None:
    bus = EventBus(clock=lambda: NOW)
    disks: asyncio.Queue[HostDisk] = asyncio.Queue()
    bus.listen(lambda type, request, data: disks.put_nowait(data) if isinstance(data, HostDisk) else None)
    keeper = HealthKeeper(bus, tmp_path, "mlx", started=NOW, clock=lambda: NOW, keep=False)
    keeper.start(Index(), lambda: (0, 0))
    assert (await disks.get()).unwritten == 0
    keeper.unwritten(2, "No space left on device")
    told = await disks.get()
    assert (told.unwritten, told.refusal) == (2, "No space left on device")
    assert keeper.disk == told  # for a screen that comes later
    keeper.unwritten(0, "")
    assert (await disks.get()).unwritten == 0
    await keeper.close()


def test_a_host_that_is_killed_loses_no_more_than_half_a_minute() -> None:
    assert SAVE_S <= 30.0
