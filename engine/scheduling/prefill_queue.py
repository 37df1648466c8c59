"""Who is prefilled next: requests that wait, and requests whose prefill has begun.

The choice is made anew for each chunk. The least work left goes first, so that a short warm turn passes a
long cold one between two of its chunks. Work that was done for others since a request came counts for it, so
that nobody is passed for ever: a prompt of 15,000 tokens is delayed by about as many, at most. Side requests
and subagents stand behind the conversations by a handicap.

A prompt that a running prefill is about to compute the beginning of waits for that (single flight), and that
prefill goes on in its stead.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.prefix_cache.interface import common_prefix
from engine.scheduling.requests.request import ScheduledRequest
from engine.scheduling.requests.steps import Lane

_HANDICAP: dict[Lane, int] = {"main": 0, "compaction": 0, "subagent": 2048, "auxiliary": 4096}  # tokens
_WORTH_WAITING = 256  # tokens that a running prefill will leave in the cache beyond what is there now


class PrefillQueue:
    """The requests of one model that are not decoded yet. Used on the model's thread."""

    def __init__(self, *, exact_only: bool) -> None:
        """`exact_only`: what is computed can be resumed only where it was kept (`checkpoints`)."""
        self._exact_only = exact_only
        self._work = 0  # tokens prefilled so far, for anyone
        self._shared: dict[tuple[ScheduledRequest, ScheduledRequest], int] = {}
        self.waiting: list[ScheduledRequest] = []
        self.started: list[ScheduledRequest] = []

    def __len__(self) -> int:
        return len(self.waiting) + len(self.started)

    def __contains__(self, request: ScheduledRequest) -> bool:
        return request in self.started or request in self.waiting

    def add(self, request: ScheduledRequest) -> None:
        """Let a request wait."""
        request.work_at_arrival = self._work
        self.waiting.append(request)

    def start(self, request: ScheduledRequest) -> None:
        """Its prefill begins."""
        self.waiting.remove(request)
        self.started.append(request)

    def remove(self, request: ScheduledRequest) -> None:
        """It is decoded, or has ended."""
        (self.started if request in self.started else self.waiting).remove(request)
        self._shared = {pair: shared for pair, shared in self._shared.items() if request not in pair}

    def worked(self, tokens: int) -> None:
        """Note that so many tokens were prefilled."""
        self._work += tokens

    def ranking(self) -> list[ScheduledRequest]:
        """All requests, the next one first."""
        return sorted([*self.started, *self.waiting], key=self._claim)

    def choose(self, decoding: Sequence[ScheduledRequest], max_running: int) -> ScheduledRequest | None:
        """Whose chunk is next; None where nothing can be prefilled now.

        At most `max_running` requests are prefilled and decoded at a time. One suspect runs at a time, and
        nothing else begins while one runs or waits; what has begun goes on.
        """
        running = [*decoding, *self.started]
        free = len(running) < max_running and not any(request.suspect for request in running)
        suspects_wait = any(request.suspect for request in self.waiting)
        for request in self.ranking():
            if request in self.started:
                return request
            if not free or request.fetch is not None or (suspects_wait and not request.suspect):
                continue
            return self._computing_for(request) or request
        return None

    def is_awaited_between(self, request: ScheduledRequest, before: int, after: int) -> bool:
        """Whether one who waits can use what this prefill came to when it went from `before` to `after`."""
        return any(
            before < self._useful(request, other) <= after
            for other in self.waiting
            if self._useful(request, other) > other.restorable + _WORTH_WAITING
        )

    def _claim(self, request: ScheduledRequest) -> int:
        for_itself = request.prefilled - request.restored if request.prefill else 0
        for_others = self._work - request.work_at_arrival - for_itself
        return request.remaining + _HANDICAP[request.spec.lane] - for_others

    def _computing_for(self, request: ScheduledRequest) -> ScheduledRequest | None:
        """The running prefill that one who waits should wait for, if there is one."""
        for other in self.started:
            useful = self._useful(other, request)
            if other.prefilled < useful and useful > request.restorable + _WORTH_WAITING:
                return other
        return None

    def _useful(self, running: ScheduledRequest, waiting: ScheduledRequest) -> int:
        """How much of one prompt the prefill of another will leave in the cache; side requests leave none."""
        if running.spec.lane == "auxiliary":
            return 0
        pair = (running, waiting)
        if pair not in self._shared:
            shared = common_prefix(running.tokens, waiting.tokens[:-1])
            if self._exact_only:
                shared = max((stop for stop in running.store_at if stop <= shared), default=0)
            self._shared[pair] = shared
        return self._shared[pair]
