"""Memory admission: which request may start, how far its answer may grow, which request is preempted.

Requests are brought in and started by `engine.scheduling.intake`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.memory.guard import MemoryGuard
from engine.memory.reservations import Admission
from engine.prefix_cache.interface import NOBODY
from engine.scheduling.active_requests import ActiveRequests
from engine.scheduling.reporting import LoopReporting
from engine.scheduling.requests.request import ScheduledRequest
from engine.wire.chat import context_length_message
from engine.wire.feed import CacheChange

_log = logging.getLogger(__name__)

_AHEAD = 1024  # tokens of an answer that memory is reserved for at a time
_GUESSED = 32  # tokens; more than a draft model guesses ahead
_DISK_WAIT_S = 10.0  # the longest wait for evicted spans to be written


class MemoryAdmission:
    """Reserves memory for requests through the guard. Used on the model's thread."""

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
        """`preempt` stores a running request's cache and queues it again; `fetch` starts a read from disk."""
        self._guard = guard
        self._active = active
        self._reporting = reporting
        self._preempt = preempt
        self._fetch = fetch
        self._clock = clock
        self._waiting_for_writes: tuple[ScheduledRequest, float] | None = None  # with its deadline
        self._preempted: dict[ScheduledRequest, int] = {}  # with how many requests had ended by then
        self._shortage_logged = False
        self._admitted: ScheduledRequest | None = None  # it has its reservation, and waits for the disk
        self._last_read_for: ScheduledRequest | None = None  # its read was the last one on admission

    def watch(self) -> None:
        """Check memory pressure and update reservations; call it in each turn, also of an idle loop."""
        self._guard.watch_pressure(self._clock())
        self.update()

    def update(self) -> None:
        """Update reservations, and evict from the prefix cache what is above its limit."""
        if self._guard.is_limited:
            self._update_reservations(None)

    def may_read_now(self, request: ScheduledRequest) -> bool:
        """Whether a prompt's spans on disk may be read on arrival; else they are read on admission."""
        self.update()  # other reads may have started in this turn
        return self._guard.may_read(len(request.tokens), early=True)

    def next_to_start(self, request: ScheduledRequest) -> ScheduledRequest:
        """The request to admit next: one that waits for the disk with a reservation, else `request`."""
        waiting = self._active.queue.waiting
        if self._admitted is not None and (request.suspect or self._admitted not in waiting):
            self._admitted = None
        return self._admitted or request

    def admit(self, request: ScheduledRequest) -> Admission:
        """Whether a request may start. WAITS also starts its read from disk where it has one to do."""
        if not self._guard.is_limited:
            return Admission.FITS
        if request.fetch is not None:
            return Admission.WAITS
        self._update_reservations(request)
        if self._preempted.get(request) == self._ended and self._active.running:
            return Admission.WAITS  # else it would soon be preempted again
        verdict = self._guard.admit(request, *self._needs(request))
        if verdict is Admission.WAITS:
            self._log_shortage(request)
        if verdict is not Admission.FITS:
            return verdict
        self._admitted = request
        self._update_reservations(request)
        if self._waits_for_writes(request):
            return Admission.WAITS
        self._preempted.pop(request, None)
        self._shortage_logged = False
        restorable = self._guard.restorable(request.tokens)
        was_evicted = restorable < request.restorable and self._last_read_for is not request
        if request.read_later or was_evicted:
            request.read_later, request.restorable, self._last_read_for = False, restorable, request
            if self._make_room_for_read(request):
                self._fetch(request)
            if request.fetch is not None:
                return Admission.WAITS
        self._admitted = None
        return Admission.FITS

    def refusal(self, request: ScheduledRequest) -> str:
        """The error message for a prompt that never fits; clients compact the conversation on it."""
        length = len(request.sequence)
        return context_length_message(length, self._guard.reservations.window(length))

    def grow(self) -> None:
        """Reserve memory for growing answers in this turn; preempt the newest request if it is short."""
        if not self._guard.is_limited:
            return
        for request in sorted(self._active.decoding.values(), key=lambda one: one.arrived):
            while request.slot is not None and not self._guard.grow(request, *self._needs(request)):
                newest = max(self._running(), key=lambda one: one.arrived)
                if newest is request and len(self._running()) == 1:
                    break  # alone it has all memory, and its window fits
                _log.info("request %s is preempted: memory is short", newest.spec.request_id)
                self._preempt(newest)
                newest.read_later = True
                self._preempted[newest] = self._ended
                self._update_reservations(request)

    @property
    def _ended(self) -> int:
        counts = self._reporting.counts
        return counts.finished + counts.failed + counts.cancelled

    def _needs(self, request: ScheduledRequest) -> tuple[int, int]:
        """The tokens to reserve memory for: at least, and wanted."""
        so_far = len(request.spec.prompt) + len(request.generated)
        most = max(so_far + 1, len(request.spec.prompt) + request.max_tokens)
        return min(so_far + _GUESSED, most), min(so_far + _AHEAD, most)

    def _running(self) -> list[ScheduledRequest]:
        return [*self._active.decoding.values(), *self._active.queue.started]

    def _update_reservations(self, request: ScheduledRequest | None, more_bytes: int = 0) -> None:
        """Update reservations and make room, for `request` if it is about to start, and for `more_bytes`."""
        self._preempted = {one: ended for one, ended in self._preempted.items() if one in self._active}
        if self._admitted is not None and self._admitted not in self._active.queue.waiting:
            self._admitted = None  # it ended
        reading = [one for one in self._active.queue.waiting if one.fetch is not None]
        claims = {*self._running(), *(one for one in [*reading, self._admitted, request] if one is not None)}
        loading = sum(one.fetch.bytes for one in reading if one.fetch is not None)
        keep, user = (request.tokens, request.user) if request is not None else (None, NOBODY)
        changes = self._guard.rebalance(claims, loading + more_bytes, keep, user)
        if request is not None:
            self._report(request, changes)

    def _make_room_for_read(self, request: ScheduledRequest) -> bool:
        """Evict other prompts for the read of this one; returns whether it fits."""
        reservations = self._guard.reservations
        needed = reservations.cost.cache_bytes(len(request.tokens))
        if reservations.claimed_bytes + needed > reservations.limit_bytes:
            return False
        self._update_reservations(request, needed)
        self._update_reservations(request)  # the room belongs to the cache, which takes the read
        return self._guard.may_read(len(request.tokens))

    def _report(self, request: ScheduledRequest, changes: list[CacheChange]) -> None:
        for change in changes:
            self._reporting.emit(request, change)

    def _waits_for_writes(self, request: ScheduledRequest) -> bool:
        """Whether evicted spans must be written first to free their memory; for a bounded time."""
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
