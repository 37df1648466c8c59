"""What becomes of the model's loop and its requests after a fault: of one of them, or of the device.

A fault of a request concerns the batch that it is in. A fault of the device concerns all that was under way
on its stream since that was last waited for, whoever it was for: none of it can be relied on. Requests go on
from what was proven to be computed, one at a time until it is known whose work the device cannot do.
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

_MAX_FAILURES = 3  # shared failures after which a request is given up
_MAX_FAULTS = 3  # of the device, one after the other without anything computed: it refuses
_MAX_UNANSWERED = 12  # of the device, without one answer finished: it computes nothing that is of use
_DRAINS = 4  # times that the stream is waited for; each use may raise what is left of one fault
_FEWER_S = 120.0  # for so long after a fault of memory fewer requests run at a time


class Recovery:
    """Brings the loop into order after faults. Used on the model's thread, within the loop's stream."""

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
        """Steps of decoding since the device was last waited for."""
        self._in_a_row = 0
        self._unanswered = 0
        self.refused = False
        """The device does no more work; nothing is to be asked of it."""

    @property
    def max_batch(self) -> int:
        """How many requests may run at a time now."""
        return self._fewer if self._clock() < self._fewer_until else self._max_batch

    def synchronize(self, *, computed: bool = True) -> None:
        """Wait until the device has computed all that it was given; its fault comes through."""
        mx.synchronize()
        self.mark_confirmed(computed=computed)

    def confirm(self, *, computed: bool = True) -> bool:
        """Wait for the device, and recover from its fault; whether there was none."""
        try:
            mx.synchronize()
        except Exception as error:
            self.device_failed(error)
            return False
        self.mark_confirmed(computed=computed)
        return True

    def mark_confirmed(self, *, computed: bool = True) -> None:
        """The stream was waited for: all that was computed so far is what it should be.

        `computed`: that was a chunk or a token at least, which a device that refuses does not do.
        """
        self.unconfirmed_steps = 0
        if computed:
            self._in_a_row = 0
        self._cache.confirm()
        for request in self._active.decoding.values():
            request.confirmed = len(request.generated)

    def answered(self) -> None:
        """An answer was finished."""
        self._unanswered = 0

    def break_up(
        self,
        batch: Batch,
        error: Exception,
        joining: Sequence[ScheduledRequest] = (),
        *,
        leaving: ScheduledRequest | None = None,
    ) -> None:
        """Give a batch up after a fault in it that is not the device's.

        Whose fault it was cannot be told when several were in it. Each then runs on alone from where it was,
        until it has passed the place; the one that fails alone is the one that fails.
        """
        affected = [request for request in {*self._active.members(batch), *joining} if request is not leaving]
        affected.sort(key=lambda request: request.arrived)
        _log.error("a batch of %d failed and is taken apart", len(affected), exc_info=error)
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
        """Bring everything into order after a fault of the device.

        `at` are requests whose work raised it, beside those that are decoded. `sole`: all else had been
        waited for, so that it is theirs alone. `by_another`: it was the work of one that has been dropped.
        Nothing of theirs that is not proven is used again, and what was put into the prefix cache since is
        taken out. The stream is drained, memory is freed, and each of them is tried again as a suspect. A
        suspect whose own work fails once more is the one that fails.

        Raises:
            DeviceRefuses: only a new process can help.
        """
        kind = device_fault(error) or "other"
        others = () if sole else self._active.decoding.values()
        affected = list(dict.fromkeys([*others, *at]))
        affected.sort(key=lambda request: request.arrived)
        _log.error("%s; %d requests are tried again", in_words(kind, error), len(affected), exc_info=error)
        counts = self._reporting.counts
        counts.device_faults += 1
        self._in_a_row += 1
        self._unanswered += 1
        traceback.clear_frames(error.__traceback__)  # they hold what was being computed
        kinds = {kind, *(device_fault(left) for left in self.drain())}
        taken = self._cache.roll_back()
        if taken:
            _log.warning(
                "%d tokens that may not have been computed were taken out of the prefix cache", taken
            )
        for batch in self._active.batches:
            if not sole or batch in [request.batch for request in at]:
                counts.rebuilds += 1
                batch.slots.clear()
        for request in affected:
            self._active.drop(request)
            request.roll_back()
        self._free_memory(short="memory" in kinds)
        counts_against = kind != "victim"  # its work is not what failed
        refuses = "refused" in kinds or self._in_a_row >= _MAX_FAULTS or self._unanswered >= _MAX_UNANSWERED
        alone = sole or (len(affected) == 1 and not by_another)
        for request in affected:
            request.failures += 1
            once_more = request.failures <= _MAX_FAILURES and not (
                alone and request.suspect and counts_against
            )
            if once_more or refuses:  # those that wait when the loop ends are told why it does
                request.suspect = True
                self._active.wait(request)
            else:
                self._reporting.fail(request, "overloaded", f"{in_words(kind, error)}; {_ADVICE[kind]}")
        if refuses:
            self.refused = True
            raise DeviceRefuses(f"{_IN_THE_END} ({first_line(error)})") from error

    def drain(self) -> list[Exception]:
        """Wait for all that is under way; returns what that raised, of a fault that is known."""
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
                "%d spans of the prefix cache were given up to free memory; %d requests run at a time for the"
                " next %g s",
                len(gone),
                self._fewer,
                _FEWER_S,
            )
        mx.clear_cache()


UNCONFIRMED = (
    "the GPU failed, and what was computed again differs from the part of the answer that was sent already;"
    " try again"
)
_IN_THE_END = "the GPU refused further work"

_ADVICE: dict[DeviceFault, str] = {
    "refused": "the engine is started again, try again in a moment",
    "victim": "it was tried again without success; try again",
    "memory": "half of the prefix cache was given up to free some; try again, or compact the conversation",
    "timeout": "it was tried again alone, without success; try again, or compact the conversation",
    "other": "it was tried again alone, without success; the engine goes on, try again",
}


def fault_message(error: Exception) -> str:
    """What the client of a request that failed reads."""
    return f"generation failed ({type(error).__name__}: {first_line(error)}); the engine goes on, try again"
