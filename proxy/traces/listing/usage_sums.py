"""What the prompts of a time took from the cache and what was computed: sums over the index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.traces.analysis.decode_speed import LONG_PREFILL

_LONG = f"input + created >= {LONG_PREFILL} AND prefill > 0"
_SUMS = f"""
SELECT count(*), total(input + created + read > 0), total(read), total(created), total(input), total(output),
       total(CASE WHEN {_LONG} THEN input + created END), total(CASE WHEN {_LONG} THEN prefill END),
       total(restore)
FROM requests WHERE time >= ? GROUP BY backend, coalesce(nullif(upstream, ''), model)
"""


class Index(Protocol):
    """What has the index's table of requests (`proxy.traces.index.TraceIndex`)."""

    def select(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Requests, those with a counted prompt, and their tokens.

    `saved_s` is the prefill time that restoring saved, by the speed of each model's long prefills in this
    time, as `proxy.traces.analysis.groups` estimates it; None where there were none.
    """

    requests: int
    prompts: int
    restored: int
    cached: int
    not_kept: int
    output: int
    saved_s: float | None


def usage_sums(index: Index, since: float = 0.0) -> UsageSums:
    """The sums of all requests from `since` on (epoch seconds).

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    rows = index.select(_SUMS, (since,))
    saved = [read * took / tokens - restore for *_, read, _, _, _, tokens, took, restore in rows if tokens]
    requests, prompts, restored, cached, not_kept, output = (
        _whole(sum(row[column] for row in rows)) for column in range(6)
    )
    saved_s = max(0.0, math.fsum(saved)) if saved else None
    return UsageSums(requests, prompts, restored, cached, not_kept, output, saved_s)


def _whole(number: float) -> int:
    return int(number) if math.isfinite(number) else 0
