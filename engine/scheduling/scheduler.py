"""The model's thread: load the model, run `engine.scheduling.loop`, report health and statistics."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Literal, TypeVar

import mlx.core as mx

from engine.memory.guard import MemoryGuard
from engine.models.loading import LoadedModel, ModelError, OnProgress
from engine.prefix_cache.interface import PrefixCache
from engine.process.device_faults import DeviceRefuses
from engine.scheduling.loop import DecodeLoop
from engine.scheduling.reporting import LoopCounts
from engine.scheduling.requests.request import ScheduledRequest
from engine.scheduling.requests.steps import FailStep, Generation, GenerationRequest
from engine.scheduling.requests.stream import StepOutbox, StepStream

_log = logging.getLogger(__name__)

_IDLE_BEAT_S = 0.5

T = TypeVar("T")
LoopState = Literal["loading", "ready", "busy", "stalled", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class LoopHealth:
    """Health of the model's loop; ages and times in seconds."""

    state: LoopState
    progress: float
    detail: str
    heartbeat_age_s: float
    last_progress_s: float | None  # since the last prefill chunk or token; None before the first
    running: int
    queue: int


class LoopEnded(Exception):
    """The model's loop ended before it took a question."""


@dataclass(frozen=True, slots=True)
class _Question(Generic[T]):
    """What is asked of the model's thread, once."""

    question: Callable[[], T]
    answer: Future[T] = field(default_factory=Future)

    def put(self) -> None:
        if self.answer.set_running_or_notify_cancel():
            try:
                self.answer.set_result(self.question())
            except Exception as error:
                self.answer.set_exception(error)

    def refuse(self, why: str) -> None:
        if self.answer.set_running_or_notify_cancel():
            self.answer.set_exception(LoopEnded(why))


