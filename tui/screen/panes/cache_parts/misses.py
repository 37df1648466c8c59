"""The list of prompts that could have restored more, and the selected one in words."""

from __future__ import annotations

from collections.abc import Sequence

from tui.client.figures import clock, count, percent, plural, ratio, seconds
from tui.client.holdings.rows import prefill_s
from tui.client.records import MissRecord, Snapshot
from tui.client.wire_text import line_text, shorten
from tui.screen.engine_label import reports_cache, uses_other_backend
from tui.screen.panes.pane import paragraphs
from tui.screen.panes.request_cells import asker, number, session
from tui.screen.styled_line import Line, Span, line_width
from tui.screen.widgets.columns import Column

REASON_LABELS = {"cold": "cold miss"}
REASONS = {
    "cold": "no stored prompt begins with the same text",
    "diverged": "a stored prompt is equal up to there",
    "evicted": "it was stored and then evicted",
    "disabled": "the cache is off for this prompt",
}


def lost_tokens(row: MissRecord) -> int:
    """Tokens behind a miss that were computed: what an eviction cost, else all of the prompt behind it."""
    return row.lost_tokens or max(0, row.prompt_tokens - row.position)


def listed(snapshot: Snapshot, *, first_prompts: bool) -> tuple[list[MissRecord], int]:
    """The misses to list, and how many are left out: of first prompts, which mostly had none to use."""
    if first_prompts:
        return list(snapshot.misses), 0
    messages = {record.id: record.messages for record in snapshot.requests}
    shown = [
        miss for miss in snapshot.misses if miss.reason == "evicted" or messages.get(miss.request, 0) != 1
    ]
    return shown, len(snapshot.misses) - len(shown)


def wanted_note(misses: Sequence[MissRecord], snapshot: Snapshot) -> Line:
    """How many of these prompts wanted what had been evicted, and what that cost."""
    wanted = [miss for miss in misses if miss.reason == "evicted"]
    if not wanted:
        return []
    tokens = sum(miss.lost_tokens for miss in wanted)
    cost = prefill_s(snapshot, tokens)
    words = f"{plural(len(wanted), 'time')} evicted, then wanted"
    words += f": {count(tokens)} tokens" if tokens else ""
    return [(words + (f", ~{seconds(cost)}" if cost else ""), "bad")]


def _why(row: MissRecord, cells: int) -> Line:
    if row.reason == "evicted" and row.evicted:
        return [(shorten(row.evicted, cells), "bad")]
    where = f" in {line_text(row.segment)}" if row.reason == "diverged" and row.segment else ""
    name, style = _reason(row.reason)
    return [(name, style), (shorten(where, max(0, cells - len(name))), "muted")]


def _lost(row: MissRecord) -> Line:
    lost = lost_tokens(row)
    return [("≤" if lost and not row.lost_tokens else "", "dim"), number(lost)]


def _side(text: str, style: str) -> Line:
    return [(line_text(text, 400), style)]


def _share(row: MissRecord) -> Line:
    return [(percent(ratio(row.position, row.prompt_tokens)), "muted")]


MISSES: tuple[Column[MissRecord], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.time), "muted")], 8),
    Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=3),
    Column("WHO", lambda row, now, cells: [asker(row.lane, row.who)], 10, rank=5),
    Column("WHY", lambda row, now, cells: _why(row, cells), 34, least=32, grow=1, most=48),
    Column("AT TOKEN", lambda row, now, cells: [number(row.position)], 8, "right", rank=4),
    Column("REST.", lambda row, now, cells: _share(row), 5, "right", rank=7),
    Column("LOST", lambda row, now, cells: _lost(row), 6, "right", rank=2),
    Column("NOW", lambda row, now, cells: _side(row.now, ""), 22, least=16, grow=3, rank=6),
)


def _reason(reason: str) -> Span:
    style = {"diverged": "warn", "evicted": "bad"}.get(reason, "muted")
    return (REASON_LABELS.get(reason, reason), style)


def no_misses(snapshot: Snapshot, prompts: int, first_prompts: int = 0) -> list[Line]:
    """Why no miss is listed; so many of sessions' first prompts are left out."""
    if not reports_cache(snapshot):
        name = snapshot.host.backend if snapshot.host else ""
        return paragraphs(f"{name} reports no cache: what it restored, or why not, is not known.")
    if not prompts:
        return paragraphs("No prompt yet, so no miss.")
    if uses_other_backend(snapshot):
        return paragraphs("This backend reports restored tokens, and no reasons for misses.")
    if first_prompts:
        some = plural(first_prompts, "first prompt")
        return paragraphs(f"Of {plural(prompts, 'prompt')}, {some} of sessions alone restored less than all.")
    return paragraphs(f"No miss in {plural(prompts, 'prompt')}.")


def miss_lines(miss: MissRecord | None, width: int, cost_s: float | None = None) -> list[Line]:
    """The selected miss: its reason, place and cost, and the stored and the new text."""
    if miss is None:
        return []
    where = f" at token {miss.position:,}" if miss.reason == "diverged" else ""
    of = f" of {miss.prompt_tokens:,}" if where and miss.prompt_tokens else ""
    of += f", in {line_text(miss.segment)}" if where and miss.segment else ""
    explained: Line = [("  ", ""), _reason(miss.reason)]
    if miss.eviction:
        explained = [("  ", ""), (miss.eviction, "bad")]
    else:
        means = f": {REASONS.get(miss.reason, '')}"
        place, room = f"{where}{of}", width - line_width(explained)
        explained.append((f"{place}{means}" if len(place + means) <= room else shorten(place, room), "muted"))
    stored, now = line_text(miss.before), line_text(miss.now)
    cost: Line = []
    if miss.lost_tokens:
        again = f"  {plural(miss.lost_tokens, 'token')} had to be computed again"
        cost = [(again, "muted"), (f", ~{seconds(cost_s)}" if cost_s else "", "warn")]
    return [
        explained,
        cost if cost else [("  stored  ", "label"), (shorten(stored, width - 12), "bad")] if stored else [],
        [("  now     ", "label"), (shorten(now, width - 12), "ok")] if now else [],
    ]
