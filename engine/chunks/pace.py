"""Compare the speed of real prefills with the fit that the chunk size was chosen by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Any

from engine.chunks.fit import ChunkFit

_OFF = 2.0  # the ratio to the fit that counts as off
_CHUNKS, _AGREEING = 8, 7  # chunks to look at, and how many of them must be off: some are disturbed
_SHALLOW = 4096  # tokens; later steps take longer than the first one, which was measured
_WORTH_S = 0.05  # shorter steps vary too much, and matter little


class PrefillPace:
    """Compares chunks with the fit, and reports a mismatch once. Used on the model's thread."""

    def __init__(self, fit: ChunkFit, on_mismatch: Callable[[float], None]) -> None:
        """`on_mismatch` is called with the ratio of a chunk's time to the fit's."""
        self.fit = fit
        self._on_mismatch = on_mismatch
        self._ratios: deque[float] = deque(maxlen=_CHUNKS)
        self._reported = False

    def add(self, begin: int, end: int, seconds: float) -> None:
        """Record the seconds of the chunk from `begin` to `end`, with no other work on the device."""
        tokens, (short, _) = end - begin, self.fit.lengths
        expected = self.fit.seconds(tokens)
        if self._reported or tokens < short or max(seconds, expected) < _WORTH_S:
            return
        if end > _SHALLOW and seconds > expected:
            return  # expected at this position
        self._ratios.append(seconds / expected)
        slow = sum(ratio > _OFF for ratio in self._ratios)
        fast = sum(ratio < 1 / _OFF for ratio in self._ratios)
        if max(slow, fast) >= _AGREEING:
            self._reported = True
            self._on_mismatch(median(self._ratios))


def prefill_stats(chunk_tokens: int, pace: PrefillPace | None) -> dict[str, Any]:
    """The prefill part of `/stats`: the first chunk's size, and the fit unless the size was configured."""
    fit = pace.fit if pace is not None and pace.fit.chunk_tokens == chunk_tokens else None
    return {
        "chunk_tokens": chunk_tokens,
        "fixed_s": fit.fixed_s if fit else None,
        "per_token_s": fit.per_token_s if fit else None,
        "measured_for": fit.measured_for if fit else "",
    }
