"""Figures over time in buckets: short ones for the last half hour, long ones for a week; bounded memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

# Seconds of a bucket, and how many are kept: 33 minutes, 4 hours, a day, a week. Each divides the next, so
# that a short bucket lies within one of each longer length, also once it is known by its beginning alone.
TIERS = ((2.0, 1000), (20.0, 750), (120.0, 740), (600.0, 1020))
_MOST = 1e15  # of a figure
_LATEST = 1e12  # epoch seconds; what is later is no moment


@dataclass(slots=True)
class HealthSample:
    """What is known of one bucket; 0 where nothing was."""

    probes: int = 0
    failed: int = 0  # of the probes
    latency_s: float = 0.0  # the longest of a probe that was answered
    memory_bytes: float = 0.0  # the most
    limit_bytes: float = 0.0
    tokens: float = 0.0
    busy: int = 0  # whether requests ran

    def add(self, other: HealthSample) -> None:
        """Merge a sample of the same time, or of a time beside it."""
        self.probes += other.probes
        self.failed += other.failed
        self.latency_s = max(self.latency_s, other.latency_s)
        self.memory_bytes = max(self.memory_bytes, other.memory_bytes)
        self.limit_bytes = other.limit_bytes or self.limit_bytes
        self.tokens += other.tokens
        self.busy |= other.busy

    def row(self, moment: float) -> list[float]:
        """The sample and its moment as numbers."""
        latency = round(self.latency_s, 5)
        figures = (self.memory_bytes, self.limit_bytes, round(self.tokens, 1))
        return [moment, self.probes, self.failed, latency, *figures, self.busy]

    @classmethod
    def of_row(cls, row: Sequence[float]) -> tuple[float, HealthSample]:
        """The moment and the sample of such a row. Raises ValueError: it is none."""
        moment, probes, failed, latency, memory, limit, tokens, busy = row[:8]
        figures = (moment, probes, failed, latency, memory, limit, tokens, busy)
        if not all(math.isfinite(one) and 0 <= one <= _MOST for one in figures):
            raise ValueError("no sample")
        return moment, cls(int(probes), int(failed), latency, memory, limit, tokens, int(bool(busy)))


class HealthSamples:
    """Each figure goes into a bucket of each length, so nothing has to be summed up when it is old."""

    def __init__(self) -> None:
        self._tiers: list[OrderedDict[int, HealthSample]] = [OrderedDict() for _ in TIERS]

    def add(self, moment: float, sample: HealthSample) -> None:
        """Count a sample at a moment (epoch seconds)."""
        if not 0 <= moment <= _LATEST:  # also what is not a number
            return
        for tier in range(len(TIERS)):
            self._put(tier, moment, sample)

    def add_tokens(self, start: float, end: float, tokens: float) -> None:
        """Count tokens evenly over a time: for an answer of which only the sum is known."""
        if not (0 <= start <= end <= _LATEST) or not 0 < tokens <= _MOST:
            return
        for tier, (step, keep) in enumerate(TIERS):
            first, last = int(start // step), int(end // step)
            number = last - first + 1
            for index in range(max(first, last - keep), last + 1):
                self._put(tier, index * step, HealthSample(tokens=tokens / number))

    def cells(self, start: float, step_s: float, number: int, now: float) -> list[HealthSample | None]:
        """`number` samples of `step_s` seconds each from `start` on; None where nothing is known.

        `tokens` is a rate here: tokens a second.
        """
        tier = next((at for at, (step, keep) in enumerate(TIERS) if now - start <= step * (keep - 1)), -1)
        step, buckets = TIERS[tier][0], self._tiers[tier]
        found: list[HealthSample | None] = [None] * number
        counted = [0] * number
        if step_s < step:  # several cells lie in one bucket
            at = (int((start + (place + 0.5) * step_s) // step) for place in range(number))
            within = (buckets.get(index) for index in at)
            return [one and replace(one, tokens=one.tokens / step) for one in within]
        first, last = int(start // step), int((start + step_s * number) // step)
        many = last - first + 1 > len(buckets)
        for index in list(buckets) if many else range(first, last + 1):
            sample = buckets.get(index)
            place = math.floor(((index + 0.5) * step - start) / step_s)
            if not 0 <= place < number:
                continue
            counted[place] += 1
            if sample is not None:
                mine = found[place] = found[place] or HealthSample()
                mine.add(sample)
        for place, known in enumerate(found):
            if known is not None:
                known.tokens /= step * max(1, counted[place], math.floor(step_s / step))
        return found

    def rows(self) -> list[list[list[float]]]:
        """All as rows, a list for each length: each time is in the shortest buckets that reach back to it."""
        out: list[list[list[float]]] = []
        newer = math.inf
        for (step, _), buckets in zip(TIERS, self._tiers, strict=True):
            rows = [
                sample.row(index * step)
                for index, sample in sorted(buckets.items())
                if (index + 1) * step <= newer
            ]
            out.append(rows)
            if rows:
                newer = min(newer, rows[0][0])
        return out

    def load(self, tiers: Iterable[Iterable[Sequence[float]]]) -> None:
        """Take rows of `rows`. Raises ValueError: they are none."""
        for tier, rows in enumerate(list(tiers)[: len(TIERS)]):
            for row in rows:
                moment, sample = HealthSample.of_row(row)
                for longer in range(tier, len(TIERS)):
                    self._put(longer, moment, sample)
        for tier, buckets in enumerate(self._tiers):
            self._tiers[tier] = OrderedDict(sorted(buckets.items()))
            self._trim(tier)

    def _put(self, tier: int, moment: float, sample: HealthSample) -> None:
        buckets = self._tiers[tier]
        index = int(moment // TIERS[tier][0])
        known = buckets.get(index)
        if known is None:
            known = buckets[index] = HealthSample()
            self._trim(tier)
        known.add(sample)

    def _trim(self, tier: int) -> None:
        """Forget the oldest; in the order in which they came, which a clock that was set back may disturb."""
        buckets = self._tiers[tier]
        while len(buckets) > TIERS[tier][1]:
            buckets.popitem(last=False)
