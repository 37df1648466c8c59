"""Whether prompts are prefilled about as fast as was measured when the chunk size was chosen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Any

from engine.chunks.fit import ChunkFit

_OFF = 2.0  # times as fast or as slow as measured
_CHUNKS, _AGREEING = 8, 7  # the last so many, of which so many must tell so: some are delayed by others
_SHALLOW = 4096  # tokens; a step further on takes longer than a first one, which was measured
_WORTH_S = 0.05  # shorter steps are disturbed by too much, and cost nobody much


class PrefillPace:
    """Compares chunks with the fit, and reports once if they are off. Used on the model's thread."""

    def __init__(self, fit: ChunkFit, on_off: Callable[[float], None]) -> None:
        """`on_off` is called with how many times as long as measured a chunk takes."""
        self.fit = fit
        self._on_off = on_off
        self._ratios: deque[float] = deque(maxlen=_CHUNKS)
        self._reported = False

    def add(self, begin: int, end: int, seconds: float) -> None:
        """Note what the chunk from `begin` to `end` took, with nothing else at work."""
        tokens, (short, _) = end - begin, self.fit.lengths
        expected = self.fit.seconds(tokens)
        if self._reported or tokens < short or max(seconds, expected) < _WORTH_S:
            return
        if end > _SHALLOW and seconds > expected:
            return  # it would, and tells nothing
        self._ratios.append(seconds / expected)
        slow = sum(ratio > _OFF for ratio in self._ratios)
        fast = sum(ratio < 1 / _OFF for ratio in self._ratios)
        if max(slow, fast) >= _AGREEING:
            self._reported = True
            self._on_off(median(self._ratios))


def prefill_stats(chunk_tokens: int, pace: PrefillPace | None) -> dict[str, Any]:
    """What `/stats` tells of prefill: a prompt's first chunk, and the fit unless the size was asked for."""
    fit = pace.fit if pace is not None and pace.fit.chunk_tokens == chunk_tokens else None
    return {
        "chunk_tokens": chunk_tokens,
        "fixed_s": fit.fixed_s if fit else None,
        "per_token_s": fit.per_token_s if fit else None,
        "measured_for": fit.measured_for if fit else "",
    }
