"""The settings that a running host can change: values, what is allowed, and what follows from a change."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Input, Label

from tui.client.wire_text import line_text, shorten, shorten_middle, wrap
from tui.screen.host_actions.changes import setting_consequence, unproven_text, value_text
from tui.screen.host_actions.questions import cannot_change
from tui.screen.host_actions.wishes import SettingSaveWanted, SettingsWanted
from tui.screen.keymap import bindings
from tui.screen.keys.command import Command
from tui.screen.keys.table import WHILE_EDITING
from tui.screen.screens.opened import OpenedScreen
from tui.screen.styled_line import Line
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.in_background import in_background
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.changes.change_facts import LiveSetting


_CHANGES = ("edit", "default")  # what the host takes no more while it is being stopped


class SettingsScreen(OpenedScreen):
    """Lists the settings; enter edits one."""

    place = "settings"
    BINDINGS = bindings("settings")
    DEFAULT_CSS = """
    SettingsScreen #setting { height: 9; }
    SettingsScreen #edit { height: 1; display: none; background: $panel; }
    SettingsScreen #edit.open { display: block; }
    SettingsScreen #edit Label { padding: 0 1; color: $accent; background: $panel; }
    SettingsScreen #edit Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    """

    def __init__(self, load: Callable[[], Awaitable[list[LiveSetting]]]) -> None:
        super().__init__()
        self._load = load
        self._problem = ""
        self.first = ""  # the key of the one that is selected to begin with
        self._edited: LiveSetting | None = None  # the one whose value is being typed

    @property
    def subject(self) -> str:
        return "settings"

    def content(self) -> ComposeResult:
        yield Heading("Settings of the running host", id="settings-heading")
        yield LineTable["LiveSetting"](_COLUMNS, key=lambda one: one.key, newest_first=True)
        yield Heading("The setting", id="setting-heading")
        yield Canvas(self._setting, id="setting")
        with Horizontal(id="edit"):
            yield Label(id="edited", markup=False)
            yield ValueInput(compact=True)

    @property
    def _table(self) -> LineTable[LiveSetting]:
        return self.query_one(LineTable)

    def on_mount(self) -> None:
        self._table.focus(scroll_visible=False)
        self._table.empty = [[("Asking the host …", "muted")]]
        self.reload()

    def reload(self) -> None:
        """Ask the host again; the selection stays."""
        in_background(self, "settings", self._fetch)

    async def _fetch(self) -> None:
        selected = self._table.selected.key if self._table.selected is not None else self.first
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
        self._table.show(found, 0.0)
        keys = [one.key for one in found]
        self._table.select(keys.index(selected) if selected in keys else 0)
        self._draw()

    def row_selected(self, table: LineTable[Any]) -> None:
        self._draw()

    def _draw(self) -> None:
        self.query_one("#setting", Canvas).paint()

    def command_list(self) -> list[Command]:
        """The commands of this screen; while a value is typed, those of its input."""
        if self._edited is not None:
            return list(WHILE_EDITING)
        refused = bool(cannot_change(self.control_center.store.snapshot()))
        return [one for one in super().command_list() if not (refused and one.action in _CHANGES)]

    # -- commands -----------------------------------------------------------------------------------------

    @on(LineTable.Opened)
    def action_edit(self) -> None:
        """Edit the selected value; of a switch, the other one is offered."""
        if (setting := self._selected()) is None or self._refused():
            return
        self._edited = setting
        self.query_one("#edited", Label).update(line_text(f"new value of {setting.key}", 60))
        self.query_one("#edit").add_class("open")
        field = self.query_one(ValueInput)
        value = not setting.value if isinstance(setting.value, bool) else setting.value
        unset = value is None or (value == setting.default and not isinstance(value, bool))
        field.value = "" if unset else value if isinstance(value, str) else json.dumps(value)
        field.placeholder = line_text(setting.allowed)
        field.cursor_position = len(field.value)
        field.focus()

    @on(Input.Submitted)
    def _apply(self, event: Input.Submitted) -> None:
        event.stop()
        setting, text = self._edited, event.value.strip()  # the list can have moved on since
        self.action_close_input()
        if setting is not None:
            self.app.post_message(SettingsWanted({setting.key: read_value(text)}))

    async def action_take(self) -> None:
        """Take the typed value, as enter does."""
        await self.query_one(ValueInput).action_submit()

    def action_close_input(self) -> None:
        """Close the input, and go back to the list."""
        self._edited = None
        self.query_one("#edit").remove_class("open")
        self._table.focus()

    def action_default(self) -> None:
        """Take the selected setting back to its default."""
        if (setting := self._selected()) is not None and not self._refused():
            self.app.post_message(SettingsWanted({setting.key: None}))

    def action_save(self) -> None:
        """Write the selected value to the user's own file."""
        if (setting := self._selected()) is not None:
            self.app.post_message(SettingSaveWanted(setting))

    def _refused(self) -> bool:
        """Whether nothing can be changed any more, with a word why."""
        if refusal := cannot_change(self.control_center.store.snapshot()):
            self.app.notify(refusal, timeout=3, markup=False)
        return bool(refusal)

    def _selected(self) -> LiveSetting | None:
        """The selected setting; None, with a word why, where there is none (yet)."""
        if (setting := self._table.selected) is None:
            self.app.notify(self._problem or "The host is still being asked.", timeout=3, markup=False)
        return setting

    def _setting(self, width: int, height: int) -> list[Line]:
        setting = self._table.selected if self._table.rows else None
        if setting is None:
            return []
        lines: list[Line] = []
        for text, style in (
            (unproven_text(setting), "warn" if setting.awaited else "bad"),
            (line_text(setting.meaning), ""),
            (f"Allowed: {line_text(setting.allowed)}", "muted"),
            (f"Default: {value_text(setting, setting.default)}", "muted"),
            (
                setting_consequence(setting, self.control_center.store.snapshot()),
                "warn" if setting.effect != "at once" else "",
            ),
        ):
            lines += [[(" " + part, style)] for part in wrap(text, width - 2)] if text else []
        return lines[:height]


class ValueInput(Input):
    """The input for a value; esc gives it up."""

    BINDINGS = [Binding("escape", "give_up", show=False)]  # noqa: RUF012 - as Textual declares it

    def action_give_up(self) -> None:
        """Close it without a change."""
        screen = self.screen
        if isinstance(screen, SettingsScreen):
            screen.action_close_input()


def read_value(text: str) -> Any:
    """What a typed value stands for: empty for the default, JSON where it is some, else the text."""
    if not text:
        return None
    words = {"on": True, "yes": True, "off": False, "no": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return json.loads(text.replace(",", "").replace("_", "") if text[:1].isdigit() else text)
    except ValueError:
        return text


def _value(setting: LiveSetting, cells: int) -> Line:
    return [(shorten(value_text(setting, setting.value), cells), "accent bold" if setting.changed else "")]


_COLUMNS: tuple[Column[LiveSetting], ...] = (
    Column("", lambda row, now, cells: [("±" if row.changed else " ", "accent")], 1),
    Column("KEY", lambda row, now, cells: [(shorten_middle(line_text(row.key), cells), "")], 36, least=20),
    Column("VALUE", lambda row, now, cells: _value(row, cells), 28, least=12, grow=1),
    Column("TAKES EFFECT", lambda row, now, cells: [(row.effect, "muted")], 16, rank=1),
)
