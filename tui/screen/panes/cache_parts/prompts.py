"""The columns of the list of prompts, where a backend caches by itself."""

from __future__ import annotations

from tui.client.figures import clock
from tui.client.records import RequestSnapshot
from tui.screen.panes.request_cells import asker, number, restored_bar, restored_share, session
from tui.screen.styled_line import Line
from tui.screen.widgets.columns import Column


def _prefilled(row: RequestSnapshot) -> int:
    return (row.prefilled_tokens or 0) if row.reports_reuse else 0


def _restored(row: RequestSnapshot) -> Line:
    return [restored_share(row.reused_tokens, row.prompt_tokens, known=row.cache is not None)]


PROMPTS: tuple[Column[RequestSnapshot], ...] = (
    Column("TIME", lambda row, now, cells: [(clock(row.received), "muted")], 8, rank=2),
    Column("SESSION", lambda row, now, cells: [session(row.session)], 7, rank=6),
    Column("WHO", lambda row, now, cells: [asker(row.lane, row.who)], 10, rank=1),
    Column("RESTORED · PREFILLED", lambda row, now, cells: restored_bar(row, cells), 30, least=20, grow=1),
    Column("REST.", lambda row, now, cells: _restored(row), 5, "right"),
    Column("PROMPT", lambda row, now, cells: [number(row.prompt_tokens)], 6, "right", rank=3),
    Column("RESTORED", lambda row, now, cells: [number(row.reused_tokens, "restored")], 8, "right", rank=4),
    Column("PREFILLED", lambda row, now, cells: [number(_prefilled(row), "prefill")], 9, "right", rank=5),
    Column("FROM", lambda row, now, cells: [(row.cache.tier if row.cache else "", "muted")], 7, rank=8),
)
