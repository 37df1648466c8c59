from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from proxy.recordings.format import Recording
from proxy.recordings.playing import NO_ANSWER, NOTHING_RUNS, PlayedTraces
from proxy.traces.reading import TraceNotFound
from proxy.traces.schema import TraceSummary
from tests.tui.demo.plot import BUSY, demo_recording
from tests.tui.demo.story import START
from tests.tui.recorded import played_app, player_at
from tests.tui.stage import drawn, loaded
from tui.client.host_client import HostClient, HostError
from tui.client.recording.player import Incident, Player
from tui.screen.keys.table import NEEDS_HOST
from tui.screen.panes.cache import CachePane
from tui.screen.panes.streams import StreamsPane
from tui.screen.panes.tools import ToolsPane
from tui.screen.panes.traces import TracesPane
from tui.screen.playing.play_bar import PlayBar, bar_line
from tui.screen.playing.playing_app import PlayingApp
from tui.screen.screens.trace import TraceScreen
from tui.screen.styled_line import line_width, plain_text
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.key_bar import KeyBar


async def ready(app: PlayingApp, pilot: Pilot[None]) -> None:
    """Until the recording answers and the frame is drawn."""
    while app.client is None:
        await pilot.pause(0.01)
    app.frame()
    await pilot.pause()
    await loaded(app)
    app.frame()
    await pilot.pause()


async def test_keys_and_the_mouse_move_time_and_nothing_that_needs_a_host_is_offered() -> None:
    app = played_app(20)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        await pilot.press("right", "right", "left")
        assert app.player.clock() == START + 25
        await pilot.press("greater_than_sign", "greater_than_sign", "less_than_sign", "space")
        assert (app.player.speed, app.player.playing) == (2.0, True)
        await pilot.press("space", "shift+right")
        assert app.player.clock() == pytest.approx(START + 64, abs=2)
        (line,) = drawn(app.screen.query_one(PlayBar))
        await pilot.click(PlayBar, offset=(line.index("─"), 0))
        assert app.player.clock() > START + 60
        await pilot.click(PlayBar, offset=(line.index("━"), 0))
        assert app.player.clock() == START
        await pilot.click(PlayBar, offset=(2, 0))
        assert app.player.playing
        app.player.toggle()
        # What is typed into a filter is text.
        moment = app.player.clock()
        await pilot.press("slash", *"main", "space", "left", "greater_than_sign")
        assert app.screen.query_one(Input).value == "main> "
        assert (app.player.clock(), app.player.speed) == (moment, 2.0)
        await pilot.press("escape")
        app.player.seek(START + BUSY)
        for pane, keys in (("1", "x"), ("4", "rDS")):
            await pilot.press(pane)
            await ready(app, pilot)
            assert {command.action for command in app.main.command_list()} & NEEDS_HOST == set()
            assert "pause" in drawn(app.screen.query_one(KeyBar))[0]
            await pilot.press(*keys)
        moment = app.player.clock()
        await pilot.press("left")  # on the time line of Health
        assert app.player.clock() == moment
        await pilot.press("B", "M", "comma")
        assert app.screen is app.main
        assert isinstance(app.client, HostClient)
        with pytest.raises(HostError, match=NOTHING_RUNS):
            await app.client.restart_engine()
        with pytest.raises(HostError, match=NO_ANSWER):
            await app.client._ask("GET", "/health/ready")


async def test_a_key_that_would_need_a_host_says_so() -> None:
    app = played_app(BUSY)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        for keys, says in (
            ("M", "Load another model"),
            ("comma", "Settings"),
            ("B", "Make a bug bundle"),
            ("4 r", "Restart the engine"),
            ("2 F", "Flush"),
            ("slash M escape", ""),
            ("5 w escape", ""),
            ("enter R", "Replay"),
        ):
            app.clear_notifications()
            for key in keys.split():
                await pilot.press(key)
                await ready(app, pilot)
            told = [one.message for one in app._notifications]
            assert [says in one and "without a host" in one for one in told] == ([True] if says else []), keys


