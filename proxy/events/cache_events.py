"""The payloads of events of the prefix cache; part of `proxy.events.types`."""

from __future__ import annotations

from engine.wire.misses import MissReason
from proxy.events.event_data import EventData


class CacheMiss(EventData):
    """Why the prefix cache could not reuse more of a prompt."""

    reason: MissReason = "cold"
    position: int = 0  # first token that differed from what was stored
    segment: str = ""  # what lies there: system and tools, or one of the messages
    before: str = ""  # the stored text around that token, shortened
    now: str = ""  # the new text around it, shortened
    lost_tokens: int = 0  # that what was evicted would have restored; 0: not known, or nothing was
    evicted_at: float = 0.0  # epoch seconds; 0: not known
    evicted_cause: str = ""  # of `engine.wire.misses.EvictionCause`
    evicted_session: str = ""  # whose request needed the room; empty: no single one did
    evicted_lane: str = ""
    evicted_request: str = ""


class CacheChanged(EventData):
    """A `engine.wire.feed.CacheChange`: one entry, and the totals of what is in memory after it.

    The event's type is `cache.` and the change's own `event`.
    """

    tokens: int = 0
    bytes: int = 0
    entries: int = 0
    total_bytes: int = 0
    budget_bytes: int = 0


class CacheEvicted(CacheChanged):
    """`cache.evicted`: a span left memory; the event's `request` needed the room."""

    session: str = ""  # whose request stored or used it last
    lane: str = ""
    used_by: str = ""  # that request
    used: float = 0.0  # when, in epoch seconds; 0: not since the engine started
    cause: str = ""  # of `engine.wire.misses.EvictionCause`


class CacheActed(CacheChanged):
    """`cache.pinned`, `.unpinned`, `.dropped`, `.flushed`: what a person did."""

    entry: str = ""  # its id; empty where the whole cache was flushed
    session: str = ""  # of the entry's last use
    lane: str = ""
    tier: str = ""  # of a flush: memory, disk, both
    disk_files: int = 0  # that were removed
    disk_bytes: int = 0
    lasting: bool = False  # a pin holds after a restart of the engine too


class CacheMissed(CacheChanged):
    """`cache.missed`: why less was reused than could have been."""

    miss: CacheMiss = CacheMiss()
