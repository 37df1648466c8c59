"""Requests as sessions: who belongs together, what a conversation is called, how long it can go on."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.events.causes import CANCELLED_BY_YOU
from proxy.events.types import Event
from tui.client.records import SessionSnapshot
from tui.client.reducers.history import Buckets
from tui.client.store import Store
from tui.screen.panes.session_cells import context_gauge
from tui.screen.panes.session_tree import SessionTree
from tui.screen.styled_line import plain_text
from tui.screen.widgets.vital_signs import vital_signs


class Told:
    """A store, and events for it."""

    def __init__(self) -> None:
        self.store = Store()
        self._seq = 0

    def event(self, name: str, request: str, /, **data: Any) -> None:
        self._seq += 1
        at = float(self._seq)
        self.store.apply(Event(seq=self._seq, time=at, type=f"request.{name}", request=request, data=data))

    def turn(self, request: str, tokens: int = 0, **received: Any) -> None:
        self.event("received", request, **{"session": "s", "preview": "later"} | received)
        self.event("finished", request, usage={"input_tokens": tokens})

    def engine(self, state: str, model: str) -> None:
        self._seq += 1
        data = {"state": state, "model": model, "context_tokens": 100_000}
        self.store.apply(Event(seq=self._seq, time=float(self._seq), type="engine.state", data=data))

    @property
    def sessions(self) -> tuple[SessionSnapshot, ...]:
        return self.store.snapshot().sessions


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_session_has_main_first_then_its_agents_and_side_requests(told: Told) -> None:
    told.turn("1", lane="auxiliary", purpose="title")
    told.turn("2", opening="Add a flag")
    told.turn("3", lane="subagent", agent="a", agent_type="Explore")
    told.turn("4", lane="subagent", agent="b", agent_type="Explore")
    told.turn("5", lane="subagent", agent="a", agent_type="Explore")
    told.turn("6", session="other", lane="compaction")
    first, second = told.sessions
    assert [(agent.name, [one.id for one in agent.requests]) for agent in first.agents] == [
        ("main", ["2"]), ("title", ["1"]), ("Explore", ["3", "5"]), ("Explore", ["4"]),
    ]  # fmt: skip
    assert [one.id for one in first.requests] == ["1", "2", "3", "4", "5"]
    assert (first.name, second.name) == ("Add a flag", "later")


def test_its_name_is_its_title_then_its_first_question(told: Told) -> None:
    told.turn("1", opening="")
    assert told.sessions[0].name == "later"
    told.turn("2", opening="after a compaction")
    assert told.sessions[0].name == "later"
    told.event("received", "3", session="s", lane="auxiliary", purpose="title")
    told.event("finished", "3", title="The \x1b[2Jtill")
    assert told.sessions[0].name == "The till"


def test_what_did_not_change_stays_the_same_object(told: Told) -> None:
    told.turn("1")
    told.turn("2", session="other")
    before = told.sessions
    assert told.store.snapshot().sessions is before
    told.event("received", "3", session="other")
    assert told.sessions[0] is before[0]
    assert told.sessions[1] is not before[1]
    assert [one.id for one in told.sessions[1].active] == ["3"]


def test_the_context_and_the_turns_left_are_those_of_the_last_counted_turn(told: Told) -> None:
    for number, tokens in enumerate((10_000, 12_000, 13_000, 11_000, 14_000)):
        told.turn(str(number), tokens, max_tokens=4_000)
    told.event("received", "running", session="s", max_tokens=4_000)
    session = told.sessions[0]
    assert session.context_tokens == 14_000
    assert session.growth == 2_000
    assert session.turns_left(41_000) == 5  # 41,000 less 4,000 and 13,000: 10,000 are left
    assert session.turns_left(20_000) == 0  # it is beyond the place already
    assert session.turns_left(0) is None


def test_what_another_model_counted_tells_no_share_of_this_one_s_window() -> None:
    told = Told()
    told.engine("loading", "/models/one")
    told.engine("ready", "one")
    told.turn("1", tokens=40_000)
    assert seen_gauge(told) == "context ████░░░░░░ 40%"
    assert vital_signs(told.store.snapshot(), Buckets(), 9.0).context == 0.4
    told.engine("restarting", "one")
    told.engine("ready", "one")
    assert seen_gauge(told) == "context ████░░░░░░ 40%"
    told.engine("loading", "/models/two")
    told.engine("ready", "two")
    assert seen_gauge(told) == "40.0k tokens of context"
    assert vital_signs(told.store.snapshot(), Buckets(), 9.0).context is None
    told.turn("2", tokens=50_000)
    assert seen_gauge(told).startswith("context █████░░░░░ 50%")


def seen_gauge(told: Told) -> str:
    """What the first session's row says of its context."""
    snapshot = told.store.snapshot()
    tree = SessionTree(id="tree")
    tree.show_sessions(snapshot.sessions, 100_000, 9.0, snapshot.model_since)
    [row, *_] = [row for row in tree.rows if row is not None]
    assert row.found is not None
    return plain_text(context_gauge(row.found, row.window, 42))


