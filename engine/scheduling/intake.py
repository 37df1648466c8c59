"""Intake of requests: validate on arrival, read spans from disk, look up the prefix cache, start the prefill.

Whether a request may start is decided in `engine.scheduling.memory_admission`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import mlx.core as mx

from engine.chunks.boundaries import chunk_boundaries
from engine.models.loading import LoadedModel
from engine.prefix_cache.checkpoints import store_positions
from engine.prefix_cache.disk.read_deadlines import ReadDeadlines
from engine.prefix_cache.interface import Kind, Match, MissAt, PrefixCache
from engine.prefix_cache.layers import cache_arrays
from engine.prefix_cache.repeats import RepeatedPrompts
from engine.process.device_faults import device_fault
from engine.prompts.encoding.control_tokens import special_tokens
from engine.scheduling.active_requests import ActiveRequests
from engine.scheduling.prefill import Prefill
from engine.scheduling.reporting import LoopReporting
from engine.scheduling.requests.request import RequestState, ScheduledRequest
from engine.scheduling.requests.steps import ResumedStep, TokenStep
from engine.scheduling.requests.validation import miss_in_words, request_fault, segment_at
from engine.scheduling.runner import ModelRunner
from engine.scheduling.sampling import is_greedy
from engine.wire.abandoned import AbandonedAnswers
from engine.wire.feed import Lookup, PhaseTimes, Queued

_LONG_RESTORE = 4096  # tokens from which on restoring may take a time worth knowing
_log = logging.getLogger(__name__)


class RequestIntake:
    """Brings requests from arrival to the start of their prefill. Used on the model's thread."""

    def __init__(
        self,
        loaded: LoadedModel,
        runner: ModelRunner,
        cache: PrefixCache,
        active: ActiveRequests,
        reporting: LoopReporting,
        *,
        chunk: int,
        exact_only: bool,
        wake: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """`chunk` in tokens; `exact_only` as in `store_positions`; `wake` as in `DecodeLoop`."""
        self._loaded = loaded
        self._runner = runner
        self._cache = cache
        self._active = active
        self._reporting = reporting
        self._chunk = chunk
        self._exact_only = exact_only
        self._wake = wake
        self._clock = clock
        self._reads = ReadDeadlines(clock)
        self._repeats = RepeatedPrompts()
        self._marks = special_tokens(loaded.tokenizer)[0]
        self.abandoned = AbandonedAnswers(clock)
        self.may_read_now: Callable[[ScheduledRequest], bool] = lambda request: True
        self.before_insert: Callable[[], None] = lambda: None

    def arrive(self, request: ScheduledRequest) -> None:
        """Validate a request and queue it for prefill; an invalid one ends with a fault. Never raises."""
        self._reporting.counts.received += 1
        if request.stream.cancelled:
            self._reporting.end(request, RequestState.CANCELLED)
            return
        try:
            self._enqueue(request)
        except Exception as error:
            _log.exception("request %s could not be queued", request.spec.request_id)
            self._active.drop(request)
            self._reporting.fail(request, "internal", f"the request could not be queued: {error}")

    def collect_reads(self) -> None:
        """Insert finished reads into the prefix cache, and stop waiting for reads past their deadline.

        A fault of the device is raised; the spans of that read are dropped.
        """
        hang = self._reads.hang()
        for request in self._active.queue.waiting:
            fetch = request.fetch
            if fetch is None or not (fetch.done or hang):
                continue
            request.fetch = None
            request.state = RequestState.QUEUED
            request.read_s = self._clock() - request.arrived
            if not fetch.done:
                fetch.cancel()  # no memory is reserved for it from here on
                request.restorable -= fetch.tokens
                continue
            self.before_insert()
            try:
                # A side request's read evicts no conversation: it is computed again instead.
                unused_since = -1 if request.spec.lane == "auxiliary" else None
                for change in self._cache.insert_fetched(fetch, unused_since, request.user):
                    self._reporting.emit(request, change)
            except Exception as error:
                request.restorable -= fetch.tokens
                if device_fault(error):
                    raise
                _log.exception("the spans read from disk for request %s are dropped", request.spec.request_id)

    def start(self, request: ScheduledRequest) -> Prefill:
        """Restore what the prefix cache has of a request and start its prefill behind that."""
        began = self._clock()
        before = self._cache.clock
        match = self._lookup(request)
        looked_up = self._clock()
        if match.cache is not None and match.restored >= _LONG_RESTORE:
            mx.eval(cache_arrays(match.cache))  # as the first chunk would: so its time is known
        restored = self._clock()
        if request.spec.lane == "auxiliary" and not request.lookup_reported:
            self._limit_keeping(request, before)
            self._keep_repeated(request, match)
        if not request.lookup_reported:
            self._report_lookup(request, match, request.read_s + restored - began)
            times = PhaseTimes(
                waiting_s=max(0.0, began - request.arrived - request.read_s),
                lookup_s=looked_up - began,
                restore_s=request.read_s + restored - looked_up,
            )
            self._reporting.emit(request, times)
            self._replay(request)
        sequence = request.sequence
        request.resumed_at = len(request.generated)
        request.restored = match.restored
        request.store_at = self._store_positions(request, match.restored)
        if self._exact_only and match.restored < request.keep_to < len(sequence):
            request.store_at.setdefault(request.keep_to, "subagent")
        cache = match.cache if match.cache is not None else self._runner.new_cache()
        request.prefill = Prefill(
            self._runner, sequence, cache, match.restored, request.store_at, self._chunk
        )
        request.state = RequestState.PREFILL
        if request.prefill_began is None:
            request.prefill_began = restored
        self._active.queue.start(request)
        return request.prefill

    def _store_positions(self, request: ScheduledRequest, restored: int) -> dict[int, Kind]:
        return store_positions(
            request.spec.boundaries,
            len(request.sequence),
            restored,
            self._exact_only,
            has_shared_prefix=request.spec.has_shared_prefix,
            shared=request.spec.shared_boundaries,
        )

    def _limit_keeping(self, request: ScheduledRequest, clock: int) -> None:
        """Keep of an auxiliary request what an earlier one began with too, and evict only what is older.

        The rest is kept where there is room.
        """
        spec = request.spec
        worth = self._repeats.add(request.tokens, spec.boundaries, clock)
        request.keep_to, request.unused_since = worth.repeated, worth.since
        request.keep_once_to = worth.once
        if self._exact_only and worth.repeated:
            # Other ends of chunks could change the last bits of what is computed behind them.
            ends = {*self._store_positions(request, 0), *chunk_boundaries(len(spec.prompt), self._chunk)}
            request.keep_to = max((end for end in ends if end <= worth.repeated), default=0)

    def _keep_repeated(self, request: ScheduledRequest, match: Match) -> None:
        """Keep what was restored as what repeats, also on disk: it may have been "once"."""
        end = min(match.restored, request.keep_to)
        if match.cache is None or not end or (self._exact_only and end < match.restored):
            return
        try:
            changes = self._cache.insert(
                request.spec.prompt[:end], match.cache, "subagent", request.unused_since, request.user
            )
        except Exception as error:
            if device_fault(error):
                raise
            _log.exception("%d restored tokens could not be kept as what repeats", end)
            return
        for change in changes:
            self._reporting.emit(request, change)

    def _enqueue(self, request: ScheduledRequest) -> None:
        spec = request.spec
        if fault := request_fault(spec, self._loaded):
            self._reporting.fail(request, "invalid_request", fault)
            return
        request.max_tokens = min(spec.max_tokens, self._loaded.context_length - len(spec.prompt))
        known = max(self.abandoned.take(spec.resume_key), list(spec.resume_tokens), key=len)
        request.resume(known[: request.max_tokens - 1])
        seeded = spec.sampling.seed is not None and self._loaded.draft is None
        request.is_repeatable = seeded or is_greedy(spec.sampling)
        request.restorable = self._cache.restorable(request.tokens)
        self._active.wait(request)
        request.read_later = not self.may_read_now(request)
        if not request.read_later:
            self.fetch(request)
        request.queue_reported = self._clock()
        self._reporting.emit(request, Queued(self._active.queue.ranking().index(request), 0.0))

    def fetch(self, request: ScheduledRequest) -> None:
        """Start reading the spans of a prompt that are only on disk, unless a read is past its deadline."""
        if self._reads.hang():
            return
        try:
            request.fetch = self._cache.fetch(request.tokens, self._wake)
        except Exception:
            _log.exception("reading from disk for request %s failed", request.spec.request_id)
        if request.fetch is not None:
            self._reads.add(request.fetch)
            request.restorable += request.fetch.tokens
            request.state = RequestState.RESTORING

    def _lookup(self, request: ScheduledRequest) -> Match:
        try:
            return self._cache.lookup(request.sequence if request.generated else request.tokens, request.user)
        except Exception as error:
            if device_fault(error):
                raise
            _log.exception("the prefix cache failed and was cleared")
            self._cache.clear()
            return Match(None, 0, "none", None)

    def _report_lookup(self, request: ScheduledRequest, match: Match, restore_s: float) -> None:
        """Report the lookup: restored tokens, tokens to prefill, and why no more was restored."""
        request.lookup_reported = True
        length = len(request.spec.prompt)
        restored = min(match.restored, length)  # of a resumed answer more may be restored
        kept = self._kept(request, restored)
        miss = None
        if match.miss and not self._is_own_text(request, match.miss):
            segment = segment_at(match.miss.position, request.spec)
            miss = miss_in_words(match.miss, segment, self._loaded.tokenizer.decode, self._marks)
            self._reporting.counts.misses[miss.reason] += 1
        self._reporting.emit(request, Lookup(length, restored, kept, match.tier, miss, restore_s))
        if match.change:
            self._reporting.emit(request, match.change)
        self._reporting.counts.prompt_tokens += length
        self._reporting.counts.restored_tokens += restored

    @staticmethod
    def _is_own_text(request: ScheduledRequest, miss: MissAt) -> bool:
        """Whether a new conversation parts from others in its own first text only: there is no other way."""
        own = request.spec.own_from
        return miss.reason == "diverged" and own is not None and miss.position >= own

    def _kept(self, request: ScheduledRequest, restored: int) -> int:
        """How many tokens of a prompt will be added to the cache, as far as is known."""
        end = min(len(request.tokens), request.keep_to)
        if request.keep_once_to > end and self._cache.would_keep(request.keep_once_to, restored, "once"):
            end = request.keep_once_to
        return max(0, end - restored) if self._cache.would_keep(end) else 0

    def _replay(self, request: ScheduledRequest) -> None:
        """Report the tokens that a resumed answer begins with."""
        if not request.generated:
            return
        self._reporting.emit(request, ResumedStep(len(request.generated)))
        for token in request.generated:
            self._reporting.emit(request, TokenStep(token))
