"""Memory for the requests of the model's loop: who may begin, whose answer may grow, who makes way."""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.memory.guard import MemoryGuard
from engine.memory.reservations import Verdict
from engine.scheduling.active_requests import ActiveRequests
from engine.scheduling.reporting import LoopReporting
from engine.scheduling.requests.request import ScheduledRequest
from engine.wire.chat import context_length_message
from engine.wire.feed import CacheChange

_log = logging.getLogger(__name__)

_AHEAD = 1024  # tokens of an answer that memory is set apart for at a time
_GUESSED = 32  # more than a draft model runs ahead
_DISK_WAIT_S = 10.0  # that a request waits at most for what is being written to make room


class MemoryAdmission:
    """Asks the guard on behalf of requests, in their order. Used on the model's thread."""

    def __init__(
        self,
        guard: MemoryGuard,
        active: ActiveRequests,
        reporting: LoopReporting,
        *,
        preempt: Callable[[ScheduledRequest], None],
        fetch: Callable[[ScheduledRequest], None],
        clock: Callable[[], float],
    ) -> None:
        """`preempt` keeps what a running request has and lets it wait; `fetch` begins to read for it."""
        self._guard = guard
        self._active = active
        self._reporting = reporting
        self._preempt = preempt
        self._fetch = fetch
        self._clock = clock
        self._waiting_for_writes: tuple[ScheduledRequest, float] | None = (
            None  # who waits for the disk, until when
        )
        self._preempted: dict[ScheduledRequest, int] = {}  # the requests that had ended by then
        self._shortage_logged = False
        self._admitted: ScheduledRequest | None = (
            None  # who has memory, and waits for the disk before it begins
        )
        self._last_read_for: ScheduledRequest | None = None  # who was last read for at its turn

    def watch(self) -> None:
        """Look at the machine's memory and at what is no longer used; in each turn, also of an idle loop."""
        self._guard.watch_pressure(self._clock())
        self.update()

    def update(self) -> None:
        """Bring the ledger up to date, and have the cache give up what is beyond its room now."""
        if self._guard.is_limited:
            self._update_reservations(None)

    def may_read_now(self, request: ScheduledRequest) -> bool:
        """Whether what a prompt has on disk may be read now; else it is read when its turn has come."""
        self.update()  # others may have begun to read in the same turn
        return self._guard.may_read(len(request.tokens), early=True)

    def next_to_start(self, request: ScheduledRequest) -> ScheduledRequest:
        """Who begins next, in place of `request`: one that was let in before, and waited for the disk."""
        if self._admitted is not None and (
            request.suspect or self._admitted not in self._active.queue.waiting
        ):
            self._admitted = None
        return self._admitted or request

    def admit(self, request: ScheduledRequest) -> Verdict:
        """May a request begin? It may also have to wait for its read from disk, which then begins."""
        if not self._guard.is_limited:
            return Verdict.FITS
        if request.fetch is not None:
            return Verdict.WAITS
        self._update_reservations(request)
        if self._preempted.get(request) == self._ended and self._active.running:
            return Verdict.WAITS  # else it would soon have to make way again
        verdict = self._guard.admit(request, *self._needs(request))
        if verdict is Verdict.WAITS:
            self._log_shortage(request)
        if verdict is not Verdict.FITS:
            return verdict
        self._admitted = request
        self._update_reservations(request)
        if self._waits_for_writes(request):
            return Verdict.WAITS
        self._preempted.pop(request, None)
        self._shortage_logged = False
        known = self._guard.restorable(request.tokens)
        lost = (
            known < request.restorable and self._last_read_for is not request
        )  # others took the place of what was read
        if request.read_later or lost:
            request.read_later, request.restorable, self._last_read_for = False, known, request
            if self._make_room_for_read(request):
                self._fetch(request)
            if request.fetch is not None:
                return Verdict.WAITS
        self._admitted = None
        return Verdict.FITS

    def refusal(self, request: ScheduledRequest) -> str:
        """What the client of a prompt reads that will never fit: it compacts the conversation."""
        return context_length_message(
            len(request.sequence), self._guard.reservations.window(len(request.sequence))
        )

    def grow(self) -> None:
        """Set memory apart for what answers will be in this turn; who came last makes way for the others."""
        if not self._guard.is_limited:
            return
        for request in sorted(self._active.decoding.values(), key=lambda one: one.arrived):
            while request.slot is not None and not self._guard.grow(request, *self._needs(request)):
                newest = max(self._running(), key=lambda one: one.arrived)
                if newest is request and len(self._running()) == 1:
                    break  # alone it has all that there is, and its window is within that
                _log.info("request %s makes way: memory is short", newest.spec.request_id)
                self._preempt(newest)
                newest.read_later = True
                self._preempted[newest] = self._ended
                self._update_reservations(request)

    @property
    def _ended(self) -> int:
        counts = self._reporting.counts
        return counts.finished + counts.failed + counts.cancelled

    def _needs(self, request: ScheduledRequest) -> tuple[int, int]:
        """The tokens that it needs room for now, and those that it would like to have it for."""
        so_far = len(request.spec.prompt) + len(request.generated)
        most = max(so_far + 1, len(request.spec.prompt) + request.max_tokens)
        return min(so_far + _GUESSED, most), min(so_far + _AHEAD, most)

    def _running(self) -> list[ScheduledRequest]:
        return [*self._active.decoding.values(), *self._active.queue.started]

    def _update_reservations(self, request: ScheduledRequest | None, more_bytes: int = 0) -> None:
        """Bring the ledger up to date and make room, for one that begins, and for so many bytes more."""
        self._preempted = {one: ended for one, ended in self._preempted.items() if one in self._active}
        if self._admitted is not None and self._admitted not in self._active.queue.waiting:
            self._admitted = None  # it has ended
        reading = [one for one in self._active.queue.waiting if one.fetch is not None]
        claims = {*self._running(), *(one for one in [*reading, self._admitted, request] if one is not None)}
        loading = sum(one.fetch.bytes for one in reading if one.fetch is not None)
        changes = self._guard.rebalance(
            claims, loading + more_bytes, request.tokens if request is not None else None
        )
        if request is not None:
            self._report(request, changes)

    def _make_room_for_read(self, request: ScheduledRequest) -> bool:
        """Have the cache give up others' prompts for what is read for this one, where that is enough."""
        reservations = self._guard.reservations
        needed = reservations.cost.cache_bytes(len(request.tokens))
        if reservations.claimed_bytes + needed > reservations.limit_bytes:
            return False
        self._update_reservations(request, needed)
        self._update_reservations(request)  # the room that was made is the cache's, as soon as it is read
        return self._guard.may_read(len(request.tokens))

    def _report(self, request: ScheduledRequest, changes: list[CacheChange]) -> None:
        for change in changes:
            self._reporting.emit(request, change)

    def _waits_for_writes(self, request: ScheduledRequest) -> bool:
        """Whether what was evicted, and is being written, has to be gone first; for a bounded time."""
        if not self._guard.waits_for_writes(request):
            self._waiting_for_writes = None
            return False
        now = self._clock()
        if self._waiting_for_writes is None or self._waiting_for_writes[0] is not request:
            self._waiting_for_writes = request, now + _DISK_WAIT_S
        return now < self._waiting_for_writes[1]

    def _log_shortage(self, request: ScheduledRequest) -> None:
        if not self._shortage_logged:
            _log.info("request %s waits for memory: others are running", request.spec.request_id)
        self._shortage_logged = True
