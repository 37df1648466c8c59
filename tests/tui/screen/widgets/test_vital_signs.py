"""The vital signs: what they count, what a narrow line leaves out, and that nothing is new at rest."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.events.types import EngineState, Usage
from tests.tui.traffic import Morning
from tui.client.records import EARLIER, HostFacts, Link, RequestSnapshot, Snapshot
from tui.client.reducers.history import Buckets
from tui.client.reducers.requests import LIMIT
from tui.client.reducers.sessions import SessionReducer
from tui.client.store import Store
from tui.screen.styled_line import line_width, plain_text
from tui.screen.widgets.vital_signs import (
    STEP_S,
    STEPS,
    VitalSigns,
    VitalSignsReader,
    title_text,
    vital_line,
    vital_signs,
)

NOW = 1_790_000_000.0
HOSTILE = ("", "\x1b]2;x\x07", "[/][@click=app.quit]", "\u202e\ud800\n第", "e\u0301" * 90)
FULL = VitalSigns(
    running=2,
    waiting=1,
    speed=61.4,
    speeds=(10.0, 61.0),
    restored=0.79,
    shares=(0.5, 1.0),
    saved_s=2_460.0,
    memory_bytes=18_900_000_000,
    memory_limit_bytes=24_000_000_000,
    context=0.71,
    session="9f3c1e7a-41d2",
    failed=1,
    requests=31,
    state="busy",
)


@pytest.fixture(scope="module")
def morning() -> tuple[Store, float]:
    played, store = Morning().play(), Store()
    for arrival in played.arrivals():
        store.take(arrival)
    return store, played.now


def test_a_busy_morning(morning: tuple[Store, float]) -> None:
    store, now = morning
    seen = vital_signs(store.snapshot(), store.output_rate, now)
    assert (seen.running, seen.waiting) == (2, 1)
    assert (seen.failed, seen.requests) == (0, 31)  # the one that failed was repeated
    assert 40 < seen.speed < 80
    assert len(seen.speeds) == STEPS
    assert (seen.memory_bytes, seen.memory_limit_bytes) == (18_947_452_416, 51_500_000_000)
    assert seen.context == pytest.approx((29_200 + 240) / 65_536)
    assert seen.session.startswith("9f3c1e")
    assert seen.alerts == ()
    assert seen.saved_s == pytest.approx(330, rel=0.2)  # 420k tokens restored
    totals = store.snapshot().totals
    assert seen.restored == totals.cache_read_input_tokens / totals.prompt_tokens


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (44, " ▶ 2 ◌ 1 │  61 tok/s ··▁█ │ 79% │ ✗ 1 │ ⚑ 0"),
        (80, " ▶ 2 ◌ 1 │  61 tok/s ··▁█ │ restored 79% saved ~41m │ mem 18.9/24 GB │ ✗ 1 │ ⚑ 0"),
        (
            120,
            " ▶ 2 ◌ 1 │  61 tok/s ······▁█ │ restored 79% ····▄█ · saved ~41m │ mem ███░ 18.9/24 GB"
            " │ context 71% │ ✗ 1 of 31 │ ⚑ 0",
        ),
        (
            200,
            " ▶ 2 ◌ 1 │  61 tok/s ······················▁█ │ restored 79% ··············▄█ · saved ~41m"
            " │ mem ██████░░ 18.9/24 GB │ context ██████░░ 71% 9f3c1e │ ✗ 1 of 31 │ ⚑ 0",
        ),
    ],
)
def test_the_line_at_each_width(cells: int, shown: str) -> None:
    assert plain_text(vital_line(FULL, cells)).replace("▂", "▁") == shown
    alarmed = plain_text(vital_line(replace(FULL, alerts=("engine stalled", "probe failed")), cells))
    assert ("⚑2 engine stalled" if cells >= 120 else "⚑2") in signs_close(alarmed)


@pytest.mark.parametrize(
    "alert",
    ["memory critical", "memory over limit", "disk full or refused", "engine stalled", "context 97% full"],
)
def test_at_120_columns_an_alert_keeps_its_words_and_all_else_its_figures(alert: str) -> None:
    line = plain_text(vital_line(replace(FULL, alerts=(alert,)), 120))
    assert f"1 {alert}" in line
    assert [word in line for word in ("tok/s", "79%", "~41m", "18.9/24 GB", "71%")] == [True] * 5


def signs_close(line: str) -> str:
    """Without the spaces behind the signs, which there is not always room for."""
    return re.sub("(?<=[▶◌✗⚑]) ", "", line)


@pytest.mark.parametrize("cells", range(120, 240, 7))
def test_signs_stand_apart_from_their_numbers_and_take_no_part_s_place(cells: int) -> None:
    """Fonts of browsers draw these signs over the number next to them."""
    line = plain_text(vital_line(FULL, cells))
    assert not re.search(r"[▶◌✗⚑]\d", line)
    assert "context" in line
    assert "mem █" in line


def test_where_there_is_room_for_few_spaces_the_widest_signs_get_them() -> None:
    tight = replace(FULL, memory_limit_bytes=51_500_000_000, saved_s=360.0)
    assert plain_text(vital_line(tight, 80)) == (
        " ▶ 2 ◌1 │  61 tok/s ··▂█ │ restored 79% saved ~6m │ mem 18.9/51.5 GB │ ✗ 1 │ ⚑ 0"
    )


@given(
    st.builds(
        VitalSigns,
        running=st.integers(0, 9999),
        waiting=st.integers(0, 9999),
        speed=st.floats(),
        speeds=st.lists(st.floats(), max_size=STEPS).map(tuple),
        restored=st.none() | st.floats(),
        shares=st.lists(st.none() | st.floats(), max_size=16).map(tuple),
        saved_s=st.none() | st.floats(),
        memory_bytes=st.integers(0, 10**18),
        memory_limit_bytes=st.integers(0, 10**18),
        context=st.none() | st.floats(),
        session=st.sampled_from(HOSTILE),
        failed=st.integers(0, 99_999),
        requests=st.integers(0, 99_999),
        alerts=st.lists(st.sampled_from(HOSTILE), max_size=3).map(tuple),
        missing=st.sampled_from(["", "no contact with the host since 02:30:00"]),
        state=st.sampled_from(HOSTILE),
    ),
    st.integers(44, 240),
)
@settings(max_examples=15, deadline=None)
def test_what_runs_waits_and_failed_is_on_every_line(vitals: VitalSigns, cells: int) -> None:
    line = plain_text(vital_line(vitals, cells))
    if vitals.missing:
        assert "no contact with the host" in line
    else:
        assert signs_close(line).startswith(f" ▶{vitals.running} ◌{vitals.waiting} │")
        assert f"✗{vitals.failed}" in signs_close(line)
        assert line_width(vital_line(vitals, cells)) <= cells
    assert title_text(vitals).isprintable()


@pytest.mark.parametrize("cells", [80, 100, 120, 200])
def test_what_is_not_known_yet_has_its_name(cells: int) -> None:
    begun = VitalSigns(memory_bytes=17_400_000_000, memory_limit_bytes=51_500_000_000, speeds=(0.0,) * STEPS)
    line = plain_text(vital_line(begun, cells))
    assert "restored ·" in line
    assert "│ · ·" not in line


def test_the_title() -> None:
    assert title_text(FULL) == "▶2 ◌1 61 tok/s"
    assert title_text(replace(FULL, running=0, waiting=0)) == "anyclaude: busy"
    assert title_text(replace(FULL, waiting=0, speed=0, alerts=("probe failed",))) == "⚑1 ▶2"


def test_nothing_is_new_while_all_rests(morning: tuple[Store, float]) -> None:
    store, now = morning
    reader, rates = VitalSignsReader(), store.output_rate
    moving = reader.read(store.snapshot(), rates, now)
    assert reader.read(store.snapshot(), rates, now + 1) is not moving
    resting = Snapshot(version=2, host=HostFacts(backend="mlx"), engine=EngineState(state="ready"))
    later = now - now % 60 + 60 * STEP_S * STEPS
    first = reader.read(resting, rates, later)
    assert reader.read(replace(resting, version=3), rates, later + 59) is first
    assert reader.read(replace(resting, lost=1), rates, later + 59) is not first
    gone = replace(store.snapshot(), link=Link("ended", since=now))
    last = reader.read(gone, rates, now)
    assert reader.read(gone, rates, now + 3600) is last


def test_requests_of_before_count_as_soon_as_they_are_known() -> None:
    reader, rates = VitalSignsReader(), Buckets()
    host = HostFacts(backend="mlx")
    empty = Snapshot(link=Link("live"), host=host, engine=EngineState(state="ready"))
    assert reader.read(empty, rates, NOW).requests == 0
    known = replace(empty, requests=(RequestSnapshot("r", NOW - 9, NOW - 9, phase="failed"),))
    seen = reader.read(known, rates, NOW)  # in the same second, with the same totals
    assert (seen.failed, seen.requests) == (1, 1)


def test_failures_of_today_that_nobody_repeated() -> None:
    def failed(name: str, received: float, repeat: bool = False) -> RequestSnapshot:
        repeated = (received, "done") if repeat else None
        return RequestSnapshot(name, received, received, phase="failed", repeat=repeated)  # type: ignore[arg-type]

    midnight = NOW - NOW % 86_400  # local time is UTC here
    requests = (failed("a", midnight - 1), failed("b", midnight), failed("c", midnight + 1, repeat=True))
    snapshot = Snapshot(host=HostFacts(backend="mlx"), requests=requests)
    seen = vital_signs(snapshot, Buckets(), NOW)
    assert (seen.failed, seen.requests) == (1, 2)


def test_the_fullest_session_that_is_open() -> None:
    def turn(session: str, prompt: int, updated: float, lane: str = "main") -> RequestSnapshot:
        usage = Usage(input_tokens=prompt)
        return RequestSnapshot(
            f"{session}{updated}", updated, updated, session=session, lane=lane, usage=usage
        )

    requests = (
        turn("closed", 99, NOW - 4000),
        turn("a", 98, NOW - 60),
        turn("a", 20, NOW - 50),  # after a compaction
        turn("b", 96, NOW - 40),
        turn("b", 97, NOW - 30, "subagent"),
    )
    sessions = SessionReducer()
    for record in requests:
        sessions.note(record, None)
    snapshot = Snapshot(
        engine=EngineState(state="ready", context_tokens=100),
        requests=requests,
        sessions=sessions.sessions({record.id: record for record in requests}),
    )
    seen = vital_signs(snapshot, Buckets(), NOW)
    assert (seen.context, seen.session, seen.alerts) == (0.96, "b", ("context 96% full",))
    unknown = vital_signs(replace(snapshot, engine=EngineState(state="ready")), Buckets(), NOW)
    assert unknown.context is None
    elsewhere = vital_signs(replace(snapshot, host=HostFacts(backend="openai")), Buckets(), NOW)
    assert (elsewhere.context, elsewhere.alerts[-1]) == (0.96, "context 96% full")


@pytest.mark.parametrize("state", ["exited", "restarting", "starting"])
def test_a_process_that_ended_takes_no_memory(state: str) -> None:
    engine = EngineState(state=state, memory_bytes=218_000_000)  # type: ignore[arg-type]
    seen = Snapshot(host=HostFacts(backend="mlx"), engine=engine, memory=((1.0, 218_000_000),))
    assert vital_signs(seen, Buckets(), NOW).memory_bytes == 0


@pytest.mark.parametrize(
    ("known", "earlier", "oldest_s", "told"),
    [
        (EARLIER, EARLIER, 60.0, "✗ 0 of 1,000+"),
        (EARLIER, EARLIER, 86_400.0, "✗ 0 of 999"),
        (EARLIER - 1, EARLIER - 1, 60.0, "✗ 0 of 999"),
        (LIMIT, 0, 60.0, "✗ 0 of 2,000+"),
    ],
    ids=["cut today", "cut before", "all of today", "forgotten"],
)
def test_a_day_of_more_requests_than_are_known_is_said_to_have_more(
    known: int, earlier: int, oldest_s: float, told: str
) -> None:
    times = [NOW - oldest_s, *[NOW - 30.0] * (known - 1)]
    requests = tuple(
        RequestSnapshot(f"r{number}", time, time, phase="done", ended=time)
        for number, time in enumerate(times)
    )
    seen = vital_signs(
        Snapshot(link=Link("live"), host=HostFacts(), requests=requests, earlier=earlier), Buckets(), NOW
    )
    assert told in plain_text(vital_line(seen, 120))
