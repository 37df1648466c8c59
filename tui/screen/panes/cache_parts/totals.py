"""The head of the Cache pane: the restored share, the time that it saved, memory and disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.client.figures import count, percent, plural, ratio, seconds, size
from tui.client.records import Snapshot
from tui.client.wire_text import shorten
from tui.screen.charts import bar, big_digits, graph, shape
from tui.screen.engine_label import reports_cache, uses_other_backend
from tui.screen.keymap import key_of
from tui.screen.panes.cache_parts.ranged import RangedUsage
from tui.screen.panes.pane import WIDE
from tui.screen.styled_line import Line, fit, joined, line_width, side_by_side, spread

if TYPE_CHECKING:
    from proxy.events.types import EngineCache

_NARROW, _WIDEST = 100, 190  # cells
_TALL = 9  # rows that two blocks above two others take
_LEFT_CELLS, _GAP, _SMALL_BLOCK = 26, 4, 46
_NOT_WORTH_A_WORD = 0.01  # of the prompt tokens
_NEAR_CAP = 0.9  # above this share of the day's limit only shared prefixes are written


def cache_block(snapshot: Snapshot, width: int, height: int, usage: RangedUsage | None = None) -> list[Line]:
    """The restored share in large digits, its history, the parts of the prompts, memory and disk."""
    usage = usage or RangedUsage()
    snapshot = usage.applied(snapshot)
    totals = snapshot.totals
    share = ratio(totals.cache_read_input_tokens, totals.prompt_tokens)
    shown = "·" if share is None or not reports_cache(snapshot) else percent(share, 1)
    left: list[Line] = [
        _range_words(usage),
        *big_digits(shown, "restored" if share else "dim"),
    ]
    inner = width - _LEFT_CELLS - 7
    if width < _NARROW:
        left += [[], _counts(snapshot, short=True)]
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


def _range_words(usage: RangedUsage) -> Line:
    key = (f" {key_of('cache.range')}", "accent")
    if usage.problem:
        return [(shorten(usage.problem, _LEFT_CELLS - 4), "bad"), key]
    if usage.range == "now":
        return [("prompt tokens restored", "label")]
    return [("restored, ", "label"), (usage.range, "bold"), key]


def _history(snapshot: Snapshot, cells: int) -> list[Line]:
    known = (row for row in snapshot.requests if row.usage is not None and row.reports_reuse)
    rates = [ratio(row.reused_tokens, row.prompt_tokens) for row in known]
    return [[("restored share of each prompt", "label")], *graph(rates, cells, 3, "area.restored", 1.0)]


def _sources(snapshot: Snapshot, cells: int) -> list[Line]:
    totals = snapshot.totals
    prompt = totals.prompt_tokens
    if not prompt:
        again: Line = [(key_of("cache.range"), "accent"), (" shows earlier ones", "muted")]
        return [[("no prompt counted", "label")], bar([], cells), again if snapshot.earlier else []]
    told: Line = [(f"{count(prompt)} prompt tokens", "label")]
    if not reports_cache(snapshot):
        return [told, bar([], cells), fit([("not reported what was restored of them", "muted")], cells)]
    kept, not_kept = totals.cache_creation_input_tokens, totals.input_tokens
    if uses_other_backend(snapshot):  # what another server keeps of a prompt, nobody says
        kept, not_kept = kept + not_kept, 0
    parts = [(totals.cache_read_input_tokens, "restored"), (kept, "prefill"), (not_kept, "neutral")]
    gap = "   " if cells > _SMALL_BLOCK else " "
    restored = (f"{shape('restored')} restored {count(totals.cache_read_input_tokens)}", "restored")
    legend: Line = [restored, (gap, ""), (f"{shape('prefill')} prefilled {count(kept)}", "prefill")]
    if (ratio(not_kept, prompt) or 0.0) >= _NOT_WORTH_A_WORD:
        sign, words = shape("neutral"), f" not kept {count(not_kept)}"
        short = line_width(legend) + len(gap) + 1 + len(words) > cells
        legend += [(gap, ""), (f"{sign} {count(not_kept)}" if short else sign + words, "neutral")]
    saved: Line = (
        [("saved ", "muted"), (f"~{seconds(snapshot.saved_s)}", "restored")] if snapshot.saved_s else []
    )
    return [
        spread(told, saved, cells),
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


def _counts(snapshot: Snapshot, *, short: bool = False) -> Line:
    totals = snapshot.totals
    if uses_other_backend(snapshot):
        return []
    cache = _cache(snapshot)
    wanted = cache.wanted if cache is not None else 0
    evictions = max(totals.cache_evictions, cache.evictions if cache is not None else 0)
    line: Line = [(f"{evictions:,} evicted", "muted")]
    if wanted:
        line += [(", ", "muted"), (f"{wanted:,} wanted{'' if short else ' again'}", "bad")]
    return line


def _memory_of(snapshot: Snapshot) -> str:
    budget = snapshot.totals.cache_budget_bytes
    return size(snapshot.totals.cache_bytes) + (f" of {size(budget)}" if budget else "")


def _memory_bar(snapshot: Snapshot, cells: int) -> Line:
    budget, cache = snapshot.totals.cache_budget_bytes, _cache(snapshot)
    used = ratio(snapshot.totals.cache_bytes, budget) or 0.0
    pinned = min(used, ratio(cache.pinned_bytes if cache is not None else 0, budget) or 0.0)
    parts = [(pinned, "accent"), (used - pinned, "lane.main")]  # a full cache is its normal state
    return bar(parts, cells, shapes=("▓", "█"))


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
    return [(f"{count(tokens)} tokens from disk", "restored" if tokens else "dim")]
