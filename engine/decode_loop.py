"""One turn of the model's loop after another: admit, prefill a chunk, decode a token, tell.

Everything here runs on the model's thread. Prompts are prefilled one at a time, so that none is padded to
another's length and a cancel costs at most one chunk; decoding is batched. A turn does one decode step for
all running requests and one chunk of one prompt.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator, StopSequences
from mlx_lm.models.cache import make_prompt_cache

from engine.admission import miss_in_words, request_fault, segment_at
from engine.checkpoints import checkpoints, needs_checkpoints, segments
from engine.generation import (
    CacheStep,
    FailStep,
    FinishStep,
    LookupStep,
    PrefillStep,
    QueuedStep,
    Step,
    TokenStep,
)
from engine.generation_stream import StepOutbox
from engine.live_request import LiveRequest, RequestState
from engine.model_loading import LoadedModel
from engine.prefix_cache import CacheChange, Kind, Match, PrefixCache, common_prefix
from engine.sampling import build_logits_processors, build_sampler

_log = logging.getLogger(__name__)

_QUEUE_NEWS_S = 1.0
_WORTH_WAITING = 256  # tokens that a prompt ahead will leave in the cache beyond what is there now
_CLEARED_AFTER = 4  # tokens that a suspect produces alone before it may be batched again
_MAX_FAILURES = 3  # shared failures after which a request is given up


@dataclass(slots=True)
class LoopCounts:
    """What the loop has done since it started."""

    received: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    restored_tokens: int = 0
    prefilled_tokens: int = 0
    generated_tokens: int = 0
    turns: int = 0
    rebuilds: int = 0


class DecodeLoop:
    """The requests of one model, from their arrival on the model's thread to their last step."""

    def __init__(
        self,
        loaded: LoadedModel,
        prefix_cache: PrefixCache,
        *,
        max_batch: int = 8,
        prefill_chunk: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loaded = loaded
        self._cache = prefix_cache
        self._max_batch = max_batch
        self._chunk = prefill_chunk or default_prefill_chunk()
        self._clock = clock
        self._stream = mx.new_thread_local_stream(mx.default_device())
        self._exact_only = needs_checkpoints(make_prompt_cache(loaded.model))
        self._ends = [[token] for token in sorted(loaded.eos_token_ids)]
        self._outbox = StepOutbox(clock)
        self._queue: deque[LiveRequest] = deque()
        self._live: dict[int, LiveRequest] = {}
        self._stops: dict[int, dict[int, Kind]] = {}
        self._generator = self._new_generator()
        self.counts = LoopCounts()
        self.last_progress: float | None = None

    @property
    def running(self) -> int:
        """Requests that are being prefilled or decoded."""
        return len(self._live)

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    def arrive(self, live: LiveRequest) -> None:
        """Check a request, look its prompt up and queue it. Whatever is wrong with it, this returns."""
        self.counts.received += 1
        if live.stream.cancelled:
            self._end(live, RequestState.CANCELLED)
            return
        try:
            self._take_in(live)
        except Exception as error:
            _log.exception("request %s could not be taken in", live.request.request_id)
            self._fail(live, "internal", f"the request could not be taken in: {error}")

    def _take_in(self, live: LiveRequest) -> None:
        request = live.request
        if fault := request_fault(request, self._loaded):
            self._fail(live, "invalid_request", fault)
            return
        live.max_tokens = min(request.max_tokens, self._loaded.context_length - len(request.prompt))
        live.queue_told = self._clock()
        self._tell(live, QueuedStep(len(self._queue) + self._prefilling, 0.0))
        match = self._lookup(live)
        if self._promised(live) <= match.matched + _WORTH_WAITING:
            self._announce(live, match)
        self._queue.append(live)

    def cancel(self, live: LiveRequest) -> None:
        """Drop a request; what its cache holds so far is kept."""
        if live.state is RequestState.QUEUED and live in self._queue:
            self._queue.remove(live)
        elif (
            self._live.get(live.uid) is live
        ):  # a rebuilt generator gives the numbers of ended requests again
            self._take_out(live)
        else:
            return
        self._end(live, RequestState.CANCELLED)

    def turn(self) -> bool:
        """Do one turn; false if there was nothing to do. Whatever a request does wrong, this returns."""
        if not self._queue and not self._live:
            return False
        self.counts.turns += 1
        with mx.stream(self._stream):
            try:
                self._admit()
                prompts, tokens = self._generator.next()
                for progress in prompts:
                    self._prefilled(progress)
                for response in tokens:
                    self._decoded(response)
            except Exception as error:  # one request's fault must not end the loop
                self._recover(error)
        self._tell_queue()
        return True

    def flush(self, *, more_soon: bool = False) -> None:
        """Hand all steps to their event loops; with `more_soon` tokens may wait for the next turn."""
        self._outbox.flush(more_soon=more_soon)

    def fail_all(self, message: str) -> None:
        """End every request, for a loop that ends."""
        for live in [*self._live.values(), *self._queue]:
            self._fail(live, "internal", message)
        self._queue.clear()
        self._live.clear()
        self.flush()
        self._generator.close()

    # Arrival

    def _promised(self, live: LiveRequest) -> int:
        """How much of the prompt those ahead will have put into the cache when its turn comes."""
        ahead = [
            *self._queue,
            *(other for other in self._live.values() if other.state is RequestState.PREFILL),
        ]
        return max((common_prefix(other.tokens, live.tokens[:-1]) for other in ahead), default=0)

    def _lookup(self, live: LiveRequest) -> Match:
        try:
            return self._cache.lookup(live.sequence if live.generated else live.tokens)
        except Exception:
            _log.exception("the prefix cache failed and was emptied")
            self._cache.clear()
            return Match(None, 0, "none", None)

    def _announce(self, live: LiveRequest, match: Match) -> None:
        """Tell what the prompt will cost; from here on this match is the one that is used."""
        live.match, live.announced = match, True
        length = len(live.request.prompt)
        reads_only = live.request.lane == "auxiliary"
        kept = 0 if reads_only or not self._cache.keeps(length) else length - match.matched
        miss = None
        if match.miss:
            segment = segment_at(match.miss.position, live.request)
            miss = miss_in_words(match.miss, segment, self._loaded.tokenizer.decode)
        self._tell(live, LookupStep(length, match.matched, kept, match.tier, miss))
        if match.change:
            self._tell_change(live, match.change)
        self.counts.prompt_tokens += length
        self.counts.restored_tokens += match.matched

    # The queue

    @property
    def _prefilling(self) -> int:
        return sum(live.state is RequestState.PREFILL for live in self._live.values())

    def _admit(self) -> None:
        """Let the next request in once no other is being prefilled; suspects only alone."""
        while self._queue and not self._prefilling and len(self._live) < self._max_batch:
            live = self._queue[0]
            if self._live and (live.suspect or any(other.suspect for other in self._live.values())):
                return
            self._queue.popleft()
            try:
                self._join(live)
            except Exception as error:
                _log.exception("request %s could not be started", live.request.request_id)
                self._leave(live)
                self._fail(live, "internal", f"the request could not be started: {error}")

    def _join(self, live: LiveRequest) -> None:
        sequence = live.sequence
        if not live.announced:
            self._announce(live, self._lookup(live))
        match = live.match or self._lookup(live)
        live.match = None
        request = live.request
        live.resumed_at = len(live.generated)
        stops = checkpoints(request.cuts, len(sequence), match.matched, self._exact_only)
        extra_stops = [list(stop) for stop in request.stop_token_ids if stop]
        (live.uid,) = self._generator.insert_segments(
            [segments(sequence, match.matched, list(stops), self._chunk)],
            max_tokens=[live.max_tokens - len(live.generated)],
            caches=[match.cache] if match.cache is not None else None,
            all_tokens=[sequence[: match.matched]],
            samplers=[build_sampler(request.sampling, self._loaded.vocab_size, len(live.generated))],
            logits_processors=[build_logits_processors(request.sampling, len(request.prompt))],
            stop_sequences=[StopSequences([*self._ends, *extra_stops])] if extra_stops else None,
        )
        live.state = RequestState.PREFILL
        self._live[live.uid] = live
        self._stops[live.uid] = stops
        live.restored = live.prefilled = match.matched

    def _tell_queue(self) -> None:
        if not self._queue:
            return
        now = self._clock()
        ahead = self._prefilling
        for position, live in enumerate(self._queue):
            if now - live.queue_told >= _QUEUE_NEWS_S:
                live.queue_told = now
                self._tell(live, QueuedStep(position + ahead, now - live.arrived))

    # Progress

    def _prefilled(self, progress: Any) -> None:
        live = self._live.get(progress.uid)
        if live is None:
            return
        self.last_progress = self._clock()
        done = live.restored + progress.progress[0]
        self.counts.prefilled_tokens += done - live.prefilled
        live.prefilled = done
        if progress.end_of_prompt:
            live.state = RequestState.DECODE
        elif kind := self._stops[live.uid].get(done):
            cache, tokens = self._generator.extract_cache([live.uid])[live.uid]
            self._keep(live, tokens, cache, kind)
        if not live.generated:
            self._tell(live, PrefillStep(done, len(live.request.prompt), live.restored))

    def _decoded(self, response: Any) -> None:
        live = self._live.get(response.uid)
        if live is None:
            return
        self.last_progress = self._clock()
        self.counts.generated_tokens += 1
        live.state = RequestState.DECODE
        live.generated.append(response.token)
        if live.suspect and len(live.generated) >= live.resumed_at + _CLEARED_AFTER:
            live.suspect = False
        reason = response.finish_reason
        if reason == "stop":
            known_end = response.token in self._loaded.eos_token_ids
            shown = live.hold_back.end() if known_end else live.hold_back.stop(response.token)
        else:
            shown = live.hold_back.add(response.token)
            shown += live.hold_back.end() if reason else []
        for token in shown:
            self._tell(live, TokenStep(token))
        if reason is not None:
            self._leave(live)
            self._keep(live, response.all_tokens, response.prompt_cache)
            self._tell(live, FinishStep(reason, len(live.generated)))
            self._end(live, RequestState.FINISHED)

    # The cache

    def _keep(self, live: LiveRequest, tokens: list[int], cache: list[Any], kind: Kind = "main") -> None:
        """Put what was computed into the cache; side requests, which nothing follows, only read it."""
        lane = live.request.lane
        if not tokens or lane == "auxiliary":
            return
        if kind == "main" and lane == "subagent":
            kind = "subagent"
        try:
            changes = self._cache.insert(tokens, cache, kind)
        except Exception:  # the request goes on without it
            _log.exception("the prefix cache could not keep %d tokens", len(tokens))
            return
        for change in changes:
            self._tell_change(live, change)

    def _tell_change(self, live: LiveRequest, change: CacheChange) -> None:
        self._tell(live, CacheStep(**asdict(change)))

    def _take_out(self, live: LiveRequest) -> None:
        """Remove a request from the batch and keep the state it had come to."""
        self._leave(live)
        with mx.stream(self._stream):
            try:
                cache, tokens = self._generator.remove([live.uid], return_prompt_caches=True)[live.uid]
                self._keep(live, tokens, cache)
            except Exception as error:  # the others in the batch go on
                self._recover(error, theirs=False)

    # Ends

    def _tell(self, live: LiveRequest, step: Step) -> None:
        self._outbox.put(live.stream, step)

    def _leave(self, live: LiveRequest) -> None:
        self._live.pop(live.uid, None)
        self._stops.pop(live.uid, None)

    def _fail(self, live: LiveRequest, kind: Any, message: str) -> None:
        self._tell(live, FailStep(kind, message))
        self._end(live, RequestState.FAILED)

    def _end(self, live: LiveRequest, state: RequestState) -> None:
        live.state = state
        live.match = None
        match state:
            case RequestState.FINISHED:
                self.counts.finished += 1
            case RequestState.CANCELLED:
                self.counts.cancelled += 1
            case _:
                self.counts.failed += 1
        if not self._live:
            mx.clear_cache()

    # Faults

    def _new_generator(self) -> BatchGenerator:
        return BatchGenerator(
            self._loaded.model,
            stop_tokens=self._ends,
            completion_batch_size=self._max_batch,
            prefill_batch_size=1,
            prefill_step_size=self._chunk,
            stream=self._stream,
        )

    def _recover(self, error: Exception, *, theirs: bool = True) -> None:
        """Start again with a new generator after a fault in a batch.

        Whose fault it was cannot be told when several were in it. Each then runs on alone from where it was,
        until it has passed the place; the one that fails alone is the one that fails, unless the fault is
        not `theirs` but of one that had left already.
        """
        affected = sorted(self._live.values(), key=lambda live: live.arrived)
        _log.error("a batch of %d failed; the generator is rebuilt", len(affected), exc_info=error)
        self.counts.rebuilds += 1
        self._generator.close()
        self._generator = self._new_generator()
        self._live.clear()
        self._stops.clear()
        for live in affected:
            live.failures += 1
        alone = theirs and len(affected) == 1
        for live in reversed(affected):
            if alone or live.failures > _MAX_FAILURES:
                detail = str(error).strip().splitlines() or [""]
                message = (
                    f"generation failed ({type(error).__name__}: {detail[0]}); the engine goes on, try again"
                )
                self._fail(live, "internal", message)
            else:
                live.state, live.suspect = RequestState.QUEUED, True
                self._queue.appendleft(live)


def default_prefill_chunk() -> int:
    """Tokens in one chunk: what keeps a cancel prompt on this device."""
    return 2048 if mx.default_device().type == mx.DeviceType.gpu else 512