class Scheduler:
    """Owns the model's thread.

    `load` runs on that thread, since arrays made in one thread cannot be evaluated in another:
    `Scheduler(functools.partial(load_model, path), cache)`. All other methods may be called from any thread.
    """

    def __init__(
        self,
        load: Callable[[OnProgress], LoadedModel],
        prefix_cache: PrefixCache,
        *,
        max_queue: int = 64,
        max_batch: int = 8,
        prefill_chunk: int | None = None,
        stall_after_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        memory: MemoryGuard | None = None,
    ) -> None:
        """`prefill_chunk`: tokens of a prompt's first chunk; by default the loaded model's.

        Without `memory` there is no limit.
        """
        self._load = load
        self._prefix_cache = prefix_cache
        self._memory = memory or MemoryGuard(prefix_cache)
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._prefill_chunk = prefill_chunk
        self._stall_after_s = stall_after_s
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._arrivals: deque[ScheduledRequest] = deque()
        self._cancels: deque[ScheduledRequest] = deque()
        self._asked: deque[_Question[Any]] = deque()
        self._work = threading.Event()
        self._settled = threading.Event()  # loaded, or failed for good
        self._stopping = False
        self._loaded: LoadedModel | None = None
        self._loop: DecodeLoop | None = None
        self._failure: Exception | None = None
        self._overloaded = 0
        self._heartbeat = clock()
        self._progress = (0.0, "starting")

    def start(self) -> None:
        """Start the thread, which loads the model."""
        self._thread.start()

    def wait_until_ended(self) -> None:
        """Block until the thread has ended, by `stop` or by `failure`."""
        self._thread.join()

    def end_soon(self) -> None:
        """Stop after the current chunk or token, without waiting for it."""
        self._stopping = True
        self._work.set()

    def wait_until_loaded(self, timeout_s: float | None = None) -> LoadedModel:
        """Block until the model is loaded.

        Raises:
            ModelError: it could not be loaded.
            TimeoutError: it is not loaded in time.
        """
        if not self._settled.wait(timeout_s):
            raise TimeoutError(f"the model is not loaded after {timeout_s:g} s")
        if self._loaded is None:
            raise self._failure or ModelError("the engine was stopped before the model was loaded")
        return self._loaded

    @property
    def loaded(self) -> LoadedModel | None:
        """The model, or None until it is loaded."""
        return self._loaded

    @property
    def failure(self) -> Exception | None:
        """Why the loop does not run: a `ModelError`, or a fault of the loop itself."""
        return self._failure

    def submit(self, spec: GenerationRequest, loop: asyncio.AbstractEventLoop) -> Generation:
        """Queue a request, also while the model loads. Steps arrive on `loop`; a fault is the last one."""
        request: ScheduledRequest

        def cancel() -> None:
            self._cancels.append(request)
            self._work.set()

        stream = StepStream(loop, cancel)
        request = ScheduledRequest(spec, stream, self._clock())
        if refusal := self._refusal():
            outbox = StepOutbox()
            outbox.put(stream, refusal)
            outbox.flush()
            return stream
        self._arrivals.append(request)
        self._work.set()
        if not self._thread.is_alive():
            self._refuse_arrivals()  # the loop ended between the check and the append
        return stream

    def ask(self, question: Callable[[], T]) -> Future[T]:
        """Run `question` on the model's thread between two turns, also of an idle loop.

        The future has what it returns or raises, or `LoopEnded`. One that is cancelled is not asked.
        """
        asked = _Question(question)
        self._asked.append(asked)
        self._work.set()
        if not self._thread.is_alive():
            self._refuse_arrivals()  # the loop ended before the append
        return asked.answer

    def health(self) -> LoopHealth:
        """The health of the loop now; never blocks."""
        now = self._clock()
        loop = self._loop
        running = loop.running if loop else 0
        age = max(0.0, now - self._heartbeat)
        last = loop.last_progress if loop else None
        progress, detail = self._progress
        return LoopHealth(
            state=self._state(running, age),
            progress=progress,
            detail=str(self._failure) if self._failure else detail,
            heartbeat_age_s=age,
            last_progress_s=None if last is None else max(0.0, now - last),
            running=running,
            queue=self._queue_length(),
        )

    def stats(self) -> dict[str, Any]:
        """Statistics since the start, as `/stats` returns them."""
        counts = asdict(self._loop.counts if self._loop else LoopCounts())
        misses = {f"misses_{reason}": number for reason, number in counts.pop("misses").items()}
        return {
            "loop": (counts if self._loop else {}) | {"overloaded": self._overloaded},
            "prefill": self._loop.prefill_stats() if self._loop else {},
            "prefix_cache": self._prefix_cache.stats() | misses,
            "memory": self._memory.stats(),
        }

    def stop(self, timeout_s: float = 10.0) -> None:
        """Fail running requests, end the thread and wait for it; the device has no work queued then."""
        self.end_soon()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _state(self, running: int, age: float) -> LoopState:
        if self._failure is not None:
            return "failed"
        if self._stopping:
            return "stopped"
        if not self._settled.is_set():
            return "loading"
        if not self._thread.is_alive():
            return "failed"
        if age > self._stall_after_s:
            return "stalled"
        waiting = self._queue_length()  # for example for the disk
        return "busy" if running or waiting else "ready"

    def _queue_length(self) -> int:
        return len(self._arrivals) + (self._loop.queued if self._loop else 0)

    def _refusal(self) -> FailStep | None:
        if self._failure is not None or self._stopping:
            return self._end_step()
        if self._queue_length() >= self._max_queue:
            self._overloaded += 1
            return FailStep("overloaded", f"{self._max_queue} requests wait already; try again in a moment")
        return None

    # On the model's thread

    def _run(self) -> None:
        try:
            self._loaded = self._load(self._on_progress)
            self._loop = DecodeLoop(
                self._loaded,
                self._prefix_cache,
                max_batch=self._max_batch,
                prefill_chunk=self._prefill_chunk,
                wake=self._work.set,
                clock=self._clock,
                memory=self._memory,
            )
            self._on_progress(1.0, f"{self._loaded.name} is loaded")
            self._settled.set()
            self._serve(self._loop)
        except Exception as error:
            self._failure = error
            self._loaded = None
            if not isinstance(error, ModelError):
                _log.exception("the model's loop ended")
        finally:
            self._settled.set()
            self._end()
            # Streams left by a thread are destroyed at exit, when mlx can only abort the process.
            mx.clear_streams()

    def _on_progress(self, done: float, what: str) -> None:
        self._heartbeat = self._clock()
        self._progress = (done, what)

    def _serve(self, loop: DecodeLoop) -> None:
        while not self._stopping:
            self._heartbeat = self._clock()
            self._work.clear()
            while self._arrivals:
                loop.arrive(self._arrivals.popleft())
            while self._cancels:
                loop.cancel(self._cancels.popleft())
            while self._asked:
                self._asked.popleft().put()
            busy = loop.turn()
            loop.flush(more_soon=busy)
            if not busy:
                self._work.wait(_IDLE_BEAT_S)

    def _end(self) -> None:
        if self._loop is not None:
            try:
                self._loop.fail_all(self._end_step().message)
            except Exception:
                _log.exception("requests were left without an answer")
        self._refuse_arrivals()

    def _refuse_arrivals(self) -> None:
        outbox = StepOutbox()
        while self._arrivals:
            try:
                request = self._arrivals.popleft()
            except IndexError:  # the other refusing thread took it
                break
            outbox.put(request.stream, self._end_step())
        outbox.flush()
        while self._asked:
            try:
                self._asked.popleft().refuse(self._end_step().message)
            except IndexError:
                break

    def _end_step(self) -> FailStep:
        """The fault of a request at the end of the loop."""
        if isinstance(self._failure, DeviceRefuses):
            return FailStep("overloaded", f"{self._failure}; the engine restarts, try again in a moment")
        return FailStep(
            "internal", f"the engine is not running: {self._failure or 'it is stopping'}; try again later"
        )
