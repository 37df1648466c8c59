"""The columns of the list of what the prefix cache holds."""

from __future__ import annotations

from tui.client.figures import count, plural, seconds, size
from tui.client.holdings.rows import HeldRow
from tui.client.wire_text import shorten
from tui.screen.styled_line import Line
from tui.screen.widgets.columns import Column

_STATES = {"running": ("▶ running", "decode"), "queued": ("◌ queued", "warn"), "idle": ("idle", "muted")}


def _name(row: HeldRow, cells: int) -> Line:
    style = "bold" if row.entry.kind == "head" else "" if row.session else "muted"
    if row.state:  # it is of one session: a click on its name leads there
        style = "@app.to_session"
    line: Line = [(row.mark, "dim"), (shorten(row.name, max(8, cells - len(row.mark))), style)]
    room = cells - len(row.mark) - len(row.name) - 2
    return [*line, (f"  {shorten(row.asked, room)}", "muted")] if row.asked and room >= 8 else line


def _pin(row: HeldRow) -> Line:
    if not row.entry.pinned_tokens:
        return []
    return [("⚲" if row.entry.pinned_tokens >= row.entry.tokens else "⚲ ½", "accent")]


def _tokens(row: HeldRow) -> Line:
    return [("+" if row.entry.depth else "", "muted"), (count(row.entry.tokens), "")]


def _bytes(nbytes: int, tokens: int, row: HeldRow, style: str) -> Line:
    part = "½" if 0 < tokens < row.entry.tokens else ""  # of it, a part is there
    return [(size(nbytes), style), (part, "warn")] if nbytes else [("·", "dim")]


def _memory(row: HeldRow) -> Line:
    return _bytes(row.entry.memory_bytes, row.entry.memory_tokens, row, "")


def _disk(row: HeldRow) -> Line:
    return _bytes(row.entry.disk_bytes, row.entry.disk_tokens, row, "muted")


def _users(row: HeldRow) -> Line:
    if row.state:
        return [_STATES[row.state]]
    users = len(row.entry.sessions)
    return [(plural(users, "session"), "")] if users else [("nobody yet", "dim")]


def _last(row: HeldRow, now: float) -> Line:
    return [(seconds(max(0.0, now - row.entry.used)) if row.entry.used else "·", "muted")]


def _saved(row: HeldRow) -> Line:
    return [(f"~{seconds(row.saved_s)}", "restored")] if row.saved_s else [("·", "dim")]


def _reused(row: HeldRow) -> Line:
    return [(f"×{row.entry.reused:,}", "")] if row.entry.reused else [("·", "dim")]


HELD: tuple[Column[HeldRow], ...] = (
    Column("SHARED PREFIX, SESSION", lambda row, now, cells: _name(row, cells), 40, least=22, grow=1),
    Column("PIN", lambda row, now, cells: _pin(row), 3, rank=2),
    Column("TOKENS", lambda row, now, cells: _tokens(row), 7, "right", rank=1),
    Column("MEMORY", lambda row, now, cells: _memory(row), 8, "right", rank=4),
    Column("DISK", lambda row, now, cells: _disk(row), 8, "right", rank=6),
    Column("USED BY", lambda row, now, cells: _users(row), 11, rank=5),
    Column("LAST", lambda row, now, cells: _last(row, now), 6, "right", rank=3),
    Column("REUSED", lambda row, now, cells: _reused(row), 6, "right", rank=9),
    Column("SAVED", lambda row, now, cells: _saved(row), 7, "right", rank=7),
)
