"""The log of engine, host and upstream, and what their health was over a week, from the host's events."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from proxy.timeline.health_history import HealthHistory
from proxy.timeline.log_levels import level_of, without_level
from proxy.timeline.log_reader import LogFact, LogReader, lines_of_earlier_hosts
from tui.client.records import LogLine
from tui.client.wire_text import line_text

if TYPE_CHECKING:
    from proxy.events.types import Event, HostState

LOG = 2000


class HealthReducer:
    """Fed with every event of the host in order."""

    def __init__(self) -> None:
        self.history = HealthHistory()
        self._reader = LogReader()
        self._earlier_reader = LogReader()
        self._lines: deque[LogLine] = deque(maxlen=LOG)
        self._snapshot: tuple[LogLine, ...] | None = ()
        self._covered = 0  # the host's history holds events up to this one

    def lines(self) -> tuple[LogLine, ...]:
        """The log, newest last; the same tuple as long as nothing changed."""
        if self._snapshot is None:
            self._snapshot = tuple(self._lines)
        return self._snapshot

    def begin(self, state: HostState) -> None:
        """Take the host's own account of its log."""
        if state.log:
            held = [
                LogLine(line.time, line_text(line.text), line.level, line.source, line_text(line.request, 80))
                for line in state.log
            ]
        else:  # an older host has the engine's lines, and levels of none
            times = state.engine_log_times
            if len(times) != len(state.engine_log):
                times = [0.0] * len(state.engine_log)
            held = [
                LogLine(at, line_text(without_level(line)), level_of(line))
                for at, line in zip(times, state.engine_log, strict=True)
            ]
        self._reader = LogReader()
        self._reader.read("engine.state", None, state.engine)
        before = (line for line in (*self._lines, *held) if 0 < line.time < state.started)
        earlier = {(line.time, line.text): line for line in before}
        told = [line for line in held if not 0 < line.time < state.started]
        first = told[0].time if told else float("inf")
        # What was seen before, and the host's account no longer reaches back to.
        seen = (line for line in self._lines if state.started <= line.time < first)
        ordered = sorted(earlier.values(), key=lambda line: line.time)
        self._lines = deque([*ordered, *seen, *told], maxlen=LOG)
        self._snapshot = None

    def apply(self, event: Event, data: Any, *, fresh: bool) -> None:
        """Take one event; what is not `fresh` is in the host's own account of its log already.

        Raises ValueError: a history that cannot be read.
        """
        if event.type == "host.history":
            self._covered = max(self._covered, data.covers)
            self.history.load(data.samples, data.marks, data.spans)
            # The host's own account has them too, once it has read what earlier hosts left.
            known = {(line.time, line.text) for line in self._lines}
            for moment, fact in lines_of_earlier_hosts(self.history.marks):
                if (moment, line_text(fact.text)) not in known:
                    self._add_earlier(moment, fact)
            return
        if event.seq == 0:
            for fact in self._earlier_reader.read(event.type, event.request, data):
                self._add_earlier(event.time, fact)
            return
        for fact in self._reader.read(event.type, event.request, data):
            if fresh:
                self._lines.append(_line(event.time, fact))
                self._snapshot = None
        take = self.history.observe if event.seq > self._covered else self.history.note
        take(event.time, event.type, event.request, data)

    def _add_earlier(self, moment: float, fact: LogFact) -> None:
        """Add a line from before this host, of a trace, in its place."""
        if len(self._lines) == LOG:
            return
        later = []
        while self._lines and (self._lines[-1].time > moment or not self._lines[-1].time):
            later.append(self._lines.pop())
        self._lines.append(_line(moment, fact))
        self._lines.extend(reversed(later))
        self._snapshot = None


def _line(moment: float, fact: LogFact) -> LogLine:
    return LogLine(moment, line_text(fact.text), fact.level, fact.source, line_text(fact.request, 80))
