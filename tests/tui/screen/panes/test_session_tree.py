"""The list of sessions: order, folding, filter, names, and how little it draws."""

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

from proxy.events.types import Event, RequestPrefill, Usage
from tests.tui.stage import Stage, drawn
from tui.client.records import CallNote, HostFacts, RequestSnapshot, SessionSnapshot, Snapshot
from tui.client.reducers.sessions import SessionReducer
from tui.client.store import Store
from tui.screen.panes import session_tree
from tui.screen.panes.cache_parts.misses import MISSES
from tui.screen.panes.doing import doing
from tui.screen.panes.request_cells import state
from tui.screen.panes.session_cells import agent_state, context_gauge, session_state, told_by_traces
from tui.screen.panes.session_order import LIVE_S, ORDERS, TOOL_S, order_key
from tui.screen.panes.session_tree import OPEN_S, SessionTree
from tui.screen.panes.streams import TURNS, in_order
from tui.screen.styled_line import line_width, plain_text
from tui.screen.widgets.columns import GAP, lay_out

NOW = 10_000.0


def request(key: str, session: str = "s", at: float = NOW - 5, **fields: Any) -> RequestSnapshot:
    known = {"phase": "done", "stop_reason": "end_turn", "preview": f"asked in {session}", "ended": at}
    fields["tool_calls"] = len(fields.get("calls", ()))
    return RequestSnapshot(id=key, received=at, updated=at, session=session, **known | fields)


def sessions_of(*records: RequestSnapshot) -> tuple[SessionSnapshot, ...]:
    reducer = SessionReducer()
    for record in records:
        reducer.note(record, None)
    return reducer.sessions({record.id: record for record in records})


@asynccontextmanager
async def on_stage(
    *records: RequestSnapshot, now: float = NOW, size: tuple[int, int] = (120, 20)
) -> AsyncIterator[tuple[SessionTree, Pilot[None]]]:
    tree = SessionTree(id="sessions")
    async with Stage(tree).run_test(size=size) as pilot:
        tree.focus()
        tree.show_sessions(sessions_of(*records), 100_000, now)
        await pilot.pause()
        yield tree, pilot


def test_sessions_are_sorted_by_each_figure_and_equal_ones_by_activity() -> None:
    large = Usage(input_tokens=50_000, output_tokens=1)
    failed = {"phase": "failed", "stop_reason": ""}
    found = sessions_of(
        request("a1", "a", NOW - 900, preview="zebra", usage=large),
        request("b1", "b", NOW - 800, preview="Apple", **failed),
        request("b2", "b", NOW - 790, preview="Apple", **failed | {"repeat": (NOW - 700, "done")}),
        request("b3", "b", NOW - 700, preview="Apple", retry_of="b2"),
        request("c1", "c", NOW - 600, preview="mango", usage=Usage(input_tokens=20_000)),
        request("d1", "d", NOW - 5, preview="kiwi", phase="decode", ended=None),
    )
    assert {
        order: "".join(one.id for one in sorted(found, key=order_key(order, NOW))) for order in ORDERS
    } == {
        "activity": "dcba",
        "name": "bdca",
        "context": "acdb",
        "requests": "bdca",
        "failed": "bdca",
        "tokens": "acdb",
    }


def keys(tree: SessionTree) -> list[str]:
    return [row.key for row in tree.rows if row is not None]


async def test_what_runs_stands_on_top_and_old_sessions_are_folded() -> None:
    old, idle = NOW - OPEN_S - 1, NOW - LIVE_S - 1
    async with on_stage(
        request("1", "first", NOW - 900, phase="decode", ended=None),
        request("2", "old", old),
        request("3", "idle", idle),
        request("4", "second", NOW - 800, phase="queued", ended=None),
    ) as (tree, _):
        assert keys(tree) == [
            "second/", "second/main", "first/", "first/main", "idle/", "idle/main", "old/",
        ]  # fmt: skip
        lines = drawn(tree)
        assert "◌ queued" in lines[1]
        assert lines[5].startswith(" ▾ asked in idle")
        assert "✓ idle 1m, 1 request" in lines[5]
        assert lines[7].startswith(" ▸ asked in old")


