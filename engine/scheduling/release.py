"""Release of requests: when one stops or is preempted, store its KV in the prefix cache and free its slot."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import mlx.core as mx

from engine.prefix_cache.checkpoints import needs_checkpoints
from engine.prefix_cache.interface import Kind, PrefixCache
from engine.process.device_faults import device_fault
from engine.scheduling.active_requests import ActiveRequests
from engine.scheduling.faults import Recovery
from engine.scheduling.reporting import LoopReporting
from engine.scheduling.requests.request import ScheduledRequest

_log = logging.getLogger(__name__)


class RequestRelease:
    """Stores the results of requests and releases what they hold. Used on the model's thread."""

    def __init__(
        self,
        active: ActiveRequests,
        reporting: LoopReporting,
        recovery: Recovery,
        cache: PrefixCache,
        *,
        stream: mx.ThreadLocalStream,
    ) -> None:
        self._active = active
        self._reporting = reporting
        self._recovery = recovery
        self._cache = cache
        self._stream = stream

    def store(
        self, request: ScheduledRequest, tokens: list[int], cache: list[Any], kind: Kind = "main"
    ) -> None:
        """Insert a request's cache into the prefix cache; of an auxiliary one only what others begin with.

        A fault of the device is raised, since it makes all unconfirmed results invalid.
        """
        lane = request.spec.lane
        if lane == "auxiliary" or (kind == "main" and lane == "subagent"):
            kind = "subagent"
        for end, as_kind in _kept_ends(request, len(tokens), kind, exact=needs_checkpoints(cache)):
            try:
                changes = self._cache.insert(tokens[:end], cache, as_kind, request.unused_since, request.user)
            except Exception as error:  # the request does not need it
                if device_fault(error):
                    raise
                _log.exception("inserting %d tokens into the prefix cache failed", end)
                return
            for change in changes:
                self._reporting.emit(request, change)

    def leave_batch(self, request: ScheduledRequest) -> None:
        """Remove a request from its batch and store its cache; a device fault is raised."""
        assert request.batch is not None
        assert request.slot is not None
        try:
            cache = request.batch.leave(request.slot)
        except Exception as error:  # the rest of the batch is not affected
            if device_fault(error):
                raise
            self._recovery.break_up(request.batch, error, leaving=request)
            return
        self.store(request, request.slot.tokens, cache)

    def preempt(self, request: ScheduledRequest) -> None:
        """Preempt a running request: store its cache, if it fits, and queue the request again.

        After a fault of the device it is retried like all affected requests.
        """
        try:
            self._stop(request)
        except Exception as error:
            if not device_fault(error):
                raise
            self._recovery.device_failed(error, [request])
        else:
            self._active.wait(request)

    def release(self, request: ScheduledRequest) -> None:
        """Stop a request that ends, and store its cache.

        Raises:
            DeviceRefuses: the process has to be restarted; the request is dropped.
        """
        if self._recovery.refused:  # not even a copy can be computed
            self._active.drop(request)
            return
        with mx.stream(self._stream):
            try:
                self._stop(request)
            except Exception as error:
                if not device_fault(error):
                    raise
                self._active.drop(request)
                self._recovery.device_failed(error, by_another=True)

    def _stop(self, request: ScheduledRequest) -> None:
        """Store the cache of a request and drop it; a device fault is raised."""
        if request.prefill is not None:
            self.store(request, request.prefill.computed_tokens, request.prefill.cache)
        elif request.slot is not None:
            self._recovery.synchronize()
            self.leave_batch(request)
        self._active.drop(request)


def _kept_ends(
    request: ScheduledRequest, length: int, kind: Kind, *, exact: bool
) -> Iterator[tuple[int, Kind]]:
    """How many of the first tokens of a request's cache are kept, and as what.

    An `exact` cache can be stored only whole.
    """
    ends: list[tuple[int, Kind]] = [(request.keep_to, kind), (request.keep_once_to, "once")]
    below = 0
    for end, as_kind in ends:
        reached = min(end, length)
        if reached > below and (not exact or reached == length):
            yield reached, as_kind
            below = reached
