"""What fills the context window of a session: its parts, the largest things in them, growth, turns left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol, cast

from textual import events, on
from textual.app import ComposeResult

from tui.client.context_text import (
    PART_NAMES,
    about_parts,
    context_growth,
    context_headline,
    context_report,
    grown,
    part_content,
    reserved_content,
    thing_tokens,
    turn_words,
    unused_tools,
)
from tui.client.figures import clock, count, percent, plural, ratio
from tui.client.wire_text import line_text, shorten, shorten_middle, wrap
from tui.screen.charts import BLOCKS, bar, graph
from tui.screen.clipboard import copy
from tui.screen.keymap import bindings
from tui.screen.panes.request_cells import session
from tui.screen.panes.traces import TracesPane
from tui.screen.screens.opened import OpenedScreen
from tui.screen.styled_line import Line, line_width, spread
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.in_background import in_background
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.traces.analysis.context_facts import ContextBudget, ContextPart, ContextThing, PartName

SHORT = 34  # lines of a screen below which growth is words alone
_LABEL = 7  # cells left of the graph of growth
_WIDEST = 12  # cells of a turn in it
_NAMED_ROWS = 5  # from which on the last one has the turns' numbers
# Each part differs in shape as well: without colour nothing is lost.
_LOOKS: dict[PartName, tuple[str, str]] = {
    "tools": ("█", "tool"),
    "system": ("▓", "neutral"),
    "reminders": ("▒", "accent"),
    "results": ("▚", "lane.subagent"),
    "said": ("■", "ok"),
    "wrote": ("░", "thinking"),
}


class LoadsContexts(Protocol):
    """The part of the app that this screen uses."""

    async def load_context(self, session: str, at: str) -> ContextBudget: ...


@dataclass(frozen=True)
class _Row:
    """A line of the table of parts; the last one is the answer's reserve, no part."""

    name: str
    look: tuple[str, str]
    tokens: str
    share: str
    grown: str
    content: str
    part: ContextPart | None


class ContextScreen(OpenedScreen):
    """The context budget of a session, at its newest request first."""

    place = "context"
    BINDINGS = bindings("context")

    def __init__(self, session: str) -> None:
        super().__init__()
        self._session = session
        self._budget: ContextBudget | None = None
        self._problem = ""

    def content(self) -> ComposeResult:
        yield Canvas(self._head, id="context-head")
        yield LineTable[_Row](_PARTS, key=lambda row: row.name, id="parts", newest_first=True)
        yield Heading("The largest things in it", id="things-heading")
        yield LineTable[tuple[int, "ContextThing"]](
            _THINGS, key=lambda row: str(row[0]), id="things", newest_first=True
        )
        yield Heading("Growth", id="growth-heading")
        yield Canvas(self._growth, id="context-growth")

    @property
    def subject(self) -> str:
        return f"context {self._session}"

    @property
    def request(self) -> str:
        return self._budget.trace if self._budget is not None else ""

    @property
    def session(self) -> str:
        return self._session

    @property
    def _parts(self) -> LineTable[_Row]:
        return self.query_one("#parts", LineTable)

    @property
    def _things(self) -> LineTable[tuple[int, ContextThing]]:
        return self.query_one("#things", LineTable)

    def on_mount(self) -> None:
        self._parts.empty = [[("Counting …", "muted")]]
        self._parts.focus(scroll_visible=False)
        self._open("")

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < SHORT, "short")

    def _open(self, at: str) -> None:
        in_background(self, "trace", partial(self._fetch, at))

    async def _fetch(self, at: str) -> None:
        problem = ""
        try:
            self._budget = await cast(LoadsContexts, self.app).load_context(self._session, at)
        except Exception as error:
            problem = line_text(str(error)) or type(error).__name__
        if not (self.is_attached and self.app.is_running):
            return
        if problem and self._budget is not None:  # what is shown stays
            self.app.notify(problem, severity="warning", timeout=5, markup=False)
        self._problem = problem
        self._draw()

    def _draw(self) -> None:
        if self._budget is None:
            self._parts.empty = [[(self._problem, "bad")]]
            self._parts.refresh()
            return
        rows = part_rows(self._budget)
        first = self._parts.selected is None
        self._parts.show(rows, 0.0)
        if first:
            sizes = [row.part.tokens if row.part is not None else 0 for row in rows]
            self._parts.select(sizes.index(max(sizes)))
        self._draw_things()
        self.query_one("#growth-heading", Heading).set_text(note=growth_note(self._budget))
        self.query_one("#context-head", Canvas).paint()
        self.query_one("#context-growth", Canvas).paint()

    def row_selected(self, table: LineTable[Any]) -> None:
        if table is self._parts:
            self._draw_things()

    def _draw_things(self) -> None:
        row = self._parts.selected
        things = row.part.things if row is not None and row.part is not None else []
        name = row.name if row is not None else ""
        title: Line = [("The largest things in ", "bold"), (name, "bold")]
        self.query_one("#things-heading", Heading).set_text(title)
        self._things.empty = [[("Nothing." if self._budget is not None else "", "muted")]]
        self._things.show(list(enumerate(things)), 0.0)
        self._things.action_edge(0)

    # -- drawing ------------------------------------------------------------------------------------------

    def _head(self, width: int, height: int) -> list[Line]:
        budget = self._budget
        if budget is None:
            return [[(" context  ", "accent bold"), session(self._session)]]
        left: Line = [(" context  ", "accent bold"), session(budget.session), ("  ", "")]
        left.append((line_text(budget.about), ""))
        right: Line = [
            (f"{turn_words(budget)}  ", "muted"),
            (clock(budget.time), "muted"),
        ]
        title = spread(left, [*right, (" ", "")], width)
        headline: Line = [(" " + context_headline(budget), "bold")]
        return [title, [("─" * width, "rule")], *window_lines(budget, width), headline]

    def _growth(self, width: int, height: int) -> list[Line]:
        budget = self._budget
        if budget is None:
            return []
        words: list[Line] = []
        for text in filter(None, (context_growth(budget), unused_tools(budget))):
            words += [[(" " + part, "")] for part in wrap(text, width - 2, whole_words=True)]
        rows = height - len(words)
        return [*(growth_lines(budget, width, rows) if rows >= 3 else ()), *words]

    # -- commands -----------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Back to the parts, or to where it was asked from."""
        if self._things.has_focus:
            self._parts.focus()
        else:
            self.dismiss()

    def action_close(self) -> None:
        """Back to where it was asked from."""
        self.dismiss()

    def action_swap(self) -> None:
        """To the other table."""
        (self._parts if self._things.has_focus else self._things).focus()

    @on(LineTable.Opened)
    def action_open(self) -> None:
        """To what is in the selected part, or from there to its trace."""
        if self._counted() is None:
            return
        if not self._things.has_focus:
            self._things.focus()
        elif (selected := self._things.selected) is not None and selected[1].trace:
            self.app.post_message(TracesPane.Opened(selected[1].trace))
        else:
            self.app.notify("It is in each request.", timeout=2, markup=False)

    def action_turn(self, step: int) -> None:
        """Show the turn before or after."""
        if (budget := self._counted()) is None:
            return
        place = budget.turn - 1 + step
        if 0 <= place < len(budget.turns):
            self._open(budget.turns[place].trace)
        else:
            self.app.notify("No more turns in that direction.", timeout=2, markup=False)

    def action_copy(self) -> None:
        """Copy all of it as text."""
        if (budget := self._counted()) is not None:
            copy(self.app, "\n".join(context_report(budget)), "context")

    def _counted(self) -> ContextBudget | None:
        """What was counted; None, with a word why, where there is nothing (yet)."""
        if self._budget is None:
            self.app.notify(self._problem or "The prompt is still being counted.", timeout=3, markup=False)
        return self._budget


