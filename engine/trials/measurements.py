"""What was found out about models on this machine, in a JSON file, so that it is found out once.

Native code can end the process that tries something. The next one finds the trial begun and never ended.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.process.private_files import write_private

_LATELY_S = 600.0  # what kills a process, such as a full memory, is often gone by then

log = logging.getLogger("engine")


class Measurements:
    """A file of values by name; one that cannot be read is empty, one that cannot be written stays so."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, name: str) -> Any:
        """The value of a name, None where there is none."""
        return self._read().get(name)

    def put(self, name: str, value: Any) -> None:
        """Keep a value, beside those that another process may have put there meanwhile; None forgets one."""
        known = {key: old for key, old in self._read().items() if key != name}
        known |= {} if value is None else {name: value}
        try:
            write_private(self._file, json.dumps(known).encode())
        except OSError as error:
            log.warning("%s cannot be written, and is measured again next time: %s", self._file, error)

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}


class Trial:
    """A block that may end the process; entering it tells how often that has happened lately.

    What ends the process from outside calls `cancel_trials`, so that it does not count.
    """

    def __init__(
        self, measurements: Measurements | None, name: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._measurements = measurements
        self._name = name
        self._clock = clock
        self._before: Any = None  # what was known of it

    def __enter__(self) -> int:
        if self._measurements is None:
            return 0
        last = self._before = self._measurements.get(self._name)
        count, at = (last.get("begun"), last.get("at")) if isinstance(last, dict) else (0, 0)
        lately = isinstance(at, int | float) and 0 <= self._clock() - at < _LATELY_S
        begun = count if lately and type(count) is int else 0
        self._measurements.put(self._name, {"begun": begun + 1, "at": self._clock()})
        _under_way.add(self)
        return begun

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _under_way.discard(self)
        if self._measurements is not None:
            self._measurements.put(self._name, None)

    def cancel(self) -> None:
        """Take back that it was begun."""
        if self._measurements is not None:
            self._measurements.put(self._name, self._before)


_under_way: set[Trial] = set()


def cancel_trials() -> None:
    """Somebody ends this process: the trials that are under way do not end it, and count as never begun."""
    for trial in tuple(_under_way):
        trial.cancel()
