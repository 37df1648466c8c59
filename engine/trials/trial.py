"""Trials of models that may end the process, on record in a JSON file.

Native code can kill the process during a trial. The next process finds the trial started and not finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from engine.process.json_files import KnownValues

_RECENT_S = 600.0  # seconds; a cause such as full memory is often gone by then


class Trial:
    """A block that may kill the process; entering it returns how often that has happened lately.

    Code that ends the process for another reason calls `cancel_trials`, so that this does not count.
    """

    def __init__(
        self, measurements: KnownValues | None, name: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._measurements = measurements
        self._name = name
        self._clock = clock
        self._before: Any = None  # the stored value

    def __enter__(self) -> int:
        if self._measurements is None:
            return 0
        last = self._before = self._measurements.get(self._name)
        count, at = (last.get("begun"), last.get("at")) if isinstance(last, dict) else (0, 0)
        recent = isinstance(at, int | float) and 0 <= self._clock() - at < _RECENT_S
        started = count if recent and type(count) is int else 0
        self._measurements.put(self._name, {"begun": started + 1, "at": self._clock()})
        _running.add(self)
        return started

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _running.discard(self)
        if self._measurements is not None:
            self._measurements.put(self._name, None)

    def cancel(self) -> None:
        """Restore the value from before the trial started."""
        if self._measurements is not None:
            self._measurements.put(self._name, self._before)


_running: set[Trial] = set()


def cancel_trials() -> None:
    """Do not count the running trials: the process ends for another reason."""
    for trial in tuple(_running):
        trial.cancel()
