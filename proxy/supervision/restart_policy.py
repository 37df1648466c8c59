"""Limits and delays for restarts of an engine that ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Restart:
    """The next attempt: its number, the limit, and the delay in seconds."""

    attempt: int
    of: int
    delay_s: float


class RestartPolicy:
    """Counts attempts; a healthy run of `forgive_after_s` resets the count.

    If a new process is enough, the first attempt has no delay, and a healthy run of `at_once_after_s` resets
    the count.
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
        """The restart after a run that was healthy for `healthy_s`; None when the limit is reached.

        `at_once`: a new process is enough (`proxy.supervision.exit.EngineExit`).
        """
        if healthy_s >= (self._at_once_after if at_once else self._forgive_after):
            self._attempts = 0
        if self._attempts >= len(self._delays):
            return None
        self._attempts += 1
        delay = 0.0 if at_once and self._attempts == 1 else self._delays[self._attempts - 1]
        return Restart(self._attempts, len(self._delays), delay)

    def forget(self) -> None:
        """Reset the count: the user requested a restart."""
        self._attempts = 0
