"""One turn of the model's loop after another: decode a token for all, prefill a chunk of one, report.

Everything here runs on the model's thread. Requests enter through `engine.scheduling.admission`, and
`engine.scheduling.prefill_queue` says whose chunk is next; a prompt is never padded to another's length, and
a cancel costs at most one chunk. Once its prompt is computed, a request joins a batch of its own length
(`engine.scheduling.batch`). What a fault leads to is in `engine.scheduling.faults`,
and what is kept of a request that stops in `engine.scheduling.keeping`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Literal

import mlx.core as mx

from engine.chunks.fit import largest_chunk
from engine.chunks.pace import prefill_stats
from engine.memory.guard import MemoryGuard
from engine.memory.ledger import Verdict
from engine.models.loading import LoadedModel
from engine.prefix_cache.checkpoints import needs_checkpoints
from engine.prefix_cache.interface import PrefixCache
from engine.process.device_faults import DeviceRefuses, device_fault
from engine.scheduling.admission import LoopAdmission
from engine.scheduling.batch import Batch, Row
from engine.scheduling.faults import UNCONFIRMED, Recovery, fault_message
from engine.scheduling.keeping import LoopKeeping
from engine.scheduling.memory import LoopMemory
from engine.scheduling.places import RequestPlaces
from engine.scheduling.prefill import Prefill
from engine.scheduling.reporting import LoopCounts, LoopReporting
from engine.scheduling.requests.request import LiveRequest, RequestState
from engine.scheduling.requests.steps import FinishStep, TokenStep, UnconstrainedStep
from engine.scheduling.runner import ModelRunner
from engine.scheduling.sampling import build_logits_processors, build_sampler

_log = logging.getLogger(__name__)

_CLEARED_AFTER = 4  # tokens that a suspect produces alone before it may be batched again
_TIDY_EVERY = 512  # turns between two returns of unused buffers to the system
_PROVE_EVERY = 32  # steps of decoding after which the device is waited for, to know that it did compute them


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
        memory: MemoryGuard | None = None,
    ) -> None:
        """`wake` is called from any thread when a turn would find something to do again.

        Without `memory` nothing is limited.

        Raises:
            OptionUnsupported: the model cannot be run as `loaded` asks.
        """
        self._loaded = loaded
        self._runner = ModelRunner(loaded)
        self._clock = clock
        self._stream = mx.new_thread_local_stream(mx.default_device())
        self._chunk = prefill_chunk or loaded.prefill_chunk or largest_chunk()
        self._pace = loaded.pace
        self._exact_only = needs_checkpoints(self._runner.new_cache())
        self._places = RequestPlaces(exact_only=self._exact_only)
        self._line = self._places.line
        self._reporting = LoopReporting(self._places, clock)
        self._recovery = Recovery(
            self._places, self._reporting, prefix_cache, max_batch=max_batch, clock=clock
        )
        self._keeping = LoopKeeping(
            self._places, self._reporting, self._recovery, prefix_cache, stream=self._stream
        )
        self._admission = LoopAdmission(
            loaded,
            self._runner,
            prefix_cache,
            self._places,
            self._reporting,
            chunk=self._chunk,
            exact_only=self._exact_only,
            wake=wake,
            clock=clock,
        )
        self._guard = memory or MemoryGuard(prefix_cache)
        self._memory = LoopMemory(
            self._guard,
            self._places,
            self._reporting,
            put_back=self._keeping.put_back,
            fetch=self._admission.fetch,
            clock=clock,
        )
        self._admission.may_fetch = self._memory.may_fetch
        self._admission.before_settling = self._memory.update
        self.last_progress: float | None = None

    @property
    def counts(self) -> LoopCounts:
        """What was done since the start."""
        return self._reporting.counts

    @property
    def running(self) -> int:
        """Requests that are being prefilled or decoded."""
        return self._places.running

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return self._places.queued

    def prefill_stats(self) -> dict[str, Any]:
        """As `/stats` has it: the chunk in tokens, and the fit that it was chosen by."""
        return prefill_stats(self._chunk, self._pace)

    def arrive(self, live: LiveRequest) -> None:
        """Check a request and let it wait for its prefill. Whatever is wrong with it, this returns."""
        self._admission.arrive(live)

    def cancel(self, live: LiveRequest) -> None:
        """Drop a request; what its cache holds so far is kept. It may have ended, or not arrived yet.

        Raises:
            DeviceRefuses: as `turn` does.
        """
        if live in self._places:
            try:
                self._keeping.let_go(live)
            finally:
                self._reporting.end(live, RequestState.CANCELLED)

    def turn(self) -> bool:
        """Do one turn; false if there was nothing to do. Whatever a request does wrong, this returns.

        Raises:
            DeviceRefuses: the device does no more work for this process; end the loop with `fail_all`.
        """
        self._memory.watch()
        if not self._line and not self._places.decoding:
            return False
        self.counts.turns += 1
        with mx.stream(self._stream):
            self._settle()
            self._memory.grow()
            for batch in list(self._places.batches):
                self._decode(batch)
            if self._line:
                self.flush()  # what is decoded does not wait for someone's chunk
            prefilled = self._prefill()
            if not self.running:
                self._recovery.prove(computed=False)  # what is left of a fault must not meet the next request
        if self.counts.turns % _TIDY_EVERY == 0:
            mx.clear_cache()
        self._reporting.queue()
        return prefilled or bool(self._places.decoding)

    def flush(self, *, more_soon: bool = False) -> None:
        """Hand all steps to their event loops; with `more_soon` tokens may wait for the next turn."""
        self._reporting.flush(more_soon=more_soon)

    def fail_all(self, message: str) -> None:
        """End every request, for a loop that ends; what their caches hold so far is kept.

        Returns when nothing of them is under way on the device any more.
        """
        kind: Literal["overloaded", "internal"] = "overloaded" if self._recovery.refused else "internal"
        for live in self._places.all:
            if live in self._places:
                try:
                    self._keeping.let_go(live)
                except DeviceRefuses:
                    _log.warning("what was computed for request %s is not kept", live.request.request_id)
                    self._places.drop(live)
                self._reporting.fail(live, kind, message)
        self.flush()
        with mx.stream(self._stream):
            self._recovery.drain()
        self._guard.close()

    # The device

    def _settle(self) -> None:
        try:
            self._admission.settle()
        except Exception as error:
            self._recovery.device_failed(error)

    # Prefill

    def _prefill(self) -> bool:
        """Compute one chunk of one prompt; false if there is none to compute."""
        live = self._line.choose(list(self._places.decoding.values()), self._recovery.max_batch)
        if live is not None and live.prefill is None:
            live = self._admitted(live)
        if live is None:
            return False
        if live.state is RequestState.FAILED:  # it will never fit
            return True
        sole = live.suspect
        if sole and not self._recovery.prove(computed=False):
            return True
        try:
            self._compute(live)
        except DeviceRefuses:
            raise
        except Exception as error:
            if device_fault(error):
                self._recovery.device_failed(error, [live], sole=sole)
                return True
            _log.exception("the prefill of request %s failed", live.request.request_id)
            self._places.drop(live)
            self._reporting.fail(live, "internal", fault_message(error))
        return True

    def _admitted(self, live: LiveRequest) -> LiveRequest | None:
        """Who is prefilled next: a request that may begin, or where it waits one that has begun; else None.

        One that will never fit has failed.
        """
        live = self._memory.turn_of(live)
        verdict = self._memory.admit(live)
        if verdict is Verdict.WAITS:
            return next((one for one in self._line.ranking() if one in self._line.started), None)
        if verdict is Verdict.NEVER:
            self._places.drop(live)
            self._reporting.fail(live, "invalid_request", self._memory.refusal(live))
        return live

    def _compute(self, live: LiveRequest) -> None:
        prefill = live.prefill or self._admission.start(live)
        if prefill.remaining:
            self._advance(live, prefill)
        if not prefill.remaining:
            self._begin_decode(live, prefill)

    def _advance(self, live: LiveRequest, prefill: Prefill) -> None:
        before, began = prefill.position, self._clock()
        prefill.advance()
        after = prefill.position
        self._recovery.proven()
        self._line.worked(after - before)
        self.counts.prefilled_tokens += after - before
        self.last_progress = self._clock()
        if self._pace is not None and not self._places.decoding:  # a token on its way would take part of it
            self._pace.add(before, after, self.last_progress - began)
        awaited = not self._exact_only and self._line.awaited_between(live, before, after)
        if kind := live.stops.get(after, "main" if awaited else None):
            self._keeping.keep(live, prefill.held_tokens, prefill.cache, kind)
        self._reporting.prefill_progress(live, after)

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
        self._places.decoding[row] = live
        try:
            batch.join(row, prefill.cache, prefill.last_token)
        except Exception as error:
            if device_fault(error):
                raise
            self._recovery.take_apart(batch, error, [live])
            return
        self._line.worked(1)
        self.counts.prefilled_tokens += 1
        self._reporting.prefill_progress(live, length + 1)

    def _batch_for(self, live: LiveRequest, length: int, cache: list[Any]) -> Batch:
        """A batch that takes a prompt of `length` tokens; suspects are alone in theirs."""
        for batch in self._places.batches:
            suspect = live.suspect or any(self._places.decoding[row].suspect for row in batch.rows)
            if not suspect and batch.takes(length, cache):
                return batch
        self._places.batches.append(self._runner.new_batch())
        return self._places.batches[-1]

    def _decode(self, batch: Batch) -> None:
        rows = list(batch.rows)
        if not rows:  # it was given up within this turn
            return
        suspects = [live for live in self._places.members(batch) if live.suspect]
        if suspects and not self._recovery.prove(computed=False):
            return
        try:
            tokens = batch.step()
            if suspects:  # what fails is to be known for theirs
                self._recovery.wait()
            for row, token in zip(rows, tokens, strict=True):
                live = self._places.decoding.get(row)
                if live is not None:  # else one that left has failed, and all others run on alone
                    self._decoded(live, token)
        except DeviceRefuses:
            raise
        except Exception as error:  # one request's fault must not end the loop
            if device_fault(error):
                self._recovery.device_failed(error, suspects, sole=bool(suspects))
            else:
                self._recovery.take_apart(batch, error)
            return
        self._recovery.unproven_steps += 1
        if self._recovery.unproven_steps >= _PROVE_EVERY:
            self._recovery.prove()

    def _decoded(self, live: LiveRequest, token: int) -> None:
        self.last_progress = self._clock()
        self.counts.generated_tokens += 1
        live.generated.append(token)
        if live.suspect and len(live.generated) >= live.resumed_at + _CLEARED_AFTER:
            live.suspect = False
        if not live.repeats():
            self._give_up(live)
            return
        reason = live.ended_by(token, self._loaded.eos_token_ids)
        if reason is not None:
            self._recovery.wait()  # the end of an answer is not told before it is known that all was computed
        if reason != "stop" and live.pass_on(token):
            self._reporting.emit(live, TokenStep(token))
        guide = live.row.guide if live.row is not None else None
        if guide is not None and guide.failure and not live.unheld:
            live.unheld = True
            self._reporting.emit(live, UnconstrainedStep(guide.failure))
        if reason is None:
            return
        try:
            self._keeping.leave_batch(live)
        finally:  # the answer is proven, whatever becomes of what is kept of it
            self._places.drop(live)
            self._recovery.answered()
            self._reporting.emit(live, FinishStep(reason, len(live.generated)))
            self._reporting.end(live, RequestState.FINISHED)

    def _give_up(self, live: LiveRequest) -> None:
        """End a request of whose answer the client has a part that another computation does not confirm."""
        if live.batch is not None and live.row is not None:
            live.batch.leave(live.row)
        self._places.drop(live)
        self._reporting.fail(live, "overloaded", UNCONFIRMED)
