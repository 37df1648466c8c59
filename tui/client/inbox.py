"""The bounded buffer between feed and screen: the feed fills it, a timer empties it ten times a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from tui.client.records import Link

if TYPE_CHECKING:
    from proxy.events.types import Event, HostState

LIMIT = 20_000


class Damaged:
    """In place of an event that could not be read."""


class Past:
    """Events from before the feed of a host, oldest first."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events


Arrived: TypeAlias = "Event | HostState | Link | Damaged | Past"


class Inbox:
    """First in, first out; when it is full the oldest events go and are counted.

    A host's account of itself and how the link to it stands do not come again: they stay.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._items: deque[Arrived] = deque()
        self._limit = limit
        self._dropped = 0

    def put(self, item: Arrived) -> None:
        """Add one arrival."""
        self._items.append(item)
        if len(self._items) > self._limit:
            del self._items[self._oldest_event()]
            self._dropped += 1

    def _oldest_event(self) -> int:
        """Its place; where there is none, that of the oldest arrival."""
        return next((place for place, item in enumerate(self._items) if not _lasts(item)), 0)

    def drain(self, most: int = LIMIT) -> tuple[list[Arrived], int]:
        """Up to `most` arrivals in order, and how many were dropped since the last call."""
        items = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        dropped, self._dropped = self._dropped, 0
        return items, dropped


def _lasts(item: Arrived) -> bool:
    return isinstance(item, Link | Past) or hasattr(item, "counters")  # of the host's account alone
