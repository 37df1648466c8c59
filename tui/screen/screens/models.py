"""The models of the host's machine: what each needs and can do, and what follows from loading it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import ComposeResult

from tui.client.figures import count, rate, size
from tui.client.records import Snapshot
from tui.client.wire_text import line_text, shorten, shorten_middle, wrap
from tui.screen.clipboard import copy
from tui.screen.host_actions.changes import load_refusal, model_consequence
from tui.screen.host_actions.questions import cannot_load
from tui.screen.host_actions.wishes import ModelWanted
from tui.screen.keymap import bindings, footer
from tui.screen.keys.command import Command
from tui.screen.screens.opened import OpenedScreen
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.in_background import in_background
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.changes.change_facts import LocalModel, LocalModelList


class ModelsScreen(OpenedScreen):
    """Lists the models; enter loads the selected one, whose consequence stands below the list."""

    place = "models"
    BINDINGS = bindings("models")

    def __init__(self, load: Callable[[], Awaitable[LocalModelList]]) -> None:
        super().__init__()
        self._load = load
        self._follows_from = (0, "")  # requests that a load waits for, and why there is none at all
        self._problem = ""

    @property
    def subject(self) -> str:
        return "models"

    def content(self) -> ComposeResult:
        yield Heading("Models on the host's machine", id="models-heading")
        yield LineTable["LocalModel"](_COLUMNS, key=lambda model: model.path or model.name, newest_first=True)
        yield Heading("If you load it", id="consequence-heading")
        yield Canvas(self._consequence, id="consequence")

    @property
    def _table(self) -> LineTable[LocalModel]:
        return self.query_one(LineTable)

    def on_mount(self) -> None:
        self._table.focus(scroll_visible=False)
        self._load_list()

    def show(self, snapshot: Snapshot, signs: str) -> None:
        super().show(snapshot, signs)
        follows_from = len(snapshot.active), cannot_load(snapshot)
        if self.is_mounted and follows_from != self._follows_from:
            self._follows_from = follows_from
            self.query_one("#consequence", Canvas).paint()

    def command_list(self) -> list[Command]:
        """The commands of this screen, but for loading what cannot be loaded."""
        model, snapshot = self._table.selected, self.control_center.store.snapshot()
        refused = model is not None and bool(load_refusal(model, snapshot))
        return [one for one in super().command_list() if not (refused and one.action == "use")]

    def action_reload(self) -> None:
        """Look at the machine's models again."""
        self.app.notify("The host looks again.", timeout=1, markup=False)
        self._load_list()

    def _load_list(self) -> None:
        self._table.empty = [[("Looking …", "muted")]]
        in_background(self, "models", self._fetch)

    async def _fetch(self) -> None:
        try:
            found = await self._load()
        except Exception as error:
            if self.is_attached:
                self._problem = line_text(str(error)) or type(error).__name__
                self._table.empty = [[(self._problem, "bad")]]
                self._table.show([], 0.0)
            return
        if not (self.is_attached and self.app.is_running):
            return
        self._problem = "" if found.models else "There is no model on the host's machine."
        order = sorted(found.models, key=lambda one: (not one.loaded, one.condition != "ready"))
        self._table.show(order, 0.0)
        self._table.select(0)
        room = f"the engine may take {size(found.limit_bytes)} ({line_text(found.limit_reason)})"
        self.query_one("#models-heading", Heading).set_text(note=[(room, "muted")])
        self._draw()

    def row_selected(self, table: LineTable[Any]) -> None:
        self._draw()

    def _draw(self) -> None:
        self.query_one("#consequence", Canvas).paint()
        snapshot = self.control_center.store.snapshot()
        self.query_one(KeyBar).show(footer(self.command_list()), snapshot)  # whether it can be loaded

    @on(LineTable.Opened)
    def action_use(self) -> None:
        """Load the selected model."""
        if (model := self._selected()) is None:
            return
        if refusal := load_refusal(model, self.control_center.store.snapshot()):
            self.app.notify(refusal, timeout=4, markup=False)
            return
        self.app.post_message(ModelWanted(model.path or model.name))
        self.dismiss()

    def action_copy(self) -> None:
        """Copy the selected model's name."""
        if (model := self._selected()) is not None:
            copy(self.app, model.name, "name")

    def _selected(self) -> LocalModel | None:
        """The selected model; None, with a word why, where there is none (yet)."""
        if (model := self._table.selected) is None:
            self.app.notify(self._problem or "The host is still looking.", timeout=3, markup=False)
        return model

    def _consequence(self, width: int, height: int) -> list[Line]:
        model = self._table.selected if self._table.rows else None
        if model is None:
            return []
        lines: list[Line] = [
            [(" " + shorten_middle(line_text(model.path or model.name), width - 2), "muted")],
            [],
        ]
        for text, style in model_consequence(model, self.control_center.store.snapshot()):
            lines += [[(" " + part, style)] for part in wrap(text, width - 2)]
        return lines[:height]


def _name(model: LocalModel, cells: int) -> Line:
    style = "bold" if model.loaded else "" if model.condition == "ready" else "muted"
    return [(shorten_middle(line_text(model.name), cells), style)]


def _state(model: LocalModel, cells: int) -> Line:
    if model.condition != "ready":
        return [("✗", "bad" if model.loaded else "muted")]
    return [("●", "ok")] if model.loaded else [(" ", "")]


def _fits(model: LocalModel) -> Line:
    if model.condition != "ready":
        return [(line_text(model.condition), "muted")]
    if model.fitting_tokens and model.fitting_tokens < model.window_tokens:
        return [(count(model.fitting_tokens), "warn")]
    return [("all" if model.fitting_tokens else "?", "")]


_COLUMNS: tuple[Column[LocalModel], ...] = (
    Column("", lambda row, now, cells: _state(row, cells), 1),
    Column("MODEL", lambda row, now, cells: _name(row, cells), 48, least=38, grow=1, most=64),
    Column(
        "SIZE", lambda row, now, cells: [(size(row.size_bytes) if row.size_bytes else "?", "")], 8, "right"
    ),
    Column(
        "WINDOW",
        lambda row, now, cells: [(count(row.window_tokens) if row.window_tokens else "?", "")],
        7,
        "right",
    ),
    Column("FITS", lambda row, now, cells: _fits(row), 10, "right"),
    Column(
        "PREFILL",
        lambda row, now, cells: [(rate(row.prefill_speed) if row.prefill_speed else "·", "muted")],
        8,
        "right",
        rank=2,
    ),
    Column(
        "TOK/S",
        lambda row, now, cells: [(rate(row.decode_speed) if row.decode_speed else "·", "")],
        7,
        "right",
        rank=1,
    ),
    Column(
        "CALLS",
        lambda row, now, cells: [(shorten(line_text(row.family) or "none", cells), "muted")],
        12,
        rank=3,
    ),
    Column("STORE", lambda row, now, cells: [(shorten(line_text(row.store), cells), "muted")], 12, rank=4),
)
