"""A text that is read at length: its view, the search, what is copied, and texts that are hostile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from textual.widgets import Markdown
from textual.widgets._markdown import MarkdownFence

from tests.tui.screen.test_app import WRITING, Scene, scene
from tests.tui.screen.test_hostile_texts import HOSTILE, check
from tui.client.wire_text import block_text
from tui.screen.reading.read_screen import ReadScreen
from tui.screen.reading.readable import (
    LONGEST_LINE,
    MOST_BLOCKS,
    MOST_COLOURED,
    MOST_NUMBERED,
    Readable,
    View,
    call_to_read,
    chosen_view,
    json_or_none,
    language_of,
    result_to_read,
)
from tui.screen.reading.rendered import RenderedMarkdown
from tui.screen.reading.source_view import SourceView
from tui.screen.screens.main import MainScreen
from tui.screen.widgets.collapsible_blocks import CollapsibleBlocks

ANSWER = (
    "# Retry\n\nThe loop gives up after `two` tries, see [the code](https://example.invalid/loop).\n\n"
    "- one\n- two\n\n```python\nfor attempt in range(2):\n    retry()\n```\n"
)


async def opened(it: Scene, text: str, language: str = "", name: str = "answer") -> ReadScreen:
    screen = ReadScreen(Readable(name, text, language), "test")
    it.app.open(screen)
    await it.settle()
    assert it.app.screen is screen
    await it.pilot.pause()  # Textual lays Markdown out in steps
    return screen


def drawn(it: Scene) -> str:
    """All that the screen shows, also in Textual's own widgets."""
    return "\n".join(strip.text for strip in it.app.screen._compositor.render_strips(it.app.size))