def test_a_turn_that_was_cancelled_tells_nothing_of_the_growth(told: Told) -> None:
    told.turn("1", 10_000)
    told.event("received", "2", session="s")
    error = {"type": "cancelled", "message": "m", "cause": "cancelled by you"}
    told.event("failed", "2", error=error, cancelled=True, usage={"input_tokens": 10_100})
    told.turn("3", 12_000)
    assert told.sessions[0].growth == 2_000  # not the median of 100 and 1,900


@pytest.mark.parametrize(
    ("cause", "stream", "messages", "turns"),
    [
        (CANCELLED_BY_YOU, False, 3, ["1", "4"]),
        (CANCELLED_BY_YOU, True, 3, ["1", "2", "4"]),  # you cancelled what the user asked again
        (CANCELLED_BY_YOU, False, 5, ["1", "2", "4"]),
        ("client left", False, 3, ["1", "2", "4"]),
    ],
)
def test_what_a_client_sends_again_after_you_cancelled_it_is_no_turn(
    told: Told, cause: str, stream: bool, messages: int, turns: list[str]
) -> None:
    ended = {"error": {"type": "cancelled", "message": "m", "cause": CANCELLED_BY_YOU}, "cancelled": True}
    told.event("received", "1", session="s", messages=3)
    told.event("failed", "1", **ended)
    told.event("received", "2", session="s", messages=messages, stream=stream)
    told.event("failed", "2", error={"type": "cancelled", "message": "m", "cause": cause}, cancelled=True)
    told.event("received", "3", session="s", lane="auxiliary", purpose="title")
    told.turn("4", messages=5)
    [session] = told.sessions
    assert [one.id for one in session.agents[0].requests] == turns
    assert len(session.requests) == 4  # of all it is said how many there were


def test_a_request_tells_what_it_does(told: Told) -> None:
    told.event("received", "1", session="s", folder="/work")
    told.event("delta", "1", text="I look ")
    told.event("delta", "1", text="around.")
    (record,) = told.store.snapshot().requests
    assert (record.said, record.thinks) == ("I look around.", False)
    told.event("delta", "1", kind="tool", tool="Edit", text='{"file_path": "/a')
    (record,) = told.store.snapshot().requests
    assert (record.draft_tool, record.draft) == ("Edit", '{"file_path": "/a')
    told.event("tool_call", "1", tool_use_id="t", name="Edit", input={"file_path": "/work/a.py"})
    told.event("tool_result", "2", tool_use_id="t", call_request="1", is_error=True)
    record = told.store.snapshot().requests[0]
    assert record.draft == ""
    assert [(call.name, call.about, call.file, call.failed) for call in record.calls] == [
        ("Edit", "a.py", "a.py", True)
    ]


def test_what_is_held_no_longer_is_in_no_session(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told.store._requests, "_limit", 2)
    told.turn("1", opening="Add a flag")
    told.turn("2", session="other")
    told.turn("3", session="other")
    assert [(one.id, len(one.requests)) for one in told.sessions] == [("other", 2)]
