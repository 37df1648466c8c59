"""The comparison of two requests: how it stands at each width, and from difference to difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.traces.analysis.comparing.comparable import NOTHING
from proxy.traces.analysis.comparing.diff_facts import DiffFacts, compare
from proxy.traces.schema import Trace
from tests.proxy.traces.analysis.comparing.test_diff_facts import asked
from tests.tui.screen.test_app import Scene, scene
from tests.tui.stage import drawn
from tui.client.host_client import HostError
from tui.screen.choices.remembered import FILE_NAME, Remembered
from tui.screen.screens.diff import DiffScreen
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.diff_view import DiffView
from tui.screen.widgets.line_table import LineTable

SYSTEM = "\n".join(f"rule {number}" for number in range(60))


async def compared(it: Scene, *pairs: Trace) -> DiffView:
    """The screen with the comparison of two traces."""

    async def diff(b: str, a: str = "") -> DiffFacts:
        return compare(*pairs)

    it.host.diff = diff  # type: ignore[method-assign]
    await it.press("d")
    return it.app.screen.query_one(DiffView)


def pair(**more: Any) -> tuple[Trace, Trace]:
    other = SYSTEM.replace("rule 7", "rule seven").replace("rule 50", "rule fifty")
    return asked(1, SYSTEM, "hello", "same", **more), asked(2, other, "hello there", "same", "new", **more)


def is_beside(it: Scene) -> bool:
    return "│" in "".join(drawn(it.app.screen.query_one(DiffView)))


@pytest.mark.parametrize(("columns", "beside"), [(200, True), (160, True), (159, False), (80, False)])
async def test_both_sides_stand_beside_each_other_where_there_is_room(columns: int, beside: bool) -> None:
    async with scene((columns, 40)) as it:
        await compared(it, *pair())
        assert is_beside(it) == beside


@pytest.mark.parametrize("columns", [80, 120])
async def test_what_was_chosen_for_the_first_of_a_session_is_said_and_stays_so(columns: int) -> None:
    async with scene((columns, 24)) as it:
        a, b = pair()

        async def diff(of: str, other: str = "") -> DiffFacts:
            facts = compare(a, b) if of != a.id else compare(b, a)
            return facts if other else facts.model_copy(update={"chosen": "alike"})

        it.host.diff = diff  # type: ignore[method-assign]
        await it.press("d")
        head = it.app.screen.query_one("#diff-head", Canvas)
        assert "no turn before: most alike" in drawn(head)[0]
        await it.press("x")
        assert "no turn before: most alike" in drawn(head)[1]


async def test_a_swap_that_fails_is_told_and_what_is_shown_stays_whose_it_was() -> None:
    async with scene((120, 40)) as it:
        a, b = pair()
        await compared(it, a, b)
        screen = it.app.screen
        assert isinstance(screen, DiffScreen)
        before = drawn(screen.query_one("#diff-head", Canvas))

        async def gone(of: str, other: str = "") -> DiffFacts:
            raise HostError("nothing listens there")

        it.host.diff = gone  # type: ignore[method-assign]
        await it.press("x")
        assert [note.message for note in it.app._notifications] == ["nothing listens there"]
        assert screen.request == b.id
        assert drawn(screen.query_one("#diff-head", Canvas)) == before

        async def back(of: str, other: str = "") -> DiffFacts:
            return compare(b, a) if of == a.id else compare(a, b)

        it.host.diff = back  # type: ignore[method-assign]
        await it.press("x")
        assert screen.request == a.id


async def test_where_nothing_can_be_compared_the_way_to_choose_is_told() -> None:
    async with scene((80, 24)) as it:

        async def diff(b: str, a: str = "") -> DiffFacts:
            raise HostError(NOTHING)

        it.host.diff = diff  # type: ignore[method-assign]
        await it.press("d")
        assert NOTHING in it.text()
        assert "m on another request marks it; then d on this one compares the two." in it.text()


async def test_the_other_way_is_remembered_and_a_narrow_screen_says_why_not(tmp_path: Path) -> None:
    async with scene((120, 40)) as it:
        it.app.remembered = Remembered(tmp_path / FILE_NAME)
        await compared(it, *pair())
        assert "v side by side" in it.text()
        await it.press("v")
        assert is_beside(it)
        assert "v one below the other" in it.text()
        await it.press("escape", "d")
        assert is_beside(it)
        assert "beside" in (tmp_path / FILE_NAME).read_text()
        await it.pilot.resize_terminal(109, 40)
        await it.settle()
        assert not is_beside(it)
        await it.press("v")
        assert not is_beside(it)
        assert [note.message for note in it.app._notifications] == [
            "Side by side needs 110 columns; here are 109."
        ]


async def test_n_goes_through_the_differences_of_all_segments_and_back() -> None:
    async with scene((160, 40)) as it:
        view = await compared(it, *pair())
        table = it.app.screen.query_one("#segments", LineTable)
        places = [(0, 1, 2), (0, 2, 2), (1, 1, 1), (3, 1, 1)]  # segment, difference of so many
        for segment, *place in [*places, places[0]]:
            assert (table.cursor, *view.place) == (segment, *place)
            await it.press("n")
        for segment, *place in [places[1], *places[:1], *places[:0:-1]]:
            assert (table.cursor, *view.place) == (segment, *place)
            await it.press("N")


async def test_a_segment_of_one_side_has_the_whole_width() -> None:
    async with scene((160, 40)) as it:
        await compared(it, *pair())
        await it.press("N")
        assert not is_beside(it)
        assert "+ user:" in it.text()
        assert "one below" not in it.text()
        await it.press("v")  # of which nothing is seen here
        assert [note.message for note in it.app._notifications] == [
            "A and B of segments that changed: one below the other."
        ]


async def test_a_patch_is_copied_and_of_equal_segments_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr("tui.screen.screens.diff.copy", lambda app, text, what: copied.append(text))
    async with scene() as it:
        await compared(it, *pair())
        await it.press("y", "down", "down", "y")
        assert copied[0].startswith("@@ -6,5 +6,5 @@\n rule 5\n rule 6\n-rule 7\n+rule seven\n")
        assert copied[1] == ""


async def test_enter_reads_the_text_and_esc_leads_back_to_the_segments() -> None:
    async with scene((120, 24)) as it:
        view = await compared(it, *pair())
        await it.press("enter")
        assert view.has_focus
        await it.press("escape")
        assert it.app.screen.query_one("#segments").has_focus
        await it.press("escape")
        assert it.app.screen is it.app.main


async def test_the_smallest_screen_shows_segments_and_a_difference() -> None:
    async with scene((44, 12)) as it:
        view = await compared(it, *pair())
        await it.press("n")
        assert view.size.height >= 3
        assert "rule fifty" in it.text()
