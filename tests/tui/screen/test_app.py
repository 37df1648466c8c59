"""The control center under keys: what is shown, asked, copied and left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import ContentSwitcher, Input

from proxy.events.types import Event
from tests.tui.scripted_host import scripted_host
from tests.tui.stage import drawn, lines_of, loaded
from tests.tui.trace_samples import SampleHost, summaries
from tests.tui.traffic import Morning
from tui.client.figures import clock
from tui.client.inbox import Past
from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.keys.command import PANES
from tui.screen.keys.table import WHILE_FILTERING
from tui.screen.panes.answer_view import AnswerView
from tui.screen.panes.health import HealthPane
from tui.screen.panes.streams import StreamsPane
from tui.screen.screens.confirm import ConfirmScreen
from tui.screen.screens.context import ContextScreen
from tui.screen.screens.diff import DiffScreen
from tui.screen.screens.help import HelpScreen
from tui.screen.screens.main import MainScreen
from tui.screen.screens.trace import TraceScreen
from tui.screen.trace_detail.parts import PARTS
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.collapsible_blocks import CollapsibleBlocks
from tui.screen.widgets.filter_input import FilterInput
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.strip_view import StripView
from tui.screen.widgets.top_bar import TopBar

WRITING = ("down", "down", "down")  # to the session on the first pane whose answer is being written


class Scene:
    """An app with the made-up morning in it, and its pilot."""

    def __init__(self, app: ControlCenter, pilot: Pilot[None], morning: Morning, host: SampleHost) -> None:
        self.app, self.pilot, self.morning, self.host = app, pilot, morning, host

    async def press(self, *keys: str) -> None:
        """Press keys and draw what follows from them."""
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        """Until nothing is loading and everything is drawn."""
        await loaded(self.app)
        await self.pilot.pause()
        self.app.frame()
        await self.pilot.pause()

    def text(self) -> str:
        """Everything that the screen on top shows in lines of ours."""
        return lines_of(view for view in self.app.screen.query(StripView) if view.size and view.region)


@asynccontextmanager
async def scene(size: tuple[int, int] = (120, 40), morning: Morning | None = None) -> AsyncIterator[Scene]:
    morning = morning or Morning().play()
    app = ControlCenter(clock=lambda: morning.now)
    app.client = host = SampleHost(summaries(morning))
    for arrival in morning.arrivals():
        app.inbox.put(arrival)
    app.inbox.put(Link("live"))
    async with app.run_test(size=size) as pilot:
        found = Scene(app, pilot, morning, host)
        await found.settle()
        yield found


async def test_keys_and_tab_go_through_the_panes() -> None:
    async with scene() as it:
        main = it.app.main
        for number, (place, _) in enumerate(PANES, 1):
            await it.press(str(number))
            assert main.current.place == place
        await it.press("tab")
        assert main.current.place == "streams"
        await it.press("shift+tab")
        assert main.current.place == "traces"


async def test_a_screen_has_its_keys_and_a_pane_its_new_size_before_the_next_frame() -> None:
    async with scene((80, 24)) as it:
        it.app.frame_budget.wrote(1_000_000)
        await it.pilot.press("d")
        await it.pilot.pause()
        assert isinstance(it.app.screen, DiffScreen)
        assert "c next change" in drawn(it.app.screen.query_one(KeyBar))[0]
        await it.pilot.press("escape", "4")
        await it.pilot.resize_terminal(120, 40)
        await it.pilot.pause()
        assert "next error" in it.text()


async def test_the_smallest_screen_has_rows_of_each_list_and_whole_boxes() -> None:
    async with scene((44, 12)) as it:
        for key, rows in (("2", 2), ("comma", 2), ("M", 2)):
            await it.press("escape", key)
            tables = [one for one in it.app.screen.query(LineTable) if one.size and one.region]
            assert tables[0].size.height >= rows, key
        await it.press("escape", "4", "r")
        assert it.app.screen.query_one("#confirm-box").outer_size.width <= 44
        assert it.app.screen.max_scroll_x == 0


async def test_a_pane_is_drawn_before_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene() as it:
        await it.press("4", "1")
        canvas = it.app.main._panes["health"].query_one("#engine", Canvas)
        canvas.paint(lambda width, height: [[("drawn while hidden", "")]])
        seen: list[Strip] = []
        render = canvas.render_lines
        monkeypatch.setattr(canvas, "render_lines", lambda crop: seen.extend(new := render(crop)) or new)
        await it.press("4")
        assert seen[0].text.startswith("drawn while hidden")

        await it.press("3", "1")
        it.app.inbox.put(it.morning.emit("request.tool_call", "r", tool_use_id="x", name="LateTool"))
        it.app.frame()
        switched: list[str] = []
        calls = it.app.main._panes["tools"].main_table
        assert calls is not None
        monkeypatch.setattr(
            type(it.app.screen.query_one(ContentSwitcher)),
            "watch_current",
            lambda switcher, old, new: switched.append(calls.rows[-1].name),
        )
        it.app.main.action_pane("tools")
        assert switched == ["LateTool"]


@pytest.mark.parametrize("size", [(120, 40), (200, 50)])
async def test_nothing_is_said_to_follow_a_host_that_is_gone(size: tuple[int, int]) -> None:
    async with scene(size) as it:
        lists = ["1", "3", "4", "5"] if size == (120, 40) else ["1", "3", "4"]
        for key in lists:
            await it.press(key)
            assert "following" in it.text() or "live" in it.text(), key
        it.app.inbox.put(Link("reconnecting", "nothing listens there", it.morning.now))
        for key in "12345":
            await it.press(key)
            if key == "1":
                await it.press(*WRITING)  # an answer that was being written
            assert "following" not in it.text(), key
            keys = drawn(it.app.screen.query_one(KeyBar))[0]
            assert not {"w why", "d diff", "t trace", "c context"} & set(keys.split("   ")), key


async def test_frames_wait_for_a_terminal_that_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene() as it:
        monkeypatch.setattr(type(it.app), "is_behind", True)
        before = it.text()
        it.app.inbox.put(it.morning.emit("request.received", "late", preview="too late to draw"))
        await it.settle()
        assert it.text() == before
        monkeypatch.setattr(type(it.app), "is_behind", False)
        await it.settle()
        assert it.text() != before


async def test_a_click_on_a_pane_or_a_key_does_what_it_says() -> None:
    async with scene() as it:
        await it.pilot.click("TopBar", offset=(38, 0))
        assert it.app.main.current.place == "tools"
        await it.pilot.click("KeyBar", offset=(2, 0))
        await it.pilot.pause()
        assert isinstance(it.app.screen, HelpScreen)


async def test_streams_show_the_requests_and_the_selected_answer() -> None:
    async with scene() as it:
        assert "queued, 1 ahead" in it.text()
        assert "Prefill: 15,360 of 22,528 tokens." in it.text()
        await it.press("down")
        assert "Queued." in it.text()
        await it.press("down", "down")
        assert "I'll start with the command's options" in it.text()
        assert "→ Edit src/export/command.py" in it.text()
        assert "45% · ~2 turns left" in it.text()


async def test_keys_lead_from_the_sessions_into_an_answer_and_back() -> None:
    async with scene(size=(80, 24)) as it:
        pane = it.app.main.current
        assert isinstance(pane, StreamsPane)
        tree, turns, answer = pane.main_table, pane.turns, pane.answer
        assert tree.following
        assert not answer.tail.size
        await it.press("enter")  # folds
        assert [row.sign for row in tree.rows if row is not None][:2] == ["▸ ", "▾ "]
        await it.press("right", "right", "down", "right")
        assert answer.tail.has_focus
        assert answer.tail.size
        shown = it.app.main.current.request
        it.app.inbox.put(it.morning.emit("request.received", "new", session=tree.selected.session))  # type: ignore[union-attr]
        it.app.inbox.put(it.morning.emit("request.received", "other", session="another"))
        await it.settle()
        assert pane.request == shown
        assert (tree.following, turns.following) == (False, False)
        await it.press("escape")
        assert turns.has_focus
        assert pane.request == shown
        await it.press("escape", "home")
        assert tree.has_focus
        assert tree.following
        assert pane.request == "other"
        await it.press("end", "left")
        assert tree.selected is not None
        assert tree.selected.found is not None
        await it.press("left")
        assert tree.selected.sign == "▸ "
        await it.press("slash", "x", "enter", "escape")
        assert tree.has_focus


async def test_of_an_answer_before_the_host_the_end_and_the_calls_are_shown() -> None:
    async with scene() as it:
        told: tuple[tuple[str, dict[str, Any]], ...] = (
            ("received", {"session": "past", "opening": "Clean up"}),
            ("delta", {"text": "All is clean now."}),
            ("tool_call", {"tool_use_id": "t", "name": "Bash", "input": {"command": "make clean"}}),
            ("finished", {"stop_reason": "tool_use"}),
        )
        events = [
            Event(seq=0, time=1.0, type=f"request.{name}", request="old", data=data) for name, data in told
        ]
        it.app.inbox.put(Past(tuple(events)))
        await it.settle()
        await it.press("end")
        assert "▌▸ Clean up" in it.text()
        assert "its trace has all of it" in it.text()
        assert "All is clean now." in it.text()
        assert "    $ make clean" in it.text()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"error": {"type": "invalid_request_error", "message": "no messages"}},
            "✗ invalid request: no messages",
        ),
        ({"error": {"type": "api_error", "message": "x"}, "cancelled": True}, "✗ the client left"),
    ],
)
async def test_of_a_failure_before_the_host_its_cause_is_shown(data: dict[str, Any], said: str) -> None:
    async with scene() as it:
        told = (("received", {"session": "past", "opening": "Clean up"}), ("failed", data | {"status": 400}))
        events = [
            Event(seq=0, time=1.0, type=f"request.{name}", request="old", data=more) for name, more in told
        ]
        it.app.inbox.put(Past(tuple(events)))
        await it.settle()
        await it.press("end")
        assert said in it.text()
        assert "no longer in memory" not in it.text()


async def test_a_call_leads_to_the_turn_that_made_it() -> None:
    async with scene(size=(200, 50)) as it:
        pane = it.app.main.current
        assert isinstance(pane, StreamsPane)
        await it.press(*WRITING, "down", "right", "right", "right")  # of main, through its answer
        calls = pane.feed.calls
        assert calls.has_focus
        assert {call.session for call in calls.rows if call} == {pane.session}
        of_agent = next(place for place, call in enumerate(calls.rows) if call and call.lane == "subagent")
        await it.press(*["down"] * of_agent, "enter")
        assert pane.turns.has_focus
        assert calls.selected is not None
        assert pane.request == calls.selected.request


async def test_text_is_appended_while_it_arrives() -> None:
    async with scene() as it:
        await it.press(*WRITING)
        request = it.app.main.current.request
        for text in ("[/] not ", "markup \x1b[2J", "\n第二行"):
            event = it.morning.emit("request.delta", request, kind="text", text=text, output_tokens=300)
            it.app.inbox.put(event)
        await it.settle()
        assert "[/] not markup" in it.text()
        assert "第二行" in it.text()


async def test_a_finished_call_takes_the_place_of_its_text() -> None:
    async with scene() as it:
        await it.press(*WRITING)
        request = it.app.main.current.request
        tail = it.app.screen.query_one(AnswerView).tail
        assert "+     parser.add_argument" in tail.text
        piece = {"kind": "tool", "tool": "Bash", "text": '{"command": "ma'}
        it.app.inbox.put(it.morning.emit("request.delta", request, **piece))
        await it.settle()
        assert tail.text.endswith("▸ Bash  writing …\n    $ ma")
        assert "→ Bash ma" in it.text()
        made = {"tool_use_id": "x", "name": "Bash", "input": {"command": "make"}}
        it.app.inbox.put(it.morning.emit("request.tool_call", request, **made))
        await it.settle()
        assert tail.text.endswith("▸ Bash\n    $ make")
        result = {
            "tool_use_id": "x",
            "name": "Bash",
            "call_request": request,
            "is_error": True,
            "preview": "no",
        }
        it.app.inbox.put(it.morning.emit("request.tool_result", "later", **result))
        await it.settle()
        assert tail.text.endswith("▸ Bash  ✗\n    $ make\n    └ no")
        assert "→ Bash make ✗" in it.text()
        assert "I'll start with" in tail.text


async def test_the_filter_narrows_while_typing_and_esc_takes_it_off() -> None:
    async with scene() as it:
        pane = it.app.main.current
        assert isinstance(pane, StreamsPane)
        table = pane.main_table
        before = list(table.rows)
        await it.press("slash", *"subagent")
        assert {agent.lane for row in table.rows if not row.found for agent in row.agents} == {"subagent"}
        assert {row.lane for row in pane.turns.rows if row} == {"subagent"}
        assert "6 of 31 requests" in it.text()
        assert WHILE_FILTERING[0].short in drawn(it.app.screen.query_one(KeyBar))[0]
        await it.press("enter")
        assert table.has_focus
        assert table.filter == "subagent"
        await it.press("escape")
        assert [row.key for row in table.rows] == [row.key for row in before]
        await it.press("slash", "x", "escape")
        assert table.filter == pane.turns.filter == ""


@pytest.mark.parametrize("pane", ["1", "2", "3", "5"])
async def test_one_key_says_why_and_leads_to_the_trace(pane: str) -> None:
    async with scene() as it:
        await it.press(pane)
        table = it.app.main.current.main_table
        assert table is not None
        await it.press(*["down" if pane == "1" else "up"] * 3, "w")
        assert "Usual: " in it.text()
        assert "Slow: " in it.text()
        assert it.app.screen_stack == [it.app.main, it.app.screen]
        await it.press("t")
        assert isinstance(it.app.screen, TraceScreen)
        await it.press("w", "t")
        assert isinstance(it.app.screen, TraceScreen)
        await it.press("w", "escape", "escape")
        assert table.has_focus


@pytest.mark.parametrize("pane", ["1", "2", "3", "5"])
async def test_one_key_compares_with_the_request_before(pane: str) -> None:
    async with scene() as it:
        await it.press(pane, *["down" if pane in "15" else "up"] * 3, "d")
        assert isinstance(it.app.screen, DiffScreen)
        table = it.app.screen.query_one("#segments", LineTable)
        first = table.cursor
        changed = [row[0] for row in table.rows if row[1].kind != "same"]
        assert table.cursor == changed[0] if changed else "Both prompts are the same." in it.text()
        await it.press("c")
        assert table.cursor == (changed[1] if changed[1:] else first)
        await it.press("t")
        assert isinstance(it.app.screen, TraceScreen)
        await it.press("d", "escape", "w", "d")
        assert isinstance(it.app.screen, DiffScreen)
        await it.press("escape", "escape")
        assert it.app.screen is it.app.main


@pytest.mark.parametrize("pane", ["3", "5"])
async def test_two_requests_are_compared_with_three_keys(pane: str) -> None:
    async with scene() as it:
        away, back = ("down", "up") if pane == "5" else ("up", "down")
        await it.press(pane, *[away] * 4)
        older = it.app.main.current.request
        await it.press("m")
        assert it.app.marked == older
        assert "◉" in it.text()
        assert "m unmark" in drawn(it.app.screen.query_one(KeyBar))[0]
        for _ in range(4):
            await it.press(away)
            if it.app.main.current.request != older:
                break
        assert "●" in it.text().replace("● ", "")
        assert "d diff with ●" in drawn(it.app.screen.query_one(KeyBar))[0]
        other = it.app.main.current.request
        await it.press("d")
        assert isinstance(it.app.screen, DiffScreen)
        rows = [row.id for row in it.host.rows]
        newer, before = sorted((older, other), key=rows.index)
        assert it.app.screen._ids == (newer, before)  # whichever was marked, A came before
        await it.press("x")
        assert it.app.screen._ids == (before, newer)
        assert "Answers" in it.text()
        await it.press("T")
        assert isinstance(it.app.screen, TraceScreen)
        await it.press("escape", *[back] * 4)


async def test_a_mark_is_taken_off_where_it_is_and_moves_with_another_row() -> None:
    async with scene() as it:
        await it.press("5", "down", "m", "down", "m")
        assert it.app.marked == it.app.main.current.request != ""
        await it.press("m")
        assert it.app.marked == ""
        assert "diff with" not in drawn(it.app.screen.query_one(KeyBar))[0]


@pytest.mark.parametrize("pane", ["1", "2", "3", "5"])
async def test_one_key_says_what_fills_the_window_and_leads_to_the_trace(pane: str) -> None:
    async with scene() as it:
        await it.press(pane)
        table = it.app.main.current.main_table
        assert table is not None
        await it.press("up", "up", "c")
        assert isinstance(it.app.screen, ContextScreen)
        assert "186,320 of 262,144 tokens, 71%; 60% of that: tool results." in it.text()
        assert "~4 turns left until Claude Code compacts at 229,144 tokens." in it.text()
        await it.press("down", "enter")  # into what one said, or back up to the results
        assert "Add --json" in it.text()
        await it.press("escape", "up", "enter", "enter")
        assert isinstance(it.app.screen, TraceScreen)
        await it.press("escape")
        assert isinstance(it.app.screen, ContextScreen)
        await it.press("escape", "escape")
        assert table.has_focus


async def test_turns_of_a_context_are_stepped_through_up_to_their_ends() -> None:
    async with scene() as it:
        await it.press("up", "up", "c", "right", "left", "left")
        turns = min(12, sum(row.lane == "main" for row in it.host.rows))
        assert f"turn {turns - 2} of {turns}" in it.text()
        await it.press("right", "question_mark")
        assert isinstance(it.app.screen, HelpScreen)
        await it.press("escape", "y", "c")
        assert it.app.screen is it.app.main
        assert "PART " in it.app.clipboard


async def test_a_context_that_cannot_be_had_says_why() -> None:
    async with scene() as it:
        await it.press("up", "up")
        it.host.rows.clear()
        await it.press("c")
        assert "no trace is of a session" in it.text()


async def test_a_running_request_has_no_why_yet() -> None:
    async with scene() as it:
        await it.press("down", "enter", "w")
        assert it.app.screen is it.app.main
        await it.press("escape", "w")  # of the session, what ended last
        assert "Usual: " in it.text()


async def test_a_filter_that_cannot_be_read_says_why_and_changes_nothing() -> None:
    async with scene() as it:
        pane = it.app.main.current
        assert isinstance(pane, StreamsPane)
        table = pane.turns
        await it.press("slash", *"lane:subagent")
        found = list(table.rows)
        assert 0 < len(found) < table.total
        await it.press(*" !is:fialed", "enter")
        assert "there is no is:fialed; did you mean failed?" in it.text()
        assert isinstance(it.app.focused, Input)
        assert list(table.rows) == found
        await it.press(*["backspace"] * 6)
        assert "tab takes failed" in it.text()
        await it.press("tab", "enter")
        assert table.filter == "lane:subagent !is:failed"
        assert pane.main_table.has_focus


async def test_completion_offers_what_the_rows_have() -> None:
    async with scene() as it:
        await it.press("3", "slash", *"tool:")
        names = [stats.name for stats in it.app.main.current.snapshot.tool_stats]
        await it.press("tab", "enter")
        table = it.app.main.current.main_table
        assert table is not None
        assert table.filter == f"tool:{names[0]}"
        assert {row.name for row in table.rows} == {names[0]}


async def test_a_tab_in_the_filter_does_not_leave_it_hanging() -> None:
    async with scene() as it:
        await it.press("slash", "x")
        assert isinstance(it.app.focused, Input)
        it.app.main.action_pane("tools")
        await it.settle()
        assert not isinstance(it.app.focused, Input)


async def test_help_explains_the_pane_and_any_of_its_keys_closes_it() -> None:
    async with scene() as it:
        await it.press("4", "question_mark")
        assert isinstance(it.app.screen, HelpScreen)
        assert "Restart the engine" in "".join(view.text for view in it.app.screen.query("TextTail"))  # type: ignore[attr-defined]
        await it.press("q")
        assert isinstance(it.app.screen, MainScreen)


async def test_the_palette_does_what_the_keys_do() -> None:
    async with scene() as it:
        await it.press("ctrl+p")
        await it.pilot.press(*"show health")
        await it.pilot.pause(0.5)
        await it.pilot.press("enter")
        await it.pilot.pause()
        assert it.app.main.current.place == "health"


async def test_restarting_asks_and_then_asks_the_host() -> None:
    async with scene() as it:
        await it.press("4", "r")
        assert isinstance(it.app.screen, ConfirmScreen)
        assert "3 requests will fail" in it.text()
        await it.press("escape")
        assert it.host.restarts == 0
        await it.press("r")
        await it.press("enter")
        await it.app.workers.wait_for_complete()
        assert it.host.restarts == 1
        it.host.refuses = "[/] this host runs no engine"
        await it.press("r")
        await it.press("enter")
        await it.app.workers.wait_for_complete()
        assert any("[/] this host runs no engine" in note.message for note in it.app._notifications)


async def test_a_trace_opens_unfolds_and_leads_to_its_neighbours() -> None:
    async with scene() as it:
        await it.press("5")
        first, second = it.host.rows[0], it.host.rows[1]
        await it.press("enter")
        assert isinstance(it.app.screen, TraceScreen)
        assert f"{first.usage.cache_read_input_tokens:,} of" in it.text()
        await it.press("tab")
        assert "as the model saw it" in it.text()
        await it.press("3", "a")
        assert "Work in small steps." in it.text()
        await it.press("n")
        assert second.id in it.app.screen._trace_id
        await it.press("p", "p")
        assert it.app.screen._trace_id == first.id
        await it.press("escape")
        assert isinstance(it.app.screen, MainScreen)


async def test_keys_that_work_everywhere_work_in_a_trace_and_over_it() -> None:
    async with scene() as it:
        await it.press("5", "enter", "question_mark", "ctrl+p")
        assert isinstance(it.app.screen, HelpScreen)  # which has no commands to find
        await it.press("escape", "ctrl+t")
        assert isinstance(it.app.screen, CommandPalette)
        await it.press("escape", "ctrl+c")
        assert it.app.return_code == 0


@pytest.mark.parametrize(
    ("place", "state", "about", "took"), [("1", "STATE", "DOING", "TIME"), ("5", "END", "ASKED", "TOOK")]
)
async def test_narrow_lists_keep_the_state_and_what_it_is_about(
    place: str, state: str, about: str, took: str
) -> None:
    async with scene(size=(80, 24)) as it:
        await it.press(place)
        assert it.app.main.current.main_table is not None
        header = drawn(it.app.main.current.main_table)[0].split()
        assert {state, about, took, "PROMPT"} <= set(header)
        assert not {"MODEL", "LANE", "TTFT"} & set(header)
        assert "trace" in drawn(it.app.screen.query_one(KeyBar))[0] or place == "5"
        await it.pilot.resize_terminal(60, 24)
        await it.settle()
        assert state in drawn(it.app.main.current.main_table)[0]
        assert "● busy" in drawn(it.app.screen.query_one(TopBar))[0]


async def test_every_part_of_a_trace_can_be_unfolded_and_copied() -> None:
    async with scene(size=(90, 60)) as it:
        await it.press("5", "enter")
        copied = []
        for _ in PARTS:
            await it.press("a", "down", "y", "tab")
            copied.append(it.app.clipboard)
        assert len(set(copied)) == len(PARTS)
        assert it.app.screen.query_one(CollapsibleBlocks).current is not None


async def test_a_missing_trace_is_reported() -> None:
    async with scene() as it:
        await it.press("down", "enter", "t")
        assert "there is no trace req_" in it.text()
        await it.press("n")
        assert isinstance(it.app.screen, TraceScreen)


async def test_traces_are_found_by_the_host_and_loaded_again_when_one_was_written() -> None:
    async with scene() as it:
        await it.press("5")
        table = it.app.main.traces.main_table
        assert [row.id for row in table.rows] == [row.id for row in it.host.rows]
        await it.press("slash", *"compaction", "enter")
        assert [row.lane for row in table.rows] == ["compaction"]
        await it.press("escape")
        assert len(table.rows) == len(it.host.rows)
        it.host.rows.insert(0, it.host.rows[0].model_copy(update={"id": "newest"}))
        it.app.inbox.put(it.morning.emit("request.finished", "x", trace="mlx/newest.json"))
        await it.settle()
        await it.settle()
        assert table.rows[0].id == "newest"


@pytest.mark.parametrize("key", ["ctrl+r", "f5"])  # a MacBook's f5 needs fn
async def test_a_key_loads_the_list_of_traces_again(key: str) -> None:
    async with scene() as it:
        await it.press("5")
        it.host.rows.insert(0, it.host.rows[0].model_copy(update={"id": "newest"}))
        await it.press(key)
        table = it.app.main.traces.main_table
        assert table is not None
        assert table.rows[0].id == "newest"


async def test_copying_notifies_the_user() -> None:
    async with scene() as it:
        await it.press(*WRITING, "y")
        assert "I'll start with" in it.app.clipboard
        await it.press("5", "y")
        assert it.app.clipboard.startswith("/home/ada/.anyclaude/traces/mlx/req_")
        await it.press("1", "C")
        assert it.app.clipboard == "anyclaude-tui claude"
        await it.press("3", "y")
        assert "Arguments" in it.app.clipboard


async def test_another_theme_changes_the_colours_at_once() -> None:
    async with scene() as it:
        before = it.app.main.current.main_table.render_line(1)  # type: ignore[union-attr]
        it.app.theme = "anyclaude-day"
        await it.settle()
        after = it.app.main.current.main_table.render_line(1)  # type: ignore[union-attr]
        assert before.text == after.text
        assert before != after


async def test_it_draws_at_every_size() -> None:
    async with scene() as it:
        for place, _ in PANES:
            it.app.main.action_pane(place)
            for size in ((1, 1), (44, 12), (300, 90), (43, 40)):
                await it.pilot.resize_terminal(*size)
                await it.settle()
        assert "needs 44 × 12" in it.text()


async def test_lost_and_damaged_events_stay_visible() -> None:
    async with scene() as it:
        gap = Event(seq=10_000, time=it.morning.now, type="host.lost", data={"count": 12})
        it.app.inbox.put(gap)
        it.app.inbox.put(
            Event(seq=10_001, time=1.0, type="request.delta", request="r", data={"output_tokens": "x"})
        )
        it.app.inbox.put(Link("reconnecting", "nothing listens there"))
        await it.settle()
        footer = drawn(it.app.screen.query_one(KeyBar))[0]
        assert "lost 12 events  1 unreadable  ◌ reconnecting: nothing listens there" in footer


async def test_a_failed_engine_says_what_to_do() -> None:
    morning = Morning().play()
    morning.engine("failed", detail="5 restarts in a row did not help", last_exit="exit code 1")
    async with scene(morning=morning) as it:
        await it.press("4")
        assert "FAILED" in it.text()
        assert "then press r" in it.text()


# -- the host ------------------------------------------------------------------------------------------------


class FakeHost:
    """A host process that a test starts, fails and ends."""

    def __init__(self, url: str, failure: Exception | None = None) -> None:
        self.url = url
        self.failure = failure
        self.exit_code: int | None = None
        self.last_words = ["Traceback", "MemoryError"]
        self.stopped = False
        self.ended = asyncio.Event()

    async def start(self) -> str:
        if self.failure is not None:
            raise self.failure
        return self.url

    async def wait(self) -> int:
        await self.ended.wait()
        assert self.exit_code is not None
        return self.exit_code

    async def stop(self, timeout: float = 10.0) -> int | None:
        self.stopped = True
        return self.exit_code


class Failed(Exception):
    exit_code = 3
    message = "port 8082 is busy"


async def test_a_host_that_cannot_start_ends_the_screen_with_its_code() -> None:
    app = ControlCenter(FakeHost("", Failed()))
    async with app.run_test() as pilot, asyncio.timeout(20):
        while app.return_code is None:
            await pilot.pause(0.02)
    assert (app.return_code, app.exit_message) == (3, "port 8082 is busy")


async def until(app: ControlCenter, pilot: Pilot[None], holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds(app.store.snapshot()):
            await pilot.pause(0.02)


async def test_it_follows_its_own_host_and_reports_its_end() -> None:
    with scripted_host() as scripted:
        host = FakeHost(scripted.url)
        app = ControlCenter(host)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(app, pilot, lambda snapshot: snapshot.link.state == "live")
            scripted.emit("request.received", {}, request="r1")
            await until(app, pilot, lambda snapshot: len(snapshot.requests) == 1)
            host.exit_code = -9
            host.ended.set()
            await until(app, pilot, lambda snapshot: snapshot.link.state == "ended")
            shown = Scene(app, pilot, Morning(), SampleHost([]))
            assert app.store.snapshot().requests[0].phase == "lost"
            await shown.press("4")
            gone = f"was ready, host gone since {clock(app.store.snapshot().link.since)}"
            assert f"HOST ENDED  {gone}" in shown.text()
            await shown.press("5")
            assert "it lists no traces" in shown.text()
            host.exit_code, host.ended = None, asyncio.Event()
            app.post_message(HealthPane.RestartRequested())
            await shown.settle()
            assert "No engine can be restarted" in str(list(app._notifications)[-1].message)
            host.exit_code = -9
            await shown.press("4", "r", "enter")
            await until(app, pilot, lambda snapshot: snapshot.link.state == "live")
            host.ended.set()
            await until(app, pilot, lambda snapshot: snapshot.link.state == "ended")
            await pilot.press("q")
            await pilot.pause()
        assert app.return_code == 4
        assert app.exit_message == "the host ended (signal 9); its last line: MemoryError"


async def test_a_host_of_its_own_that_it_stops_is_no_failure() -> None:
    with scripted_host() as scripted:
        scripted.can_stop = True
        host = FakeHost(scripted.url)
        app = ControlCenter(host)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(app, pilot, lambda snapshot: snapshot.link.state == "live")
            shown = Scene(app, pilot, Morning(), SampleHost([]))
            await shown.press("4", "S")
            assert "r starts the host again" in " ".join(shown.text().split())
            await pilot.press("enter")
            assert await asyncio.to_thread(scripted.asked_to_stop.wait, 20)
            host.exit_code = 0
            host.ended.set()
            await until(app, pilot, lambda snapshot: snapshot.link.state == "ended")
            assert app.store.snapshot().link.detail == "you stopped the host; 4 r starts it again"
            await shown.press("S")
            assert "no contact with the host" in list(app._notifications)[-1].message
            await pilot.press("q")
            await pilot.pause()
        assert (app.return_code, app.exit_message) == (0, "")


async def test_quitting_a_host_of_its_own_asks_while_requests_run() -> None:
    with scripted_host() as scripted:
        app = ControlCenter(FakeHost(scripted.url))
        async with app.run_test(size=(100, 30)) as pilot:
            await until(app, pilot, lambda snapshot: snapshot.link.state == "live")
            scripted.emit("request.received", {}, request="r1")
            await until(app, pilot, lambda snapshot: len(snapshot.active) == 1)
            await pilot.press("q")
            await pilot.pause()
            assert isinstance(app.screen, ConfirmScreen)
            await pilot.press("escape")
            await pilot.pause()
            assert isinstance(app.screen, MainScreen)
            await pilot.press("ctrl+c", "y")
            await pilot.pause()
        assert app.return_code == 0


async def test_attached_it_leaves_without_asking() -> None:
    with scripted_host() as scripted:
        app = ControlCenter(attach_url=scripted.url)
        async with app.run_test() as pilot:
            scripted.emit("request.received", {}, request="r1")
            await until(app, pilot, lambda snapshot: len(snapshot.active) == 1)
            await pilot.press("q")
            await pilot.pause()
        assert app.return_code == 0


async def test_a_running_request_is_cancelled_after_a_question_that_says_what_follows() -> None:
    async with scene() as it:
        await it.press(*WRITING, "x")
        assert "Cancel this request?" in it.text()
        assert "does not repeat it" in " ".join(it.text().split())
        assert "esc keep it" in it.text()
        assert "stays in the prefix cache" in " ".join(it.text().split())
        await it.press("escape")
        assert it.host.wishes == []
        request = it.app.main.current.request
        await it.press("x", "enter")
        assert it.host.wishes == [f"cancel {request}"]
        it.host.refuses = "it does not run here (any more)"
        await it.press("x", "enter")
        assert "was not cancelled: it does not run" in list(it.app._notifications)[-1].message
        cancelled = {"type": "cancelled", "message": "m", "cause": "cancelled by you"}
        it.app.inbox.put(
            it.morning.emit("request.failed", request, status=499, error=cancelled, cancelled=True)
        )
        await it.settle()
        assert "⊘ cancelled by you" in it.text()
        assert "you cancelled it" in it.text()
        assert "x cancel" not in drawn(it.app.screen.query_one(KeyBar))[0]
        await it.press("x")
        assert "at its end already" in list(it.app._notifications)[-1].message
        await it.press("up", "up")
        assert "x cancel" in drawn(it.app.screen.query_one(KeyBar))[0]


async def test_a_restart_after_the_requests_and_the_hosts_end_say_what_they_wait_for() -> None:
    async with scene((160, 40)) as it:
        await it.press("4")
        keys = drawn(it.app.screen.query_one(KeyBar))[0]
        assert "D drain, restart" in keys
        assert "S stop host" in keys
        await it.press("D")
        assert "It waits for 3 requests; new ones are told to retry" in " ".join(it.text().split())
        await it.press("enter")
        assert "The engine restarts after 3 requests." in list(it.app._notifications)[-1].message
        await it.press("S")
        assert "It cannot be started again from here." in " ".join(it.text().split())
        await it.press("enter")
        assert it.host.wishes == ["drain", "stop"]
        it.app.inbox.put(Link("reconnecting", "nothing listens there", it.morning.now))
        await it.settle()
        keys = drawn(it.app.screen.query_one(KeyBar))[0]
        assert "drain" not in keys
        assert "stop host" not in keys
        await it.press("S")
        assert "no contact with the host" in list(it.app._notifications)[-1].message
        await it.press("1", "x")
        assert it.app.screen is it.app.main


@pytest.mark.parametrize("opened", ["d", "c", "w"])  # in a trace, digits and / are its own
async def test_each_screen_over_the_panes_leads_everywhere(opened: str) -> None:
    async with scene() as it:
        await it.press("down", "down", "down", opened, "4")
        assert it.app.screen is it.app.main
        assert it.app.main.current.place == "health"
        await it.press("1", opened, "slash")
        assert it.app.main.query_one(FilterInput).has_class("open")
        await it.press("escape", opened, "colon")
        assert isinstance(it.app.screen, CommandPalette)


async def test_crumbs_say_the_way_and_lead_back() -> None:
    async with scene() as it:
        await it.press("down", "down", "down", "t", "d")
        assert re.match(r" Streams › Trace \d\d:\d\d:\d\d › Diff ", it.text())
        await it.press("t")  # the trace that is open already
        assert re.match(r" Streams › Trace \d\d:\d\d:\d\d  ", it.text())
        await it.press("d", "c", "w", "escape")
        await it.app.run_action("back_to(0)", it.app)
        await it.settle()
        assert it.app.screen is it.app.main
