"""How a request enters the model's loop: its arrival, what is read from disk for it, its prefill's start."""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.models.loading import LoadedModel
from engine.prefix_cache.checkpoints import checkpoints
from engine.prefix_cache.disk.reads import DiskReads
from engine.prefix_cache.interface import Match, PrefixCache
from engine.process.device_faults import device_fault
from engine.scheduling.places import RequestPlaces
from engine.scheduling.prefill import Prefill
from engine.scheduling.reporting import LoopReporting
from engine.scheduling.requests.request import LiveRequest, RequestState
from engine.scheduling.requests.steps import LookupStep, QueuedStep
from engine.scheduling.requests.validation import miss_in_words, request_fault, segment_at
from engine.scheduling.runner import ModelRunner
from engine.scheduling.sampling import is_greedy

_log = logging.getLogger(__name__)


class LoopAdmission:
    """Takes requests in and starts their prefills. Used on the model's thread."""

    def __init__(
        self,
        loaded: LoadedModel,
        runner: ModelRunner,
        cache: PrefixCache,
        places: RequestPlaces,
        reporting: LoopReporting,
        *,
        chunk: int,
        exact_only: bool,
        wake: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """`chunk` in tokens; `exact_only` as in `checkpoints`; `wake` as in `scheduling.loop`."""
        self._loaded = loaded
        self._runner = runner
        self._cache = cache
        self._places = places
        self._reporting = reporting
        self._chunk = chunk
        self._exact_only = exact_only
        self._wake = wake
        self._clock = clock
        self._reads = DiskReads(clock)
        self.may_fetch: Callable[[LiveRequest], bool] = lambda live: True
        self.before_settling: Callable[[], None] = lambda: None

    def arrive(self, live: LiveRequest) -> None:
        """Check a request and let it wait for its prefill. Whatever is wrong with it, this returns."""
        self._reporting.counts.received += 1
        if live.stream.cancelled:
            self._reporting.end(live, RequestState.CANCELLED)
            return
        try:
            self._take_in(live)
        except Exception as error:
            _log.exception("request %s could not be taken in", live.request.request_id)
            self._places.drop(live)
            self._reporting.fail(live, "internal", f"the request could not be taken in: {error}")

    def settle(self) -> None:
        """Take in what was read from disk, and wait no longer for a disk that does not answer.

        A fault of the device comes through; what was read for that request is lost then.
        """
        hang = self._reads.hang()
        for live in self._places.line.waiting:
            fetch = live.fetch
            if fetch is None or not (fetch.done or hang):
                continue
            live.fetch = None
            live.state = RequestState.QUEUED
            live.read_s = self._clock() - live.arrived
            if not fetch.done:  # what it still reads is let go of when it is read
                live.known -= fetch.tokens
                continue
            self.before_settling()
            try:
                for change in self._cache.settle(fetch):
                    self._reporting.cache_change(live, change)
            except Exception as error:
                live.known -= fetch.tokens
                if device_fault(error):
                    raise
                _log.exception("what was read from disk for request %s is lost", live.request.request_id)

    def start(self, live: LiveRequest) -> Prefill:
        """Begin the prefill of a request behind what the cache has of it."""
        began = self._clock()
        match = self._lookup(live)
        if not live.announced:
            self._announce(live, match, live.read_s + self._clock() - began)
        sequence = live.sequence
        live.resumed_at = len(live.generated)
        live.restored = match.matched
        request = live.request
        live.stops = checkpoints(
            request.cuts, len(sequence), match.matched, self._exact_only, has_head=request.has_head
        )
        cache = match.cache if match.cache is not None else self._runner.new_cache()
        live.prefill = Prefill(self._runner, sequence, cache, match.matched, live.stops, self._chunk)
        live.state = RequestState.PREFILL
        self._places.line.start(live)
        return live.prefill

    def _take_in(self, live: LiveRequest) -> None:
        request = live.request
        if fault := request_fault(request, self._loaded):
            self._reporting.fail(live, "invalid_request", fault)
            return
        live.max_tokens = min(request.max_tokens, self._loaded.context_length - len(request.prompt))
        seeded = request.sampling.seed is not None and self._loaded.draft is None
        live.is_repeatable = seeded or is_greedy(request.sampling)
        live.known = self._cache.known(live.tokens)
        self._places.wait(live)
        live.unread = not self.may_fetch(live)
        if not live.unread:
            self.fetch(live)
        live.queue_told = self._clock()
        self._reporting.emit(live, QueuedStep(self._places.line.ranking().index(live), 0.0))

    def fetch(self, live: LiveRequest) -> None:
        """Begin to read from disk what that has of a prompt beyond memory, if the disk answers."""
        if self._reads.hang():
            return
        try:
            live.fetch = self._cache.fetch(live.tokens, self._wake)
        except Exception:
            _log.exception("nothing is read from disk for request %s", live.request.request_id)
        if live.fetch is not None:
            self._reads.add(live.fetch)
            live.known += live.fetch.tokens
            live.state = RequestState.RESTORING

    def _lookup(self, live: LiveRequest) -> Match:
        try:
            return self._cache.lookup(live.sequence if live.generated else live.tokens)
        except Exception as error:
            if device_fault(error):
                raise
            _log.exception("the prefix cache failed and was emptied")
            self._cache.clear()
            return Match(None, 0, "none", None)

    def _announce(self, live: LiveRequest, match: Match, restore_s: float) -> None:
        """Report what the prompt will cost."""
        live.announced = True
        length = len(live.request.prompt)
        reads_only = live.request.lane == "auxiliary"
        kept = 0 if reads_only or not self._cache.keeps(length) else length - match.matched
        miss = None
        if match.miss:
            segment = segment_at(match.miss.position, live.request)
            miss = miss_in_words(match.miss, segment, self._loaded.tokenizer.decode)
        self._reporting.emit(live, LookupStep(length, match.matched, kept, match.tier, miss, restore_s))
        if match.change:
            self._reporting.cache_change(live, match.change)
        self._reporting.counts.prompt_tokens += length
        self._reporting.counts.restored_tokens += match.matched
