"""Recovery of the model's loop after a fault of a request or of the device.

A fault of a request affects its batch. A fault of the device affects all work queued on its stream since the
last synchronization, for any request: none of these results are used. Requests resume from their confirmed
tokens, one at a time, until the request whose work the device cannot do is found.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence

import mlx.core as mx

from engine.prefix_cache.interface import PrefixCache
from engine.process.device_faults import DeviceFault, DeviceRefuses, device_fault, first_line, in_words
from engine.scheduling.active_requests import ActiveRequests
from engine.scheduling.batch import Batch
from engine.scheduling.reporting import LoopReporting
from engine.scheduling.requests.request import ScheduledRequest

_log = logging.getLogger(__name__)

_MAX_FAILURES = 3  # failures in a batch after which a request fails
_MAX_FAULTS = 3  # device faults in a row without a result: the device refuses work
_MAX_UNANSWERED = 12  # device faults without a finished answer: the device is of no use
_DRAINS = 4  # synchronizations after a fault; each may raise a remaining error of it
_FEWER_S = 120.0  # seconds of fewer running requests after an out-of-memory fault


class Recovery:
    """Restores a consistent loop after faults. Used on the model's thread, within the loop's stream."""

    def __init__(
        self,
        active: ActiveRequests,
        reporting: LoopReporting,
        cache: PrefixCache,
        *,
        max_batch: int,
        clock: Callable[[], float],
    ) -> None:
        self._active = active
        self._reporting = reporting
        self._cache = cache
        self._max_batch = self._fewer = max_batch
        self._fewer_until = 0.0
        self._clock = clock
        self.unconfirmed_steps = 0
        """Decoding steps since the last synchronization."""
        self._in_a_row = 0
        self._unanswered = 0
        self.refused = False
        """The device refuses work; submit nothing more to it."""

    @property
    def max_batch(self) -> int:
        """How many requests may run now."""
        return self._fewer if self._clock() < self._fewer_until else self._max_batch

    def synchronize(self, *, computed: bool = True) -> None:
        """Wait until the device has computed all queued work; raises its fault."""
        mx.synchronize()
        self.mark_confirmed(computed=computed)

    def confirm(self, *, computed: bool = True) -> bool:
        """Synchronize, and recover from a fault; returns whether there was none."""
        try:
            mx.synchronize()
        except Exception as error:
            self.device_failed(error)
            return False
        self.mark_confirmed(computed=computed)
        return True

    def mark_confirmed(self, *, computed: bool = True) -> None:
        """Record that the device was synchronized without a fault: all results so far are valid.

        `computed`: at least a chunk or a token was computed, which a device that refuses work does not do.
        """
        self.unconfirmed_steps = 0
        if computed:
            self._in_a_row = 0
        self._cache.confirm()
        for request in self._active.decoding.values():
            request.confirmed = len(request.generated)

    def answered(self) -> None:
        """Record that an answer was finished."""
        self._unanswered = 0

    def break_up(
        self,
        batch: Batch,
        error: Exception,
        joining: Sequence[ScheduledRequest] = (),
        *,
        leaving: ScheduledRequest | None = None,
    ) -> None:
        """Break up a batch after a fault that is not the device's.

        In a batch of several, the request at fault is unknown. Each resumes alone, as a suspect, until it has
        passed the position; a request that fails alone ends with a fault.
        """
        affected = [request for request in {*self._active.members(batch), *joining} if request is not leaving]
        affected.sort(key=lambda request: request.arrived)
        _log.error("a batch of %d requests failed and is broken up", len(affected), exc_info=error)
        self._reporting.counts.rebuilds += 1
        batch.slots.clear()
        alone = leaving is None and len(affected) == 1
        for request in affected:
            self._active.drop(request)
            request.failures += 1
            if alone or request.failures > _MAX_FAILURES:
                self._reporting.fail(request, "internal", fault_message(error))
            else:
                request.suspect = True
                self._active.wait(request)

    def device_failed(
        self,
        error: Exception,
        at: Sequence[ScheduledRequest] = (),
        *,
        sole: bool = False,
        by_another: bool = False,
    ) -> None:
        """Recover from a fault of the device.

        `at`: requests whose work raised it, beside those in decoding. `sole`: all other work had been
        synchronized, so that only `at` can be at fault. `by_another`: a dropped request was at fault.
        Roll affected requests and the prefix cache back to what is confirmed, drain the stream, free memory,
        and retry each request as a suspect. A suspect whose own work fails again ends with a fault.

        Raises:
            DeviceRefuses: the process has to be restarted.
        """
        kind = device_fault(error) or "other"
        others = () if sole else self._active.decoding.values()
        affected = list(dict.fromkeys([*others, *at]))
        affected.sort(key=lambda request: request.arrived)
        _log.error("%s; %d requests are retried", in_words(kind, error), len(affected), exc_info=error)
        counts = self._reporting.counts
        counts.device_faults += 1
        self._in_a_row += 1
        self._unanswered += 1
        traceback.clear_frames(error.__traceback__)  # frames keep arrays alive
        kinds = {kind, *(device_fault(left) for left in self.drain())}
        removed = self._cache.roll_back()
        if removed:
            _log.warning(
                "%d tokens were removed from the prefix cache: the device may not have computed them", removed
            )
        for batch in self._active.batches:
            if not sole or batch in [request.batch for request in at]:
                counts.rebuilds += 1
                batch.slots.clear()
        for request in affected:
            self._active.drop(request)
            request.roll_back()
        self._free_memory(short="memory" in kinds)
        counts_against = kind != "victim"  # the failed work was another's
        refuses = "refused" in kinds or self._in_a_row >= _MAX_FAULTS or self._unanswered >= _MAX_UNANSWERED
        alone = sole or (len(affected) == 1 and not by_another)
        for request in affected:
            request.failures += 1
            once_more = request.failures <= _MAX_FAILURES and not (
                alone and request.suspect and counts_against
            )
            if once_more or refuses:  # waiting requests get the reason when the loop ends
                request.suspect = True
                self._active.wait(request)
            else:
                self._reporting.fail(request, "overloaded", f"{in_words(kind, error)}; {ADVICE[kind]}")
        if refuses:
            self.refused = True
            raise DeviceRefuses(f"{_IN_THE_END} ({first_line(error)})") from error

    def drain(self) -> list[Exception]:
        """Synchronize until no error remains; returns the errors of the known fault."""
        drained: list[Exception] = []
        for _ in range(_DRAINS):
            try:
                mx.synchronize()
            except Exception as left:
                _log.info("drained: %s", first_line(left))
                drained.append(left)
            else:
                break
        return drained

    def _free_memory(self, *, short: bool) -> None:
        if short:
            bytes_kept = self._cache.stats()["bytes"] // 2
            gone = self._cache.shrink(bytes_kept)
            self._fewer = max(1, self.max_batch // 2)
            self._fewer_until = self._clock() + _FEWER_S
            _log.warning(
                "%d spans of the prefix cache were evicted to free memory; %d requests run at a time for the"
                " next %g s",
                len(gone),
                self._fewer,
                _FEWER_S,
            )
        mx.clear_cache()


UNCONFIRMED = (
    "the GPU failed, and the recomputed answer differs from the part that was sent already; try again"
)
_IN_THE_END = "the GPU refused further work"

ADVICE: dict[DeviceFault, str] = {
    "refused": "the engine restarts, try again in a moment",
    "victim": "a retry failed too; try again",
    "memory": "half of the prefix cache was evicted to free some; try again, or compact the conversation",
    "timeout": "a retry alone failed too; try again, or compact the conversation",
    "other": "a retry alone failed too; the engine goes on, try again",
}


def fault_message(error: Exception) -> str:
    """The error message of a failed request."""
    return f"generation failed ({type(error).__name__}: {first_line(error)}); the engine goes on, try again"
