"""The base class of the five panes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from textual import events
from textual.containers import Container
from textual.geometry import Size
from textual.widget import Widget

from tui.client.records import Snapshot
from tui.screen.choices.layouts import NARROW, follow_focus, is_beside, keep_layout
from tui.screen.choices.layouts import WIDE as WIDE
from tui.screen.frames.ground import Ground
from tui.screen.frames.selection_owner import SelectionOwner
from tui.screen.keys.command import Place
from tui.screen.keys.table import without_host
from tui.screen.styled_line import Line, Span
from tui.screen.widgets.line_table import LineTable
from tui.screen.widgets.text_tail import TextTail

SHORT, TINY = 26, 14


class Pane(Ground, SelectionOwner, Container):
    """One pane. Only the visible pane gets snapshots; `place` selects its commands in the keymap.

    It has the class `wide` where its parts stand beside each other (from 150 columns on, unless the user
    chose otherwise), `short` below 26 lines, and `tiny` below 14.
    """

    place: Place = "streams"

    def __init__(self) -> None:
        super().__init__(id=self.place)
        self.snapshot = Snapshot()
        self.now = 0.0
        self.room = Size()  # its size; while it is hidden, the one that it is drawn for

    def show(self, snapshot: Snapshot, now: float) -> None:
        """Draw `snapshot` as of `now` (epoch seconds): a new one at once, the same one once a second."""
        if snapshot is self.snapshot and int(now) == int(self.now):
            return
        self.snapshot, self.now = snapshot, now
        self.update()

    def update(self) -> None:
        """Draw `self.snapshot` as of `self.now`."""
        raise NotImplementedError

    @property
    def main_table(self) -> LineTable[Any] | None:
        """The list that the filter applies to."""
        return None

    @property
    def request(self) -> str:
        """The id of the request that the selected row is of; empty where there is none."""
        return ""

    @property
    def ended_request(self) -> str:
        """The request whose trace is wanted: one that has come to its end, where there is one."""
        return self.request

    @property
    def session(self) -> str:
        """The session of the selected row; empty where there is none."""
        return ""

    @property
    def unavailable(self) -> set[str]:
        """Actions that would fail now; the key bar leaves them out."""
        return set()

    @property
    def words(self) -> dict[str, str]:
        """What the key bar says of actions that do another thing now than their usual word says."""
        return {}

    @property
    def searches(self) -> bool:
        """Whether what is typed behind `/` is looked for as it is, and is no filter."""
        return False

    @property
    def home(self) -> Widget | None:
        """The widget that gets the focus with the pane."""
        return self.main_table

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not without_host(self.app, action)

    def mark(self, request: str) -> None:
        """Show a mark at the rows of this request; none with an empty id."""
        if self.main_table is not None:
            self.main_table.mark(request)

    def to_marked(self, request: str) -> None:
        """Go to the row that was marked, where the other one to compare it with is chosen."""

    def set_filter(self, query: str, *, done: bool = True) -> None:
        """Filter the list."""
        if self.main_table is not None:
            self.main_table.set_filter(query)
            self.update()

    @property
    def filter(self) -> str:
        """The filter of the list."""
        return self.main_table.filter if self.main_table is not None else ""

    # -- ways that lead here, and back ----------------------------------------------------------------------

    @property
    def choices(self) -> object:
        """What the user chose here besides the filter, such as a range."""
        return None

    def choose(self, choices: object) -> None:
        """Take such choices back, as `choices` had them."""

    def memento(self) -> Callable[[], None]:
        """What brings choices, filter, cursors and focus back as they are now."""
        choices, filter, focused = self.choices, self.filter, self.screen.focused
        own = focused if focused is not None and self in focused.ancestors else self.home
        tables = list(self.query(LineTable))
        places = [(table, table.key_of(table.selected), table.following) for table in tables]

        def restore() -> None:
            if self.choices != choices:
                self.choose(choices)
            if self.filter != filter:
                self.set_filter(filter)
            for table, key, following in places:
                if following:
                    table.follow()
                elif key:
                    table.seek(partial(_has_key, table, key))
                self.update()  # the rows of the next one may depend on the place in this one
            if own is not None:
                self.screen.set_focus(own)

        return restore

    def action_list(self) -> None:
        """Focus the list; clear its filter if it has the focus."""
        if self.main_table is None:
            return
        if self.main_table.has_focus and self.filter:
            self.set_filter("")
        self.main_table.focus()

    def fit(self, room: Size) -> bool:
        """Stand as it does in `room`; whether that is another size than before.

        A pane that is shown is first made to fit: what it draws while hidden is then what will be seen.
        """
        if not room or room == self.room:
            return False
        self.room = room
        self.set_class(is_beside(self.app, self.place, room.width), "wide")
        self.set_class(room.height < SHORT, "short")
        self.set_class(room.height < TINY, "tiny")
        return True

    def on_resize(self, event: events.Resize) -> None:
        if self.fit(event.size):
            self._update_after_layout()

    def _update_after_layout(self) -> None:
        """Draw at once what fits now: a part that comes to light was not drawn while it was out."""
        if self.now:
            self.call_after_refresh(self.update)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        follow_focus(self, event.widget)

    def turn(self) -> None:
        """Put parts that stand beside each other below each other, or the other way round; remember it."""
        beside = not self.has_class("wide")
        if beside and self.room.width < NARROW:
            self.app.notify(f"It needs {NARROW} columns for that.", timeout=2, markup=False)
            return
        keep_layout(self.app, self.place, self.room.width, beside=beside)
        self.set_class(beside, "wide")
        self._update_after_layout()

    def row_selected(self, table: LineTable[Any]) -> None:
        self.update()

    def on_text_tail_moved(self, event: TextTail.Moved) -> None:
        self.update()

    def copy(self, text: str, what: str) -> None:
        """Copy `text` to the clipboard and notify the user."""
        from tui.screen.clipboard import copy

        copy(self.app, text, what)


def _has_key(table: LineTable[Any], key: str, row: Any) -> bool:
    return table.key_of(row) == key


def list_note(table: LineTable[Any], newest_key: str = "end", *, gone: bool) -> Line:
    """The note at a list's heading: the filter, the number of newer rows, or that the list follows.

    With a host that is `gone` there is nothing to follow.
    """
    words: list[Span] = []
    if table.filter:
        words += [("/", "accent"), (table.filter, "bold"), (f"  {len(table.rows)} of {table.total}", "muted")]
    if table.pending:
        words += [("  " if words else "", ""), *way_to_newest(table, f"{table.pending} newer", newest_key)]
    elif table.following and table.rows and not gone:
        words += [("  " if words else "", ""), ("following", "dim")]
    return words


def way_to_newest(part: LineTable[Any] | TextTail, what: str, key: str) -> Line:
    """What is out of sight in a list or a text, and the key that leads there; a click does so too."""
    click = f"@screen.newest('{part.id or ''}')"
    return [(f"{what}  ", f"warn {click}"), (key, f"accent {click}")]


def paragraphs(*lines: str | Sequence[Span]) -> list[Line]:
    """Lines for an empty state: plain strings are muted."""
    return [[(line, "muted")] if isinstance(line, str) else list(line) for line in lines]
