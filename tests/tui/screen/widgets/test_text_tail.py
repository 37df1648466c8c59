"""Text that arrives: wrapping, following, and staying where the reader is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.screen import Screen

from tests.tui.stage import Stage, drawn
from tui.client.wire_text import width, wrap
from tui.screen.styled_line import plain_text
from tui.screen.widgets.text_tail import TextTail, wrap_line


async def test_text_in_pieces_is_the_same_as_text_at_once() -> None:
    text = "one two three four five six seven eight nine ten 全角文字 and so on " * 3 + "\n\nend"
    whole, pieces = TextTail(), TextTail()
    async with Stage(whole, pieces).run_test(size=(30, 40)) as pilot:
        whole.add([(text, "")])
        for index in range(0, len(text), 3):
            pieces.add([(text[index : index + 3], "thinking" if index % 2 else "")])
        await pilot.pause()
        assert drawn(pieces) == drawn(whole)
        assert pieces.text == text
        assert max(width(line) for line in drawn(whole)) <= 30


async def test_it_follows_until_the_reader_scrolls_up() -> None:
    tail = TextTail()
    async with Stage(tail).run_test(size=(30, 8)) as pilot:
        tail.focus()
        tail.add([("\n".join(f"line {number}" for number in range(40)), "")])
        await pilot.pause()
        assert drawn(tail)[-1].strip() == "line 39"
        await pilot.press("pageup")
        await pilot.wait_for_animation()
        assert not tail.following
        before = drawn(tail)
        tail.add([("\nline 40\nline 41", "")])
        await pilot.pause()
        assert drawn(tail) == before
        assert tail.pending == 2
        await pilot.press("end")
        await pilot.wait_for_animation()
        assert tail.following
        assert drawn(tail)[-1].strip() == "line 41"


async def test_it_follows_again_where_a_larger_screen_holds_all_of_it() -> None:
    tail = TextTail()
    async with Stage(tail).run_test(size=(30, 8)) as pilot:
        tail.focus()
        tail.add([("\n".join(f"line {number}" for number in range(20)), "")])
        await pilot.press("home")
        await pilot.wait_for_animation()
        tail.add([("\nline 20", "")])
        assert (tail.following, tail.pending) == (False, 1)
        await pilot.resize_terminal(30, 40)
        await pilot.pause()
        assert (tail.following, tail.pending) == (True, 0)


async def test_it_follows_another_text_that_came_while_it_was_hidden() -> None:
    tail = TextTail()
    async with Stage(tail).run_test(size=(30, 8)) as pilot:
        tail.add([("\n".join(f"line {number}" for number in range(40)), "")])
        await pilot.pause()
        tail.display = False
        await pilot.pause()
        tail.clear()
        tail.add([("\n".join(f"other {number}" for number in range(30)), "")])
        tail.display = True
        await pilot.pause()
        assert tail.following
        assert drawn(tail)[-1].strip() == "other 29"


async def test_a_finished_text_is_shown_from_its_beginning() -> None:
    tail = TextTail(empty=[[("nothing here", "muted")]])
    async with Stage(tail).run_test(size=(30, 8)) as pilot:
        assert drawn(tail)[1].strip() == "nothing here"
        tail.show_from_top([("\n".join("abcdefghijklmnop"), "")])
        await pilot.pause()
        assert drawn(tail)[0].strip() == "a"


async def test_another_width_wraps_anew() -> None:
    tail = TextTail()
    async with Stage(tail).run_test(size=(60, 8)) as pilot:
        tail.add([("word " * 20, "")])
        await pilot.resize_terminal(20, 12)
        await pilot.pause()
        assert max(len(line) for line in drawn(tail)) <= 20
        assert " ".join(drawn(tail)).split() == ["word"] * 20


@given(st.lists(st.text("ab 全", max_size=12), min_size=1, max_size=5), st.integers(1, 20))
def test_spans_are_wrapped_as_their_text_is(texts: list[str], cells: int) -> None:
    lines = wrap_line([(text, str(number)) for number, text in enumerate(texts)], cells)
    assert [plain_text(line) for line in lines] == wrap("".join(texts), cells)


async def test_a_text_that_grows_beyond_the_screen_draws_its_bar_and_lays_nothing_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tail = TextTail()
    async with Stage(tail).run_test(size=(40, 10)) as pilot:
        layouts: list[bool] = []
        lay_out = Screen._refresh_layout

        def counted(screen: Screen[None], *arguments: Any, **more: Any) -> None:
            layouts.append(True)
            lay_out(screen, *arguments, **more)

        monkeypatch.setattr(Screen, "_refresh_layout", counted)
        for number in range(25):
            tail.add([(f"line {number}\n", "")])
            await pilot.pause()
        assert len(layouts) <= 1  # the first one, of the whole stage
        layouts.clear()
        assert tail.at_end
        assert tail.vertical_scrollbar.window_virtual_size == 26
        tail.clear()
        tail.add([("short", "")])
        await pilot.pause()
        assert (layouts, round(tail.scroll_y)) == ([], 0)
        assert tail.vertical_scrollbar.window_virtual_size == tail.size.height  # empty
