"""The newest lines of a host's log in memory, and the handler that takes what its program logs."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

from proxy.events.health_types import HostLogLine, LogEntry
from proxy.events.types import EventData
from proxy.timeline.health_history import StateMark
from proxy.timeline.log_levels import Level
from proxy.timeline.log_reader import LogReader, lines_of_earlier_hosts

KEPT_LINES = 300
KEPT_FAULTS = 150  # warnings and errors, which many other lines may have followed
LONGEST_TEXT = 2_000  # characters
# Whose lines are events already: the supervisor's restarts, and deltas.
_EVENTS_ALREADY = ("anyclaude.supervisor", "anyclaude.stream")
_OURS = ("anyclaude", "proxy", "engine")  # the first parts of our loggers: modules say nothing to people
NOTICED = "noticed"  # attribute of a record that is a notice too


class LogBook:
    """A listener of the bus; `lines` are the newest ones, with older warnings and errors before them.

    Before all of them stands what `recall` was given of earlier hosts.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reader = LogReader()
        self._lines: deque[tuple[int, LogEntry]] = deque(maxlen=KEPT_LINES)
        self._faults: deque[tuple[int, LogEntry]] = deque(maxlen=KEPT_FAULTS)
        self._number = 0
        self._earlier: list[LogEntry] = []

    def recall(self, marks: Iterable[StateMark]) -> None:
        """Take the history of states, whose end is that of this host."""
        told = ((at, *fact) for at, fact in lines_of_earlier_hosts(marks))
        self._earlier = [
            LogEntry(time=at, source=source, level=level, text=text[:LONGEST_TEXT], request=about)
            for at, source, level, text, about in told
        ]

    @property
    def lines(self) -> list[LogEntry]:
        """The lines that are kept, newest last."""
        first = self._lines[0][0] if self._lines else 0
        older = [entry for number, entry in self._faults if number < first]
        return [*self._earlier, *older, *(entry for _, entry in self._lines)]

    def observe(self, type: str, request: str | None, data: EventData) -> None:
        """Keep what an event says."""
        for source, level, text, about in self._reader.read(type, request, data):
            if len(text) > LONGEST_TEXT:
                text = f"{text[:LONGEST_TEXT]} [… {len(text) - LONGEST_TEXT} more characters]"
            entry = LogEntry(time=self._clock(), source=source, level=level, text=text, request=about)
            self._number += 1
            self._lines.append((self._number, entry))
            if level in ("warning", "error"):
                self._faults.append((self._number, entry))


class FeedHandler(logging.Handler):
    """Publishes what the host's program logs; from any thread, within the event loop that it was made in."""

    def __init__(self, publish: Callable[[HostLogLine], object]) -> None:
        super().__init__(logging.INFO)
        self._publish = publish
        self._loop = asyncio.get_running_loop()

    def filter(self, record: logging.LogRecord) -> bool:
        """What people should see: all of ours, and of libraries warnings and errors."""
        if hasattr(record, NOTICED) or record.name.startswith(_EVENTS_ALREADY):
            return False
        return record.levelno >= logging.WARNING or record.name.partition(".")[0] == "anyclaude"

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                error = record.exc_info[1]
                text = f"{text}: {type(error).__name__}: {error}"
            ours = record.name.partition(".")[0] in _OURS
            line = text if ours else f"{record.name}: {text}"
            data = HostLogLine(level=_level(record.levelno), line=line[:LONGEST_TEXT])
            self._loop.call_soon_threadsafe(self._publish, data)
        except RuntimeError:  # the loop has ended
            pass
        except Exception:
            self.handleError(record)


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
