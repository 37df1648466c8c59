"""Groups of requests as CSV (RFC 4180): one line for each, counts and seconds without units in the cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from proxy.traces.analysis.groups import Group, Percentiles

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which spreadsheets begin one
_SHARES = ("p10", "p50", "p90", "p99")
_SPREADS = ("ttft_warm", "ttft_cold", "tokens_per_s")
COLUMNS = (
    "requests",
    "failed",
    "cancelled",
    "input_tokens",
    "created_tokens",
    "read_tokens",
    "output_tokens",
    "request_hit_rate",
    "token_hit_rate",
    *(f"{name}_{share}" for name in _SPREADS for share in ("count", *_SHARES)),
    "prefill_saved_s",
    "cost",
    "unpriced_requests",
)


def groups_csv(by: str, groups: Iterable[Group]) -> str:
    """Groups by `by`, which names the first column; days have their zone in the second."""
    head = [by, "zone"] if by == "day" else [by]
    return csv_text([*head, *COLUMNS], (_line(by, group) for group in groups))


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows below a head; no text in a cell is taken for a formula by a spreadsheet."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\r\n")
    lines.writerow(head)
    lines.writerows([_cell(value) for value in row] for row in rows)
    return written.getvalue()


def zone_of(day: str) -> str:
    """The zone that this machine is in at noon of a day: `UTC+01:00`."""
    return f"UTC{datetime.fromisoformat(day).replace(hour=12).astimezone().isoformat()[-6:]}"


def _line(by: str, group: Group) -> list[object]:
    return [
        group.name,
        *([zone_of(group.name)] if by == "day" else []),
        group.requests,
        group.failed,
        group.cancelled,
        group.input,
        group.created,
        group.read,
        group.output,
        group.request_hit_rate,
        group.token_hit_rate,
        *_spread(group.ttft_warm_s),
        *_spread(group.ttft_cold_s),
        *_spread(group.tokens_per_s),
        group.saved_s,
        group.cost,
        group.unpriced,
    ]


def _spread(values: Percentiles | None) -> Iterator[object]:
    yield values.count if values else 0
    yield from (getattr(values, share) if values else None for share in _SHARES)


def _cell(value: object) -> object:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return round(value, 6) if isinstance(value, float) else value
