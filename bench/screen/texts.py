"""Long texts that a screen opens: the processor time until they are drawn, and what Textual's widgets take.

Each text is read at length (`tui/screen/reading`) `ROUNDS` times in an app without a terminal; the median
counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from statistics import median

from textual.app import App, ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Markdown, TextArea

from tui.client.records import Link
from tui.screen.app import ControlCenter
from tui.screen.reading.read_screen import ReadScreen
from tui.screen.reading.readable import MOST_NUMBERED, Readable

ROUNDS = 5
_ROW = {"role": "user", "content": "words and more words " * 12, "n": 1, "of": [1, 2.5, None]}
_PARAGRAPH = "The export command builds its rows in `rows_of()`, and the writer only sees finished lines.\n\n"
_CODE = """def rows_of(ledger: Ledger, since: str = '') -> int:
    if since:  # why
        return 1
    return 0

"""
TEXTS: dict[str, Readable] = {
    "an empty text": Readable("nothing", "", ""),
    "a body of 4 MB": Readable("body", json.dumps([_ROW] * 9_800, indent=2), "json"),
    "a line of 1.25 MB of wide characters": Readable("line", "宽窄" * 208_000, ""),
    "Markdown of 40 paragraphs": Readable("answer", _PARAGRAPH * 40, "markdown"),
    "Python of 12 kB": Readable("module.py", (_CODE * 200)[:12_000], "python"),
    "text of 40 kB": Readable("text", "some words of a line\n" * 1_900, ""),
}


class _Empty(App[None]):
    def compose(self) -> ComposeResult:
        yield Vertical()


async def opened() -> dict[str, dict[str, float]]:
    """Seconds of processor time for each text: `own` for our screen, `textual` for Textual's widget.

    Textual's is left out where the screen does not use it: it takes minutes for some of them.
    """
    found: dict[str, dict[str, float]] = {}
    app = ControlCenter()
    app.inbox.put(Link("live", "", time.time()))
    async with app.run_test(size=(120, 40)) as pilot:
        for name, text in TEXTS.items():

            async def open_it(text: Readable = text) -> None:
                await app.push_screen(ReadScreen(text, "bench"))

            found[name] = {"own": await _seconds(pilot, open_it, app.pop_screen)}
    empty = _Empty()
    async with empty.run_test(size=(120, 40)) as pilot:
        for name, text in TEXTS.items():
            if len(text.text) > MOST_NUMBERED:
                continue

            async def mount(text: Readable = text) -> None:
                await empty.query_one(Vertical).mount(_textual(text))

            found[name]["textual"] = await _seconds(pilot, mount, empty.query_one(Vertical).remove_children)
    return found


def _textual(text: Readable) -> Widget:
    if text.language == "markdown":
        return VerticalScroll(Markdown(text.text))
    return TextArea(text.text, language=text.language or None, read_only=True, show_line_numbers=True)


async def _seconds(
    pilot: Pilot[None], open_it: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[object]]
) -> float:
    taken = []
    for _ in range(ROUNDS + 1):  # the first one imports
        before = time.process_time()
        await open_it()
        await pilot.pause()
        taken.append(time.process_time() - before)
        await close()
        await pilot.pause()
    return median(taken[1:])
