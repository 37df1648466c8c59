"""Cache: the restored share of the prompts, the size of the prefix cache, and the reasons for misses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical

from tui.client.figures import clock, count, percent, plural, ratio, size
from tui.client.records import MissRecord, RequestSnapshot, Snapshot
from tui.client.wire_text import line_text, shorten
from tui.screen.charts import bar, big_digits, graph
from tui.screen.engine_label import reports_cache, uses_other_backend
from tui.screen.keymap import bindings
from tui.screen.panes.pane import WIDE, Pane, list_note, paragraphs
from tui.screen.panes.request_cells import lane, number, restored_share, session
from tui.screen.styled_line import Line, Span, fit, joined, line_width, side_by_side
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.columns import Column
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.events.types import EngineCache

_NARROW, _WIDEST = 100, 190  # cells
_TALL = 9  # rows that two blocks above two others take
_LEFT_CELLS, _GAP, _SMALL_BLOCK = 26, 4, 46
_NEAR_CAP = 0.9  # above this share of the day's limit only shared prefixes are written

REASON_LABELS = {"cold": "cold miss"}
REASONS = {
    "cold": "no stored prompt begins with the same text",
    "diverged": "a stored prompt is equal up to there",
    "evicted": "it was stored and then evicted",
    "disabled": "the cache is off for this prompt",
}


def _shares(row: RequestSnapshot, cells: int) -> Line:
    prompt = row.prompt_tokens
    restored, cached = ratio(row.reused_tokens, prompt) or 0.0, ratio(row.kept_tokens, prompt) or 0.0
    not_kept = max(0.0, 1 - restored - cached)
    return bar([(restored, "restored"), (cached, "prefill"), (not_kept, "neutral")], cells)


def _not_kept(row: RequestSnapshot) -> int:
    return max(0, row.prompt_tokens - row.reused_tokens - row.kept_tokens)


def _restored(row: RequestSnapshot) -> Line:
    return [restored_share(row.reused_tokens, row.prompt_tokens, known=row.cache is not None)]


def _side(text: str, style: str) -> Line:
    return [(line_text(text, 400), style)]


PROMPTS: tuple[Column[RequestSnapshot], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.received), "muted")], 8, rank=2),
    Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=6),
    Column("LANE", lambda row, now, cells: [lane(row.lane)], 10, rank=1),
    Column("RESTORED · CACHED", lambda row, now, cells: _shares(row, cells), 30, least=20, grow=1),
    Column("REST.", lambda row, now, cells: _restored(row), 5, "right"),
    Column("PROMPT", lambda row, now, cells: [number(row.prompt_tokens)], 6, "right", rank=3),
    Column("RESTORED", lambda row, now, cells: [number(row.reused_tokens, "restored")], 8, "right", rank=4),
    Column("CACHED", lambda row, now, cells: [number(row.kept_tokens, "prefill")], 9, "right", rank=5),
    Column("NOT KEPT", lambda row, now, cells: [number(_not_kept(row), "neutral")], 8, "right", rank=7),
    Column("FROM", lambda row, now, cells: [(row.cache.tier if row.cache else "", "muted")], 7, rank=8),
)
MISSES: tuple[Column[MissRecord], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.time), "muted")], 8),
    Column("LANE", lambda row, now, cells: [lane(row.lane)], 10, rank=2),
    Column("WHY", lambda row, now, cells: [_reason(row.reason)], 9),
    Column("AT TOKEN", lambda row, now, cells: [number(row.position)], 8, "right", rank=1),
    Column("STORED", lambda row, now, cells: _side(row.before, "muted"), 20, least=14, grow=1, rank=4),
    Column("NOW", lambda row, now, cells: _side(row.now, ""), 20, least=14, grow=1, rank=3),
)


def _reason(reason: str) -> Span:
    style = {"diverged": "warn", "evicted": "bad"}.get(reason, "muted")
    return (REASON_LABELS.get(reason, reason), style)


class CachePane(Pane):
    """Totals, then the recent prompts, then the recent misses with the texts that differ."""

    place = "cache"
    BINDINGS = bindings("cache")

    def compose(self) -> ComposeResult:
        yield Canvas(lambda width, height: cache_block(self.snapshot, width, height), id="cache-totals")
        with Vertical(id="prompts-box"):
            yield Heading("Prompts", id="prompts-heading")
            yield LineTable[RequestSnapshot](
                PROMPTS,
                key=lambda row: row.id,
                search=lambda row: row.search_text,
                empty=paragraphs(
                    [("No prompt yet.", "bold")],
                    "Each prompt appears here with the tokens that the cache restored.",
                ),
                id="prompts",
            )
        with Vertical(id="misses-box"):
            yield Heading("Misses", id="misses-heading")
            yield LineTable[MissRecord](
                MISSES,
                key=lambda row: f"{row.time}{row.request}{row.position}",
                id="misses",
            )
            yield Canvas(lambda width, height: miss_lines(self._misses.selected, width), id="miss")

    @property
    def main_table(self) -> LineTable[RequestSnapshot]:
        return self.query_one("#prompts", LineTable)

    @property
    def request(self) -> str:
        if self._misses.has_focus:
            return self._misses.selected.request if self._misses.selected else ""
        return self.main_table.selected.id if self.main_table.selected else ""

    @property
    def session(self) -> str:
        table = self._misses if self._misses.has_focus else self.main_table
        return table.selected.session if table.selected else ""

    @property
    def _misses(self) -> LineTable[MissRecord]:
        return self.query_one("#misses", LineTable)

    def update(self) -> None:
        self.query_one("#cache-totals", Canvas).paint()
        counted = [row for row in self.snapshot.requests if row.usage is not None and row.prompt_tokens]
        known = self.main_table.everything
        if len(counted) != len(known) or any(old is not new for old, new in zip(known, counted, strict=True)):
            self.main_table.show(counted, self.now)
        self._misses.empty = no_misses(self.snapshot, len(counted))
        self._misses.show(self.snapshot.misses, self.now)
        self.query_one("#prompts-heading", Heading).set_text(note=list_note(self.main_table))
        self.query_one("#misses-heading", Heading).set_text(note=list_note(self._misses))
        self.query_one("#miss", Canvas).paint()

    def action_swap(self) -> None:
        """Move to the other table."""
        (self.main_table if self._misses.has_focus else self._misses).focus()


def no_misses(snapshot: Snapshot, prompts: int) -> list[Line]:
    """Why no miss is listed."""
    if not reports_cache(snapshot):
        name = snapshot.host.backend if snapshot.host else ""
        return paragraphs(f"{name} reports no cache: what it restored, or why not, is not known.")
    if not prompts:
        return paragraphs("No prompt yet, so no miss.")
    if uses_other_backend(snapshot):
        return paragraphs("This backend reports restored tokens, and no reasons for misses.")
    return paragraphs(f"No miss in {plural(prompts, 'prompt')}.")


def miss_lines(miss: MissRecord | None, width: int) -> list[Line]:
    """The selected miss: its reason and position, and the stored and the new text."""
    if miss is None:
        return []
    where = f" at token {miss.position:,}" if miss.reason == "diverged" else ""
    of = f" of {miss.prompt_tokens:,}" if where and miss.prompt_tokens else ""
    of += f", in {line_text(miss.segment)}" if where and miss.segment else ""
    explained: Line = [
        ("  ", ""),
        _reason(miss.reason),
        (f"{where}{of}: {REASONS.get(miss.reason, '')}", "muted"),
    ]
    stored, now = line_text(miss.before), line_text(miss.now)
    return [
        explained,
        [("  stored  ", "label"), (shorten(stored, width - 12), "bad")] if stored else [],
        [("  now     ", "label"), (shorten(now, width - 12), "ok")] if now else [],
    ]


def cache_block(snapshot: Snapshot, width: int, height: int) -> list[Line]:
    """The restored share in large digits, its history, the parts of the prompts, memory and disk."""
    totals = snapshot.totals
    share = ratio(totals.cache_read_input_tokens, totals.prompt_tokens)
    shown = "·" if share is None or not reports_cache(snapshot) else percent(share, 1)
    left: list[Line] = [
        [("prompt tokens restored", "label")],
        *big_digits(shown, "restored" if share else "dim"),
    ]
    inner = width - _LEFT_CELLS - 7
    if width < _NARROW:
        left += [[], _counts(snapshot)]
        right = [*_sources(snapshot, inner), *_meters(snapshot, inner)]
    elif width < WIDE:
        cells = (inner - _GAP) // 2
        if height < _TALL:
            right = side_by_side(
                _sources(snapshot, cells), [*_meters(snapshot, cells), _counts(snapshot)], cells, _GAP
            )
        else:
            right = side_by_side(_sources(snapshot, cells), _in_memory(snapshot, cells), cells, _GAP)
            right += [[], *side_by_side(_history(snapshot, cells), on_disk(snapshot, cells), cells, _GAP)]
    else:
        blocks = [_sources, _in_memory, on_disk]
        if width >= _WIDEST:
            blocks.insert(0, _history)
        cells = (inner - _GAP * (len(blocks) - 1)) // len(blocks)
        right = []
        for block in reversed(blocks):
            right = (
                side_by_side(block(snapshot, cells), right, cells, _GAP) if right else block(snapshot, cells)
            )
    return [[], *([("  ", ""), *line] for line in side_by_side(left, right, _LEFT_CELLS))]


def _history(snapshot: Snapshot, cells: int) -> list[Line]:
    rates = [
        ratio(row.reused_tokens, row.prompt_tokens) for row in snapshot.requests if row.usage is not None
    ]
    return [[("restored share of each prompt", "label")], *graph(rates, cells, 3, "area.restored", 1.0)]


def _sources(snapshot: Snapshot, cells: int) -> list[Line]:
    totals = snapshot.totals
    prompt = totals.prompt_tokens
    parts = [
        (totals.cache_read_input_tokens, "restored"),
        (totals.cache_creation_input_tokens, "prefill"),
        (totals.input_tokens, "neutral"),
    ]
    names = ("restored", "cached", "not kept")
    legend: Line = []
    for name, (tokens, style) in zip(names, parts, strict=True):
        gap = "   " if cells > _SMALL_BLOCK else " "
        legend += [(f"{name} {count(tokens)}", style), (gap, "")]
    return [
        [(f"{count(prompt)} prompt tokens", "label")],
        bar([(ratio(tokens, prompt) or 0.0, style) for tokens, style in parts], cells),
        fit(legend, cells),
    ]


def _in_memory(snapshot: Snapshot, cells: int) -> list[Line]:
    spans = plural(snapshot.totals.cache_entries, "span")
    if uses_other_backend(snapshot):
        return [[("the cache is the upstream's own", "muted")]]
    title: Line = [("memory  ", "label"), (_memory_of(snapshot), ""), (f"   {spans}", "muted")]
    return [fit(title, cells), _memory_bar(snapshot, cells), fit(_counts(snapshot), cells)]


def on_disk(snapshot: Snapshot, cells: int) -> list[Line]:
    """The cache on disk: size, bytes written today, restored tokens, losses; empty if not reported."""
    disk = _cache(snapshot)
    if disk is None:
        return []
    title: Line = [("disk    ", "label")]
    if not disk.disk_budget_bytes:
        off: Line = [*title, ("off", "muted")]
        return [
            fit(off, cells),
            bar([], cells),
            fit([("the cache ends with the engine", "dim")], cells),
        ]
    title += [(_disk_of(disk), ""), (f"   {plural(disk.disk_entries, 'file')}", "muted")]
    return [
        fit(title, cells),
        _disk_bar(disk, cells),
        fit(_written(disk, "written today"), cells),
        fit(joined([_restored_from_disk(disk), *_losses(disk)]), cells),
    ]


def _meters(snapshot: Snapshot, cells: int) -> list[Line]:
    """Memory and disk in a line each, for narrow screens."""
    if uses_other_backend(snapshot):
        return [[("the cache is the upstream's own", "muted")]]
    disk = _cache(snapshot)
    sizes = [_memory_of(snapshot), _disk_of(disk) if disk is not None and disk.disk_budget_bytes else "off"]
    words = max(map(len, sizes)) + 1
    room = cells - 8 - words
    lines: list[Line] = [[("memory  ", "label"), *_memory_bar(snapshot, room), (sizes[0].rjust(words), "")]]
    if disk is None:
        return lines
    lines.append([("disk    ", "label"), *_disk_bar(disk, room), (sizes[1].rjust(words), "")])
    if disk.disk_budget_bytes:
        short = joined([_written(disk, "today"), *_losses(disk)])
        whole = joined([short, _restored_from_disk(disk)])
        lines.append(fit(whole if line_width(whole) <= cells else short, cells))
    return lines


def _cache(snapshot: Snapshot) -> EngineCache | None:
    return snapshot.engine.cache if snapshot.engine is not None else None


def _counts(snapshot: Snapshot) -> Line:
    totals = snapshot.totals
    if uses_other_backend(snapshot):
        return []
    counts = [plural(totals.cache_evictions, "eviction"), plural(totals.cache_misses, "miss", "misses")]
    return [("   ".join(counts), "muted")]


def _memory_of(snapshot: Snapshot) -> str:
    budget = snapshot.totals.cache_budget_bytes
    return size(snapshot.totals.cache_bytes) + (f" of {size(budget)}" if budget else "")


def _memory_bar(snapshot: Snapshot, cells: int) -> Line:
    used = ratio(snapshot.totals.cache_bytes, snapshot.totals.cache_budget_bytes) or 0.0
    return bar([(used, "lane.main")], cells)  # a full cache is its normal state


def _disk_of(disk: EngineCache) -> str:
    return f"{size(disk.disk_bytes)} of {size(disk.disk_budget_bytes)}"


def _disk_bar(disk: EngineCache, cells: int) -> Line:
    return bar([(ratio(disk.disk_bytes, disk.disk_budget_bytes) or 0.0, "lane.subagent")], cells)


def _written(disk: EngineCache, label: str) -> Line:
    """Bytes written today of the daily limit, or that writing is paused."""
    if disk.disk_paused:
        return [("writing is paused: the disk refuses", "bad")]
    written, cap = disk.disk_written_today_bytes, disk.disk_daily_budget_bytes
    style = "warn" if written >= _NEAR_CAP * cap else "muted"
    return [(f"{label} ", "muted"), (f"{size(written)} of {size(cap)}", style)]


def _losses(disk: EngineCache) -> list[Line]:
    return [
        [(f"{count(disk.disk_skipped)} not written", "warn")] if disk.disk_skipped else [],
        [(f"{count(disk.disk_set_aside)} quarantined", "bad")] if disk.disk_set_aside else [],
    ]


def _restored_from_disk(disk: EngineCache) -> Line:
    tokens = disk.disk_loaded_tokens
    return [(f"{count(tokens)} tokens restored", "restored" if tokens else "dim")]
