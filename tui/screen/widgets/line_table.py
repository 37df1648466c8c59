"""A table of any number of changing rows; only the visible rows are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from tui.client.filter import matcher
from tui.client.loaded_rows import LoadedRows
from tui.screen.frames.row_strips import RowStrips
from tui.screen.frames.selection_owner import tell_selection
from tui.screen.keymap import clearing_key
from tui.screen.styled_line import Line, wrapped_within
from tui.screen.widgets.columns import Column, cells_line, header_line, lay_out, title_at
from tui.screen.widgets.strip_view import StripView

Row = TypeVar("Row")
GUTTER = 1  # left of the first column, for the mark of the selected row


class LineTable(StripView, Generic[Row], can_focus=True):
    """Rows in a fixed order under a header, with one of them selected; a row that is None comes later.

    Rows are immutable and compared by identity: a changed row is a new object. While the newest row is
    selected and visible, the table follows: it selects each newer row. Selecting another row stops that, and
    `pending` counts the newer rows; `end` (or `home` where the newest rows are on top) follows again.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(0)", "First", show=False),
        Binding("end,G", "edge(-1)", "Last", show=False),
        Binding("enter", "open", "Open", show=False),
    ]
    DEFAULT_CSS = "LineTable { height: 1fr; }"

    class Selected(Message):
        """The selection changed, or the table started or stopped following."""

        def __init__(self, table: LineTable[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> LineTable[Any]:
            return self.table

    class Missing(Selected):
        """A row is to be drawn that was not loaded (None)."""

        def __init__(self, table: LineTable[Any], index: int) -> None:
            super().__init__(table)
            self.index = index

    class TitleClicked(Selected):
        """The title of a column was clicked."""

        def __init__(self, table: LineTable[Any], title: str) -> None:
            super().__init__(table)
            self.title = title

    class Opened(Selected):
        """The selected row was opened with enter or a second click."""

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        *,
        key: Callable[[Row], str],
        search: Callable[[Row], str] = lambda row: "",
        is_active: Callable[[Row], bool] = lambda row: False,
        request: Callable[[Row], str] | None = None,
        newest_first: bool = False,
        empty: Sequence[Line] = (),
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._columns = columns
        self._key, self._request = key, request or key  # the request that a row is of
        self._marked = self.filter = ""
        self._search, self._is_active = search, is_active
        self._newest_first = newest_first
        self.empty = empty
        self._all: Sequence[Row | None] = ()
        self._rows: Sequence[Row | None] = ()
        self._now = 0.0
        self._layout: list[tuple[Column[Row], int]] = []
        self._drawn_at = 0  # the width
        self._head: Strip | None = None  # the header
        self._strips = RowStrips()
        self._moved: bool | None = None  # while a key or a click moves the selection: whether it did
        self._cursor, self._follow = 0, True
        self._left_at: str | None = None  # key of the newest row when following stopped
        self._sought: Callable[[Row], bool] | None = None
        self._left_out: frozenset[str] = frozenset()

    # -- what is shown ------------------------------------------------------------------------------------

    def show(self, rows: Sequence[Row | None], now: float, *, anew: bool = False) -> None:
        """Show `rows`; `now` is the time for the durations of active rows. `anew`: follow from now on."""
        self._now = now
        self._follow = self._follow or anew
        if rows is not self._all:
            self._all = rows
            self._place(self._filtered())
        self.sync()

    def set_filter(self, query: str) -> None:
        """Show only rows whose search text fits `query` (`tui.client.filter`)."""
        if query != self.filter:
            self.filter = query
            self._place(self._filtered())
            self.refresh()

    def mark(self, request: str) -> None:
        """Show a mark at the rows of this request; none with an empty id."""
        if request != self._marked:
            self._marked = request
            self._strips.clear()
            self.refresh()

    def set_columns(self, columns: Sequence[Column[Row]]) -> None:
        """Show these columns from now on."""
        self._columns = columns
        self.clear_drawn()

    def leave_out(self, *titles: str) -> None:
        """Show all columns but these: those that say the same of each row."""
        if self._left_out != frozenset(titles):
            self._left_out = frozenset(titles)
            self.clear_drawn()

    @property
    def rows(self) -> Sequence[Row | None]:
        """The rows that pass the filter."""
        return self._rows

    @property
    def everything(self) -> Sequence[Row | None]:
        """All rows, filtered ones included."""
        return self._all

    @property
    def total(self) -> int:
        """The number of rows, filtered ones included."""
        return len(self._all)

    @property
    def selected(self) -> Row | None:
        """The selected row."""
        return self._rows[self._cursor] if 0 <= self._cursor < len(self._rows) else None

    def key_of(self, row: Row | None) -> str:
        """The key of a row; empty of none."""
        return self._key(row) if row is not None else ""

    @property
    def cursor(self) -> int:
        """The place of the selected row."""
        return self._cursor

    @property
    def following(self) -> bool:
        """Whether the table selects each newer row."""
        return self._follow

    @property
    def pending(self) -> int:
        """Rows that arrived since the table stopped following."""
        if self._follow or self._left_at is None:
            return 0
        index = self._index(self._left_at, len(self._rows) - 1)
        if index is None:  # filtered out, or no longer held: nothing says that any row is newer
            return 0
        return index if self._newest_first else len(self._rows) - 1 - index

    def _filtered(self) -> Sequence[Row | None]:
        if not self.filter.strip():
            return self._all
        fits = matcher(self.filter, self._now)
        return [row for row in self._all if row is not None and fits(row, self._search(row))]

    def _place(self, rows: Sequence[Row | None]) -> None:
        """Set the rows; keep the selected row, or select the newest one while following."""
        before, were_some = self.selected, bool(self._rows)
        offset = self._cursor - round(self.scroll_y)
        self._rows = rows
        if self._follow or not were_some:
            self._cursor = self._newest
        else:
            index = None if before is None else self._index(self._key(before), self._cursor)
            self._cursor = min(self._cursor, max(0, len(rows) - 1)) if index is None else index
        self.resize_content(len(rows) + 1)
        if self._follow:
            self._reveal()
        elif self.outer_size:
            self.scroll_to(y=max(0, self._cursor - offset), animate=False, force=True)
        if self._sought is not None:
            self.seek(self._sought)
        # A row that runs is a new object in each frame, which `show` is called for.
        if self.key_of(before) != self.key_of(self.selected):
            self.post_message(self.Selected(self))

    @property
    def _newest(self) -> int:
        return 0 if self._newest_first else max(0, len(self._rows) - 1)

    def _index(self, key: str, guess: int) -> int | None:
        """The index of the row with `key`; `guess` is its last index."""
        rows = self._rows
        if isinstance(rows, LoadedRows):
            return rows.place_of(key)
        near = [index for index in (guess, guess + 1, guess - 1) if 0 <= index < len(rows)]
        for index in chain(near, range(len(rows))):
            if (row := rows[index]) is not None and self._key(row) == key:
                return index
        return None

    # -- drawing ------------------------------------------------------------------------------------------

    def line_at(self, y: int) -> Strip:
        if not self._layout:
            columns = [column for column in self._columns if column.title not in self._left_out]
            self._layout = lay_out(columns, max(1, self.size.width - GUTTER - 1))
        if not self._rows:
            return self.theme_styles.strip(self._empty_line(y), self.size.width)
        if y == 0:
            line = [(" " * GUTTER, ""), *header_line(self._layout)]
            self._head = self._head or self.theme_styles.strip(line, self.size.width)
            return self._head
        index = round(self.scroll_y) + y - 1
        if index >= len(self._rows):
            return self.theme_styles.strip([], self.size.width)
        row = self._rows[index]
        if row is None:
            self.post_message(self.Missing(self, index))
            return self.theme_styles.strip(
                [("▌ …" if index == self._cursor else "  …", "dim")], self.size.width
            )
        return self._row_strip(row, index == self._cursor)

    def _row_strip(self, row: Row, at_cursor: bool) -> Strip:
        base = ("on-selected" if self.has_focus else "on-resting") if at_cursor else ""
        moment = self._now if self._is_active(row) else None
        return self._strips.get(
            row, (base, self.has_focus), moment, lambda: self._drawn(row, at_cursor, base)
        )

    def _drawn(self, row: Row, at_cursor: bool, base: str) -> Strip:
        line: Line = [("▌" if at_cursor else " ", "accent" if self.has_focus else "dim")]
        if self._marked and self._request(row) == self._marked:
            line = [("◉" if at_cursor else "●", "accent")]
        line += self.row_line(row, self._layout)
        return self.theme_styles.strip(line, self.size.width, base)

    def row_line(self, row: Row, layout: Sequence[tuple[Column[Row], int]]) -> Line:
        """A row in the columns of `layout`, each with its cells."""
        return cells_line(row, layout, self._now)

    def _empty_line(self, y: int) -> Line:
        nothing: Line = [("Nothing matches ", "muted"), (self.filter, "bold"), (".", "muted")]
        others: Line = [(clearing_key(self), "bold"), (f" shows all ({self.total:,}).", "muted")]
        said = [nothing, others] if self.total else self.empty
        lines = wrapped_within(said, self.size.width - 3, self.size.height)
        top = min(2, max(0, (self.size.height - len(lines)) // 2))
        return [("  ", ""), *lines[y - top]] if top <= y < top + len(lines) else []

    def clear_drawn(self) -> None:
        """Draw all rows again: the width or the theme has changed."""
        self._layout, self._head = [], None
        self._strips.clear()
        self.refresh()

    def fit(self) -> None:
        if self.size.width != self._drawn_at:  # it may only have come back, as it was
            self._drawn_at = self.size.width
            self.clear_drawn()
        self._reveal()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._head = None
        self._strips.clear()

    # -- moving -------------------------------------------------------------------------------------------

    def select(self, index: int) -> None:
        """Select row `index` (clamped) and scroll to it."""
        before, self._sought = self.selected, None
        self._cursor = min(max(0, index), max(0, len(self._rows) - 1))
        self._reveal()
        self._update_following()
        self.sync()
        if self.has_focus:
            self.reveal_line(self._cursor - round(self.scroll_y) + 1)
        if self.selected is not before:
            self._tell()

    def _go(self, index: int) -> None:
        """Select a row for a key or a click: what stands beside the table is drawn in the same frame."""
        self._moved = False
        self.select(index)
        moved, self._moved = self._moved, None
        if moved:
            tell_selection(self)

    def _tell(self) -> None:
        if self._moved is None:
            self.post_message(self.Selected(self))
        else:
            self._moved = True

    def seek(self, fits: Callable[[Row], bool]) -> None:
        """Select the first row that fits: now, or once there is one, unless another is selected before."""
        found = (place for place, row in enumerate(self._rows) if row is not None and fits(row))
        if (place := next(found, None)) is not None:
            self.select(place)
            self.hold()
        else:
            self._sought = fits

    def follow(self) -> None:
        """Select the newest row, and each newer one."""
        self.select(self._newest)

    def hold(self) -> None:
        """Keep the selected row, also when newer ones come."""
        if self._follow and self._rows:
            newest = self._rows[self._newest]
            self._left_at = None if newest is None else self._key(newest)
            self._follow = False

    def _reveal(self) -> None:
        visible = max(1, self.outer_size.height - 1)
        top = round(self.scroll_y)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False, force=True)
        elif self._cursor >= top + visible:
            self.scroll_to(y=self._cursor - visible + 1, animate=False, force=True)

    def _update_following(self) -> None:
        """Follow if the newest row is selected and visible; it will be, in a table that was never shown."""
        is_visible = not self.outer_size or (round(self.scroll_y) == 0 if self._newest_first else self.at_end)
        follow = self._cursor == self._newest and is_visible
        if follow != self._follow:
            self.hold()
            self._follow = follow
            self._tell()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self.is_mounted:
            self._update_following()

    def action_move(self, steps: int) -> None:
        """Select the next or the previous row."""
        if 0 <= self._cursor + steps < len(self._rows) or not self.scroll_around(steps):
            self._go(self._cursor + steps)

    def action_page(self, pages: int) -> None:
        """Select the row one screen further."""
        edge = len(self._rows) - 1 if pages > 0 else 0
        if self._cursor == edge and self.scroll_around(pages * self.size.height):
            return
        self._go(self._cursor + pages * max(1, self.size.height - 2))

    def action_edge(self, index: int) -> None:
        """Select the first or the last row."""
        self._go(index if index >= 0 else len(self._rows) - 1)

    def action_newest(self) -> None:
        """Select the newest row, and follow."""
        self._go(self._newest)

    def action_open(self) -> None:
        """Open the selected row."""
        if self.selected is not None:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        index = round(self.scroll_y) + event.y - 1
        if event.y == 0 and (title := title_at(event.x - GUTTER, self._layout)):
            self.post_message(self.TitleClicked(self, title))
        if event.y == 0 or index >= len(self._rows):
            return
        again = index == self._cursor and event.chain > 1
        self._go(index)
        if again:
            self.action_open()
