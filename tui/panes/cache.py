"""Cache: how much of the prompts the prefix cache saves, what it holds, and why it missed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from tui.figures import clock, count, percent, plural, ratio, size
from tui.keymap import bindings
from tui.lines import Line, bar, beside, big, fit, graph
from tui.panes.cells import lane, number, session
from tui.panes.pane import Pane, list_note, paragraphs
from tui.records import MissRecord, RequestRecord, View
from tui.widgets.canvas import Canvas, Heading
from tui.widgets.columns import Column
from tui.widgets.line_table import LineTable
from tui.wire_text import line_text, shorten

REASONS = {
    "cold": "nothing like it was stored",
    "diverged": "the prompt changed",
    "evicted": "it was stored, but had to make room",
    "disabled": "the cache is off for this prompt",
}


def _shares(row: RequestRecord, cells: int) -> Line:
    prompt = row.prompt_tokens
    reused, kept = ratio(row.reused_tokens, prompt) or 0.0, ratio(row.kept_tokens, prompt) or 0.0
    return bar([(reused, "reused"), (kept, "prefill"), (max(0.0, 1 - reused - kept), "rest")], cells)


def _rest(row: RequestRecord) -> int:
    return max(0, row.prompt_tokens - row.reused_tokens - row.kept_tokens)


def _hit(row: RequestRecord) -> Line:
    share = ratio(row.reused_tokens, row.prompt_tokens)
    return [(percent(share), "reused" if share else "dim")]


def _side(text: str, look: str) -> Line:
    return [(line_text(text, 400), look)]


PROMPTS: tuple[Column[RequestRecord], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.received), "muted")], 8, rank=2),
    Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=6),
    Column("LANE", lambda row, now, cells: [lane(row.lane)], 10, rank=1),
    Column("REUSED · KEPT · REST", lambda row, now, cells: _shares(row, cells), 30, least=20, grow=1),
    Column("HIT", lambda row, now, cells: _hit(row), 4, "right"),
    Column("PROMPT", lambda row, now, cells: [number(row.prompt_tokens)], 6, "right", rank=3),
    Column("REUSED", lambda row, now, cells: [number(row.reused_tokens, "reused")], 6, "right", rank=4),
    Column("KEPT", lambda row, now, cells: [number(row.kept_tokens, "prefill")], 6, "right", rank=5),
    Column("REST", lambda row, now, cells: [number(_rest(row), "rest")], 6, "right", rank=7),
    Column("FROM", lambda row, now, cells: [(row.cache.tier if row.cache else "", "muted")], 7, rank=8),
)
MISSES: tuple[Column[MissRecord], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.time), "muted")], 8),
    Column("LANE", lambda row, now, cells: [lane(row.lane)], 10, rank=2),
    Column("WHY", lambda row, now, cells: [(row.reason, _reason_look(row.reason))], 8),
    Column("AT TOKEN", lambda row, now, cells: [number(row.position)], 8, "right", rank=1),
    Column("STORED", lambda row, now, cells: _side(row.before, "muted"), 20, least=14, grow=1, rank=4),
    Column("NOW", lambda row, now, cells: _side(row.now, ""), 20, least=14, grow=1, rank=3),
)


def _reason_look(reason: str) -> str:
    return {"diverged": "warn", "evicted": "bad"}.get(reason, "muted")


class CachePane(Pane):
    """Totals on top, then the recent prompts, then the recent misses with what differed."""

    place = "cache"
    BINDINGS = bindings("cache")

    def compose(self) -> ComposeResult:
        yield Canvas(lambda width, height: cache_block(self.view, width, height), id="cache-totals")
        with Vertical(id="prompts-box"):
            yield Heading("Prompts", id="prompts-heading")
            yield LineTable[RequestRecord](
                PROMPTS,
                key=lambda row: row.id,
                search=lambda row: row.search_text,
                empty=paragraphs(
                    [("No prompt has been read yet.", "bold")],
                    "Each one shows here how much of it the cache gave back.",
                ),
                id="prompts",
            )
        with Vertical(id="misses-box"):
            yield Heading("Misses", id="misses-heading")
            yield LineTable[MissRecord](
                MISSES,
                key=lambda row: f"{row.time}{row.request}{row.position}",
                empty=paragraphs("No miss: every prompt continued one that was stored."),
                id="misses",
            )
            yield Canvas(lambda width, height: miss_lines(self._misses.selected, width), id="miss")

    @property
    def main_table(self) -> LineTable[RequestRecord]:
        return self.query_one("#prompts", LineTable)

    @property
    def _misses(self) -> LineTable[MissRecord]:
        return self.query_one("#misses", LineTable)

    def update(self) -> None:
        self.query_one("#cache-totals", Canvas).paint()
        counted = [row for row in self.view.requests if row.usage is not None and row.prompt_tokens]
        known = self.main_table.everything
        if len(counted) != len(known) or any(old is not new for old, new in zip(known, counted, strict=True)):
            self.main_table.show(counted, self.now)
        self._misses.show(self.view.misses, self.now)
        self.query_one("#prompts-heading", Heading).say(note=list_note(self.main_table))
        self.query_one("#misses-heading", Heading).say(note=list_note(self._misses))
        self.query_one("#miss", Canvas).paint()

    def action_swap(self) -> None:
        """Move to the other table."""
        (self.main_table if self._misses.has_focus else self._misses).focus()


def miss_lines(miss: MissRecord | None, width: int) -> list[Line]:
    """The selected miss in words: where it parted, and both sides of it."""
    if miss is None:
        return []
    where = f" at token {miss.position:,}" if miss.reason == "diverged" else ""
    of = f" of {miss.prompt_tokens:,}" if where and miss.prompt_tokens else ""
    of += f", in {line_text(miss.segment)}" if where and miss.segment else ""
    explained: Line = [
        ("  ", ""),
        (miss.reason, _reason_look(miss.reason)),
        (f"{where}{of}: {REASONS.get(miss.reason, '')}", "muted"),
    ]
    stored, now = line_text(miss.before), line_text(miss.now)
    return [
        explained,
        [("  stored  ", "label"), (shorten(stored, width - 12), "bad")] if stored else [],
        [("  now     ", "label"), (shorten(now, width - 12), "ok")] if now else [],
    ]


def cache_block(view: View, width: int, height: int) -> list[Line]:
    """The hit rate large, its history, where the prompt tokens came from, and what the cache holds."""
    totals = view.totals
    share = ratio(totals.cache_read_input_tokens, totals.prompt_tokens)
    shown = "·" if share is None else percent(share, 1)
    left: list[Line] = [[("token hit rate", "label")], *big(shown, "reused" if share else "dim")]
    rates = [ratio(row.reused_tokens, row.prompt_tokens) for row in view.requests if row.usage is not None]
    left_cells = 26
    inner = width - left_cells - 7
    if width < 100:
        right = [*_sources(view, inner), *_held(view, inner)]
    else:
        columns = 3 if width >= 160 else 2
        cells = (inner - 4 * (columns - 1)) // columns
        history = [[("hit rate of each prompt", "label")], *graph(rates, cells, 3, "area.reused", 1.0)]
        right = beside(_sources(view, cells), _held(view, cells), cells, 4)
        right = beside(history, right, cells, 4) if columns == 3 else right
    return [[], *([("  ", ""), *line] for line in beside(left, right, left_cells))]


def _sources(view: View, cells: int) -> list[Line]:
    totals = view.totals
    prompt = totals.prompt_tokens
    parts = [
        (totals.cache_read_input_tokens, "reused"),
        (totals.cache_creation_input_tokens, "prefill"),
        (totals.input_tokens, "rest"),
    ]
    names = ("reused", "kept", "rest")
    legend: Line = []
    for name, (tokens, look) in zip(names, parts, strict=True):
        legend += [("■ ", look), (f"{name} ", "muted"), (count(tokens), look), ("   ", "")]
    return [
        [(f"{count(prompt)} prompt tokens", "label")],
        bar([(ratio(tokens, prompt) or 0.0, look) for tokens, look in parts], cells),
        fit(legend, cells),
    ]


def _held(view: View, cells: int) -> list[Line]:
    totals = view.totals
    used = ratio(totals.cache_bytes, totals.cache_budget_bytes)
    budget = f" of {size(totals.cache_budget_bytes)}" if totals.cache_budget_bytes else ""
    look = "bad" if (used or 0) > 0.97 else "lane.main"
    counts = (
        f"{plural(totals.cache_insertions, 'insertion')}   {plural(totals.cache_evictions, 'eviction')}"
        f"   {plural(totals.cache_misses, 'miss', 'misses')}"
    )
    title = f"{plural(totals.cache_entries, 'entry', 'entries')} in {size(totals.cache_bytes)}{budget}"
    return [[(title, "label")], bar([(used or 0.0, look)], cells), fit([(counts, "muted")], cells)]
