"""Plays a recording: hands out its moments as time passes, and from anywhere again. It knows no Textual."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from proxy.events.types import HostState
from proxy.recordings.format import Contact, Moment, PastOfHost, Recording
from tui.client.inbox import Arrived, Damaged, Past
from tui.client.records import RECORDED, Link, LinkState

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
MOST_AT_ONCE = 3000  # moments: fewer than a frame of the screen takes
KEYFRAMES = 25  # at most, so that a way back is no longer than this part of a recording
KEYFRAME_EVERY = 8000  # moments, at least: taking one costs as much as 1000 of them
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


@dataclass(frozen=True, slots=True)
class Rewind:
    """All that was handed out before is to be forgotten; what was `kept` is known then, or nothing."""

    kept: bytes = b""


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
        self._keyframes: list[tuple[int, bytes]] = [(0, b"")]  # what was known before a moment, in order
        self._every = max(KEYFRAME_EVERY, len(self._moments) // KEYFRAMES)
        self._rewind: Rewind | None = Rewind()

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

    def due(self, most: int = MOST_AT_ONCE) -> tuple[Rewind | None, list[Arrived]]:
        """What has happened since the last call, and what comes before that."""
        now = self._monotonic()
        if self.playing:
            self._position = min(self.end, self._position + max(0.0, now - self._then) * self.speed)
            self.playing = not self.at_end
        self._then = now
        rewind, self._rewind = self._rewind, None
        items: list[Arrived] = []
        if rewind is not None and not rewind.kept:
            items.append(Link("live", RECORDED, self.begin))
        until = min(bisect_right(self._times, self._position), self._next + most)
        for moment in self._moments[self._next : until]:
            items.append(self._arrived(moment))
        self._next = until
        return rewind, items

    def keep(self, frozen: Callable[[], bytes]) -> None:
        """Keep what is known now, by what gives it, if that is worth it: the way back begins there."""
        if self._next >= self._keyframes[-1][0] + self._every:
            self._keyframes.append((self._next, frozen()))

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
        until = bisect_right(self._times, moment)
        place = bisect_right(self._keyframes, until, key=lambda one: one[0]) - 1
        kept_until, kept = self._keyframes[place]
        if until < self._next or kept_until > self._next:
            self._next, self._rewind = kept_until, Rewind(kept)
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
            case _:
                try:
                    return moment.event()
                except ValueError:
                    return Damaged()


def _incidents(moments: list[Moment]) -> Iterator[Incident]:
    for moment in moments:
        if not isinstance(moment.what, bytes) or not _may_be_one(moment.what):
            continue
        try:
            event = moment.event()
        except ValueError:
            continue
        kind = _INCIDENTS.get(event.type)
        miss = event.data.get("miss")
        is_miss = isinstance(miss, dict) and miss.get("reason") not in (None, "cold")
        if kind is not None and (is_miss or kind != "missed") and not event.data.get("cancelled"):
            yield Incident(moment.at, kind)


def _may_be_one(packed: bytes) -> bool:
    return any(name.encode() in packed for name in _INCIDENTS)
