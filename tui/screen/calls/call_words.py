"""Tool calls in a few words, for a cell of a table."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.events.totals import INVALID_VERDICTS
from proxy.filters.matching import file_of
from tui.client.event_text import one_line_arguments
from tui.client.records import CallNote, RequestSnapshot
from tui.client.wire_text import line_text, shorten, width, within
from tui.screen.calls.call_draft import read_draft
from tui.screen.styled_line import Line, Span, line_width

_LEAST = 12  # cells that a further call is named in
_LISTS = ('[{"', '{"', '["')  # arguments that are no words
_MORE = 4  # for the number of those that are not


def refusal(verdict: str) -> Span | None:
    """Sign and word for the verdict of a call that no tool runs; None for one of a call that is passed on."""
    if verdict == "cut":
        return ("⊘ truncated", "warn")
    return (f"✗ {verdict.replace('_', ' ')}", "bad") if verdict in INVALID_VERDICTS else None


def path_end(path: str, cells: int) -> str:
    """The end of a path in at most `cells` cells, from the beginning of a folder on."""
    if width(path) <= cells:
        return path
    parts = path.replace("\\", "/").split("/")
    for index in range(1, len(parts)):
        if width(end := "…/" + "/".join(parts[index:])) <= cells:
            return end
    return shorten(parts[-1], cells)


def call_words(name: str, about: str, file: str, cells: int) -> Line:
    """The tool and what its call is about: `Edit …/export/command.py`, `Bash make lint`."""
    name = shorten(name or "call", cells)
    room = cells - width(name) - 1
    if room < 2 or not about or about.startswith(_LISTS):
        return [(name, "tool")]
    told = path_end(about, room) if file and about == file else shorten(about, room)
    return [(name, "tool"), (" ", ""), (told, "")]


def calls_words(calls: Sequence[CallNote], more: int, cells: int) -> Line:
    """Several calls with how they ended, as many as fit; `more` were made that have no note."""
    line: Line = []
    for number, call in enumerate(calls):
        left = len(calls) - number - 1 + more
        room = cells - line_width(line) - (2 if line else 0) - (_MORE if left else 0)
        if line and room < _LEAST:
            return [*line, (f" +{left + 1}", "dim")]
        sign = " ✗" if call.failed else ""
        share = room if not left else max(min(_LEAST, room), (room - 2) // 2)
        about = (
            call.about if not call.file or len(calls) == 1 else call.file.replace("\\", "/").split("/")[-1]
        )
        words = call_words(call.name, about, call.file and about, share - len(sign))
        line += [(", ", "dim")] if line else []
        line += [*words, (sign, "bad")] if sign else words
    return [*line, (f" +{more}", "dim")] if line and more else line


def draft_words(record: RequestSnapshot, cells: int) -> Line:
    """The call that a request is writing."""
    draft = read_draft(record.draft, record.draft_tool)
    about = one_line_arguments(draft.arguments, "")[0] if draft.arguments else ""
    about = within(about, record.folder)
    return call_words(line_text(draft.name, 80), about, about if file_of(draft.arguments) else "", cells)
