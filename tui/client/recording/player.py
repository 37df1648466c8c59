"""Plays a recording: hands out its moments as time passes, and from anywhere again. It knows no Textual."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import orjson

from proxy.events.types import Event, HostState
from proxy.recordings.format import Contact, Moment, PastOfHost, Recording
from tui.client.inbox import Arrived, Damaged, Past
from tui.client.records import RECORDED, Link, LinkState

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
MOST_AT_ONCE = 4000  # moments: as many as a frame of the screen takes
_NEAR_S = 1.0  # an incident this near is the one shown now

IncidentKind = Literal["failed", "restart", "missed"]
_INCIDENTS: dict[str, IncidentKind] = {
    "request.failed": "failed",
    "engine.restart": "restart",
    "cache.missed": "missed",
}


@dataclass(frozen=True, slots=True)
class Incident:
    """What one may look for in a recording, and when it was (epoch seconds)."""

    at: float
    kind: IncidentKind


class Player:
    """One playing of one recording, paused at its end; `clock` is what time it is in it (epoch seconds)."""

    def __init__(self, recording: Recording, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.begin, self.end = recording.begin, recording.end
        self.about = recording.header.about
        self.playing = True
        self.speed = 1.0
        self.incidents = tuple(_incidents(recording.moments))
        self.state: HostState | None = None  # the newest that was handed out
        self._moments = recording.moments
        self._times = [moment.at for moment in recording.moments]
        self._monotonic = monotonic
        self._then = monotonic()
        self._position = self.begin
        self._next = 0  # of the moments
        self._rewound = True

    def clock(self) -> float:
        """The moment that is shown."""
        return self._position

    @property
    def at_end(self) -> bool:
        """Whether all was shown."""
        return self._position >= self.end

    @property
    def behind(self) -> bool:
        """Whether not all up to the moment was handed out yet, after a long way."""
        return self._next < bisect_right(self._times, self._position)

    def due(self, most: int = MOST_AT_ONCE) -> tuple[bool, list[Arrived]]:
        """What has happened since the last call, and whether all of before is to be forgotten first."""
        now = self._monotonic()
        if self.playing:
            self._position = min(self.end, self._position + max(0.0, now - self._then) * self.speed)
            self.playing = not self.at_end
        self._then = now
        rewound, self._rewound = self._rewound, False
        items: list[Arrived] = [Link("live", RECORDED, self.begin)] if rewound else []
        until = min(bisect_right(self._times, self._position), self._next + most)
        for moment in self._moments[self._next : until]:
            items.append(self._arrived(moment))
        self._next = until
        return rewound, items

    def toggle(self) -> None:
        """Pause, or go on; from the end begin anew."""
        if self.at_end:
            self.seek(self.begin)
            self.playing = True
        else:
            self.playing = not self.playing

    def seek(self, moment: float) -> None:
        """Show this moment (epoch seconds)."""
        moment = min(self.end, max(self.begin, moment))
        if self._next and moment < self._times[self._next - 1]:
            self._next, self._rewound = 0, True
        self._position = moment

    def seek_share(self, share: float) -> None:
        """Show what is so far along, from 0 to 1."""
        self.seek(self.begin + (self.end - self.begin) * min(1.0, max(0.0, share)))

    def seek_incident(self, step: int) -> Incident | None:
        """Show the next incident, or with -1 the one before; None: there is none."""
        times = [incident.at for incident in self.incidents]
        if step > 0:
            place = bisect_right(times, self._position + _NEAR_S)
        else:
            place = bisect_left(times, self._position - _NEAR_S) - 1
        if not 0 <= place < len(times):
            return None
        self.seek(times[place] + _NEAR_S / 2)
        return self.incidents[place]

    def change_speed(self, step: int) -> None:
        """The next speed, or with -1 the one before."""
        place = SPEEDS.index(self.speed) + step
        self.speed = SPEEDS[min(len(SPEEDS) - 1, max(0, place))]

    def _arrived(self, moment: Moment) -> Arrived:
        match moment.what:
            case HostState() as state:
                self.state = state
                return state
            case PastOfHost(events):
                return Past(events)
            case Contact(state="live"):
                return Link("live", RECORDED, moment.at)
            case Contact() as contact:
                gone: LinkState = "ended" if contact.state == "ended" else "reconnecting"
                return Link(gone, contact.detail, moment.at)
            case packed:
                try:
                    return Event.model_validate_json(packed)
                except ValueError:
                    return Damaged()


def _incidents(moments: list[Moment]) -> Iterator[Incident]:
    for moment in moments:
        if not isinstance(moment.what, bytes) or not _may_be_one(moment.what):
            continue
        event = orjson.loads(moment.what)
        kind = _INCIDENTS.get(event.get("type"))
        data = event.get("data")
        if kind is None or not isinstance(data, dict):
            continue
        miss = data.get("miss")
        if kind == "missed" and (not isinstance(miss, dict) or miss.get("reason") in (None, "cold")):
            continue
        if not data.get("cancelled"):
            yield Incident(moment.at, kind)


def _may_be_one(packed: bytes) -> bool:
    return any(name.encode() in packed for name in _INCIDENTS)
