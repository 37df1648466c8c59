"""What is kept of a request that stops: its end, its cancel, its making way for others."""

from __future__ import annotations

import logging
from typing import Any

import mlx.core as mx

from engine.prefix_cache.interface import Kind, PrefixCache
from engine.process.device_faults import device_fault
from engine.scheduling.active_requests import ActiveRequests
from engine.scheduling.faults import Recovery
from engine.scheduling.reporting import LoopReporting
from engine.scheduling.requests.request import ScheduledRequest

_log = logging.getLogger(__name__)


class RequestRelease:
    """Puts what requests have computed into the prefix cache. Used on the model's thread."""

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

    def keep(
        self, request: ScheduledRequest, tokens: list[int], cache: list[Any], kind: Kind = "main"
    ) -> None:
        """Put what was computed into the cache; side requests, which nothing follows, only read it.

        A fault of the device comes through: what else this request has computed is not to be relied on.
        """
        lane = request.spec.lane
        if not tokens or lane == "auxiliary":
            return
        if kind == "main" and lane == "subagent":
            kind = "subagent"
        try:
            changes = self._cache.insert(tokens, cache, kind)
        except Exception as error:  # the request goes on without it
            if device_fault(error):
                raise
            _log.exception("the prefix cache could not keep %d tokens", len(tokens))
            return
        for change in changes:
            self._reporting.emit(request, change)

    def leave_batch(self, request: ScheduledRequest) -> None:
        """Take a request out of its batch and keep the state it had come to; a device fault comes through."""
        assert request.batch is not None
        assert request.slot is not None
        try:
            cache = request.batch.leave(request.slot)
        except Exception as error:  # the others in the batch go on
            if device_fault(error):
                raise
            self._recovery.break_up(request.batch, error, leaving=request)
            return
        self.keep(request, request.slot.tokens, cache)

    def preempt(self, request: ScheduledRequest) -> None:
        """Let a running request wait again; what was computed is kept as far as there is room for it.

        Where a fault of the device meets that, it is one of those that are tried again.
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
        """Stop what is done for a request that ends, and keep what was computed.

        Raises:
            DeviceRefuses: only a new process can help; the request is dropped.
        """
        if self._recovery.refused:  # nothing can be computed any more, not even a copy
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
        """Keep what was computed for a request, and drop it; a device fault comes through."""
        if request.prefill is not None:
            self.keep(request, request.prefill.computed_tokens, request.prefill.cache)
        elif request.slot is not None:
            self._recovery.synchronize()
            self.leave_batch(request)
        self._active.drop(request)
