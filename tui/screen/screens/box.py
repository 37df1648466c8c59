"""The base of the boxes over a screen: a title, the keys below, and between them what scrolls if it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from tui.client.wire_text import wrap
from tui.screen.keymap import commands, footer
from tui.screen.keys.command import Place
from tui.screen.screens.closable import Closable
from tui.screen.styled_line import Line, line_width
from tui.screen.widgets.canvas import Canvas
from tui.screen.widgets.scrolled_lines import BAR, ScrolledLines

Result = TypeVar("Result")
TIGHT = 18  # lines of a screen below which a box has no blank lines
_SIDES = 4  # cells of a border and a blank on both sides
_WIDE = 60  # cells up to which a box may take all of the screen's width


class KeyHint(NamedTuple):
    """A key, what it does, and the action that a click runs."""

    key: str
    word: str
    action: str


class Box(Closable, ModalScreen[Result], Generic[Result]):
    """A box of at most `cells` cells; `place` selects its commands, whose keys are always in sight.

    A click beside it closes it.
    """

    AUTO_FOCUS = "*"
    place: ClassVar[Place]
    cells: ClassVar[int] = 60
    DEFAULT_CSS = """
    /* No veil over what is below: all cells would change, 14 kB at 120x40, half a second on a slow link. */
    Box { align: center middle; background: transparent; }
    Box > Vertical { height: auto; max-height: 100%; padding: 1; }
    Box > Vertical { background: $surface; border: round $accent; }
    Box.tight > Vertical { padding: 0 1; }
    Box Canvas, Box StripView { background: $surface; }
    """

    def compose(self) -> ComposeResult:
        with Vertical(id=f"{self.place}-box"):
            yield Canvas(lambda width, height: self._title_lines(width), id="box-title")
            yield self.middle()
            yield Canvas(lambda width, height: self._key_lines(width, height), id="box-keys")

    @property
    def title_text(self) -> str:
        """What stands above; empty: nothing."""
        return ""

    def lines(self, width: int) -> list[Line]:
        """What is between title and keys."""
        return []

    def middle(self) -> Widget:
        """The widget between title and keys, which gets as many lines as it needs and there are."""
        return ScrolledLines(self.lines, id="box-text")

    def needed(self, width: int) -> int:
        """The lines that the middle would fill."""
        return len(self.lines(width - BAR))

    @property
    def words(self) -> Mapping[str, str]:
        """Other words for what a key does, by its action; an empty one leaves the key out."""
        return {}

    def hints(self) -> list[KeyHint]:
        """The keys at the bottom."""
        words = self.words
        return [
            KeyHint(one.key, word, one.action)
            for one in footer(commands(self.place))
            if (word := words.get(one.action, one.short))
        ]

    def on_mount(self) -> None:
        self.refit()  # before the first layout: a box as large as the screen would be drawn, and taken back

    def refit(self) -> None:
        """Draw all of it again, in a box that is as high as it has to be."""
        screen = self.app.size
        if not screen or not self.children:
            return
        self.set_class(tight := screen.height < TIGHT, "tight")
        outer = min(self.cells, max(min(_WIDE, screen.width), screen.width * 9 // 10))
        width, gap = max(1, outer - _SIDES), 0 if tight else 1
        title, keys = len(self._title_lines(width)), len(self._key_lines(width, 0))
        frame = 2 if tight else 4
        room = screen.height - frame - title - keys - gap * (1 + bool(title))
        box = self.query_one(Vertical)
        box.styles.width = outer
        head, foot = self.query_one("#box-title", Canvas), self.query_one("#box-keys", Canvas)
        head.display = bool(title)
        head.styles.height, foot.styles.height = title + gap, keys + gap
        part = box.children[1]
        part.styles.height = max(1, min(self.needed(width), room))
        for drawn in (head, part, foot):
            if isinstance(drawn, Canvas | ScrolledLines):
                drawn.paint()

    def on_resize(self, event: events.Resize) -> None:
        self.refit()

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:  # beside the box
            self.action_close()

    def action_close(self) -> None:
        """Close it without an answer."""
        self.dismiss(self.no_answer())

    def no_answer(self) -> Any:
        """What it ends with if the user leaves."""
        return None

    def _title_lines(self, width: int) -> list[Line]:
        return (
            [[(" " + part, "bold")] for part in wrap(self.title_text, width - 1)] if self.title_text else []
        )

    def _key_lines(self, width: int, height: int) -> list[Line]:
        lines = hint_lines(self.hints(), width)
        return [*([[]] * max(0, height - len(lines))), *lines]


def hint_lines(hints: Sequence[KeyHint], width: int) -> list[Line]:
    """Keys and what they do, on as many lines as that takes; a click runs the action."""
    shown: list[Line] = [
        [(one.key, f"accent @screen.{one.action}"), (f" {one.word}", f"@screen.{one.action}")]
        for one in hints
    ]
    whole = sum(line_width(line) for line in shown)
    gap = max(3, min(5, (width - 1 - whole) // max(1, len(shown) - 1)))
    lines: list[Line] = []
    for hint in shown:
        if lines and line_width(lines[-1]) + gap + line_width(hint) <= width:
            lines[-1] += [(" " * gap, ""), *hint]
        else:
            lines.append([(" ", ""), *hint])
    return lines
