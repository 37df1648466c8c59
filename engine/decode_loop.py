"""One turn of the model's loop after another: decode a token for all, prefill a chunk of one, tell.

Everything here runs on the model's thread. `engine.prefill_line` says whose chunk is next; a prompt is never
padded to another's length, and a cancel costs at most one chunk. Once its prompt is computed, a request joins
a batch of its own length (`engine.decode_batch`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import mlx.core as mx
from mlx_lm.utils import maybe_set_recommended_wired_limit

from engine.admission import miss_in_words, request_fault, segment_at
from engine.checkpoints import checkpoints, needs_checkpoints
from engine.decode_batch import Batch, Row
from engine.disk_reads import DiskReads
from engine.generation import (
    CacheStep,
    FailStep,
    FinishStep,
    LookupStep,
    PrefillStep,
    QueuedStep,
    Step,
    TokenStep,
    UnheldStep,
)
from engine.generation_stream import StepOutbox
from engine.live_request import LiveRequest, RequestState
from engine.model_loading import LoadedModel
from engine.model_runner import ModelRunner
from engine.prefill import Prefill, largest_chunk
from engine.prefill_line import PrefillLine
from engine.prefix_cache import CacheChange, Kind, Match, PrefixCache
from engine.sampling import build_logits_processors, build_sampler

_log = logging.getLogger(__name__)

_QUEUE_NEWS_S = 1.0
_CLEARED_AFTER = 4  # tokens that a suspect produces alone before it may be batched again
_MAX_FAILURES = 3  # shared failures after which a request is given up
_TIDY_EVERY = 512  # turns between two returns of unused buffers to the system


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
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wake` is called from any thread when a turn would find something to do again.

        Raises:
            OptionUnsupported: the model cannot be run as `loaded` asks.
        """
        self._loaded = loaded
        self._runner = ModelRunner(loaded)
        self._cache = prefix_cache
        self._max_batch = max_batch
        self._chunk = prefill_chunk or loaded.prefill_chunk or largest_chunk()
        self._wake = wake
        self._clock = clock
        self._stream = mx.new_thread_local_stream(mx.default_device())
        self._exact_only = needs_checkpoints(self._runner.new_cache())
        self._outbox = StepOutbox(clock)
        self._line = PrefillLine(exact_only=self._exact_only)
        self._reads = DiskReads(clock)
        self._decoding: dict[Row, LiveRequest] = {}
        self._batches: list[Batch] = []
        self._wired_limit = maybe_set_recommended_wired_limit()
        self.counts = LoopCounts()
        self.last_progress: float | None = None

    @property
    def running(self) -> int:
        """Requests that are being prefilled or decoded."""
        return len(self._line.started) + len(self._decoding)

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._line.waiting)

    def arrive(self, live: LiveRequest) -> None:
        """Check a request and let it wait for its prefill. Whatever is wrong with it, this returns."""
        self.counts.received += 1
        if live.stream.cancelled:
            self._end(live, RequestState.CANCELLED)
            return
        try:
            self._take_in(live)
        except Exception as error:
            _log.exception("request %s could not be taken in", live.request.request_id)
            self._drop(live)
            self._fail(live, "internal", f"the request could not be taken in: {error}")

    def cancel(self, live: LiveRequest) -> None:
        """Drop a request; what its cache holds so far is kept. It may have ended, or not arrived yet."""
        if self._is_here(live):
            self._let_go(live)
            self._end(live, RequestState.CANCELLED)

    def turn(self) -> bool:
        """Do one turn; false if there was nothing to do. Whatever a request does wrong, this returns."""
        if not self._line and not self._decoding:
            return False
        self.counts.turns += 1
        with mx.stream(self._stream):
            self._settle()
            for batch in list(self._batches):
                self._decode(batch)
            if self._line:
                self.flush()  # what is decoded does not wait for someone's chunk
            prefilled = self._prefill()
        if self.counts.turns % _TIDY_EVERY == 0:
            mx.clear_cache()
        self._tell_queue()
        return prefilled or bool(self._decoding)

    def flush(self, *, more_soon: bool = False) -> None:
        """Hand all steps to their event loops; with `more_soon` tokens may wait for the next turn."""
        self._outbox.flush(more_soon=more_soon)

    def fail_all(self, message: str) -> None:
        """End every request, for a loop that ends; what their caches hold so far is kept."""
        for live in [*self._decoding.values(), *self._line.started, *self._line.waiting]:
            if self._is_here(live):
                self._let_go(live)
                self._fail(live, "internal", message)
        self.flush()
        if self._wired_limit is not None:
            mx.set_wired_limit(self._wired_limit)

    # Arrival

    def _take_in(self, live: LiveRequest) -> None:
        request = live.request
        if fault := request_fault(request, self._loaded):
            self._fail(live, "invalid_request", fault)
            return
        live.max_tokens = min(request.max_tokens, self._loaded.context_length - len(request.prompt))
        live.known = self._cache.known(live.tokens)
        self._wait(live)
        self._fetch(live)
        live.queue_told = self._clock()
        self._tell(live, QueuedStep(self._line.ranking().index(live), 0.0))

    def _wait(self, live: LiveRequest) -> None:
        live.state = RequestState.QUEUED
        self._line.add(live)

    def _fetch(self, live: LiveRequest) -> None:
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

    def _settle(self) -> None:
        """Take in what was read from disk, and wait no longer for a disk that does not answer."""
        hang = self._reads.hang()
        for live in self._line.waiting:
            fetch = live.fetch
            if fetch is None or not (fetch.done or hang):
                continue
            live.fetch = None
            live.state = RequestState.QUEUED
            live.read_s = self._clock() - live.arrived
            if not fetch.done:  # what it still reads is let go of when it is read
                live.known -= fetch.tokens
                continue
            try:
                for change in self._cache.settle(fetch):
                    self._tell_change(live, change)
            except Exception:
                _log.exception("what was read from disk for request %s is lost", live.request.request_id)

    def _tell_queue(self) -> None:
        if not self._line.waiting:
            return
        now = self._clock()
        for position, live in enumerate(self._line.ranking()):
            if live.prefill is None and now - live.queue_told >= _QUEUE_NEWS_S:
                live.queue_told = now
                self._tell(live, QueuedStep(position, now - live.arrived))

    # Prefill

    def _prefill(self) -> bool:
        """Compute one chunk of one prompt; false if there is none to compute."""
        live = self._line.choose(list(self._decoding.values()), self._max_batch)
        if live is None:
            return False
        try:
            prefill = live.prefill or self._start(live)
            if prefill.remaining:
                self._advance(live, prefill)
            if not prefill.remaining:
                self._begin_decode(live, prefill)
        except Exception as error:
            _log.exception("the prefill of request %s failed", live.request.request_id)
            self._drop(live)
            self._fail(live, "internal", _fault_message(error))
        return True

    def _start(self, live: LiveRequest) -> Prefill:
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
        self._line.start(live)
        return live.prefill

    def _lookup(self, live: LiveRequest) -> Match:
        try:
            return self._cache.lookup(live.sequence if live.generated else live.tokens)
        except Exception:
            _log.exception("the prefix cache failed and was emptied")
            self._cache.clear()
            return Match(None, 0, "none", None)

    def _announce(self, live: LiveRequest, match: Match, restore_s: float) -> None:
        """Tell what the prompt will cost."""
        live.announced = True
        length = len(live.request.prompt)
        reads_only = live.request.lane == "auxiliary"
        kept = 0 if reads_only or not self._cache.keeps(length) else length - match.matched
        miss = None
        if match.miss:
            segment = segment_at(match.miss.position, live.request)
            miss = miss_in_words(match.miss, segment, self._loaded.tokenizer.decode)
        self._tell(live, LookupStep(length, match.matched, kept, match.tier, miss, restore_s))
        if match.change:
            self._tell_change(live, match.change)
        self.counts.prompt_tokens += length
        self.counts.restored_tokens += match.matched

    def _advance(self, live: LiveRequest, prefill: Prefill) -> None:
        before = prefill.position
        prefill.advance()
        after = prefill.position
        self._line.worked(after - before)
        self.counts.prefilled_tokens += after - before
        self.last_progress = self._clock()
        awaited = not self._exact_only and self._line.awaited_between(live, before, after)
        if kind := live.stops.get(after, "main" if awaited else None):
            self._keep(live, prefill.held_tokens, prefill.cache, kind)
        self._tell_prefill(live, after)

    def _tell_prefill(self, live: LiveRequest, done: int) -> None:
        if not live.generated:
            self._tell(live, PrefillStep(done, len(live.request.prompt), live.restored))

    # Decoding

    def _begin_decode(self, live: LiveRequest, prefill: Prefill) -> None:
        """Let a request whose prompt is computed join a batch of its length."""
        self._line.remove(live)
        live.prefill = None
        request = live.request
        row = Row(
            prefill.held_tokens,
            build_sampler(request.sampling, self._loaded.vocab_size, len(live.generated)),
            build_logits_processors(request.sampling, len(request.prompt)),
            request.grammar.guide(live.generated) if request.grammar is not None else None,
        )
        length = len(row.tokens)
        batch = self._batch_for(live, length, prefill.cache)
        live.state, live.row, live.batch = RequestState.DECODE, row, batch
        self._decoding[row] = live
        try:
            batch.join(row, prefill.cache, prefill.last_token)
        except Exception as error:
            self._recover(batch, error, [live])
            return
        self._line.worked(1)
        self.counts.prefilled_tokens += 1
        self._tell_prefill(live, length + 1)

    def _batch_for(self, live: LiveRequest, length: int, cache: list[Any]) -> Batch:
        """A batch that takes a prompt of `length` tokens; suspects are alone in theirs."""
        for batch in self._batches:
            suspect = live.suspect or any(self._decoding[row].suspect for row in batch.rows)
            if not suspect and batch.takes(length, cache):
                return batch
        self._batches.append(self._runner.new_batch())
        return self._batches[-1]

    def _decode(self, batch: Batch) -> None:
        rows = list(batch.rows)
        try:
            for row, token in zip(rows, batch.step(), strict=True):
                if row in self._decoding:  # else one that left has failed, and all others run on alone
                    self._decoded(self._decoding[row], token)
        except Exception as error:  # one request's fault must not end the loop
            self._recover(batch, error)

    def _decoded(self, live: LiveRequest, token: int) -> None:
        self.last_progress = self._clock()
        self.counts.generated_tokens += 1
        live.generated.append(token)
        if live.suspect and len(live.generated) >= live.resumed_at + _CLEARED_AFTER:
            live.suspect = False
        eos = self._loaded.eos_token_ids
        reason = live.ended_by(token, eos)
        if reason == "stop":
            shown = live.hold_back.end() if token in eos else live.hold_back.stop(token)
        else:
            shown = live.hold_back.add(token)
            shown += live.hold_back.end() if reason else []
        for one in shown:
            self._tell(live, TokenStep(one))
        guide = live.row.guide if live.row is not None else None
        if guide is not None and guide.failure and not live.unheld:
            live.unheld = True
            self._tell(live, UnheldStep(guide.failure))
        if reason is not None:
            self._leave_batch(live)
            self._drop(live)
            self._tell(live, FinishStep(reason, len(live.generated)))
            self._end(live, RequestState.FINISHED)

    def _leave_batch(self, live: LiveRequest) -> None:
        """Take a request out of its batch and keep the state it had come to."""
        assert live.batch is not None
        assert live.row is not None
        try:
            cache = live.batch.leave(live.row)
        except Exception as error:  # the others in the batch go on
            self._recover(live.batch, error, leaving=live)
            return
        self._keep(live, live.row.tokens, cache)

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

    # Ends

    def _tell(self, live: LiveRequest, step: Step) -> None:
        self._outbox.put(live.stream, step)

    def _is_here(self, live: LiveRequest) -> bool:
        return live in self._line or live.row in self._decoding

    def _let_go(self, live: LiveRequest) -> None:
        """Stop what is done for a request, and keep what was computed."""
        with mx.stream(self._stream):
            if live.prefill is not None:
                self._keep(live, live.prefill.held_tokens, live.prefill.cache)
            elif live.row is not None:
                self._leave_batch(live)
        self._drop(live)

    def _drop(self, live: LiveRequest) -> None:
        """Forget where a request stood."""
        if live in self._line:
            self._line.remove(live)
        if live.row is not None:
            self._decoding.pop(live.row, None)
        self._batches = [batch for batch in self._batches if batch.rows]
        live.prefill = live.row = live.batch = live.fetch = None

    def _fail(self, live: LiveRequest, kind: Literal["invalid_request", "internal"], message: str) -> None:
        self._tell(live, FailStep(kind, message))
        self._end(live, RequestState.FAILED)

    def _end(self, live: LiveRequest, state: RequestState) -> None:
        live.state = state
        match state:
            case RequestState.FINISHED:
                self.counts.finished += 1
            case RequestState.CANCELLED:
                self.counts.cancelled += 1
            case _:
                self.counts.failed += 1
        if not self.running:
            mx.clear_cache()

    # Faults

    def _recover(
        self,
        batch: Batch,
        error: Exception,
        joining: Sequence[LiveRequest] = (),
        *,
        leaving: LiveRequest | None = None,
    ) -> None:
        """Give a batch up after a fault in it.

        Whose fault it was cannot be told when several were in it. Each then runs on alone from where it was,
        until it has passed the place; the one that fails alone is the one that fails.
        """
        members = [self._decoding[row] for row in batch.rows if row in self._decoding]
        affected = [live for live in {*members, *joining} if live is not leaving]
        affected.sort(key=lambda live: live.arrived)
        _log.error("a batch of %d failed and is taken apart", len(affected), exc_info=error)
        self.counts.rebuilds += 1
        batch.rows.clear()
        alone = leaving is None and len(affected) == 1
        for live in affected:
            self._drop(live)
            live.failures += 1
            if alone or live.failures > _MAX_FAILURES:
                self._fail(live, "internal", _fault_message(error))
            else:
                live.suspect = True
                self._wait(live)


def _fault_message(error: Exception) -> str:
    detail = str(error).strip().splitlines() or [""]
    return f"generation failed ({type(error).__name__}: {detail[0]}); the engine goes on, try again"