async def test_the_first_row_is_at_work_as_long_as_any_session_is() -> None:
    """Who follows it looks at what runs, whatever began, or ended, in the meantime."""
    asks = CallNote("toolu_1", "Bash")
    ended = NOW - TOOL_S
    async with on_stage(
        request("1", "runs", NOW - 3000, phase="decode", ended=None),
        request("2", "left", ended, stop_reason="tool_use", calls=(asks,)),
        request("3", "at a tool", NOW - LIVE_S - 1, stop_reason="tool_use", calls=(asks,)),
        request("4", "told", NOW - 4, stop_reason="tool_use", calls=(replace(asks, failed=False),)),
        request("5", "answered", NOW - 3),
    ) as (tree, _):
        sessions = [row.session for row in tree.rows if row is not None and row.found is not None]
        assert sessions == ["at a tool", "runs", "answered", "told", "left"]


@pytest.mark.parametrize(("cells", "said"), [(22, "✓ idle 13s, 2 requests"), (18, "✓ idle 13s")])
def test_how_a_session_rests_is_said_in_whole_words(cells: int, said: str) -> None:
    [found] = sessions_of(request("1"), request("2", at=NOW - 13))
    assert plain_text(session_state(replace(found, updated=NOW - 13), NOW, cells)) == said


@pytest.mark.parametrize("tool", ["AskUserQuestion", "ExitPlanMode"])
def test_a_question_to_the_user_is_no_tool_that_runs(tool: str) -> None:
    asked = CallNote("toolu_1", tool)
    [found] = sessions_of(request("1", at=NOW - 13, stop_reason="tool_use", calls=(asked,)))
    for said in (session_state(found, NOW, 22), agent_state(found.agents[0], NOW, 22)):
        assert plain_text(said) == "▸ asks you 13s"
    told = (replace(asked, failed=False), CallNote("toolu_2", "Bash"))  # it is answered, a command still runs
    [found] = sessions_of(request("1", at=NOW - 13, stop_reason="tool_use", calls=told))
    assert plain_text(session_state(found, NOW, 22)) == "▸ tool runs 13s"


@pytest.mark.parametrize(("cells", "said"), [(22, "▶ 1 running, 1 queued"), (17, "▶ 1, ◌ 1 queued")])
def test_what_runs_and_waits_of_a_session_is_said_in_whole_words(cells: int, said: str) -> None:
    runs, waits = (request(phase, phase=phase, ended=None) for phase in ("decode", "queued"))
    [found] = sessions_of(runs, waits)
    assert plain_text(session_state(found, NOW, cells)) == said


async def test_a_session_is_unfolded_folded_and_left_by_keys() -> None:
    async with on_stage(request("1"), request("2", lane="subagent", agent_type="Explore")) as (tree, pilot):
        assert keys(tree) == ["s/", "s/main", "s/subagent Explore"]
        await pilot.press("down", "down")
        assert tree.to_session()
        assert tree.cursor == 0
        assert not tree.to_session()
        assert tree.fold()
        assert keys(tree) == ["s/"]
        assert not tree.fold(unfolded=False)
        assert tree.fold(unfolded=True)
        await pilot.press("end")
        assert tree.fold(unfolded=False)
        assert (keys(tree), tree.cursor) == (["s/"], 0)


async def test_a_session_does_not_fold_under_the_cursor() -> None:
    records = (request("1"), request("2", "other", NOW - 6))
    async with on_stage(*records) as (tree, pilot):
        await pilot.press("down")
        tree.show_sessions(sessions_of(*records), 0, NOW + OPEN_S)
        assert keys(tree) == ["s/", "s/main", "other/"]
        assert tree.selected is not None
        assert tree.selected.key == "s/main"
        await pilot.press("home")
        tree.show_sessions(sessions_of(*records), 0, NOW + OPEN_S)
        assert len(keys(tree)) == 2


async def test_a_filter_leaves_what_it_finds_unfolded() -> None:
    write = CallNote("t", "Write", "/a/notes.md", "/a/notes.md")
    async with on_stage(
        request("1", calls=(write,), at=NOW - OPEN_S * 2),
        request("2", lane="subagent", agent_type="Explore"),
        request("3", "other"),
    ) as (tree, _):
        tree.set_filter("tool:write file:notes.md")
        assert keys(tree) == ["s/", "s/main"]
        assert tree.matching == 1
        tree.set_filter("tool:nothing")
        assert "Nothing matches tool:nothing." in drawn(tree)[2]
        tree.set_filter("")
        assert len(keys(tree)) == 5


