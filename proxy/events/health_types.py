"""Payloads about the health of host, engine and upstream over time, and their log."""

from __future__ import annotations

from typing import Literal

from proxy.events.event_data import EventData

LogLevel = Literal["debug", "info", "warning", "error"]
LogSource = Literal["engine", "host", "upstream"]


class HostLogLine(EventData):
    """A line that the host's own program logged."""

    level: LogLevel = "info"
    line: str


class LogEntry(EventData):
    """One line of the log that a screen shows: of the engine, of the host, or about the upstream."""

    time: float
    source: LogSource
    level: LogLevel
    text: str
    request: str = ""  # that it is about


class HostDisk(EventData):
    """What the host takes of the disk, and what is left; 0: not known.

    `unwritten` requests in a row could not be recorded, `refusal` says why; 0 again after one could.
    """

    free_bytes: int = 0
    traces_bytes: int = 0
    traces: int = 0  # files
    unwritten: int = 0
    refusal: str = ""


class HostHistory(EventData):
    """What was before the events that a host still has (`proxy.timeline.health_history`), up to `covers`.

    Rows are lists, as `proxy.timeline` makes them: one of its versions reads what another has written.
    """

    covers: int = 0  # the newest event in it, by its `seq`
    samples: list[list[list[float]]] = []  # a list of rows for each length of a sample
    marks: list[list[str | float | bool]] = []
    spans: list[list[str | float | int]] = []
