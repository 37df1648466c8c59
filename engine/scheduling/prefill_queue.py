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
from engine.scheduling.requests.request import LiveRequest
from engine.scheduling.requests.steps import Lane

_HANDICAP: dict[Lane, int] = {"main": 0, "compaction": 0, "subagent": 2048, "auxiliary": 4096}  # tokens
_WORTH_WAITING = 256  # tokens that a running prefill will leave in the cache beyond what is there now


class PrefillLine:
    """The requests of one model that are not decoded yet. Used on the model's thread."""

    def __init__(self, *, exact_only: bool) -> None:
        """`exact_only`: what is computed can be resumed only where it was kept (`checkpoints`)."""
        self._exact_only = exact_only
        self._work = 0  # tokens prefilled so far, for anyone
        self._shared: dict[tuple[LiveRequest, LiveRequest], int] = {}
        self.waiting: list[LiveRequest] = []
        self.started: list[LiveRequest] = []

    def __len__(self) -> int:
        return len(self.waiting) + len(self.started)

    def __contains__(self, live: LiveRequest) -> bool:
        return live in self.started or live in self.waiting

    def add(self, live: LiveRequest) -> None:
        """Let a request wait."""
        live.came_at = self._work
        self.waiting.append(live)

    def start(self, live: LiveRequest) -> None:
        """Its prefill begins."""
        self.waiting.remove(live)
        self.started.append(live)

    def remove(self, live: LiveRequest) -> None:
        """It is decoded, or has ended."""
        (self.started if live in self.started else self.waiting).remove(live)
        self._shared = {pair: shared for pair, shared in self._shared.items() if live not in pair}

    def worked(self, tokens: int) -> None:
        """Note that so many tokens were prefilled."""
        self._work += tokens

    def ranking(self) -> list[LiveRequest]:
        """All requests, the next one first."""
        return sorted([*self.started, *self.waiting], key=self._claim)

    def choose(self, decoding: Sequence[LiveRequest], max_running: int) -> LiveRequest | None:
        """Whose chunk is next; None where nothing can be prefilled now.

        At most `max_running` requests are prefilled and decoded at a time. One suspect runs at a time, and
        nothing else begins while one runs or waits; what has begun goes on.
        """
        running = [*decoding, *self.started]
        free = len(running) < max_running and not any(live.suspect for live in running)
        suspects_wait = any(live.suspect for live in self.waiting)
        for live in self.ranking():
            if live in self.started:
                return live
            if not free or live.fetch is not None or (suspects_wait and not live.suspect):
                continue
            return self._computing_for(live) or live
        return None

    def awaited_between(self, live: LiveRequest, before: int, after: int) -> bool:
        """Whether one who waits can use what this prefill came to when it went from `before` to `after`."""
        return any(
            before < self._useful(live, other) <= after
            for other in self.waiting
            if self._useful(live, other) > other.known + _WORTH_WAITING
        )

    def _claim(self, live: LiveRequest) -> int:
        for_itself = live.prefilled - live.restored if live.prefill else 0
        for_others = self._work - live.came_at - for_itself
        return live.remaining + _HANDICAP[live.request.lane] - for_others

    def _computing_for(self, live: LiveRequest) -> LiveRequest | None:
        """The running prefill that one who waits should wait for, if there is one."""
        for other in self.started:
            useful = self._useful(other, live)
            if other.prefilled < useful and useful > live.known + _WORTH_WAITING:
                return other
        return None

    def _useful(self, running: LiveRequest, waiting: LiveRequest) -> int:
        """How much of one prompt the prefill of another will leave in the cache; side requests leave none."""
        if running.request.lane == "auxiliary":
            return 0
        pair = (running, waiting)
        if pair not in self._shared:
            shared = common_prefix(running.tokens, waiting.tokens[:-1])
            if self._exact_only:
                shared = max((stop for stop in running.stops if stop <= shared), default=0)
            self._shared[pair] = shared
        return self._shared[pair]