async def test_early_subagents_are_one_row() -> None:
    agents = [
        request(f"{number}", at=NOW - 50 + number, lane="subagent", agent=f"a{number}", agent_type="Explore")
        for number in range(9)
    ]
    running = replace(agents[0], phase="decode", ended=None)
    async with on_stage(request("main"), running, *agents[1:]) as (tree, _):
        assert [key.rsplit("/")[-1] for key in keys(tree)] == [
            "", "main", "subagent a0", "subagent a5", "subagent a6", "subagent a7", "subagent a8", "…",
        ]  # fmt: skip
        assert "└ 4 more" in drawn(tree)[8]
        last = tree.rows[-1]
        assert last is not None
        assert [one.id for one in last.requests] == ["1", "2", "3", "4"]


async def test_ids_and_models_are_shown_only_where_they_differ() -> None:
    async with on_stage(request("1", "abcdef-1", preview="x", model="m")) as (tree, _):
        assert "abcdef" not in "".join(drawn(tree))
        assert "MODEL" not in drawn(tree)[0]
    two = (
        request("1", "abcdef-1", preview="x", model="m", folder="/home/ada/ledger"),
        request("2", "123456-1", model="n", folder="/home/ada/till"),
    )
    async with on_stage(*two, size=(160, 20)) as (tree, _):
        assert "ledger  abcdef" in "".join(drawn(tree))
        assert "MODEL" in drawn(tree)[0]
    ours = (replace(one, backend="mlx") for one in two)  # the engine has one model, whatever it is called
    async with on_stage(*ours, size=(160, 20)) as (tree, _):
        assert "MODEL" not in drawn(tree)[0]


async def test_rows_that_look_the_same_are_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [request(f"{number}", f"session {number}") for number in range(6)]
    running = request("r", "running", phase="decode", ended=None)
    async with on_stage(*records, running, now=NOW + 0.2) as (tree, _):
        drawn(tree)
        lines: list[str] = []
        real = SessionTree.row_line
        monkeypatch.setattr(
            SessionTree,
            "row_line",
            lambda self, row, layout: (lines.append(row.key), real(self, row, layout))[1],
        )
        later = replace(running, output_tokens=5)
        tree.show_sessions(sessions_of(*records, later), 100_000, NOW + 0.3)
        drawn(tree)
        assert set(lines) == {"running/", "running/main"}


@pytest.mark.parametrize(
    ("record", "before", "shown"),
    [
        ({"phase": "decode", "said": "First I look at the\nwriter of rows"}, {}, "…the writer of rows"),
        ({"phase": "decode", "draft": '{"command": "make', "draft_tool": "Bash"}, {}, "→ Bash make"),
        ({"phase": "prefill"}, {"calls": (CallNote("t", "Bash", "make", failed=True),)}, "→ Bash make ✗"),
        ({"phase": "prefill", "preview": "next"}, {"calls": (CallNote("t", "Bash", "make"),)}, "› next"),
        ({"said": "Long.\n\nThe end is here"}, {}, "The end is here"),
        ({"said": "it goes on " * 30 + "to the end"}, {}, "…goes on to the end"),
        ({"said": '{"title": "A day"}', "purpose": "title", "lane": "auxiliary"}, {}, "“A day”"),
        ({"said": "hm", "thinks": True}, {}, "› asked in s"),
        ({}, {}, "› asked in s"),
    ],
)
def test_doing_is_the_call_or_the_last_words(
    record: dict[str, Any], before: dict[str, Any], shown: str
) -> None:
    lane = {"lane": record.get("lane", "main"), "purpose": record.get("purpose", "")}
    (session,) = sessions_of(request("1", at=NOW - 9, **before | lane), request("2", **record))
    assert plain_text(doing(session.agents[0], 20)) == shown


def test_prefill_tells_how_long_the_rest_takes() -> None:
    prefill = RequestPrefill(done=3000, total=5000, cached=1000)
    record = request("1", phase="prefill", prefill=prefill, prefill_began=NOW - 9)
    assert plain_text(state(record, 28)).rstrip().endswith(" 60% ~4s")
    assert plain_text(state(record, 16)).endswith(" 60%")


