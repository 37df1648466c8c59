"""How often and after what pause an engine that died is started again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Restart:
    """The next attempt: its number, of how many, after how many seconds."""

    attempt: int
    of: int
    delay_s: float


class RestartPolicy:
    """Counts attempts; a life in health of `forgive_after_s` makes earlier faults forgotten."""

    def __init__(self, delays_s: Sequence[float] = (1, 2, 4, 8, 16), forgive_after_s: float = 600) -> None:
        self._delays = tuple(delays_s)
        self._forgive_after = forgive_after_s
        self._attempts = 0

    @property
    def attempts(self) -> int:
        return len(self._delays)

    def next(self, healthy_s: float) -> Restart | None:
        """The restart after a life that was healthy for so long; None when it is time to give up."""
        if healthy_s >= self._forgive_after:
            self._attempts = 0
        if self._attempts >= len(self._delays):
            return None
        self._attempts += 1
        return Restart(self._attempts, len(self._delays), self._delays[self._attempts - 1])

    def forget(self) -> None:
        """Begin anew: somebody asked for a restart."""
        self._attempts = 0