async def test_what_had_ended_by_then_is_listed_and_can_be_opened_explained_and_compared() -> None:
    app = played_app(30)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        await pilot.press("5")
        numbers = []
        for moment in (30, 40, 100):
            app.player.seek(START + moment)
            await ready(app, pilot)
            numbers.append(len(app.screen.query_one(TracesPane).main_table.rows))
        assert numbers == sorted(set(numbers))
        assert isinstance(app.client, HostClient)
        listed = await app.client.fields("/anyclaude/traces", limit="200")
        rows = [TraceSummary.model_validate(row) for row in listed["traces"]]
        assert listed["total"] == len(rows) == numbers[-1] > 20
        for row in rows:
            assert (await app.load_why(row.id)).trace == row.id
            assert (await app.load_trace(row.id)).session == row.session
        main = [row for row in rows if row.lane == "main"]
        assert (await app.load_diff(main[0].id, "")).b.id == main[0].id
        assert (await app.load_context(main[0].session, "")).window_tokens > 0
        assert [row.marked for row in rows].count(True) == 2
        await pilot.press("enter")
        await ready(app, pilot)
        assert isinstance(app.screen, TraceScreen)


async def test_filters_count_times_back_from_the_moment_that_is_shown() -> None:
    app = played_app(BUSY)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        turns = app.screen.query_one(StreamsPane).turns
        for pane, table in (("1", turns), ("3", app.screen.query_one(ToolsPane).main_table)):
            await pilot.press(pane)
            await ready(app, pilot)
            for query, some in (
                ("since:1m", True),
                ("before:1m", True),
                ("since:2w", True),
                ("before:2w", False),
            ):
                app.main.current.set_filter(query)
                assert bool(table.rows) is some, (pane, query)
            app.main.current.set_filter("since:1m")
            assert 0 < len(table.rows) < table.total
            app.main.current.set_filter("")


async def test_what_only_the_host_knew_is_not_told_before_it_was_asked() -> None:
    app = played_app(1)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        await ready(app, pilot)
        held = app.screen.query_one(CachePane).main_table
        loading = "The engine is not up (loading"
        for moment, words in ((2.0, loading), (8.0, "Nothing is held yet"), (50.0, "main"), (4.0, loading)):
            app.player.seek(START + moment)
            await ready(app, pilot)
            await ready(app, pilot)
            assert words in "\n".join(drawn(held)), moment


def test_one_whose_texts_were_not_recorded_says_so(tmp_path: Path) -> None:
    whole = demo_recording()
    traces = PlayedTraces(Recording(whole.header, whole.moments, whole.rows), tmp_path)
    traces.show(START + 30)
    some = len(traces.index.page().traces)
    traces.show(START + 200)
    assert 0 < some < len(traces.index.page().traces) == len(whole.rows)
    # Times are counted from the moment that is shown.
    assert len(traces.index.page(query="since:90m").traces) == len(whole.rows)
    traces.show(START)
    assert traces.index.page().traces == []
    with pytest.raises(TraceNotFound, match="and not its texts"):
        traces.load(next(iter(whole.rows)))
    with pytest.raises(TraceNotFound, match="has no trace"):
        traces.load("req_ffffffffffff")


class TestTheBar:
    @pytest.mark.parametrize("width", [20, 44, 80, 120, 200])
    @pytest.mark.parametrize("about", ["", "demo", "wide 全角 \x1b[2J [bold]" * 9])
    def test_it_is_one_line_at_any_width(self, width: int, about: str) -> None:
        player = player_at(BUSY)
        player.about = about
        line, (start, cells) = bar_line(player, width)
        assert line_width(line) == width
        assert 0 <= start < start + cells <= width

    def test_incidents_have_shapes_and_the_moment_is_never_hidden(self) -> None:
        player = player_at(79.9)
        text = plain_text(bar_line(player, 120)[0])
        assert [shape for shape in "!●" if shape not in text] == []
        player.seek(START)
        assert [shape for shape in "!↻●" if shape not in plain_text(bar_line(player, 120)[0])] == []

    def test_a_recording_of_one_moment_has_a_bar(self) -> None:
        whole = demo_recording()
        player = Player(Recording(whole.header, whole.moments[:1]))
        player.incidents = (Incident(player.begin, "failed"),)
        assert line_width(bar_line(player, 80)[0]) == 80


async def test_the_strip_of_days_counts_what_the_list_has_also_after_going_back() -> None:
    app = played_app(100)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        await pilot.press("5")
        for moment in (100, 40, 41, 100):
            app.player.seek(START + moment)
            await ready(app, pilot)
            await ready(app, pilot)
            table = app.screen.query_one(TracesPane).main_table
            strip = "\n".join(drawn(app.screen.query_one("#day-strip", Canvas)))
            assert f" {table.total} requests, " in strip, moment