@pytest.mark.parametrize(
    ("prompts", "cells", "shown"),
    [
        ((30_000, 40_000), 42, "context ████░░░░░░ 40% · ~2 turns left"),
        ((30_000, 40_000), 26, "████░░░░░░ 40% · ~2 turns"),
        ((30_000, 40_000), 16, "████░░░░░░ 40%"),
        ((30_000, 40_000), 5, " 40%"),
        ((50_000, 70_000), 42, "context ███████░░░ 70% · compacts next"),
        ((40_000,), 42, "context ████░░░░░░ 40%"),
        ((), 42, ""),
    ],
)
def test_the_gauge_tells_the_turns_left_where_they_fit(
    prompts: tuple[int, ...], cells: int, shown: str
) -> None:
    turns = [request(str(tokens), usage=Usage(input_tokens=tokens)) for tokens in prompts]
    (session,) = sessions_of(*(turns or [request("1")]))
    assert plain_text(context_gauge(session, 100_000, cells)) == shown
    told = f"{prompts[-1] // 1000}.0k tokens of context" if prompts else ""
    assert plain_text(context_gauge(session, 0, 42)) == told


def test_turns_that_run_come_first_and_what_is_being_written_before_them() -> None:
    records = (
        request("done"),
        request("queued", phase="queued"),
        request("side", phase="decode", lane="auxiliary"),
        request("agent", phase="decode", lane="subagent"),
        request("last", at=NOW - 1),
    )
    assert [one.id for one in in_order(records)] == ["agent", "side", "queued", "last", "done"]


HOSTILE = st.text(alphabet='a\n\t\x1b[]2J@\x07\u202e\ud800{}"\\字\u0301🏳', max_size=12)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["received", "delta", "tool_call", "tool_result", "finished", "failed", "prefill"]),
        HOSTILE,
        HOSTILE,
        st.sampled_from(["text", "thinking", "tool"]),
        st.integers(-5, 10**12),
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=40)
@given(EVENTS)
def test_hostile_text_stays_in_its_cell(events: list[tuple[str, str, str, str, int, bool]]) -> None:
    store = Store()
    for number, (name, one, other, kind, count, flag) in enumerate(events, 1):
        data: dict[str, Any] = {
            "session": one, "lane": "subagent" if flag else "main", "agent_type": other, "preview": one,
            "opening": other, "purpose": one, "model": one, "folder": other, "kind": kind, "text": one,
            "tool": other, "tool_use_id": "t", "name": one, "input": {one: other, "command": one},
            "call_request": "r", "title": other, "stop_reason": one, "max_tokens": count, "done": count,
            "total": count, "cached": 1, "output_tokens": count, "error": {"type": one, "message": other},
            "usage": {"input_tokens": count},
        }  # fmt: skip
        store.apply(Event(seq=number, time=NOW, type=f"request.{name}", request="r", data=data))
    tree, snapshot = SessionTree(id="sessions"), store.snapshot()
    tree.show_sessions(snapshot.sessions, 100_000, NOW)
    for row in tree.rows:
        assert row is not None
        for cells in (76, 118):
            layout = lay_out(session_tree.COLUMNS, cells)
            line = tree.row_line(row, layout)
            assert plain_text(line).isprintable()
            assert line_width(line) == sum(width for _, width in layout) + GAP * (len(layout) - 1)
    for record in snapshot.requests:
        for column, cells in lay_out(TURNS, 118):
            assert plain_text(column.cell(record, NOW, cells)).isprintable()


async def test_a_session_whose_last_turn_was_cancelled_is_not_marked_as_well() -> None:
    for phase, sign in (("done", "✓ idle"), ("cancelled", "⊘ idle")):
        async with on_stage(request("1", preview="x", phase=phase)) as (tree, _):
            assert sign in drawn(tree)[1]


def test_the_narrowest_terminal_keeps_what_a_row_is_about() -> None:
    """44 cells, less the cursor's."""
    assert {column.title for column, _ in lay_out(TURNS, 43)} == {"DID", "END"}
    assert {column.title for column, _ in lay_out(MISSES, 43)} == {"TIME", "WHY"}


@pytest.mark.parametrize(
    ("earlier", "started", "said"),
    [
        (0, NOW, ""),
        (2, NOW, "host started .*; 2 before that by their traces"),
        (2, NOW - 50, "the oldest 2 by their traces"),  # that host's own: it has their events no more
        (9, NOW - 50, "the oldest 9 by their traces"),
    ],
)
def test_the_heading_says_which_requests_are_known_by_their_traces(
    earlier: int, started: float, said: str
) -> None:
    known = tuple(request(f"r{number}", at=NOW - 20 + number) for number in range(4))
    snapshot = Snapshot(host=HostFacts(started=started), requests=known, earlier=earlier)
    assert re.fullmatch(said, plain_text(told_by_traces(snapshot)).strip())
