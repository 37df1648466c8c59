"""The Cache pane under keys: what is held, pin, drop and flush, and the way to the requests behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.events.cache_facts import CacheEntry, CacheHoldings
from proxy.events.types import Event, Usage
from tests.tui.held_samples import ADA, entry, holdings
from tests.tui.screen.panes.test_first_run import first_run
from tests.tui.screen.test_app import Scene, scene
from tests.tui.stage import drawn, lines_of, loaded, painted
from tests.tui.traffic import Morning
from tui.client.figures import clock, count
from tui.client.holdings.rows import HeldRow, held_rows, prefill_s
from tui.client.records import Link, MissRecord, RequestSnapshot, Snapshot
from tui.client.wire_text import width
from tui.screen.host_actions.cache_questions import ask_drop, cannot_change, flush_choices
from tui.screen.panes.cache_parts.held import HELD
from tui.screen.panes.cache_parts.misses import listed, wanted_note
from tui.screen.screens.choose import ChooseScreen
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.screens.diff import DiffScreen
from tui.screen.styled_line import line_width, plain_text
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.line_table import LineTable

SHARED, MAIN, OLD = "3f2a71c09b1d44e0", "a0d14be27715c3f8", "5cc01f4b6a82d9e3"


@asynccontextmanager
async def cache_scene(morning: Morning | None = None) -> AsyncIterator[Scene]:
    async with scene(morning=morning) as it:
        await it.press("2")
        yield it


def notices(it: Scene) -> str:
    return " ".join(str(one.message) for one in it.app._notifications)


async def test_two_keys_pin_and_the_questions_say_what_follows() -> None:
    async with cache_scene() as it:
        text = it.text()
        for part in ("system + tools", "├ 9f3c1e main  Add a --json flag", "│ └ 9f3c1e main", "▶ running"):
            assert part in text
        assert "p unpin" in drawn(it.app.screen.query_one(KeyBar))[0]
        await it.press("p")
        assert it.host.wishes == [f"unpin {SHARED}"]
        await it.press("down")
        assert "p pin" in drawn(it.app.screen.query_one(KeyBar))[0]
        await it.press("p")
        assert it.host.wishes[-1] == f"pin {MAIN}"
        assert "9f3c1e main is pinned: 10,980 tokens (540 MB) stay, also after a restart." in notices(it)
        await it.press("x")
        assert isinstance(it.app.screen, ConfirmScreen)
        assert "29.7k tokens go, with the 1 entry below it; that frees" in " ".join(it.text().split())
        await it.press("escape", "x", "enter")
        assert it.host.wishes[2:] == [f"drop {MAIN}"]
        await it.press("up", "x")
        assert "is pinned: p unpins it" in notices(it)
        assert isinstance(it.app.screen, type(it.app.main))


async def test_a_flush_is_chosen_esc_keeps_everything_and_a_refusal_is_shown() -> None:
    async with cache_scene() as it:
        await it.press("F")
        assert isinstance(it.app.screen, ChooseScreen)
        said = " ".join(it.text().split())
        assert "m memory frees 2.0 GB; comes back from disk but for 420 tokens" in said
        assert "13.5k pinned tokens stay." in said
        await it.press("escape")
        assert it.host.wishes == []
        await it.press("F", "d")
        assert it.host.wishes == ["flush disk"]
        assert "the prefix cache is flushed" in notices(it)
        it.host.refuses = "it has grown meanwhile"
        await it.press("down", "p")
        assert "Nothing was changed: it has grown meanwhile" in notices(it)


async def test_three_keys_from_streams_compare_what_diverged() -> None:
    async with scene() as it:
        await it.press("2", "enter", "d")
        assert isinstance(it.app.screen, DiffScreen)
        assert [crumb.split()[0] for crumb in it.app.crumbs] == ["Cache", "Trace", "Diff"]
        await it.press("escape", "escape", "right", "d")
        assert isinstance(it.app.screen, DiffScreen)
        assert it.app.main.current.request == it.app.store.snapshot().misses[-1].request
        await it.press("escape", "left", "end", "enter")
        assert "No request has used it since the engine started." in notices(it)
        rows = it.app.main.current.main_table
        assert rows is not None
        it.app.main.current.set_filter("session:c07d")
        assert {row.session[:4] for row in rows.rows} == {"c07d", "9f3c"}  # its own, and what it shares


async def test_under_an_entry_that_an_earlier_host_stored_the_keys_are_of_the_selected_miss() -> None:
    async with cache_scene() as it:
        it.host.held = holdings(it.morning.now).model_copy(update={"entries": [entry_of_nobody()]})
        it.app.main.current.reload()  # type: ignore[attr-defined]
        await it.press("right", "down", "left")
        miss = it.app.store.snapshot().misses[-2]
        assert it.app.main.current.request == miss.request
        await it.press("d")
        assert isinstance(it.app.screen, DiffScreen)
        assert it.app.screen.request == miss.request
        await it.press("escape", "enter")
        assert "No request has used it since the engine started." in notices(it)


async def test_what_is_held_is_asked_when_the_engine_is_up_and_an_empty_list_says_what_is_true_now() -> None:
    morning = Morning()
    morning.engine("loading", progress=1.0)
    async with cache_scene(morning) as it:
        assert "The engine is not up (loading 100%)" in it.text()
        assert "No prompt yet, so no miss." in it.text()
        it.host.held = holdings(morning.now).model_copy(update={"entries": [entry_of_nobody()]})
        seen = len(morning.events)
        morning.engine("busy", running=1)
        morning.request(prompt=4000, until="decode")
        for event in morning.events[seen:]:
            it.app.inbox.put(event)
        await it.settle()
        await it.settle()
        assert "Held  1 entry" in it.text()
        assert "No miss in 1 prompt." in it.text()


def entry_of_nobody() -> CacheEntry:
    return CacheEntry.model_validate(entry("3f2a71c09b1d44e0", 254, sessions=[], lane=""))


async def test_the_figures_are_also_those_of_a_longer_time_which_a_restart_does_not_end() -> None:
    async with scene() as it:

        def head() -> str:
            return lines_of([it.app.main.current.query_one("#cache-totals", Canvas)])

        await it.press("2")
        assert "prompt tokens restored" in head()
        await it.press("r")
        await loaded(it.app)
        await it.press("down")
        assert "restored, today r" in head()
        usage = await it.host.usage()
        assert f"restored {count(usage.restored)}" in head()
        assert "saved ~60s" in head()
        await it.press("r", "r", "r")
        assert "prompt tokens restored" in head()


async def test_what_is_held_is_asked_again_when_it_changes_and_its_failure_is_said() -> None:
    morning = Morning().play()
    async with cache_scene(morning) as it:
        it.host.held = CacheHoldings.model_validate({"entries": [entry("aa" * 8, 7_000, sessions=["s-new"])]})
        morning.wait(2)
        it.app.inbox.put(morning.emit("cache.inserted", "r", tokens=7, entries=4, total_bytes=9))
        await it.settle()
        await it.settle()
        assert "s-new main" in it.text()
        it.host.held = CacheHoldings()
        morning.wait(2)
        it.app.inbox.put(morning.emit("cache.flushed", None, entries=0, total_bytes=0))
        await it.settle()
        await it.settle()
        assert "Nothing is held yet." in it.text()


async def test_the_list_of_misses_begins_with_the_newest_and_says_why_it_is_empty() -> None:
    morning = Morning().play()
    async with cache_scene(morning) as it:
        misses = it.app.main.current.query_one("#misses", LineTable)
        times = [row.time for row in misses.rows if row is not None]
        assert times == sorted(times, reverse=True)
        assert misses.cursor == 0
    async with first_run((120, 40), state="ready") as (app, pilot):
        await pilot.press("2")
        misses = app.main.current.query_one("#misses", LineTable)
        assert "No prompt yet, so no miss." in "\n".join(painted(misses))
        morning, now = Morning(), Morning().now
        for event in (
            morning.emit("request.received", "r", session="s", lane="main", model="m", preview="Hello"),
            morning.emit("request.finished", "r", usage=Usage(input_tokens=9).model_dump(), took_s=1.0),
        ):
            app.store.apply(event.model_copy(update={"seq": app.store.snapshot().seq + 1}))
        app.main.current.show(app.store.snapshot(), now)
        await pilot.pause()
        assert "No miss in 1 prompt." in "\n".join(painted(misses))


async def test_what_another_person_pins_is_shown_though_no_figure_changes() -> None:
    morning = Morning().play()
    async with cache_scene(morning) as it:
        held = it.app.main.current.query_one("#held", LineTable)
        assert "⚲" in "\n".join(drawn(held))
        it.host.held = CacheHoldings.model_validate({"entries": [entry(SHARED, 7_000, pinned_tokens=0)]})
        morning.wait(2)
        it.app.inbox.put(morning.emit("cache.unpinned", None, entry=SHARED, tokens=7_000))
        await it.settle()
        await it.settle()
        assert "⚲" not in "\n".join(drawn(held))


async def test_what_an_engine_held_that_has_ended_is_not_offered() -> None:
    morning = Morning().play()
    async with cache_scene(morning) as it:
        assert "9f3c1e main" in it.text()
        morning.engine("restarting")
        it.app.inbox.put(morning.events[-1])
        await it.settle()
        held = it.app.main.current.query_one("#held", LineTable)
        assert "The engine is not up (restarting)" in "\n".join(drawn(held))
        assert {"pin", "drop", "flush"} <= it.app.main.current.unavailable
        it.host.held = CacheHoldings.model_validate({"entries": [entry("aa" * 8, 7_000, sessions=["s-new"])]})
        morning.wait(2)
        morning.engine("ready", pid=4711)
        it.app.inbox.put(morning.events[-1])
        await it.settle()
        await it.settle()
        assert "s-new main" in it.text()


async def test_an_engine_that_is_not_up_is_not_said_to_be_asked() -> None:
    async with first_run((120, 40), state="starting") as (app, pilot):
        await pilot.press("2")
        text = "\n".join(drawn(app.main.current.query_one("#held", LineTable)))
        assert "The engine is not up (starting): what the cache holds is not known yet." in text
        assert "Asking" not in text


async def test_what_was_held_before_the_host_was_gone_has_its_time() -> None:
    morning = Morning().play()
    async with cache_scene(morning) as it:
        assert "as of" not in it.text()
        asked = clock(morning.now)
        morning.wait(300)
        it.app.inbox.put(Link("reconnecting", "nothing listens there", morning.now))
        await it.settle()
        assert f"as of {asked}" in it.text()


async def test_a_backend_that_caches_by_itself_offers_nothing_that_would_fail() -> None:
    morning = Morning().play()
    for number, arrival in enumerate(morning.events):
        if arrival.type == "request.received":
            data = arrival.data | {"backend": "vllm"}
            morning.events[number] = Event(**arrival.model_dump() | {"data": data})
    state = morning.state
    morning.state = lambda: state().model_copy(update={"backend": "openai"})  # type: ignore[method-assign]
    async with cache_scene(morning) as it:
        assert it.app.main.current.main_table is it.app.screen.query_one("#prompts", LineTable)
        keys = " ".join(drawn(it.app.screen.query_one(KeyBar)))
        assert not any(word in keys for word in ("pin", "drop", "flush"))
        assert "the cache is the upstream's own" in it.text()
        await it.press("p", "x", "F")
        assert it.host.wishes == []
        assert "This backend's cache is its own: there is nothing to flush." in notices(it)


def miss(request: str, reason: str, **more: object) -> MissRecord:
    facts = {"time": 1.0, "session": "s", "lane": "main", "prompt_tokens": 100, "position": 9}
    return MissRecord(**{"request": request, "reason": reason, "before": "", "now": ""} | facts | more)  # type: ignore[arg-type]


def test_first_prompts_are_listed_only_if_they_were_evicted() -> None:
    first = RequestSnapshot("r1", 0.0, 0.0, messages=1)
    later = RequestSnapshot("r2", 0.0, 0.0, messages=7)
    misses = (
        miss("r1", "cold"),
        miss("r1", "diverged"),
        miss("r1", "evicted", lost_tokens=500),
        miss("r2", "diverged"),
    )
    snapshot = Snapshot(requests=(first, later), misses=misses)
    shown, left_out = listed(snapshot, first_prompts=False)
    assert ([(one.request, one.reason) for one in shown], left_out) == (
        [("r1", "evicted"), ("r2", "diverged")],
        2,
    )
    assert listed(snapshot, first_prompts=True) == (list(misses), 0)
    assert plain_text(wanted_note(shown, snapshot)) == "1 time evicted, then wanted: 500 tokens"


def row_of(**facts: object) -> HeldRow:
    held = CacheHoldings(entries=[CacheEntry.model_validate(entry("x", 1_000) | facts)])
    return held_rows(held, Snapshot())[0]


def test_what_cannot_be_done_is_said_before_the_host_is_asked() -> None:
    held = holdings(1_000_000.0)
    rows = {row.entry.id: row for row in held_rows(held, Snapshot())}
    assert cannot_change("drop", rows[SHARED], held).startswith("system + tools is pinned: p unpins it")
    assert cannot_change("drop", rows[MAIN], held) == cannot_change("pin", rows[MAIN], held) == ""
    unpinned = held.model_copy(
        update={"entries": [held.entries[0].model_copy(update={"pinned_tokens": 0}), *held.entries[1:]]}
    )
    rows_then = {row.entry.id: row for row in held_rows(unpinned, Snapshot())}
    assert (
        cannot_change("drop", rows_then[SHARED], unpinned)
        == "An entry below system + tools is pinned: unpin that first."
    )
    full = held.model_copy(update={"pin_limit_bytes": held.pinned_bytes})
    assert "does not fit: pins take 666 MB of 666 MB" in cannot_change("pin", rows[MAIN], full)


def test_the_consequences_are_in_seconds_where_they_are_known() -> None:
    held, snapshot = holdings(1_000_000.0), Snapshot(saved_s=100.0)
    snapshot.totals.cache_read_input_tokens = 100_000
    assert prefill_s(snapshot, 12_000) == pytest.approx(12.0)
    assert prefill_s(Snapshot(), 12_000) is None
    old = next(row for row in held_rows(held, snapshot) if row.entry.id == OLD)
    assert "computes it again, ~12s." in ask_drop(old, held, snapshot).consequence
    no_disk = held.model_copy(update={"disk_budget_bytes": 0})
    assert [choice.name for choice in flush_choices(no_disk, snapshot)] == ["memory"]


HOSTILE = st.text("ab長\x1b\x9b\u202e[]/é\u200d", max_size=12) | st.sampled_from(
    ["\x1b[2J", "[/]", "[@click=app.bell]x", "‮abc", "長" * 40, "\x00\x07"]
)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(session=HOSTILE, lane=HOSTILE, cells=st.integers(8, 70), tokens=st.integers(-5, 1 << 60))
def test_hostile_text_stays_within_its_cells(session: str, lane: str, cells: int, tokens: int) -> None:
    row = row_of(sessions=[session], lane=lane, tokens=tokens, used=-1.0, reused=tokens, memory_tokens=tokens)
    for column in HELD:
        line = column.cell(row, 5.0, max(cells, column.minimum))
        assert not any(category(character)[0] == "C" for text, _ in line for character in text)
        if column.title != "SHARED PREFIX, SESSION":
            continue
        assert line_width(line) <= max(cells, column.minimum)
    assert width(row.name) == sum(width(character) for character in row.name)
    assert ADA not in row.name
