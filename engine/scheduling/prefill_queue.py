"""The prefill queue: which request's chunk is computed next.

Choose anew for each chunk. The request with the least remaining work goes first, so that a short turn
overtakes a long prompt between two of its chunks. Work done for others since a request arrived is deducted
from its own, which bounds its delay: a prompt of 15,000 tokens waits for about as many, at most. Subagents
and auxiliary requests have a handicap.

A prompt whose prefix is being computed by a running prefill waits for it (single flight), and that prefill
continues instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.prefix_cache.interface import common_prefix
from engine.scheduling.requests.request import ScheduledRequest
from engine.scheduling.requests.steps import Lane

_HANDICAP: dict[Lane, int] = {"main": 0, "compaction": 0, "subagent": 2048, "auxiliary": 4096}  # tokens
_WORTH_WAITING = 256  # tokens that a running prefill will add to the prefix cache for a waiting request


class PrefillQueue:
    """The requests of one model that wait or are in prefill. Used on the model's thread."""

    def __init__(self, *, exact_only: bool) -> None:
        """`exact_only`: a prompt can be resumed only at stored positions (`needs_checkpoints`)."""
        self._exact_only = exact_only
        self._work = 0  # tokens prefilled so far, of all requests
        self._shared: dict[tuple[ScheduledRequest, ScheduledRequest], int] = {}
        self.waiting: list[ScheduledRequest] = []
        self.started: list[ScheduledRequest] = []

    def __len__(self) -> int:
        return len(self.waiting) + len(self.started)

    def __contains__(self, request: ScheduledRequest) -> bool:
        return request in self.started or request in self.waiting

    def add(self, request: ScheduledRequest) -> None:
        """Add a request that waits."""
        request.work_at_arrival = self._work
        self.waiting.append(request)
        for running in self.started:
            self._keep_for(running, request)

    def start(self, request: ScheduledRequest) -> None:
        """Record that the prefill of a request starts."""
        self.waiting.remove(request)
        self.started.append(request)
        for waiting in self.waiting:
            self._keep_for(request, waiting)

    def remove(self, request: ScheduledRequest) -> None:
        """Remove a request that is decoded now, or has ended."""
        (self.started if request in self.started else self.waiting).remove(request)
        self._shared = {pair: shared for pair, shared in self._shared.items() if request not in pair}

    def worked(self, tokens: int) -> None:
        """Count prefilled tokens."""
        self._work += tokens

    def ranking(self) -> list[ScheduledRequest]:
        """All requests, the next one first."""
        return sorted([*self.started, *self.waiting], key=self._priority)

    def choose(self, decoding: Sequence[ScheduledRequest], max_running: int) -> ScheduledRequest | None:
        """The request whose chunk is next; None if none can be prefilled now.

        At most `max_running` requests run at a time. Only one suspect runs at a time, and no other request
        starts while a suspect runs or waits; started ones continue.
        """
        running = [*decoding, *self.started]
        free = len(running) < max_running and not any(request.suspect for request in running)
        suspects_wait = any(request.suspect for request in self.waiting)
        for request in self.ranking():
            if request in self.started:
                return request
            if not free or request.fetch is not None or (suspects_wait and not request.suspect):
                continue
            return self._prefill_to_wait_for(request) or request
        return None

    def is_awaited_between(self, request: ScheduledRequest, before: int, after: int) -> bool:
        """Whether a waiting request can reuse this prefill's result between `before` and `after`."""
        return any(
            before < self._reusable(request, other) <= after
            for other in self.waiting
            if self._reusable(request, other) > other.restorable + _WORTH_WAITING
        )

    def _priority(self, request: ScheduledRequest) -> int:
        for_itself = request.prefilled - request.restored if request.prefill else 0
        for_others = self._work - request.work_at_arrival - for_itself
        return request.remaining + _HANDICAP[request.spec.lane] - for_others

    def _prefill_to_wait_for(self, request: ScheduledRequest) -> ScheduledRequest | None:
        """The running prefill that computes the prefix of a waiting request, if there is one."""
        for other in self.started:
            reusable = self._reusable(other, request)
            if other.prefilled < reusable and reusable > request.restorable + _WORTH_WAITING:
                return other
        return None

    def _keep_for(self, running: ScheduledRequest, waiting: ScheduledRequest) -> None:
        """Have a prefill, also that of an auxiliary request, keep what a waiting request can reuse."""
        reusable = self._reusable(running, waiting)
        if reusable > waiting.restorable + _WORTH_WAITING:
            running.keep_to = max(running.keep_to, reusable)

    def _reusable(self, running: ScheduledRequest, waiting: ScheduledRequest) -> int:
        """How many tokens of one prompt the prefill of another can store."""
        pair = (running, waiting)
        if pair not in self._shared:
            shared = common_prefix(running.tokens, waiting.tokens[:-1])
            if self._exact_only:
                shared = max((stop for stop in running.store_at if stop <= shared), default=0)
            self._shared[pair] = shared
        return self._shared[pair]
