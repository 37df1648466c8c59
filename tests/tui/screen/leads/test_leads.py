"""Each pane and screen with a request or a session leads to all there is of it, and esc leads back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.filters.language import parse_filter
from proxy.filters.matching import value_pattern
from proxy.filters.terms import Field
from tests.tui.held_samples import holdings
from tests.tui.screen.test_app import Scene, scene
from tests.tui.screen.test_mouse import click_on
from tests.tui.stage import drawn
from tests.tui.traffic import SESSIONS
from tui.client.records import Snapshot
from tui.screen.leads.go_box import GoBox
from tui.screen.leads.leading_app import MOST_STOPS
from tui.screen.leads.subject import Subject, entry_of, session_filter
from tui.screen.leads.targets import targets_of
from tui.screen.panes.streams import StreamsPane
from tui.screen.screens.context import ContextScreen
from tui.screen.screens.diff import DiffScreen
from tui.screen.screens.main import MainScreen
from tui.screen.screens.opened import OpenedScreen
from tui.screen.screens.trace import TraceScreen
from tui.screen.screens.why import WhyScreen
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.line_table import LineTable

# From Streams, the keys to a place that has a request and a session.
PLACES: dict[str, tuple[str, ...]] = {
    "a turn": ("end", "right"),
    "a call": ("3", "up"),
    "a failed call of today": ("3", "e"),
    "a cache entry": ("2", "down"),
    "a miss": ("2", "right"),
    "a found trace": ("5", "slash", *"lane:main", "enter", "down"),
    "a part of a trace": ("5", "down", "t", "4", "end"),
    "why": ("3", "up", "w"),
    "diff": ("3", "up", "d"),
    "context": ("3", "up", "c"),
    "why of a trace": ("5", "down", "t", "w"),
}
TARGETS: dict[str, Callable[[Scene, str], bool]] = {
    "s": lambda it, session: place(it) == "streams" and it.app.main.current.session == session,
    "t": lambda it, session: isinstance(it.app.screen, TraceScreen),
    "a": lambda it, session: place(it) == "tools" and it.app.main.current.session == session,
    "r": lambda it, session: place(it) == "traces" and it.app.main.current.session == session,
    "e": lambda it, session: place(it) == "cache" and bool(it.app.main.current.session),
    "c": lambda it, session: isinstance(it.app.screen, ContextScreen),
    "w": lambda it, session: isinstance(it.app.screen, WhyScreen),
    "d": lambda it, session: isinstance(it.app.screen, DiffScreen),
}


def place(it: Scene) -> str:
    return it.app.main.current.place if isinstance(it.app.screen, MainScreen) else it.app.screen.place  # type: ignore[attr-defined, no-any-return]


def state(it: Scene) -> dict[str, Any]:
    """What a user sees of where they are: screens, filters, cursors, what has the focus."""
    pane = it.app.main.current
    screens = [one for one in it.app.screen_stack if isinstance(one, OpenedScreen)]
    views = [*pane.query(LineTable), *(table for one in screens for table in one.query(LineTable))]
    return {
        "pane": pane.place,
        "screens": screens,
        "filter": pane.filter,
        "choices": pane.choices,
        "cursors": [table.key_of(table.selected) for table in views],
        "focus": it.app.screen.focused,
        "parts": [one._part for one in screens if isinstance(one, TraceScreen)],
        "session": screens[-1].session if screens else pane.session,
    }


def targets_from(start: str) -> list[tuple[str, Callable[[Scene, str], bool]]]:
    """All from two places, and two of them, other ones each time, from the others: a way has two halves."""
    if start in ("a turn", "a part of a trace"):
        return list(TARGETS.items())
    turn = list(PLACES).index(start) * 2
    return [list(TARGETS.items())[(turn + step) % len(TARGETS)] for step in (0, 1)]


SHOWN = {"c": "context", "w": "why", "d": "diff"}  # by the key that opened it


@pytest.mark.parametrize("start", PLACES)
async def test_every_place_leads_to_all_there_is_of_its_request_and_back(start: str) -> None:
    async with scene() as it:
        await it.press(*PLACES[start])
        here = state(it)
        session = here["session"] or it.app.main.current.session
        assert session
        shown = "session" if start == "a turn" else place(it)
        for key, arrived in targets_from(start):
            if key == "t" and "trace" in start and "part" not in start and "found" not in start:
                continue  # it is open below
            await it.press("f")
            box = it.app.screen
            assert isinstance(box, GoBox), start
            target = next((one for one in box.targets if one.key == key), None)
            if target is None or not target.there:
                assert target is None
                assert shown == {"s": "session", "t": "trace"}.get(key, SHOWN.get(key))
                await it.press("escape")
                continue
            await it.press(key)
            assert arrived(it, session), f"{start} {key}"
            await it.press("escape")
            assert state(it) == here, f"{start} {key}"


async def test_one_key_leads_to_the_session_and_the_crumbs_lead_back() -> None:
    async with scene() as it:
        await it.press("5", "down", "t", "4", "u")
        assert place(it) == "streams"
        assert "esc back to Trace " in drawn(it.app.screen.query_one(KeyBar))[0]
        pane = it.app.main.current
        assert isinstance(pane, StreamsPane)
        assert pane.turns.has_focus
        request = pane.request
        await it.press("right")  # into the answer: esc leaves that first
        await it.press("escape")
        assert pane.turns.has_focus
        await it.press("w")
        assert it.app.crumbs[0] == "Traces"
        assert it.app.crumbs[2:] == ["Streams", "Why"]
        await it.press("escape", "t")
        crumbs = it.app.screen.query_one("#crumbs", Canvas)
        await click_on(it.pilot, crumbs, "Trace ")
        await it.settle()
        assert isinstance(it.app.screen, TraceScreen)
        assert (it.app.screen.request, it.app.screen._part) == (request, 3)
        await it.press("escape")
        assert place(it) == "traces"
        assert not it.app.ways_back


async def test_a_digit_begins_anew_and_what_was_put_away_is_removed() -> None:
    async with scene() as it:
        await it.press("5", "down", "t")
        trace = it.app.screen
        await it.press("u", "3")
        await it.app.workers.wait_for_complete([one for one in it.app.workers if one.group == "drop"])
        assert not it.app.ways_back
        assert not trace.is_attached
        await it.press("up")
        for _ in range(MOST_STOPS + 2):
            await it.press("f", "r", "f", "a")
        assert len(it.app._way) == MOST_STOPS


async def test_a_click_on_the_session_of_a_call_leads_there_and_one_on_the_key_bar_back() -> None:
    async with scene((160, 40)) as it:
        await it.press("3", "up")
        call = it.app.main.current
        session, request = call.session, call.request
        await click_on(it.pilot, call.query_one("#call-heading", Heading), session[:6])
        await it.settle()
        assert (place(it), it.app.main.current.request) == ("streams", request)
        await click_on(it.pilot, it.app.screen.query_one(KeyBar), "back to Tools")
        await it.settle()
        assert (place(it), it.app.main.current.request) == ("tools", request)


async def test_a_session_that_streams_lost_leads_to_its_traces() -> None:
    async with scene() as it:
        it.host.rows = [
            row.model_copy(update={"id": f"old_{row.id}", "session": "gone-before"}) for row in it.host.rows
        ]
        await it.press("5", "f5", "down", "f")
        assert "gone from Streams; Traces has it" in it.text()
        await it.press("s")
        assert (place(it), it.app.main.current.filter) == ("traces", "session:gone-bef")
        assert it.app.main.current.session == "gone-before"
        await it.press("f", "a")
        assert it.app.main.current.choices == ("all", False)
        assert it.app.main.current.session == "gone-before"


async def test_a_place_without_a_request_says_so() -> None:
    async with scene() as it:
        await it.press("4", "home", "f")  # a line of the engine's
        assert isinstance(it.app.screen, MainScreen)
        await it.press("u")
        texts = [note.message for note in it.app._notifications]
        assert "Nothing here tells of a request or a session." in texts
        assert "No request is known." in texts
        assert "go on to" not in drawn(it.app.screen.query_one(KeyBar))[0]


def test_a_session_is_named_by_as_much_of_its_id_as_it_takes() -> None:
    assert session_filter(SESSIONS[0], SESSIONS) == f"session:{SESSIONS[0][:8]}"
    assert session_filter("12345678-a", ["12345678-a", "12345678-b"]) == "session:12345678-a"
    hostile = 'a "b|c, d'
    [[term]] = parse_filter(session_filter(hostile, []), now=0.0).alternatives
    [condition] = term.conditions
    assert isinstance(condition, Field)
    assert value_pattern("session", condition.values).search(hostile)


def test_what_a_session_has_for_itself_comes_before_what_it_shares() -> None:
    held = holdings(100.0, ["r1", "r2", "r3"])
    own, shared = held.entries[1], held.entries[0]
    assert entry_of(held.entries, Subject("", SESSIONS[0])) == own.id
    assert entry_of(held.entries, Subject("r3", "")) == own.id
    assert entry_of([shared], Subject("", SESSIONS[0])) == shared.id
    assert entry_of(held.entries, Subject("", "nobody")) == ""


def test_a_box_names_what_is_not_there_with_the_reason() -> None:
    found = {one.name: one for one in targets_of(Subject("r"), Snapshot(), "tools")}
    assert (found["session"].there, found["session"].says) == (False, "its client told no session")
    assert found["trace"].there
    assert all(not one.there for one in targets_of(Subject(), Snapshot(), "tools"))
