"""Full text search: which requests brought, or were answered with, a text.

Words match in order, whatever is between them but letters and digits; case plays no part, and the last word
may go on: `read the fil` finds "Read the file". A text without letters and digits is looked for as it stands,
and one of a script without spaces anywhere: FTS5 takes a whole sentence of it for a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.traces.analysis.full_text import TextPattern
from proxy.traces.index import TraceIndex
from proxy.traces.schema import TraceSummary

AROUND = 60  # characters of context on each side


@dataclass(frozen=True, slots=True)
class Found:
    """One trace, and its first place with the text: what stands before it, itself, and behind it."""

    summary: TraceSummary
    before: str
    match: str
    after: str


@dataclass(frozen=True, slots=True)
class Search:
    """The newest traces that have the text, and how many do in all; `scanned`: without FTS5."""

    found: list[Found]
    total: int
    scanned: bool


def search(index: TraceIndex, text: str, *, session: str = "", since: float = 0.0, most: int = 20) -> Search:
    """Look for a text in what was new in each request (`proxy.traces.analysis.new_text`).

    Raises:
        ValueError: the text is empty.
        sqlite3.Error: the index cannot be read.
    """
    if not text.strip():
        raise ValueError("there is no text to look for")
    wanted = TextPattern.of(text)
    if index.searchable and wanted.fts is not None:
        source, match = "search JOIN texts ON texts.row = search.rowid", "search MATCH ?"
    else:
        index.add_function("holds", wanted.found_in)
        source, match = "texts", "holds(texts.text) AND ? = ''"
    chosen = f"FROM {source} JOIN requests ON requests.id = texts.trace WHERE {match}"
    parameters: tuple[object, ...] = (wanted.fts if index.searchable and wanted.fts else "",)
    if session:
        chosen, parameters = chosen + " AND substr(session, 1, ?) = ?", (*parameters, len(session), session)
    if since:
        chosen, parameters = chosen + " AND time >= ?", (*parameters, since)
    ids = index.select(f"SELECT texts.trace, texts.row {chosen} ORDER BY time DESC", parameters)
    return Search(
        [_found(index, row, wanted.pattern) for _, row in ids[:most]],
        len(ids),
        scanned=not index.searchable,
    )


def _found(index: TraceIndex, row: int, pattern: re.Pattern[str]) -> Found:
    text, summary = index.text_and_summary(row)
    at = pattern.search(text)
    begin, end = at.span() if at else (0, 0)
    return Found(
        summary,
        text[max(0, begin - AROUND) : begin],
        text[begin:end],
        text[end : end + AROUND],
    )