@pytest.mark.parametrize(
    ("text", "language", "source", "view"),
    [
        (ANSWER, "markdown", False, "rendered"),
        (ANSWER, "markdown", True, "coloured"),
        ("a paragraph\n\n" * (MOST_BLOCKS + 1), "markdown", False, "coloured"),
        ('{"a": 1}', "json", False, "coloured"),
        ("some words", "", False, "numbered"),
        ("x = 1\n" * (MOST_COLOURED // 5), "python", False, "numbered"),
        ("x" * (LONGEST_LINE + 1), "python", False, "plain"),
        ("line\n" * (MOST_NUMBERED // 4), "", False, "plain"),
        ("a paragraph\n\n" * MOST_NUMBERED, "markdown", False, "plain"),
    ],
)
def test_the_view_is_the_best_one_that_opens_at_once(
    text: str, language: str, source: bool, view: View
) -> None:
    found, reason = chosen_view(Readable("it", text, language), source=source)
    assert found == view
    better = {"markdown": "coloured" if source else "rendered", "": "numbered"}.get(language, "coloured")
    assert bool(reason) == (found != better)  # what is less than possible says why


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("Write", {"file_path": "/a/b.py", "content": "x = 1"}, ("x = 1", "python")),
        ("Write", {"file_path": "/a/README", "content": "words"}, ("words", "")),
        ("Bash", {"command": "ls -la"}, ("ls -la", "bash")),
        ("Write", {"file_path": 3, "content": "x"}, ("", "")),
        ("Bash", {"command": ["ls"]}, ("", "")),
        ("Edit", {"file_path": "/a.py", "old_string": "a", "new_string": "b"}, ("", "")),
        ("Bash", "ls", ("", "")),
    ],
)
def test_a_call_is_read_as_the_file_or_the_command_that_it_has(
    name: str, arguments: object, found: tuple[str, str]
) -> None:
    read = call_to_read(name, arguments)
    assert ((read.text, read.language) if read else ("", "")) == found


def test_a_language_is_told_by_suffix_and_json_by_what_it_is() -> None:
    assert [language_of(path) for path in ("a/B.PY", "x.tsx", "Makefile", ".env", "")] == [
        "python", "javascript", "", "", "",
    ]  # fmt: skip
    assert [json_or_none(text) for text in ('{"a": 1}', "[1]", "{no", "", "3")] == [
        "json",
        "json",
        "",
        "",
        "",
    ]


async def test_markdown_is_rendered_and_v_shows_its_source() -> None:
    async with scene() as it:
        screen = await opened(it, ANSWER, "markdown")
        assert "Retry" in drawn(it)
        assert "# Retry" not in drawn(it)
        assert "v rendered, source" in drawn(it)
        await it.press("v")
        assert "# Retry" in drawn(it)
        assert screen.query_one(SourceView).language == "markdown"
        await it.press("v")
        assert screen.query(RenderedMarkdown)
        await it.press("escape")
        assert it.app.screen is it.app.main


async def test_a_search_leads_from_match_to_match_and_escape_ends_it_first() -> None:
    async with scene() as it:
        screen = await opened(it, ANSWER, "markdown")
        assert "n N place" not in drawn(it)
        await it.press("slash", *"retry")
        view = screen.query_one(SourceView)  # of what is rendered the source is searched
        assert view.selected_text == "Retry"
        await it.press("enter")
        assert "1 of 2" in drawn(it)
        await it.press("n")
        assert view.selected_text == "retry"
        assert view.selection.end[0] == 9
        await it.press("n", "N", "N")
        assert "1 of 2" in drawn(it)
        await it.press("escape")
        assert it.app.screen is screen
        assert view.selected_text == ""
        await it.press("slash", *"nowhere", "enter")
        assert "not in it" in drawn(it)
        await it.press("escape", "escape")
        assert it.app.screen is it.app.main


async def test_a_search_ends_with_the_view_that_it_marks_and_its_keys_say_what_they_cannot_do() -> None:
    async with scene() as it:
        screen = await opened(it, ANSWER, "markdown")
        await it.press("n")
        assert "Nothing is searched for: / does." in list(it.app._notifications)[-1].message
        await it.press("slash", *"retry", "enter")
        assert "/retry  1 of 2   n N" in drawn(it)
        assert "n N place" in drawn(it)
        await it.press("v")
        assert screen.query(RenderedMarkdown)
        assert "/retry" not in drawn(it)
        await it.press("slash", *"nowhere", "enter", "n")
        assert "nowhere is not in it." in list(it.app._notifications)[-1].message
        await it.press("escape")
        assert it.app.screen is screen


async def test_y_copies_the_selection_else_all() -> None:
    async with scene() as it:
        await opened(it, "one\ntwo\n")
        await it.press("y")
        assert it.app.clipboard == "one\ntwo\n"
        await it.press("shift+right", "shift+right", "y")
        assert it.app.clipboard == "on"


async def test_a_long_text_is_shown_plainly_and_can_be_searched() -> None:
    async with scene() as it:
        screen = await opened(it, "words\n" * MOST_NUMBERED + "needle")
        assert "plain: long" in drawn(it)
        await it.press("slash", *"needle", "enter")
        assert "1 of 1" in drawn(it)
        assert "needle" in "\n".join(drawn(it).split("\n")[2:])
        assert screen.query(CollapsibleBlocks)
        await it.press("n", "y")
        assert it.app.clipboard.endswith("needle")


async def test_a_file_that_was_read_has_its_own_numbers_and_is_copied_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[tuple[str, str, str]] = []

    def show_outside(app: object, program: str, text: str, name: str, **more: object) -> str:
        given.append((program, text, name))
        return ""

    monkeypatch.setattr("tui.screen.reading.read_screen.show_outside", show_outside)
    lines = "".join(f"{number}\tx = {number}\n" for number in range(95, 103))
    note = "\n<system-message>\nmore of it follows\n</system-message>"
    file = "".join(f"x = {number}\n" for number in range(95, 103))
    async with scene() as it:
        readable = result_to_read("Read", {"file_path": "/a/b.py"}, block_text(lines + note))
        screen = ReadScreen(replace(readable, name="result of Read /a/b.py"), "test")
        it.app.open(screen)
        await it.settle()
        assert re.search(r"python  lines 95 to 102  .* more of it follows", drawn(it))
        assert re.search(r"^ *102 +x = 102 *$", drawn(it), re.MULTILINE)
        assert screen.query_one(SourceView).language == "python"
        await it.press("y", "o", "e")
        assert it.app.clipboard == file.rstrip("\n")
        assert given == [("pager", file.rstrip("\n"), "text.py"), ("editor", file.rstrip("\n"), "text.py")]


async def test_a_file_that_is_too_long_for_a_viewer_with_numbers_keeps_those_it_came_with() -> None:
    lines = "\n".join(f"{number}\tx = {number}" for number in range(1, 5_000))
    async with scene() as it:
        it.app.open(ReadScreen(result_to_read("Read", {"file_path": "/a/b.py"}, block_text(lines)), "test"))
        await it.settle()
        assert "plain: long" in drawn(it)
        assert re.search(r"^ +2 +x = 2 *$", drawn(it), re.MULTILINE)
        await it.press("y")
        assert it.app.clipboard.startswith("x = 1\nx = 2\n")


async def test_a_link_is_told_and_copied_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene() as it:
        screen = await opened(it, ANSWER, "markdown")
        monkeypatch.setattr(it.app, "open_url", lambda *_, **__: pytest.fail("a link was opened"))
        markdown = screen.query_one(Markdown)
        markdown.post_message(Markdown.LinkClicked(markdown, "https://example.invalid/loop"))
        await it.settle()
        assert it.app.clipboard == "https://example.invalid/loop"
        assert any("Not opened: https://example" in one.message for one in it.app._notifications)


def hostile_texts() -> Iterator[tuple[str, str]]:
    entities = "&#27;]0;title&#7; &#x9b;31m &#x202e;turned &#0; &#8232; <script>x</script> <b>bold</b>"
    yield (
        f"# {HOSTILE}\n\n{entities}\n\n![image]({HOSTILE})\n\n[a]({entities})\n\n"
        f"```{entities}\n{HOSTILE}\n```",
        "markdown",
    )
    yield (
        f"| a{HOSTILE} | b |\n|---|---|\n| {entities} | {HOSTILE} |\n\n<div>\n{HOSTILE}\n</div>\n",
        "markdown",
    )
    yield f"# {HOSTILE} {entities}\n\n1. {entities}\n\n> {HOSTILE}\n\n`{HOSTILE}`", "markdown"
    yield json.dumps({HOSTILE: [HOSTILE, entities]}, ensure_ascii=False), "json"
    yield f"def {HOSTILE}(: '''\n" * 40, "python"
    yield f"echo '{HOSTILE}\n$(" * 40, "bash"
    yield "((((" * 900, "python"


@pytest.mark.parametrize(("text", "language"), list(hostile_texts()), ids=range(7))
@pytest.mark.parametrize("size", [(120, 40), (44, 12)])
async def test_hostile_texts_stay_in_their_cells(text: str, language: str, size: tuple[int, int]) -> None:
    async with scene(size) as it:
        await opened(it, block_text(text), language, HOSTILE)
        check(it.app)
        await it.press("v")
        check(it.app)
        await it.press("slash", "a", "enter")
        check(it.app)


@pytest.mark.parametrize("code", ["```\n{}\n```\n", "Like this:\n\n    {}\n"])
async def test_code_without_a_language_is_not_guessed_and_so_has_no_errors(code: str) -> None:
    async with scene() as it:
        screen = await opened(it, code.format("class A: x: B[C] -> None: <?php $"), "markdown")
        fence = screen.query_one(MarkdownFence)
        assert fence.lexer == "text"
        assert "class A: x: B[C]" in drawn(it)


async def test_html_is_text_and_an_entity_is_what_it_names() -> None:
    async with scene() as it:
        await opened(it, "<b>bold</b> &amp; &lt;\n\n<div>\nkept\n</div>\n", "markdown")
        assert "<b>bold</b> & <" in drawn(it)
        assert "<div>" in drawn(it)
        assert "kept" in drawn(it)


@pytest.mark.parametrize("language", ["python", "json", "bash", "markdown", "rust", "sql"])
async def test_each_language_has_its_grammar(language: str) -> None:
    async with scene() as it:
        screen = await opened(it, "x = 1", language)
        await it.press("v")
        assert screen.query_one(SourceView).is_syntax_aware


async def test_v_reads_from_the_trace_from_a_result_and_from_an_answer() -> None:
    async with scene() as it:
        await it.press("5", "enter", "2", "V")
        assert isinstance(it.app.screen, ReadScreen)
        assert "› Read" in drawn(it)
        await it.press("escape", "7", "down", "down", "down", "V")
        assert isinstance(it.app.screen, ReadScreen)
        await it.press("3", "V")
        assert isinstance(it.app.screen, ReadScreen)
        await it.press("1", "V")
        assert isinstance(it.app.screen, MainScreen)  # nothing of it is written yet
        assert "no text to read" in list(it.app._notifications)[-1].message
        await it.press(*WRITING, "V")
        assert "› Read answer" in drawn(it)
