"""Which traces are kept: by age, size and count, the newest and the marked ones first."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.process.private_files import write_private
from proxy.traces.files import id_in, time_in, trace_files
from proxy.traces.index import TraceIndex
from proxy.traces.marks import is_marked, read_marks
from proxy.traces.metrics.cache_metrics import CacheMetrics

DAY_S = 86_400.0
NOTICE_S = 7 * DAY_S  # that a first removal is announced ahead
ANNOUNCED = ".removal-announced"  # in the traces folder; holds epoch seconds
_BATCH = 200  # files a transaction
_TIMES = ((DAY_S, "day"), (3600.0, "hour"), (60.0, "minute"))
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))


@dataclass(frozen=True, slots=True)
class Limits:
    """What traces may take; 0: no limit. Marked traces count towards it, and are never removed."""

    days: float = 0.0
    bytes: int = 0
    traces: int = 0

    def __bool__(self) -> bool:
        return bool(self.days or self.bytes or self.traces)

    def __str__(self) -> str:
        parts = (
            _in_units(self.days * DAY_S, _TIMES, plural=True) if self.days else "",
            size_words(self.bytes) if self.bytes else "",
            f"the newest {self.traces:,}" if self.traces else "",
        )
        return " and ".join(part for part in parts if part) or "no limit"


def size_words(size: int) -> str:
    """Bytes as people read them: 1.5 GB, 300 kB."""
    return _in_units(size, _SIZES)


def _in_units(amount: float, units: Sequence[tuple[float, str]], *, plural: bool = False) -> str:
    """In the largest unit of which it is at least one, else in the smallest."""
    unit, name = next((one for one in units if amount >= one[0]), units[-1])
    number = f"{amount / unit:.3g}" if amount < 100 * unit else f"{amount / unit:,.0f}"
    return f"{number} {name}{'s' if plural and number != '1' else ''}"


@dataclass(frozen=True, slots=True)
class Removal:
    """One trace that is over a limit, and which: "age", "size" or "count"; `time` in epoch seconds."""

    path: str  # relative to the traces folder
    time: float
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What a prune would remove, oldest first, and what it would leave."""

    removals: list[Removal]
    kept: int
    kept_bytes: int
    marked: int  # of these, traces that only their mark keeps

    @property
    def bytes(self) -> int:
        """Bytes that it would free."""
        return sum(removal.bytes for removal in self.removals)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune has removed, and the files that it could not, with the last error."""

    traces: int
    bytes: int
    failed: int = 0
    error: str = ""


def plan_prune(folder: Path, limits: Limits, *, now: float | None = None) -> PrunePlan:
    """Go through the files, newest first; the index plays no part, so nothing depends on its state.

    Raises:
        OSError: the folder, or the folder of marks, cannot be read.
    """
    oldest = (time.time() if now is None else now) - limits.days * DAY_S
    marks = read_marks(folder)
    removals: list[Removal] = []
    kept = kept_bytes = marked = 0
    full = False
    for path in trace_files(folder):
        try:
            file = os.stat(folder / path)
        except OSError:
            continue  # gone meanwhile
        at, size = time_in(path) or file.st_mtime, file.st_size
        full = full or bool(limits.bytes and kept_bytes + size > limits.bytes)
        if limits.days and at < oldest:
            reason = "age"
        elif full:  # also a smaller one would fit: what is older goes first
            reason = "size"
        elif limits.traces and kept >= limits.traces:
            reason = "count"
        else:
            reason = ""
        if reason and id_in(path) not in marks:
            removals.append(Removal(path, at, size, reason))
            continue
        kept, kept_bytes, marked = kept + 1, kept_bytes + size, marked + bool(reason)
    return PrunePlan(removals[::-1], kept, kept_bytes, marked)


def removal_begins(folder: Path, *, now: float | None = None) -> float:
    """From when on a host may remove traces of this folder by itself, in epoch seconds.

    That is a week after this was first asked, which is when there first was something to remove: people
    whose traces had been kept for ever are to learn of it while they are all there.

    Raises:
        OSError: it cannot be noted that it was asked.
    """
    moment = time.time() if now is None else now
    try:
        announced = float((folder / ANNOUNCED).read_bytes())
    except (FileNotFoundError, ValueError):
        announced = math.inf
    if not announced <= moment:  # never, or by a clock that was wrong
        announced = moment
        write_private(folder / ANNOUNCED, str(announced).encode())
    return announced + NOTICE_S


def prune(
    folder: Path,
    index: TraceIndex,
    plan: PrunePlan,
    *,
    metrics: CacheMetrics | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Pruned:
    """Remove what a plan names, but for what was marked since; the oldest go first.

    Files go before their rows, as they came: whatever ends it in between, `reconcile` puts the rest right.
    `metrics` count all requests of the index before; what a full disk did not take then, it may take after.

    Raises:
        sqlite3.Error: the index cannot be written; the files of the last batch are gone.
        OSError: a mark cannot be looked for.
    """
    traces = size = failed = 0
    error = ""
    if metrics is not None:
        metrics.collect(index)
    for begin in range(0, len(plan.removals), _BATCH):
        if stopped():
            break
        gone = []
        for removal in plan.removals[begin : begin + _BATCH]:
            if is_marked(folder, id_in(removal.path) or ""):
                continue
            try:
                (folder / removal.path).unlink(missing_ok=True)
            except OSError as trouble:
                failed, error = failed + 1, trouble.strerror or str(trouble)
                continue
            gone.append(removal.path)
            size += removal.bytes
        index.remove(gone)
        traces += len(gone)
    if traces:
        index.purge()
        if metrics is not None:
            metrics.collect(index)
    return Pruned(traces, size, failed, error)
