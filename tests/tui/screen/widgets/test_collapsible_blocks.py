"""Foldable documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from tests.tui.stage import Stage, drawn
from tui.screen.styled_line import Line
from tui.screen.widgets.block_layout import Block, BodyLayout, lay_out_body, prose_line
from tui.screen.widgets.collapsible_blocks import CollapsibleBlocks, highlighted

BLOCKS = [
    Block([("first", "")], "one\ntwo", "2 lines", open=True),
    Block([("group", "")], note="2"),
    Block([("inner", "")], '{\n  "key": 1\n}', kind="json", level=1),
    Block([("other", "")], lambda width: [[(f"{width} cells", "")]], level=1, open=True),
    Block([("last", "")], "end"),
]


@asynccontextmanager
async def on_stage(blocks: list[Block]) -> AsyncIterator[tuple[CollapsibleBlocks, Pilot[None]]]:
    view = CollapsibleBlocks()
    async with Stage(view).run_test(size=(40, 16)) as pilot:
        view.focus()
        view.show(blocks)
        await pilot.pause()
        yield view, pilot


def text(view: CollapsibleBlocks) -> list[str]:
    return [line.strip(" ▌") for line in drawn(view) if line.strip(" ▌")]


async def test_open_blocks_show_their_body_and_closed_groups_hide_their_blocks() -> None:
    async with on_stage(BLOCKS) as (view, _):
        assert text(view) == [
            "▾ first" + " " * 23 + "2 lines",
            "one",
            "two",
            "▸ group" + " " * 29 + "2",
            "▸ last",
        ]


async def test_a_group_unfolds_and_folds_at_the_cursor() -> None:
    async with on_stage(BLOCKS) as (view, pilot):
        await pilot.press("down", "down", "down", "down")
        view.toggle()
        assert [line.split("  ")[0] for line in text(view)[3:]] == [
            "▾ group",
            "▸ inner",
            "▾ other",
            "32 cells",
            "▸ last",
        ]
        view.toggle()
        assert len(text(view)) == 5
        assert view.current is BLOCKS[1]


async def test_everything_unfolds_and_folds() -> None:
    async with on_stage(BLOCKS) as (view, _):
        view.toggle_all()
        assert '"key": 1' in text(view)
        view.toggle_all()
        assert [line[:7] for line in text(view)] == ["▸ first", "▸ group", "▸ last"]


async def test_a_block_without_a_title_stays_open() -> None:
    async with on_stage([Block([], "one", open=True), Block([("last", "")], "end", open=True)]) as (view, _):
        view.toggle()
        assert text(view) == ["one", "▾ last", "end"]
        view.toggle_all()
        assert text(view) == ["one", "▸ last"]


async def test_what_looks_the_same_open_and_closed_is_not_folded() -> None:
    whole = Block([("whole", "")], "one\ntwo", preview=5)
    more = Block([("more", "")], "one\ntwo\nthree\nfour", preview=1)
    async with on_stage([Block([("a line", "")], level=1), whole, more]) as (view, pilot):
        assert not view.toggle()
        await pilot.press("down", "down")
        assert view.current is whole
        assert not view.toggle()
        await pilot.press("end")
        assert view.current is more
        assert view.toggle()
        assert text(view)[-1] == "four"


async def test_blocks_that_are_shown_before_they_have_a_width_are_laid_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    laid_out: list[int] = []

    def counted(block: Block, cells: int, *, whole: bool) -> BodyLayout:
        laid_out.append(cells)
        return lay_out_body(block, cells, whole=whole)

    monkeypatch.setattr("tui.screen.widgets.collapsible_blocks.lay_out_body", counted)
    view = CollapsibleBlocks()
    view.show([Block([("one", "")], "a\n" * 30, open=True), Block([("two", "")], "end", here=True)])
    async with Stage(view).run_test(size=(40, 16)) as pilot:
        await pilot.pause()
        assert laid_out == [34]
        assert view.current is not None
        assert view.current.body == "end"
        assert view.scroll_y > 0
        await pilot.resize_terminal(40, 12)  # as where the input of a search opens
        assert laid_out == [34]
        await pilot.resize_terminal(30, 12)
        assert laid_out == [34, 24]


async def test_a_click_on_a_title_folds() -> None:
    async with on_stage(BLOCKS) as (view, pilot):
        await pilot.click(view, offset=(4, 0))
        assert text(view)[0].startswith("▸ first")


async def test_of_a_body_of_half_a_megabyte_only_what_is_seen_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def draw(line: str) -> Line:
        seen.append(line)
        return highlighted(line)

    monkeypatch.setattr("tui.screen.widgets.collapsible_blocks.highlighted", draw)
    body = ("x" * 70 + " words\n") * 6400
    async with on_stage([Block([("big", "")], body, kind="json", open=True)]) as (view, pilot):
        await pilot.press("pagedown", "end", "home")
        assert text(view)[0].startswith("▾ big")
        assert len(seen) < 6400 / 10


def test_keys_of_json_are_marked() -> None:
    assert highlighted('  "a": [1]') == [("  ", ""), ('"a"', "lane.main"), (":", "dim"), (" [1]", "")]
    assert highlighted("plain") == [("plain", "")]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("## Title", [("## ", "accent"), ("Title", "bold")]),
        ("#no title", [("#no title", "s")]),
        ("  - a `b` c", [("  - ", "accent"), ("a ", "s"), ("`b`", "lane.main"), (" c", "s")]),
        ("1. **x**", [("1. ", "accent"), ("", "s"), ("**x**", "s bold"), ("", "s")]),
        ("a * b ** c `", [("a * b ** c `", "s")]),
    ],
)
def test_markdown_keeps_its_characters_and_gets_styles(text: str, spans: list[tuple[str, str]]) -> None:
    assert prose_line(text, "s") == spans


def test_code_is_what_stands_between_fences() -> None:
    layout = lay_out_body(Block([], "a\n```py\nb\n```\nc"), 40, whole=True)
    assert layout.code == [False, True, True, True, False]
