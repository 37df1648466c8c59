"""The model's loop. Each turn decodes one token for every slot, prefills one chunk, and reports.

Everything here runs on the model's thread. Requests enter through `engine.scheduling.intake`.
`engine.scheduling.prefill_queue` chooses the next chunk, and `engine.scheduling.memory_admission` decides
whether its request may start. A prompt is never padded to another's length, and a cancel takes at most one
chunk. After prefill a request joins a batch of similar length (`engine.scheduling.batch`). Faults are handled
in `engine.scheduling.faults`; a request that stops is stored by `engine.scheduling.release`.
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
from engine.memory.reservations import Admission
from engine.models.loading import LoadedModel
from engine.prefix_cache.checkpoints import needs_checkpoints
from engine.prefix_cache.interface import PrefixCache
from engine.process.device_faults import DeviceRefuses, device_fault
from engine.scheduling.active_requests import ActiveRequests
from engine.scheduling.batch import Batch, Slot
from engine.scheduling.faults import UNCONFIRMED, Recovery, fault_message
from engine.scheduling.intake import RequestIntake
from engine.scheduling.memory_admission import MemoryAdmission
from engine.scheduling.prefill import Prefill
from engine.scheduling.release import RequestRelease
from engine.scheduling.reporting import LoopCounts, LoopReporting
from engine.scheduling.requests.request import RequestState, ScheduledRequest
from engine.scheduling.requests.steps import (
    FinishStep,
    ThinkingCappedStep,
    TokenStep,
    UnconstrainedStep,
)
from engine.scheduling.runner import ModelRunner
from engine.scheduling.sampling import build_logits_processors, build_sampler

_log = logging.getLogger(__name__)

_SUSPECT_TOKENS = 4  # tokens that a suspect decodes alone before it may be batched again
_CLEAR_CACHE_EVERY = 512  # turns between two releases of unused buffers to the system
_CONFIRM_EVERY = 32  # decoding steps between two synchronizations, which confirm them


class DecodeLoop:
    """Runs the requests of one model, from their arrival on the model's thread to their last step."""

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
        """`wake` is called from any thread when there is work for a turn again.

        Without `memory` there is no limit.

        Raises:
            OptionUnsupported: the model does not support an option of `loaded`.
        """
        self._loaded = loaded
        self._runner = ModelRunner(loaded)
        self._clock = clock
        self._stream = mx.new_thread_local_stream(mx.default_device())
        self._chunk = prefill_chunk or loaded.prefill_chunk or largest_chunk()
        self._pace = loaded.pace
        self._exact_only = needs_checkpoints(self._runner.new_cache())
        self._active = ActiveRequests(exact_only=self._exact_only)
        self._queue = self._active.queue
        self._reporting = LoopReporting(self._active, clock)
        self._recovery = Recovery(
            self._active, self._reporting, prefix_cache, max_batch=max_batch, clock=clock
        )
        self._release = RequestRelease(
            self._active, self._reporting, self._recovery, prefix_cache, stream=self._stream
        )
        self._intake = RequestIntake(
            loaded,
            self._runner,
            prefix_cache,
            self._active,
            self._reporting,
            chunk=self._chunk,
            exact_only=self._exact_only,
            wake=wake,
            clock=clock,
        )
        self._guard = memory or MemoryGuard(prefix_cache)
        self._memory_admission = MemoryAdmission(
            self._guard,
            self._active,
            self._reporting,
            preempt=self._release.preempt,
            fetch=self._intake.fetch,
            clock=clock,
        )
        self._intake.may_read_now = self._memory_admission.may_read_now
        self._intake.before_insert = self._memory_admission.update
        self.last_progress: float | None = None

    @property
    def counts(self) -> LoopCounts:
        """Counts since the start."""
        return self._reporting.counts

    @property
    def running(self) -> int:
        """The number of requests in prefill or decoding."""
        return self._active.running

    @property
    def queued(self) -> int:
        """The number of requests that wait for their prefill."""
        return self._active.queued

    def prefill_stats(self) -> dict[str, Any]:
        """The prefill part of `/stats`: the chunk in tokens, and the fit that it was chosen by."""
        return prefill_stats(self._chunk, self._pace)

    def arrive(self, request: ScheduledRequest) -> None:
        """Validate a request and queue it for prefill; an invalid one ends with a fault. Never raises."""
        self._intake.arrive(request)

    def cancel(self, request: ScheduledRequest) -> None:
        """Stop a request and store its cache. It may have ended already, or not arrived yet.

        Raises:
            DeviceRefuses: as `turn` does.
        """
        if request in self._active:
            try:
                self._release.release(request)
            finally:
                self._reporting.end(request, RequestState.CANCELLED)
                if request.stream.abandoned:
                    kept = request.generated[: request.confirmed]
                    self._intake.abandoned.keep(request.spec.resume_key, kept)

    def turn(self) -> bool:
        """Run one turn; returns false if there was no work. The fault of a request is never raised.

        Raises:
            DeviceRefuses: the device refuses work of this process; end the loop with `fail_all`.
        """
        self._memory_admission.watch()
        if not self._queue and not self._active.decoding:
            return False
        self.counts.turns += 1
        with mx.stream(self._stream):
            self._collect_reads()
            self._memory_admission.grow()
            for batch in list(self._active.batches):
                self._decode(batch)
            if self._queue:
                self.flush()  # decoded tokens do not wait for a chunk
            prefilled = self._prefill()
            if not self.running:
                self._recovery.confirm(computed=False)  # a late error must not hit the next request
        if self.counts.turns % _CLEAR_CACHE_EVERY == 0:
            mx.clear_cache()
        self._reporting.queue()
        return prefilled or bool(self._active.decoding)

    def flush(self, *, more_soon: bool = False) -> None:
        """Hand all steps to their event loops; with `more_soon` tokens may wait for the next turn."""
        self._reporting.flush(more_soon=more_soon)

    def fail_all(self, message: str) -> None:
        """End every request with a fault and store their caches, for a loop that ends.

        Returns when the device has no work queued.
        """
        kind: Literal["overloaded", "internal"] = "overloaded" if self._recovery.refused else "internal"
        for request in self._active.all:
            if request in self._active:
                try:
                    self._release.release(request)
                except DeviceRefuses:
                    _log.warning("the cache of request %s is not stored", request.spec.request_id)
                    self._active.drop(request)
                self._reporting.fail(request, kind, message)
        self.flush()
        with mx.stream(self._stream):
            self._recovery.drain()
        self._guard.close()

    # The device

    def _collect_reads(self) -> None:
        try:
            self._intake.collect_reads()
        except Exception as error:
            self._recovery.device_failed(error)

    # Prefill

    def _prefill(self) -> bool:
        """Compute one chunk of one prompt; returns false if no request can be prefilled."""
        request = self._queue.choose(list(self._active.decoding.values()), self._recovery.max_batch)
        if request is not None and request.prefill is None:
            request = self._admitted(request)
        if request is None:
            return False
        if request.state is RequestState.FAILED:  # its prompt never fits
            return True
        sole = request.suspect
        if sole and not self._recovery.confirm(computed=False):
            return True
        try:
            self._compute(request)
        except DeviceRefuses:
            raise
        except Exception as error:
            if device_fault(error):
                self._recovery.device_failed(error, [request], sole=sole)
                return True
            _log.exception("the prefill of request %s failed", request.spec.request_id)
            self._active.drop(request)
            self._reporting.fail(request, "internal", fault_message(error))
        return True

    def _admitted(self, request: ScheduledRequest) -> ScheduledRequest | None:
        """The request to prefill: `request` if memory admits it, else one in prefill, else None.

        A request that never fits is returned in state FAILED.
        """
        request = self._memory_admission.next_to_start(request)
        verdict = self._memory_admission.admit(request)
        if verdict is Admission.WAITS:
            return next((one for one in self._queue.ranking() if one in self._queue.started), None)
        if verdict is Admission.NEVER:
            self._active.drop(request)
            self._reporting.fail(request, "invalid_request", self._memory_admission.refusal(request))
        return request

    def _compute(self, request: ScheduledRequest) -> None:
        prefill = request.prefill or self._intake.start(request)
        if prefill.remaining:
            self._advance(request, prefill)
        if not prefill.remaining:
            self._begin_decode(request, prefill)

    def _advance(self, request: ScheduledRequest, prefill: Prefill) -> None:
        before, began = prefill.position, self._clock()
        prefill.advance()
        after = prefill.position
        self._recovery.mark_confirmed()
        self._queue.worked(after - before)
        self.counts.prefilled_tokens += after - before
        self.last_progress = self._clock()
        if (
            self._pace is not None and not self._active.decoding
        ):  # decoding shares the device, which distorts the time
            self._pace.add(before, after, self.last_progress - began)
        awaited = not self._exact_only and self._queue.is_awaited_between(request, before, after)
        if kind := request.store_at.get(after, "main" if awaited else None):
            self._release.store(request, prefill.computed_tokens, prefill.cache, kind)
        self._reporting.prefill_progress(request, after)

    # Decoding

    def _begin_decode(self, request: ScheduledRequest, prefill: Prefill) -> None:
        """Move a request from prefill into a batch of similar length."""
        self._queue.remove(request)
        request.prefill = None
        if request.prefill_ended is None:
            request.prefill_ended = self._clock()
        spec = request.spec
        slot = Slot(
            prefill.computed_tokens,
            build_sampler(spec.sampling, self._loaded.vocab_size, len(request.generated)),
            build_logits_processors(spec.sampling, len(spec.prompt)),
            spec.guide(request.generated),
        )
        length = len(slot.tokens)
        batch = self._batch_for(request, length, prefill.cache)
        request.state, request.slot, request.batch = RequestState.DECODE, slot, batch
        self._active.decoding[slot] = request
        try:
            batch.join(slot, prefill.cache, prefill.last_token)
        except Exception as error:
            if device_fault(error):
                raise
            self._recovery.break_up(batch, error, [request])
            return
        self._queue.worked(1)
        self.counts.prefilled_tokens += 1
        self._reporting.prefill_progress(request, length + 1)

    def _batch_for(self, request: ScheduledRequest, length: int, cache: list[Any]) -> Batch:
        """A batch that accepts a prompt of `length` tokens; a suspect gets its own."""
        for batch in self._active.batches:
            suspect = request.suspect or any(self._active.decoding[slot].suspect for slot in batch.slots)
            if not suspect and batch.accepts(length, cache):
                return batch
        self._active.batches.append(self._runner.new_batch())
        return self._active.batches[-1]

    def _decode(self, batch: Batch) -> None:
        slots = list(batch.slots)
        if not slots:  # it was broken up within this turn
            return
        suspects = [request for request in self._active.members(batch) if request.suspect]
        if suspects and not self._recovery.confirm(computed=False):
            return
        try:
            tokens = batch.step()
            if suspects:  # so that a fault is known to be theirs
                self._recovery.synchronize()
            for slot, token in zip(slots, tokens, strict=True):
                request = self._active.decoding.get(slot)
                if request is not None:  # else the batch was broken up when one left
                    self._decoded(request, token)
        except DeviceRefuses:
            raise
        except Exception as error:  # the fault of a request must not end the loop
            if device_fault(error):
                self._recovery.device_failed(error, suspects, sole=bool(suspects))
            else:
                self._recovery.break_up(batch, error)
            return
        self._recovery.unconfirmed_steps += 1
        if self._recovery.unconfirmed_steps >= _CONFIRM_EVERY:
            self._recovery.confirm()

    def _decoded(self, request: ScheduledRequest, token: int) -> None:
        self.last_progress = self._clock()
        self.counts.generated_tokens += 1
        if not request.first_token_reported:
            self._reporting.first_token(request, self.last_progress)
        request.generated.append(token)
        if request.suspect and len(request.generated) >= request.resumed_at + _SUSPECT_TOKENS:
            request.suspect = False
        if not request.repeats():
            self._fail_unconfirmed(request)
            return
        reason = request.ended_by(token, self._loaded.eos_token_ids)
        if reason is not None:
            self._recovery.synchronize()  # report the end only once the device has computed all of the answer
        if reason != "stop" and request.pass_on(token):
            self._reporting.emit(request, TokenStep(token))
        guide = request.slot.guide if request.slot is not None else None
        if guide is not None and guide.failure and not request.unconstrained_reported:
            request.unconstrained_reported = True
            self._reporting.emit(request, UnconstrainedStep(guide.failure))
        if guide is not None and guide.capped_thought and not request.cap_reported:
            request.cap_reported = True
            self._reporting.emit(request, ThinkingCappedStep(guide.capped_thought))
        if reason is None:
            return
        try:
            self._release.leave_batch(request)
        finally:  # the answer is confirmed, also if storing fails
            self._active.drop(request)
            self._recovery.answered()
            self._reporting.emit(request, FinishStep(reason, len(request.generated)))
            self._reporting.end(request, RequestState.FINISHED)

    def _fail_unconfirmed(self, request: ScheduledRequest) -> None:
        """Fail a request whose recomputed answer differs from the part that was sent."""
        if request.batch is not None and request.slot is not None:
            request.batch.leave(request.slot)
        self._active.drop(request)
        self._reporting.fail(request, "overloaded", UNCONFIRMED)
