"""Memory for the requests of the model's loop: who may begin, whose answer may grow, who makes way."""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.memory.guard import MemoryGuard
from engine.memory.ledger import Verdict
from engine.prefix_cache.interface import CacheChange
from engine.scheduling.places import RequestPlaces
from engine.scheduling.reporting import LoopReporting
from engine.scheduling.requests.request import LiveRequest
from engine.wire.chat import context_length_message

_log = logging.getLogger(__name__)

_AHEAD = 1024  # tokens of an answer that memory is set apart for at a time
_GUESSED = 32  # more than a draft model runs ahead
_DISK_WAIT_S = 10.0  # that a request waits at most for what is being written to make room


class LoopMemory:
    """Asks the guard on behalf of requests, in their order. Used on the model's thread."""

    def __init__(
        self,
        guard: MemoryGuard,
        places: RequestPlaces,
        reporting: LoopReporting,
        *,
        put_back: Callable[[LiveRequest], None],
        fetch: Callable[[LiveRequest], None],
        clock: Callable[[], float],
    ) -> None:
        """`put_back` keeps what a running request has and lets it wait; `fetch` begins to read for it."""
        self._guard = guard
        self._places = places
        self._reporting = reporting
        self._put_back = put_back
        self._fetch = fetch
        self._clock = clock
        self._spilling: tuple[LiveRequest, float] | None = None  # who waits for the disk, until when
        self._made_way: dict[LiveRequest, int] = {}  # the requests that had ended by then
        self._is_short = False
        self._turn: LiveRequest | None = None  # who has memory, and waits for the disk before it begins
        self._read_for: LiveRequest | None = None  # who was last read for at its turn

    def watch(self) -> None:
        """Look at the machine's memory and at what is no longer used; in each turn, also of an idle loop."""
        self._guard.watch(self._clock())
        self.update()

    def update(self) -> None:
        """Bring the ledger up to date, and have the cache give up what is beyond its room now."""
        if self._guard.is_limited:
            self._settle(None)

    def may_fetch(self, live: LiveRequest) -> bool:
        """Whether what a prompt has on disk may be read now; else it is read when its turn has come."""
        self.update()  # others may have begun to read in the same turn
        return self._guard.may_load(len(live.tokens), early=True)

    def turn_of(self, live: LiveRequest) -> LiveRequest:
        """Who begins next, in place of `live`: one that was let in before, and waited for the disk."""
        if self._turn is not None and (live.suspect or self._turn not in self._places.line.waiting):
            self._turn = None
        return self._turn or live

    def admit(self, live: LiveRequest) -> Verdict:
        """May a request begin? It may also have to wait for its read from disk, which then begins."""
        if not self._guard.is_limited:
            return Verdict.FITS
        if live.fetch is not None:
            return Verdict.WAITS
        self._settle(live)
        if self._made_way.get(live) == self._ended and self._places.running:
            return Verdict.WAITS  # else it would soon have to make way again
        verdict = self._guard.admit(live, *self._needs(live))
        if verdict is Verdict.WAITS:
            self._tell_short(live)
        if verdict is not Verdict.FITS:
            return verdict
        self._turn = live
        self._settle(live)
        if self._waits_for_disk(live):
            return Verdict.WAITS
        self._made_way.pop(live, None)
        self._is_short = False
        known = self._guard.known(live.tokens)
        lost = known < live.known and self._read_for is not live  # others took the place of what was read
        if live.unread or lost:
            live.unread, live.known, self._read_for = False, known, live
            if self._make_room_to_read(live):
                self._fetch(live)
            if live.fetch is not None:
                return Verdict.WAITS
        self._turn = None
        return Verdict.FITS

    def refusal(self, live: LiveRequest) -> str:
        """What the client of a prompt reads that will never fit: it compacts the conversation."""
        return context_length_message(len(live.sequence), self._guard.ledger.window(len(live.sequence)))

    def grow(self) -> None:
        """Set memory apart for what answers will be in this turn; who came last makes way for the others."""
        if not self._guard.is_limited:
            return
        for live in sorted(self._places.decoding.values(), key=lambda one: one.arrived):
            while live.row is not None and not self._guard.grow(live, *self._needs(live)):
                newest = max(self._running(), key=lambda one: one.arrived)
                if newest is live and len(self._running()) == 1:
                    break  # alone it has all that there is, and its window is within that
                _log.info("request %s makes way: memory is short", newest.request.request_id)
                self._put_back(newest)
                newest.unread = True
                self._made_way[newest] = self._ended
                self._settle(live)

    @property
    def _ended(self) -> int:
        counts = self._reporting.counts
        return counts.finished + counts.failed + counts.cancelled

    def _needs(self, live: LiveRequest) -> tuple[int, int]:
        """The tokens that it needs room for now, and those that it would like to have it for."""
        so_far = len(live.request.prompt) + len(live.generated)
        most = max(so_far + 1, len(live.request.prompt) + live.max_tokens)
        return min(so_far + _GUESSED, most), min(so_far + _AHEAD, most)

    def _running(self) -> list[LiveRequest]:
        return [*self._places.decoding.values(), *self._places.line.started]

    def _settle(self, live: LiveRequest | None, more_bytes: int = 0) -> None:
        """Bring the ledger up to date and make room, for one that begins, and for so many bytes more."""
        self._made_way = {one: ended for one, ended in self._made_way.items() if one in self._places}
        if self._turn is not None and self._turn not in self._places.line.waiting:
            self._turn = None  # it has ended
        reading = [one for one in self._places.line.waiting if one.fetch is not None]
        claims = {*self._running(), *(one for one in [*reading, self._turn, live] if one is not None)}
        loading = sum(one.fetch.bytes for one in reading if one.fetch is not None)
        changes = self._guard.settle(claims, loading + more_bytes, live.tokens if live is not None else None)
        if live is not None:
            self._report(live, changes)

    def _make_room_to_read(self, live: LiveRequest) -> bool:
        """Have the cache give up others' prompts for what is read for this one, where that is enough."""
        ledger = self._guard.ledger
        needed = ledger.cost.kept(len(live.tokens))
        if ledger.claimed_bytes + needed > ledger.limit_bytes:
            return False
        self._settle(live, needed)
        self._settle(live)  # the room that was made is the cache's, as soon as it is read
        return self._guard.may_load(len(live.tokens))

    def _report(self, live: LiveRequest, changes: list[CacheChange]) -> None:
        for change in changes:
            self._reporting.cache_change(live, change)

    def _waits_for_disk(self, live: LiveRequest) -> bool:
        """Whether what was evicted, and is being written, has to be gone first; for a bounded time."""
        if not self._guard.spills(live):
            self._spilling = None
            return False
        now = self._clock()
        if self._spilling is None or self._spilling[0] is not live:
            self._spilling = live, now + _DISK_WAIT_S
        return now < self._spilling[1]

    def _tell_short(self, live: LiveRequest) -> None:
        if not self._is_short:
            _log.info("request %s waits for memory: others are running", live.request.request_id)
        self._is_short = True
