"""What the Health pane says: engine or upstream, facts, timeline, what happened, and the log."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.pilot import Pilot

from proxy.events.causes import RESTART_REQUESTED
from proxy.events.totals import Totals
from proxy.events.types import EngineCache, EngineMemory, EngineState, Event, Probe
from proxy.timeline.buckets import HealthSample
from proxy.timeline.health_history import HealthHistory
from tests.tui.stage import lines_of
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.records import RECORDED, HostFacts, Link, LinkState, RequestPhase, RequestSnapshot, Snapshot
from tui.client.reducers.history import Buckets
from tui.client.store import Store
from tui.client.timeline.happened import happened
from tui.client.timeline.view import TimelineView
from tui.client.wire_text import block_text
from tui.screen.app import ControlCenter
from tui.screen.engine_label import engine_label
from tui.screen.health.engine_lines import ADVICE, engine_lines, fact_lines
from tui.screen.health.timeline_canvas import TimelineCanvas
from tui.screen.health.timeline_rows import LABEL, VALUE, timeline_lines
from tui.screen.host_actions.questions import ask_restart
from tui.screen.panes.health import HealthPane
from tui.screen.styled_line import Line, line_width, plain_text
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.strip_view import StripView
from tui.screen.widgets.vital_signs import vital_signs


def snapshot_of(backend: str) -> Snapshot:
    return Snapshot(
        host=HostFacts(backend=backend, model="qwen3", url="http://127.0.0.1:8082"),
        engine=EngineState(state="stopped"),
    )


def lines_of_now(
    snapshot: Snapshot,
    now: float = 0.0,
    width: int = 118,
    rows: int = 6,
    history: HealthHistory | None = None,
) -> list[Line]:
    facts = fact_lines(snapshot, history or HealthHistory(), now, width, rows)
    return [*engine_lines(snapshot, now, width), *facts]


def text_of(snapshot: Snapshot, now: float = 0.0, width: int = 118, rows: int = 6) -> str:
    return "\n".join(map(plain_text, lines_of_now(snapshot, now, width, rows)))


def test_an_engine_of_ours_that_is_stopped_can_be_started() -> None:
    assert engine_label(snapshot_of("mlx"))[0] == "stopped"
    assert "r starts it" in text_of(snapshot_of("mlx"))


def test_the_speeds_are_those_of_the_model_that_is_loaded_now() -> None:
    store, morning = Store(), Morning()

    def answered(request: str, speed: float) -> None:
        morning.emit("request.received", request, session="s", lane="main", model="m", preview="Hello")
        morning.wait(1)
        morning.emit("request.finished", request, tokens_per_s=speed, usage={"output_tokens": 50})

    morning.engine("ready", model="small", pid=1)
    answered("r1", 90.0)
    for event in morning.events:
        store.apply(event)
    assert "decode 90.0/s" in text_of(store.snapshot(), morning.now)
    seen = len(morning.events)
    morning.wait(5)
    morning.engine("loading", model="large", pid=2)
    morning.engine("ready", model="large", pid=2)
    for event in morning.events[seen:]:
        store.apply(event)
    said = text_of(store.snapshot(), morning.now)
    assert "large" in said
    assert "decode" not in said


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        (EngineState(state="starting"), "What is on disk of the prefix cache stays."),
        (EngineState(state="ready", cache=EngineCache()), "The prefix cache in memory is lost."),
        (
            EngineState(state="ready", cache=EngineCache(disk_budget_bytes=9, disk_bytes=5_000_000)),
            "comes back from disk (5.0 MB are there)",
        ),
    ],
)
def test_what_a_restart_costs_the_cache(engine: EngineState, says: str) -> None:
    assert says in ask_restart(Snapshot(engine=engine)).consequence


@pytest.mark.parametrize("backend", ["openai", "lmstudio", "claude"])
def test_another_server_is_named_and_not_called_stopped(backend: str) -> None:
    assert engine_label(snapshot_of(backend)) == (backend, "muted")  # nobody knows yet
    said = text_of(snapshot_of(backend))
    assert f"Requests go to {backend}" in said
    assert "stopped" not in said.lower()
    assert "qwen3" in said


@pytest.mark.parametrize("backend", ["mlx", "openai"])
@pytest.mark.parametrize(("state", "word"), [("reconnecting", "no contact"), ("ended", "host ended")])
def test_a_host_that_is_gone_stops_the_clocks(backend: str, state: LinkState, word: str) -> None:
    store = Store()
    gone = snapshot_of(backend)
    for at in (100.0, 107.0):  # each attempt in vain is another link
        store.set_link(Link(state, "nothing listens there", at))
    gone = replace(gone, link=store.snapshot().link)
    assert gone.as_of(900.0) == 100.0
    assert engine_label(gone)[0] == word
    assert "gone since 00:01:40" in text_of(gone)
    assert "READY" not in text_of(gone)


def test_a_host_that_is_started_again_has_no_engine_yet() -> None:
    again = replace(snapshot_of("mlx"), link=Link("starting", since=100.0))
    assert engine_label(again)[0] == "starting"
    assert "STARTING" in text_of(again)
    assert "READY" not in text_of(again)
    assert vital_signs(again, Buckets(), 100.0).missing


def test_the_destination_is_drawn_with_its_source() -> None:
    host = HostFacts(backend="openai", destination="http://127.0.0.1:9/v1 (from --base-url), without a key")
    said = text_of(Snapshot(host=host, engine=EngineState(state="stopped")))
    assert "sends to   http://127.0.0.1:9/v1 (from --base-url), without a key" in said


def test_the_bundled_model_is_named_with_the_way_to_a_real_one() -> None:
    def said(model: str) -> str:
        return text_of(Snapshot(engine=EngineState(state="ready", model=model)))

    assert "bundled demo model" in said("bundled demo model")
    assert "a demo model: M loads another one" in said("bundled demo model")
    assert "demo model" not in said("Qwen3-Coder")


def test_a_mac_that_computes_without_metal_stands_out() -> None:
    def styles(accelerated: str) -> list[str]:
        state = EngineState(state="ready", pid=7, model="m", accelerated=accelerated)
        lines = lines_of_now(Snapshot(engine=state))
        return [style for line in lines for text, style in line if accelerated in text]

    assert styles("cpu: no Metal device in this session") == ["warn"]
    assert styles("metal (Apple M4 Max)") == ["muted"]


def test_in_a_low_terminal_the_port_that_was_free_and_the_window_can_be_read() -> None:
    engine = EngineState(
        state="ready",
        pid=7,
        started=1.0,
        model="Qwen3-Coder",
        url="http://127.0.0.1:53121",
        context_tokens=47_384,
        notes=["it serves 47,384 of 262,144 tokens"],
    )
    host = HostFacts(backend="mlx", url="http://127.0.0.1:8082")
    said = text_of(Snapshot(engine=engine, host=host), 9.0, 78, 2)
    assert len(said.splitlines()) == 3
    for fact in ("47,384 tokens", "pid 7 on :53121", "http://127.0.0.1:8082"):
        assert fact in said
    assert "it serves 47,384" in text_of(Snapshot(engine=engine, host=host), 9.0, 78, 4)


NAMED = (["probes"], ["memory"])
LEDGER = EngineMemory(
    limit_bytes=25_800_000_000,
    weights_bytes=17_200_000_000,
    requests_bytes=2_100_000_000,
    prefix_cache_bytes=1_300_000_000,
)


def test_memory_is_drawn_with_its_limit_and_parts() -> None:
    said = text_of(Snapshot(engine=EngineState(state="busy", memory_bytes=20_600_000_000, memory=LEDGER)))
    assert "█ weights 17.2 GB   ▓ requests 2.1 GB   ▒ cache 1.3 GB   of 25.8 GB" in said


def test_memory_pressure_is_drawn() -> None:
    ledger = LEDGER.model_copy(update={"pressure": "critical"})
    said = text_of(Snapshot(engine=EngineState(state="busy", memory=ledger)))
    assert "this machine is short of memory (critical)" in said


def test_the_served_context_is_drawn() -> None:
    assert "47,384 tokens" in text_of(
        Snapshot(engine=EngineState(state="ready", model="m", context_tokens=47_384))
    )


def ended(seconds: float, cause: str = "") -> RequestSnapshot:
    phase: RequestPhase = "failed" if cause else "done"
    return RequestSnapshot(
        f"r{seconds}", seconds, seconds, phase=phase, ended=seconds, cause=cause, error=f"{cause}!"
    )


def test_an_upstream_is_what_the_newest_result_says_of_it() -> None:
    def after(*requests: RequestSnapshot) -> Snapshot:
        return replace(snapshot_of("openai"), requests=requests)

    down = after(ended(10.0), ended(60.0, "no upstream"), ended(120.0, "no upstream"))
    assert engine_label(down) == ("openai: no upstream", "bad")
    assert "openai: no upstream  since 00:01:00" in text_of(down)
    assert "no upstream!" in text_of(down)
    up = after(ended(60.0, "no upstream"), ended(120.0), ended(90.0, "key refused"))
    assert engine_label(up) == ("openai", "ok")
    assert "It answered at 00:02:00" in text_of(up)
    assert engine_label(after(ended(60.0, "prompt too long"))) == ("openai", "ok")


@pytest.mark.parametrize(
    ("started", "said"),
    [
        (950.0, "3 by itself, 1 by you in 24 h; 5 in a row are the limit"),
        (100.0, "3 by itself, 1 by you in 24 h; all 5 are left again since 00:11:40"),
    ],
)
def test_restarts_are_counted_and_forgiven_and_yours_are_told_apart(started: float, said: str) -> None:
    history = HealthHistory()
    asked = {"state": "restarting", "last_exit": RESTART_REQUESTED}
    for moment, state in ((50.0, {"state": "ready"}), (60.0, asked), (70.0, {"state": "ready"})):
        history.observe(moment, "engine.state", None, EngineState.model_validate(state))
    engine = EngineState(state="ready", restarts=2, started=started, pid=7)
    seen = Snapshot(engine=engine, totals=Totals(engine_restarts=3))
    assert said in "\n".join(map(plain_text, lines_of_now(seen, 1000.0, history=history)))


def test_a_restart_by_you_is_no_fault_of_the_engine() -> None:
    store = Store()
    story: list[tuple[float, str, dict[str, Any]]] = [
        (100.0, "engine.state", {"state": "ready", "started": 90.0}),
        (110.0, "host.notice", {"text": "the engine is being restarted, as a person asked"}),
        (110.0, "engine.state", {"state": "restarting", "last_exit": RESTART_REQUESTED}),
        (111.0, "engine.state", {"state": "loading", "last_exit": RESTART_REQUESTED}),
        (
            116.0,
            "engine.state",
            {"state": "ready", "last_exit": RESTART_REQUESTED, "started": 111.0, "since": 116.0},
        ),
    ]
    for seq, (moment, type_, data) in enumerate(story, 1):
        store.apply(Event(seq=seq, time=moment, type=type_, data=data))
    snapshot = store.snapshot()
    lines = lines_of_now(snapshot, 120.0, history=store.health)
    assert any("1 by you in 24 h" in plain_text(line) for line in lines)
    assert not any("warn" in style or "bad" in style for line in lines for _, style in line)
    told = happened(snapshot, store.health, 105.0, 125.0, 130.0).text
    assert "You restarted the engine at 00:01:50. It was ready again after 6.0s, at 00:01:56." in told
    assert [line.level for line in snapshot.log] == ["info", "info"]


@pytest.mark.parametrize("cause", ["engine died", "engine died (signal 9)"])
def test_requests_that_broke_with_the_engine_are_not_said_to_be_none(cause: str) -> None:
    store = Store()
    error = {"type": "overloaded_error", "message": "the engine ended", "cause": cause}
    story: list[tuple[float, str, str | None, dict[str, Any]]] = [
        (100.0, "engine.state", None, {"state": "ready"}),
        (101.0, "request.received", "r1", {"session": "s1"}),
        (110.0, "engine.state", None, {"state": "exited", "last_exit": "signal 9"}),
        (110.1, "request.failed", "r1", {"error": error, "status": 529}),
    ]
    for seq, (moment, type_, request, data) in enumerate(story, 1):
        store.apply(Event(seq=seq, time=moment, type=type_, request=request, data=data))
    told = happened(store.snapshot(), store.health, 105.0, 115.0, 130.0).text
    assert "Broke: 1 request: s1." in told
    assert "no request broke" not in told


@pytest.mark.parametrize(
    ("causes", "says"),
    [
        (
            ("engine died", "engine starting", "engine starting"),
            "Broke: 1 request: s1; 2 more, told to retry while it was not up: s1.",
        ),
        (("engine starting",), "Refused: 1 request: s1; told to retry."),
        (("engine stopped in prefill", "engine starting"), "Broke: 1 request: s1; 1 more, told to retry"),
    ],
)
def test_tries_that_met_no_engine_are_told_from_what_broke(causes: tuple[str, ...], says: str) -> None:
    store = Store()
    story: list[tuple[float, str, str | None, dict[str, Any]]] = [
        (100.0, "engine.state", None, {"state": "ready"}),
        (110.0, "engine.state", None, {"state": "exited", "last_exit": "signal 9"}),
    ]
    for number, cause in enumerate(causes):
        began, cause = cause.endswith(" in prefill"), cause.removesuffix(" in prefill")
        error = {"type": "overloaded_error", "message": "later", "cause": cause}
        story.append((110.1 + number, "request.received", f"r{number}", {"session": "s1"}))
        if began:
            story.append((110.1 + number, "request.prefill", f"r{number}", {"done": 5, "total": 9}))
        story.append((110.2 + number, "request.failed", f"r{number}", {"error": error, "status": 529}))
    for seq, (moment, type_, request, data) in enumerate(story, 1):
        store.apply(Event(seq=seq, time=moment, type=type_, request=request, data=data))
    assert says in happened(store.snapshot(), store.health, 105.0, 115.0, 130.0).text


def test_a_probe_of_the_process_that_ended_is_not_said_of_the_next_one() -> None:
    probes = ((900.0, Probe(ok=True, latency_s=0.005)),)
    ready = Snapshot(engine=EngineState(state="ready", started=800.0, pid=7), probes=probes)
    assert "probe 1m40s ago took 5ms" in text_of(ready, 1000.0)
    for engine in (
        EngineState(state="ready", started=950.0, pid=8),
        EngineState(state="restarting", started=800.0),
    ):
        assert "probe" not in text_of(replace(ready, engine=engine), 1000.0).splitlines()[0]


@pytest.mark.parametrize("state", sorted(ADVICE))
def test_a_recording_names_no_key_that_would_restart_its_engine(state: str) -> None:
    engine = EngineState.model_validate({"state": state})
    live, recorded = (
        text_of(Snapshot(engine=engine, link=Link("live", detail))).splitlines()[1]
        for detail in ("", RECORDED)
    )
    assert ADVICE[state].split(". ")[0].removesuffix(".") in recorded
    assert recorded.rstrip().endswith(".")
    assert not re.search(r"\br\b", recorded), live


@pytest.mark.parametrize("state", ["exited", "failed", "restarting"])
def test_of_a_process_that_has_ended_no_figure_is_said_to_be_of_now(state: str) -> None:
    samples = HealthHistory()
    probes = ((990.0, Probe(ok=True, latency_s=0.003)),)
    snapshot = Snapshot(engine=EngineState(state="ready", memory_bytes=18_900_000_000), probes=probes)
    samples.samples.add(990.0, HealthSample(probes=1, memory_bytes=18.9e9, latency_s=0.003))

    def of_now(shown: Snapshot) -> list[str]:
        lines = timeline_lines(samples, shown, TimelineView(), 1000.0, 100, 6)
        return [plain_text(line)[-VALUE:].strip() for line in lines if plain_text(line).split()[:1] in NAMED]

    assert of_now(snapshot) == ["3ms", "18.9 GB"]
    gone = replace(snapshot, engine=EngineState.model_validate({"state": state}))
    assert of_now(gone) == ["·", "·"]


# -- the pane, by its keys -----------------------------------------------------------------------------------

MORNING = Morning().play()


@asynccontextmanager
async def health_of(
    morning: Morning, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[HealthPane, Any, Pilot[None]]]:
    """The pane of a screen that has just attached."""
    app = ControlCenter(clock=lambda: morning.now)
    app.client = SampleHost(summaries(morning))
    for arrival in morning.arrivals():
        app.inbox.put(arrival)
    app.inbox.put(Link("live"))
    async with app.run_test(size=size) as pilot:
        app.frame()

        async def press(*keys: str) -> str:
            for key in keys:
                await pilot.press(key)
                app.frame()
                await pilot.pause()
            return lines_of(view for view in app.main.current.query(StripView) if view.display)

        await press("4")
        yield app.main.query_one(HealthPane), press, pilot


async def test_errors_are_two_keys_from_streams_and_a_third_tells_what_happened() -> None:
    async with health_of(MORNING) as (pane, press, _):
        shown = await press("l")
        assert "errors 1 of 29" in shown
        assert [line.text for line in pane.main_table.rows if line] == [
            "engine exited with signal 9 (out of memory?); 1 request was told to retry"
        ]
        assert "14:18:04  ERROR  host" in shown
        assert "▼ 14:18" in shown  # the timeline stands where the error is
        shown = await press("enter")
        for words in (
            "At 14:18:04",
            "Engine exited with signal 9 (out of memory?); 1 request was told to retry.",
            "It was ready again after 10s",
            "It held 19.9 GB just before, of 51.5 GB allowed.",
            "1 request: 9f3c1e.",
            "1 of 1 by the client (14:18:33), all answered: nothing was lost.",
            "prefixCacheBytes",
        ):
            assert words in shown
        assert "What  " not in await press("escape")
        assert "warnings and errors 5 of 29" in await press("l")
        assert "following" in await press("l")
        first = pane.main_table.selected
        await press("e")
        assert pane.main_table.selected is not first
        assert pane.main_table.selected.level == "error"


async def test_keys_of_a_request_are_of_what_is_shown_where_no_line_was_chosen() -> None:
    morning = Morning().play()
    async with health_of(morning) as (pane, press, _):
        ended = [one for one in pane.snapshot.requests if one.ended is not None]
        assert pane.main_table.following
        last = pane.snapshot.log[-1]
        assert pane.request == last.request != ""  # where the cursor stands
        pane.app.inbox.put(morning.emit("host.notice", text="of no request"))  # type: ignore[attr-defined]
        await press("up", "end")
        assert pane.request == ended[-1].id
        assert "why" not in pane.unavailable
        await press("up", "up")
        line = pane.main_table.selected
        assert line is not None
        assert pane.request == line.request  # of a line that was chosen, none but its own
        await press("escape", *["left"] * 12)
        assert pane.main_table.selected is not None
        assert not pane.main_table.selected.request  # the line before that moment is of none
        end = pane._view.axis(pane.now, pane._cells).place(pane._view.cursor or 0.0)
        came = [
            one for one in ended if pane._view.axis(pane.now, pane._cells).place(one.received) in (end, None)
        ]
        assert pane.request == came[-1].id != ended[-1].id
        await press("w")
        assert pane.app.screen.request == pane.request  # type: ignore[attr-defined]


async def test_the_log_and_the_timeline_move_together() -> None:
    async with health_of(MORNING) as (_, press, pilot):
        assert "▼" not in await press()
        shown = await press("left", "left")
        assert "14:21:" in shown
        assert "▼" in shown
        assert "▼ 14:00" in await press("home")  # the first line of the log
        assert "▼" not in await press("end")
        assert "The engine was up" in await press("left", "enter")
        assert "▼" not in await press("escape", "escape")
        await pilot.click(TimelineCanvas, offset=(60, 3))
        assert f"\n{' ' * 20}13:55" in (shown := await press())
        assert next(line for line in shown.splitlines() if "▼" in line).index("▼") == 60


async def test_the_search_goes_up_from_the_newest_line_and_round() -> None:
    async with health_of(MORNING) as (pane, press, _):
        shown = await press("slash", *"oaded", "enter")
        assert "8 found" in shown
        first = pane.main_table.selected
        await press("n")
        assert pane.main_table.selected is not first
        await press("N")
        assert pane.main_table.selected is first
        await press("N")
        assert pane.main_table.selected is not first  # round the end
        assert "found" not in await press("escape")
        bar = pane.screen.query_one(KeyBar)
        await press("slash")
        assert "enter keep the search" in (keys := lines_of([bar]))
        assert "esc end the search" in keys
        assert "filter" not in keys
        await press("escape")
        assert "0 found" in await press("slash", *'"(is', "enter")  # no filter, whose quotes must close
        await press("escape", "slash", *"died", "enter")
        assert pane.request.startswith("req_")  # the line of a request leads to its trace
        await press("escape", "escape", "end")
        assert "why" not in pane.unavailable  # now it is the last request's


async def test_a_young_host_s_timeline_is_as_long_as_what_is_known_until_another_is_chosen() -> None:
    morning = Morning()
    morning.start_engine()
    async with health_of(morning) as (pane, press, _):
        assert "Last 2 minutes" in await press()
        morning.wait(400)
        morning.probe()
        pane.app.inbox.put(morning.events[-1])  # type: ignore[attr-defined]
        assert "Last 15 minutes" in await press("end")
        assert "Last 30 minutes" in await press("minus")
        assert "Last 15 minutes" in await press("plus")
        morning.wait(1200)
        assert "Last 15 minutes" in await press("end")


async def test_the_probe_of_now_is_the_same_in_both_places() -> None:
    morning = Morning()
    morning.start_engine()
    for latency in (0.9, 0.002):
        morning.wait(1.0)
        morning.engine("ready", probe={"ok": True, "latency_s": latency, "detail": ""})
    async with health_of(morning) as (_, press, _):
        shown = await press()
        assert "took 2ms" in shown
        probes = next(line for line in shown.splitlines() if "probes" in line)
        assert probes.rstrip().endswith(" 2ms")


async def test_scales_go_from_minutes_to_a_week() -> None:
    async with health_of(MORNING) as (_, press, _):
        assert "Last 15 minutes" in await press("plus")
        assert "Last 2 minutes" in await press("plus", "plus", "plus")
        assert "Last 7 days" in await press(*["minus"] * 7)
        assert "Last 24 hours" in await press("plus")
        assert "up to" in await press("home", "plus", "plus", "plus", "plus", "plus")


async def test_where_another_server_answers_nothing_of_an_engine_is_drawn() -> None:
    morning = Morning()
    state = morning.state().model_copy(
        update={"backend": "lmstudio", "destination": "http://127.0.0.1:1234/v1", "runs_engine": False}
    )
    app = ControlCenter(clock=lambda: morning.now)
    app.inbox.put(state)
    app.inbox.put(
        Event(seq=1, time=morning.now, type="upstream.probe", data={"ok": True, "latency_s": 0.0004})
    )
    app.inbox.put(Link("live"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        app.frame()
        await pilot.pause()
        shown = lines_of(app.main.current.query(StripView))
    assert "It accepts connections (" in shown
    assert "upstream" in shown
    for word in ("engine  ", "memory", "limit", "restarts", "pid"):
        assert word not in shown.replace("runs no engine", "").replace("0.1.0 pid 4242", ""), word


@pytest.mark.parametrize("runs", [True, False])
async def test_another_model_is_offered_where_the_host_can_load_one(runs: bool) -> None:
    morning = Morning()
    app = ControlCenter(clock=lambda: morning.now)
    app.inbox.put(
        morning.state().model_copy(update={"backend": "mlx" if runs else "openai", "runs_engine": runs})
    )
    app.inbox.put(Link("live"))
    async with app.run_test(size=(200, 50)) as pilot:
        for pane in "12345":
            await pilot.press(pane)
            app.frame()
            await pilot.pause()
            assert ("M model" in lines_of(app.main.query(KeyBar))) is runs, pane


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60), st.integers(30, 210))
def test_no_text_can_break_a_line_of_the_pane(text: str, width: int) -> None:
    hostile = f"\x1b]52;c;x\x07[/]\u202e{text}"
    store = Store()
    events: list[tuple[str, dict[str, Any]]] = [
        ("engine.state", {"state": "ready", "model": hostile, "detail": hostile, "url": hostile}),
        ("request.received", {"session": hostile}),
        ("request.failed", {"error": {"type": hostile, "message": hostile}, "status": 500}),
        ("engine.log", {"line": hostile}),
        ("host.log", {"line": hostile, "level": "error"}),
        ("engine.state", {"state": "exited", "detail": hostile, "last_exit": hostile, "notes": [hostile]}),
        ("upstream.probe", {"ok": False, "detail": hostile}),
    ]
    for seq, (type_, data) in enumerate(events, 1):
        store.apply(Event(seq=seq, time=100.0 + seq, type=type_, request=hostile, data=data))
    snapshot, view = store.snapshot(), TimelineView(cursor=103.0)
    drawn = [
        *engine_lines(snapshot, 110.0, width),
        *fact_lines(snapshot, store.health, 110.0, width, 9),
        *timeline_lines(store.health, snapshot, view, 110.0, width, 9),
    ]
    told = happened(snapshot, store.health, 90.0, 111.0, 111.0, snapshot.log[-1])
    texts = (
        [plain_text(line) for line in drawn]
        + [line.text for line in snapshot.log]
        + [w for _, w in told.parts]
    )
    for one in texts:
        assert block_text(one) == one
        assert "\n" not in one
    for line in timeline_lines(store.health, snapshot, view, 110.0, width, 9)[1:]:
        assert line_width(line) == max(width, 10 + LABEL + VALUE + 2)
