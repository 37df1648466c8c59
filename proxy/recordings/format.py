"""The file of a recording: its first line, its other lines, and what is wrong with one that cannot be played.

docs/recordings.md describes the format for other readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import orjson
from pydantic import BaseModel, ConfigDict

from proxy.events.types import Event, HostState
from proxy.traces.schema import Trace, TraceSummary

FORMAT = 1  # grows when a line changes its meaning; readers ignore kinds and fields that they do not know
SUFFIX = ".jsonl.gz"
MOST_BYTES = 256 << 20  # unpacked
LONGEST_LINE = 64 << 20

Contents = Literal["redacted", "none"]
ContactState = Literal["live", "reconnecting", "ended"]
Kind = Literal["state", "event", "past", "contact", "answer", "row", "trace"]


class RecordingError(Exception):
    """The file cannot be played, and its text says why; raised by who reads it."""


class RecordingHeader(BaseModel):
    """The first line: what the file is, and who made it."""

    model_config = ConfigDict(extra="ignore")

    anyclaude_recording: int  # the format
    version: str = ""  # of the program that made it
    made: float = 0.0  # epoch seconds
    contents: Contents = "redacted"  # "none": the texts of prompts, answers and tools are left out
    about: str = ""


class Contact(BaseModel):
    """How the recorder stood with the host from this moment on."""

    model_config = ConfigDict(extra="ignore")

    state: ContactState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PastOfHost:
    """Events from before those that the host still had, oldest first."""

    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a screen was told at one moment (epoch seconds); of an event the line in the file."""

    at: float
    what: HostState | PastOfHost | Contact | bytes

    def event(self) -> Event:
        """The event. Raises `ValueError` where the line is damaged."""
        return Event.model_validate(orjson.loads(cast(bytes, self.what))["event"])


class HostAnswer(BaseModel):
    """What the host API answered to a path without parameters, for what only a host knows."""

    model_config = ConfigDict(extra="ignore")

    path: str
    body: dict[str, Any]


@dataclass(slots=True)
class Recording:
    """A recording that was read: moments in order, their times never going back."""

    header: RecordingHeader
    moments: list[Moment] = field(default_factory=list)
    rows: dict[str, TraceSummary] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)
    answers: dict[str, list[tuple[float, HostAnswer]]] = field(default_factory=dict)  # by path, in order
    damaged: int = 0  # lines that could not be read
    cut_off: bool = False  # the end is missing: who wrote it was killed, or the disk was full

    @property
    def begin(self) -> float:
        """The first moment, in epoch seconds."""
        return self.moments[0].at if self.moments else self.header.made

    @property
    def end(self) -> float:
        """The last moment, in epoch seconds."""
        return self.moments[-1].at if self.moments else self.header.made
