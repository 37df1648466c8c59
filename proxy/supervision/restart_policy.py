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
    """Counts attempts; a life in health of `forgive_after_s` makes earlier faults forgotten.

    Where a new process is all that is needed, the first attempt is made at once, and `at_once_after_s` in
    health are enough to forget the attempts before.
    """

    def __init__(
        self,
        delays_s: Sequence[float] = (1, 2, 4, 8, 16),
        forgive_after_s: float = 600,
        at_once_after_s: float = 30,
    ) -> None:
        self._delays = tuple(delays_s)
        self._forgive_after = forgive_after_s
        self._at_once_after = min(forgive_after_s, at_once_after_s)
        self._attempts = 0

    @property
    def attempts(self) -> int:
        return len(self._delays)

    def next(self, healthy_s: float, *, at_once: bool = False) -> Restart | None:
        """The restart after a life that was healthy for so long; None when it is time to give up.

        `at_once`: nothing but a new process is needed (`proxy.supervision.exit.EngineExit`).
        """
        if healthy_s >= (self._at_once_after if at_once else self._forgive_after):
            self._attempts = 0
        if self._attempts >= len(self._delays):
            return None
        self._attempts += 1
        delay = 0.0 if at_once and self._attempts == 1 else self._delays[self._attempts - 1]
        return Restart(self._attempts, len(self._delays), delay)

    def forget(self) -> None:
        """Begin anew: somebody asked for a restart."""
        self._attempts = 0