def part_rows(budget: ContextBudget) -> list[_Row]:
    """The parts of a prompt, and what is reserved for the answer."""
    rows = [
        _Row(
            PART_NAMES[part.name],
            _LOOKS[part.name],
            f"{about_parts(budget)}{part.tokens:,}",
            percent(ratio(part.tokens, budget.prompt_tokens)),
            grown(part.grown),
            part_content(part),
            part,
        )
        for part in budget.parts
    ]
    reserved = f"{budget.reserved_tokens:,}"
    return [
        *rows,
        _Row("reserved for the answer", (" ", ""), reserved, "", "", reserved_content(budget), None),
    ]


def window_lines(budget: ContextBudget, cells: int) -> list[Line]:
    """The window as a bar of its parts, below it its scale with the mark at which the client compacts."""
    room = max(8, cells - 2)
    window = max(budget.window_tokens, budget.prompt_tokens, 1)
    shares = [(part.tokens / window, _LOOKS[part.name][1]) for part in budget.parts]
    filled = bar(shares, room, "", [_LOOKS[part.name][0] for part in budget.parts])
    scale = [" "] * room
    _put(scale, 0, "0")
    if budget.window_tokens:
        _put(scale, room - len(count(window)), count(window))
    if budget.compacts_at:
        at = min(room - 1, room * budget.compacts_at // window)
        _put(scale, at - len(said := f"compacts at {count(budget.compacts_at)} ┊") + 1, said)
        used = line_width([span for span in filled if span[0].strip()])
        if at >= used:
            filled = [span for span in filled if span[0].strip()]
            filled += [(" " * (at - used), ""), ("┊", "warn")]
    return [[(" ", ""), *filled], [(" " + "".join(scale), "muted")]]


def _put(line: list[str], at: int, text: str) -> None:
    """Write a text where it fits and overwrites nothing."""
    if 0 <= at <= len(line) - len(text) and not "".join(line[at : at + len(text)]).strip():
        line[at : at + len(text)] = text


def _turn_numbers(budget: ContextBudget) -> list[int]:
    """The numbers of the turns up to this one in their session."""
    return [one.number or at for at, one in enumerate(budget.turns[: budget.turn], 1)]


def growth_note(budget: ContextBudget) -> Line:
    """Of which turns the growth is."""
    turns = _turn_numbers(budget)
    return [(f"turns {turns[0]:,} to {turns[-1]:,}", "muted")] if len(turns) > 1 else []


def growth_lines(budget: ContextBudget, cells: int, rows: int) -> list[Line]:
    """The prompt's tokens turn by turn up to this one, below the mark at which the client compacts."""
    turns = budget.turns[: budget.turn]
    prompts = [turn.prompt_tokens for turn in turns]
    top = max([budget.compacts_at or 0, *prompts, 1])
    room = max(1, cells - _LABEL - 3)
    numbers = _turn_numbers(budget)
    if (many := len(prompts)) > room:  # several turns a cell, of which the largest prompt is drawn
        prompts = [max(prompts[at * many // room : (at + 1) * many // room]) for at in range(room)]
        numbers = [numbers[at * many // room] for at in range(room)]
    each = min(_WIDEST, max(1, room // max(1, len(prompts))))
    values: Sequence[float] = [one for one in prompts for _ in range(each)]
    named = rows >= _NAMED_ROWS
    rows -= named
    lines = graph(values, len(values), rows, "area.lane.main", float(top))
    labelled: list[Line] = []
    for number, line in enumerate(lines):
        label = count(top) if number == 0 else "0" if number == rows - 1 else ""
        mark = "┊" if number == 0 and top == budget.compacts_at else "│"
        line = _limit(line, room) if mark == "┊" else line
        labelled.append([(f"{label:>{_LABEL}} ", "muted"), (mark, "warn" if mark == "┊" else "rule"), *line])
    if named:
        names = _turn_names(numbers, each, room)
        labelled.append([(f"{'turn':>{_LABEL}}  {names}", "muted")])
    return labelled


def _limit(line: Line, cells: int) -> Line:
    """The line at which the client compacts, behind what stands there of the graph."""
    drawn = "".join(text for text, _ in line).replace(" ", "┄").ljust(cells, "┄")
    said = " compaction"
    if drawn.endswith("┄" * len(said)):
        drawn = drawn.removesuffix("┄" * len(said)) + said
    style = next((style for text, style in line if text.strip()), "")
    runs = groupby(drawn, key=lambda sign: sign in BLOCKS and sign != " ")
    return [("".join(signs), style if filled else "warn") for filled, signs in runs]


def _turn_names(numbers: Sequence[int], each: int, cells: int) -> str:
    """The turns' numbers below their cells, as many as stand apart."""
    named = ""
    for place, number in enumerate(numbers):
        at = place * each
        if (not named or len(named) + 2 <= at) and at + len(str(number)) <= cells:
            named = f"{named:<{at}}{number}"
    return named


def _what(thing: ContextThing, cells: int) -> Line:
    text = line_text(thing.what)
    path = text.startswith("/") and " " not in text
    return [(shorten_middle(text, cells) if path else shorten(text, cells), "")]


def _note(thing: ContextThing) -> Line:
    if thing.calls is not None:
        return [(plural(thing.calls, "call"), "muted")] if thing.calls else [("never called", "warn")]
    if thing.times > 1:
        return [(f"{thing.times} × the same: {thing_tokens(thing, thing.times)}", "warn")]
    return []


def _turns(thing: ContextThing, cells: int) -> Line:
    return [(shorten(", ".join(map(str, thing.turns)), cells), "muted")]


_PARTS: tuple[Column[_Row], ...] = (
    Column("", lambda row, now, cells: [row.look], 1),
    Column("PART", lambda row, now, cells: [(shorten(row.name, cells), "")], 23, least=18),
    Column("TOKENS", lambda row, now, cells: [(row.tokens, "")], 9, "right"),
    Column("SHARE", lambda row, now, cells: [(row.share, "muted")], 5, "right"),
    Column("LAST TURN", lambda row, now, cells: [(row.grown, "muted")], 9, "right", rank=3),
    Column(
        "WHAT IS IN IT",
        lambda row, now, cells: [(shorten(row.content, cells), "muted")],
        40,
        least=12,
        grow=1,
        rank=2,
    ),
)
_THINGS: tuple[Column[tuple[int, ContextThing]], ...] = (
    Column("TOKENS", lambda row, now, cells: [(thing_tokens(row[1]), "")], 9, "right"),
    Column("KIND", lambda row, now, cells: [(shorten(line_text(row[1].kind), cells), "tool")], 12, least=8),
    Column("WHAT", lambda row, now, cells: _what(row[1], cells), 30, least=14, grow=1),
    Column("TURN", lambda row, now, cells: _turns(row[1], cells), 9, rank=2),
    Column("TIME", lambda row, now, cells: [(clock(row[1].time) if row[1].time else "", "muted")], 8, rank=4),
    Column("", lambda row, now, cells: _note(row[1]), 26, least=22, rank=3),
)
