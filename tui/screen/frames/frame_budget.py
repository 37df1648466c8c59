"""How many bytes of frames a terminal gets in a second: a bound, and less where it takes less."""

from __future__ import annotations

BYTES_PER_S = 16_000.0
LEAST_BYTES_PER_S = 2_000.0
BURST_BYTES = 2_000.0  # what may be owed while the next frame is drawn
_PAUSE_S = 0.5  # that many writes for keys cause together, and a larger one by itself
_SLOWER, _FASTER_PER_S = 0.7, 1_000.0


class FrameBudget:
    """Says whether the next frame may be drawn; what keys draw is written at once, and counts too.

    What is written is owed, and paid back at the rate of the budget. Each frame that finds the terminal
    behind lowers the rate, and time without one raises it (additive increase, multiplicative decrease): below
    the speed of a slow link nothing gathers on the way, which the answer to a key would have to wait for.
    """

    def __init__(self) -> None:
        self._owed = 0.0
        self._rate = BYTES_PER_S
        self._at = 0.0

    @property
    def rate(self) -> float:
        """Bytes a second now."""
        return self._rate

    def wrote(self, written: int) -> None:
        """Note that so many bytes were written."""
        self._owed = min(self._owed + written, BURST_BYTES + max(written, self._rate * _PAUSE_S))

    def allows(self, now: float, *, behind: bool) -> bool:
        """Whether a frame may be drawn at `now` (seconds of any clock); `behind` while a write waits."""
        passed, self._at = max(0.0, min(60.0, now - self._at)), now
        self._owed = max(0.0, self._owed - self._rate * passed)
        if behind:
            self._rate = max(LEAST_BYTES_PER_S, self._rate * _SLOWER)
            return False
        self._rate = min(BYTES_PER_S, self._rate + _FASTER_PER_S * passed)
        return self._owed <= BURST_BYTES
