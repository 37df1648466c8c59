"""The figures of a range of time in place of those since the host's start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tui.client.records import Snapshot
from tui.screen.trace_list.list_query import RANGES, RangeName

if TYPE_CHECKING:
    from proxy.traces.listing.usage_sums import UsageSums

AGAIN_S = 1.0  # between two questions while requests end


@dataclass
class RangedUsage:
    """Which range is shown, what the host's index said of it, and why it said nothing."""

    range: RangeName = "now"  # since the host's start
    sums: UsageSums | None = None
    problem: str = ""
    _asked_for: tuple[RangeName, int] | None = None
    _asked: float = 0.0

    def turn(self) -> None:
        """On to the next range, the longest last."""
        self.range = RANGES[(RANGES.index(self.range) - 1) % len(RANGES)]
        self.sums, self.problem, self._asked_for = None, "", None

    def is_due(self, snapshot: Snapshot, now: float) -> bool:
        """Whether the host is to be asked: at once for another range, else when requests have ended."""
        if self.range == "now" or snapshot.link.state != "live":
            return False
        wanted = (self.range, snapshot.traced)
        same_range = self._asked_for is not None and self._asked_for[0] == self.range
        if wanted == self._asked_for or (same_range and 0.0 <= now - self._asked < AGAIN_S):
            return False
        self._asked_for, self._asked = wanted, now
        return True

    def take(self, range: RangeName, sums: UsageSums | None, problem: str = "") -> None:
        """Note what the host has said of a range, unless another one is shown by now."""
        if range == self.range:
            self.problem, self.sums = problem, sums or self.sums

    def applied(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the token sums and the saved time of the range."""
        if self.range == "now":
            return snapshot
        sums = self.sums
        totals = replace(
            snapshot.totals,
            cache_read_input_tokens=sums.restored if sums else 0,
            cache_creation_input_tokens=sums.cached if sums else 0,
            input_tokens=sums.not_kept if sums else 0,
        )
        return replace(snapshot, totals=totals, saved_s=sums.saved_s if sums else None)
