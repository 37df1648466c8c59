"""Two texts beside or below each other: aligned, marked, drawn where they are seen."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from proxy.traces.analysis.comparing.line_diff import unified_lines
from tests.tui.stage import Stage, drawn
from tui.client.differences.rows import diff_rows
from tui.client.wire_text import width
from tui.screen.widgets import diff_view
from tui.screen.widgets.diff_view import DiffView

A = ["first", "branch: main", "修复日期解析器", "gone", "last"]
B = ["first", "branch: json-export", "修复时间解析器", "last", "\tmore"]


@asynccontextmanager
async def view(
    a: Sequence[str], b: Sequence[str], size: tuple[int, int] = (80, 20), *, beside: bool = True
) -> AsyncIterator[tuple[DiffView, Pilot[None]]]:
    found = DiffView()
    async with Stage(found).run_test(size=size) as pilot:
        found.show(diff_rows(unified_lines(a, b)), beside=beside, titles=("A  14:00", "B  14:01"))
        found.focus()
        await pilot.pause()
        yield found, pilot


def between(line: str) -> tuple[str, int]:
    """What stands between both sides of a line, and in which cell."""
    at = next(at for at, sign in enumerate(line) if sign in "│≠")
    return line[at], width(line[:at])


async def test_both_sides_are_aligned_in_cells_whatever_they_hold() -> None:
    async with view(A, B) as (found, _):
        lines = [line for line in drawn(found) if line]
        assert len({between(line)[1] for line in lines}) == 1
        assert "".join(between(line)[0] for line in lines) == "││≠≠│││"
        assert [line.split("│")[0].strip() for line in lines][:2] == ["A  14:00", "1   first"]
        assert lines[-1].endswith("5 +     more")


async def test_changed_words_have_a_mark_that_is_no_colour() -> None:
    async with view(A, B) as (found, _):
        marked = [
            segment.text
            for y in range(found.size.height)
            for segment in found.render_line(y)
            if segment.style and segment.style.underline and segment.style.bold
        ]
        assert marked == ["main", "json-export", "日期", "时间"]


async def test_below_each_other_a_difference_has_its_old_lines_first() -> None:
    async with view(A, B, beside=False) as (found, _):
        assert [line.lstrip("▌ ") for line in drawn(found) if line] == [
            "1 1   first",
            "2   - branch: main",
            "3   - 修复日期解析器",
            "4   - gone",
            "2 + branch: json-export",
            "3 + 修复时间解析器",
            "5 4   last",
            "5 +     more",
        ]


async def test_keys_scroll_both_sides_and_steps_go_from_difference_to_difference() -> None:
    a = [f"line {number}" for number in range(400)]
    b = [f"changed {line}" if number % 100 == 50 else line for number, line in enumerate(a)]
    async with view(a, b, (80, 10)) as (found, pilot):
        assert found.place == (1, 4)
        assert found.step(1)
        assert found.place == (2, 4)
        there = [line for line in drawn(found) if line.startswith("▌")]
        assert "151 - line 150" in there[0]
        assert "151 + changed line 150" in there[0]
        found.to_last()
        assert not found.step(1)
        assert found.place == (4, 4)
        await pilot.press("home")
        await pilot.pause()
        before = drawn(found)[2]
        await pilot.press("down")
        await pilot.wait_for_animation()
        assert drawn(found)[1] == before
        await pilot.press("end")
        await pilot.pause()
        assert "353   line 352" in drawn(found)[-1]


async def test_the_other_way_keeps_the_difference_in_sight() -> None:
    a = [f"line {number}" for number in range(400)]
    b = [f"changed {line}" if number % 40 == 5 else line for number, line in enumerate(a)]
    async with view(a, b, (80, 10)) as (found, _):
        while found.step(1):
            pass
        for beside in (False, True):
            found.turn(beside=beside)
            assert "line 365" in "".join(line for line in drawn(found) if line.startswith("▌"))


async def test_only_lines_near_the_screen_are_wrapped_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"drawn_text": 0, "drawn_pieces": 0}

    def counted(name: str) -> None:
        original = getattr(diff_view, name)

        def count(*arguments: object) -> object:
            counts[name] += 1
            return original(*arguments)

        monkeypatch.setattr(diff_view, name, count)

    counted("drawn_text")
    counted("drawn_pieces")
    a = [f"a line of some words, and its number {number}" for number in range(20_000)]  # a megabyte
    async with view(a, [f"{line}!" for line in a], (100, 20)) as (found, pilot):
        await pilot.press("end")
        await pilot.pause()
        assert "19999!" in drawn(found)[-1]
    assert counts["drawn_text"] < 800
    assert counts["drawn_pieces"] < 200


async def test_a_reader_who_scrolls_up_sees_each_line_once() -> None:
    """Heights above the screen are guesses until they are near it: what is seen must not jump for that."""
    words = random.Random(7)
    a = [" ".join(f"{n:03}" for _ in range(words.randrange(1, 40))) for n in range(60)]
    async with view([], a, (40, 12), beside=False) as (found, pilot):
        await pilot.press("end")
        await pilot.pause()
        seen = drawn(found)
        while found.scroll_y > 0:
            top = drawn(found)
            found.scroll_to(y=found.scroll_y - 1, animate=False, force=True)
            await pilot.pause()
            now = drawn(found)
            assert now[1:] == top[:-1]
            seen.insert(0, now[0])
        text = "\n".join(line.strip("▌ ") for line in seen)
        assert [int(line.split(" ")[0]) for line in text.split("\n") if " + " in line] == list(range(1, 61))


async def test_a_narrow_screen_wraps_and_a_wider_one_lays_out_again() -> None:
    line = "some words that are longer than half a screen " * 2
    async with view([line], [line + "and more"], (60, 20)) as (found, pilot):
        high = len([line for line in drawn(found) if line])
        assert high > 4
        assert max(width(line) for line in drawn(found)) <= 60
        await pilot.resize_terminal(240, 20)
        await pilot.pause()
        assert len([line for line in drawn(found) if line]) == 2
