"""What stands at the list's heading, and in its place where it is empty. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.client.figures import clock
from tui.client.wire_text import line_text, shorten
from tui.screen.choices.own_command import own_command
from tui.screen.keymap import key_of
from tui.screen.panes.pane import paragraphs, way_to_newest
from tui.screen.styled_line import Line
from tui.screen.trace_list.columns import SORT_OF
from tui.screen.trace_list.list_query import ListQuery
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.events.health_types import HostDisk
    from proxy.traces.schema import TraceSummary

_GAP = ("   ", "")
_WITHIN = {"now": " of the last hour", "today": " of today", "7 days": " of the last 7 days"}


def list_note(table: LineTable[TraceSummary], query: ListQuery, loaded: ListQuery | None) -> Line:
    """The filter, the range, how many there are, the order, and whether the list follows.

    Until what is asked for is `loaded`, the rows and their number are those of something else.
    """
    note: Line = []
    if query.text:
        note += [("/", "accent"), (shorten(query.text, 40), "bold"), _GAP]
    if query.range != "all":
        note += [
            ("last hour" if query.range == "now" else query.range, "bold"),
            (f" {key_of('traces.range')}", "accent"),
            _GAP,
        ]
    note += place_note(table, query) if query == loaded else [("loading …", "muted")]
    if not query.by_time:
        title = next(title for title, sort in SORT_OF.items() if sort == query.sort)
        way = "↑" if query.reverse else "↓"
        note += [
            _GAP,
            (f"by {title.rstrip('.').lower()} {way}", "bold"),
            (f" {key_of('traces.sort')}", "accent"),
        ]
    elif table.pending:
        note += [_GAP, *way_to_newest(table, f"{table.pending} newer", "home")]
    elif table.following and len(table.rows):
        note += [_GAP, ("live", "dim")]
    return note


def old_note(table: LineTable[TraceSummary], query: ListQuery, loaded: float) -> Line:
    """When the list was loaded, of a host that is out of reach."""
    return [(f"as of {clock(loaded)}  ", "warn"), *place_note(table, query)]


def unrecorded(disk: HostDisk | None) -> Line:
    """How many requests in a row are missing, since they could not be written."""
    if disk is None or not disk.unwritten:
        return []
    return [(f"{disk.unwritten} not recorded: {shorten(line_text(disk.refusal), 40)}", "bad"), _GAP]


def place_note(table: LineTable[TraceSummary], query: ListQuery) -> Line:
    """How many there are, and which of them is selected if that is not the first."""
    total = table.total
    if not total and not query.text:
        return []
    found = f"{total:,} found" if query.text else f"{total:,}" if table.cursor else f"{total:,} in all"
    return [(f"{table.cursor + 1:,} of {found}" if table.cursor else found, "muted")]


def no_contact(since: float) -> list[Line]:
    """That the host is out of reach."""
    return paragraphs(
        [(f"No contact with the host since {clock(since)}, so it lists no traces.", "warn")],
        f"They are kept. Without a host, this lists them:  {own_command('traces list')}",
    )


def nothing_found(query: ListQuery) -> list[Line]:
    """That no trace fits, and the key that lists more."""
    within = _WITHIN.get(query.range, "")
    wider = f" {key_of('traces.range')} lists another range of time." if within else ""
    if query.text:
        words: Line = [(f"No trace{within} matches ", "muted"), (query.text, "bold"), (".", "muted")]
        return paragraphs(words, f"{key_of('traces.list')} clears the filter.{wider}")
    if within:
        return paragraphs([(f"No trace{within}.", "bold")], wider.strip())
    return paragraphs(
        [("No trace yet.", "bold")],
        "Each request has one, with its body, the upstream's and the answer.",
    )
