"""A quantity over time in buckets of equal length, for the history strips."""

from __future__ import annotations

import math
from collections import OrderedDict


class Buckets:
    """Amounts by moment, summed in buckets of `step_s` seconds, of which the newest `keep` are held."""

    def __init__(self, step_s: float = 1.0, keep: int = 900) -> None:
        self._step_s = step_s
        self._keep = keep
        self._amounts: OrderedDict[int, float] = OrderedDict()
        self.newest = -math.inf  # the moment of the newest amount

    def add(self, moment: float, amount: float) -> None:
        """Count `amount` at `moment` (epoch seconds); what is not a number is left out."""
        if not math.isfinite(moment) or not math.isfinite(amount) or abs(moment) > 1e12:
            return
        self.newest = max(self.newest, moment)
        index = int(moment // self._step_s)
        self._amounts[index] = self._amounts.get(index, 0.0) + amount
        while len(self._amounts) > self._keep:
            self._amounts.popitem(last=False)

    def spread(self, start: float, end: float, amount: float) -> None:
        """Count `amount` evenly between two moments: for what is known only in sum."""
        steps = int(min(self._keep, max(1.0, (end - start) // self._step_s))) if end > start else 1
        for index in range(steps):
            self.add(end - (steps - 1 - index) * self._step_s, amount / steps)

    def rates(self, now: float, number: int) -> list[float]:
        """The last `number` full buckets before `now`, in amounts a second, newest last."""
        if not math.isfinite(now):
            return [0.0] * number
        last = int(now // self._step_s)
        return [self._amounts.get(last - back, 0.0) / self._step_s for back in range(number, 0, -1)]

    def clear(self) -> None:
        """Forget everything."""
        self._amounts.clear()
        self.newest = -math.inf
