"""The memory guard keeps the engine below its limit: it measures, reserves, and makes room.

Room is made in this order: free MLX's buffer cache, evict from the prefix cache (spans with a file can be
read again), let requests wait. Only a prompt that does not fit alone is refused. When the machine itself is
short of memory, the guard evicts the prefix cache before the system kills anything, and requests run one at a
time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable
from typing import Any, Protocol

import mlx.core as mx
import psutil

from engine.memory.heap import trim_heap
from engine.memory.pressure import Pressure, PressureWatch
from engine.memory.reservations import Admission, Reservations
from engine.memory_budget.costs import RequestCost
from engine.memory_budget.limits import (
    Machine,
    MemoryLimit,
    Wired,
    buffer_cache_limit,
    cache_buffers,
    in_gb,
    memory_limit,
    wired_target,
)
from engine.model_files.errors import ModelTooLarge
from engine.prefix_cache.interface import NOBODY, CacheUser, PrefixCache, TokenArray
from engine.wire.feed import CacheChange

_log = logging.getLogger("engine")

_LEAST_WINDOW = 1024  # tokens; a smaller window is of no use
_RELEASE_AGAIN_S = 10.0  # seconds of lasting pressure until more is evicted
_MEASURE_EVERY = 64  # updates between two measurements of the process
_PROCESS = psutil.Process()
_UNLIMITED = 1 << 60


class Meter(Protocol):
    """Memory of MLX and of this process now, in bytes."""

    def active(self) -> int:
        """Bytes of arrays."""
        ...

    def cached(self) -> int:
        """Bytes of freed arrays in MLX's buffer cache."""
        ...

    def peak(self) -> int:
        """Peak bytes of arrays."""
        ...

    def resident(self) -> int:
        """Resident bytes of the process."""
        ...

    def clear(self) -> None:
        """Free the buffer cache."""
        ...


class MlxMeter:
    """The meter of this process."""

    def active(self) -> int:
        return int(mx.get_active_memory())

    def cached(self) -> int:
        return int(mx.get_cache_memory())

    def peak(self) -> int:
        return int(mx.get_peak_memory())

    def resident(self) -> int:
        return int(_PROCESS.memory_info().rss)

    def clear(self) -> None:
        mx.clear_cache()
        trim_heap()


class MemoryGuard:
    """The reservations of one engine, and the means to keep them.

    Without a `machine` there is no limit. Used on the model's thread; any thread may call `stats`.
    """

    def __init__(
        self,
        prefix_cache: PrefixCache,
        machine: Machine | None = None,
        *,
        asked: int | None = None,
        wired: Wired = "weights",
        meter: Meter | None = None,
        pressure: PressureWatch | None = None,
    ) -> None:
        """`asked` is the user's limit in bytes."""
        self._cache = prefix_cache
        self._machine = machine
        self.limit = memory_limit(machine, asked) if machine else MemoryLimit(_UNLIMITED, "")
        self._advice = "take a smaller model or one in fewer bits"
        if machine is not None and asked is not None and asked < memory_limit(machine).bytes:
            self._advice = f"raise that limit, or {self._advice}"
        self._wired: Wired = wired
        self._meter = meter or MlxMeter()
        self._pressure = pressure if pressure is not None or machine is None else PressureWatch()
        self._level: Pressure = "normal"
        self._pressure_limit: int | None = None  # limit of the prefix cache under pressure
        self._released_at = 0.0
        self._previous_limits: dict[str, int] = {}  # MLX's limits, to restore
        self._weights = self._draft = self._arrays = 0
        self._arrays_each = 0  # of a request's cache
        self._outside_mlx = 0  # bytes of the process outside of MLX, where they count
        self._updates = self._heap_bytes = 0
        self.window_tokens = 0
        self.reservations = Reservations(self.limit.bytes)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self._machine is not None

    @property
    def in_words(self) -> str:
        """The limit, for the log."""
        return f"it may take {in_gb(self.limit.bytes)} of memory ({self.limit.reason})"

    # Before and after a model is loaded

    def check_weights(self, name: str, nbytes: int) -> None:
        """Refuse weights that do not fit, before they are read.

        Raises:
            ModelTooLarge: they are larger than the limit.
        """
        if nbytes > self.limit.bytes:
            raise ModelTooLarge(
                f"the weights of {name} take {in_gb(nbytes)}, and the engine may take"
                f" {in_gb(self.limit.bytes)} here ({self.limit.reason}); {self._advice}"
            )

    def set_up(
        self,
        name: str,
        weights: tuple[int, int, int],
        cost: RequestCost,
        arrays_each: int,
        context_length: int,
    ) -> int:
        """Set MLX's limits for a loaded model; returns the context that fits, in tokens.

        `weights`: bytes of the model, bytes of its draft model, and the number of their arrays.
        `arrays_each`: arrays of a request's cache. Call it once, on the model's thread.

        Raises:
            ModelTooLarge: no prompt fits beside the model.
        """
        self._weights, self._draft, self._arrays = weights
        self._arrays_each = arrays_each
        self.window_tokens = context_length
        if self._machine is None:
            return context_length
        self._meter.clear()
        fixed = max(self._meter.active(), self._weights + self._draft)
        if not self._machine.working_set_bytes:  # no GPU memory: the process's other memory counts too
            fixed = max(fixed, self._meter.resident())
        self._outside_mlx = fixed - self._meter.active()
        self.reservations = Reservations(self.limit.bytes, fixed, cost)
        self.window_tokens = self.reservations.window(context_length)
        if self.window_tokens < min(_LEAST_WINDOW, context_length):
            raise ModelTooLarge(
                f"{name} takes {in_gb(fixed)}, and of the {in_gb(self.limit.bytes)} that the engine may take"
                f" here ({self.limit.reason}) too little is left for a prompt; {self._advice}"
            )
        self._set_limits()
        self._cache.set_limit(self.reservations.cache_room_bytes, max_buffers=cache_buffers(self._machine))
        return self.window_tokens

    def close(self) -> None:
        """Restore MLX's limits."""
        for name, value in self._previous_limits.items():
            getattr(mx, name)(value)
        self._previous_limits = {}

    # While requests run

    def admit(self, request: Hashable, least: int, wanted: int) -> Admission:
        """Reserve memory for a request if it may start; call `rebalance` then to make room.

        `least` and `wanted` are tokens to reserve memory for, as in `Reservations.admit`.
        """
        if not self.is_limited:
            return Admission.FITS
        if self._level != "normal" and self.reservations.has_others(request):
            return Admission.WAITS
        return self.reservations.admit(request, least, wanted)

    def grow(self, request: Hashable, least: int, wanted: int) -> bool:
        """Reserve memory for more of an answer; false if another request has to be preempted."""
        return not self.is_limited or self.reservations.grow(request, least, wanted)

    def restorable(self, tokens: TokenArray) -> int:
        """How many tokens of a prompt the prefix cache can restore from memory."""
        return self._cache.restorable(tokens)

    def may_read(self, tokens: int, *, early: bool = False) -> bool:
        """Whether so many tokens may be read from disk beside all reservations and the prefix cache.

        `early`: their request has no reservation yet, and will need one.
        """
        if not self.is_limited:
            return True
        cost = self.reservations.cost
        needed = cost.cache_bytes(tokens) + (cost.bytes_alone(tokens) if early else 0)
        kept = self._cache.memory().array_bytes
        return self.reservations.claimed_bytes + kept + needed <= self.limit.bytes

    def waits_for_writes(self, request: Hashable) -> bool:
        """Whether a request has no room until evicted spans are written to disk."""
        if not self.is_limited or not self._cache.memory().queued_bytes:
            return False
        needed = self.reservations.cost.bytes_alone(self.reservations.tokens_of(request))
        return self._taken + needed > self.limit.bytes

    def rebalance(
        self,
        running: Collection[Hashable],
        loading_bytes: int,
        keep: TokenArray | None = None,
        user: CacheUser = NOBODY,
    ) -> list[CacheChange]:
        """Update reservations and the prefix cache's limit; returns the evictions.

        `running`: all requests that hold memory. `loading_bytes`: bytes being read from disk. `keep`: a
        prompt that is evicted last, of `user`.
        """
        if not self.is_limited:
            return []
        self.reservations.retain(running)
        heap_bytes = self._heap_overhead(fresh=keep is not None)
        self.reservations.loading_bytes = loading_bytes + heap_bytes
        room = self.reservations.cache_room_bytes
        if len(running) < 2:  # no other request's end would free the heap: a single one would wait forever
            self.reservations.loading_bytes = loading_bytes
        if self._pressure_limit is not None:
            room = min(room, self._pressure_limit)
        # Some memory has no reservation: spans that wait to be written, and costs estimated too low.
        if self._taken + self._meter.cached() > self.limit.bytes:
            self._meter.clear()
            excess = self._taken - self.limit.bytes
            if excess > 0:
                room = min(room, max(0, self._cache.memory().array_bytes - excess))
        return self._cache.set_limit(room, keep=keep, user=user)

    def watch_pressure(self, now: float) -> list[CacheChange]:
        """Check memory pressure, and evict from the prefix cache under it; cheap enough for each turn."""
        if self._pressure is None:
            return []
        level = self._pressure.level
        before, self._level = self._level, level
        if level == "normal":
            if before != "normal":
                self._pressure_limit = None
                _log.info("memory pressure is over; the prefix cache may grow again")
            return []
        if level == before and now - self._released_at < _RELEASE_AGAIN_S:
            return []
        self._released_at = now
        before_bytes = self._cache.memory().array_bytes
        self._pressure_limit = before_bytes // 2 if level == "warning" else 0
        changes = self._cache.set_limit(self._pressure_limit)
        self._meter.clear()
        evicted = before_bytes - self._cache.memory().array_bytes
        if level != before or evicted:
            _log.warning(
                "this machine is short of memory (%s): %s of the prefix cache were evicted, and requests run"
                " one at a time until it is not",
                level,
                in_gb(evicted),
            )
        return changes

    def stats(self) -> dict[str, Any]:
        """The memory part of `/stats`; any thread. Without a limit, `limit_bytes` is 0."""
        kept = self._cache.memory()
        requests = len(self.reservations)
        return {
            "limit_bytes": self.limit.bytes if self.is_limited else 0,
            "limit_reason": self.limit.reason,
            "weights_bytes": self._weights,
            "prefix_cache_bytes": kept.array_bytes,
            "requests_bytes": self.reservations.requests_bytes,
            "draft_bytes": self._draft,
            "write_queue_bytes": kept.queued_bytes,
            "buffer_cache_bytes": self._meter.cached(),
            "active_bytes": self._meter.active(),
            "peak_bytes": self._meter.peak(),
            "buffers": self._arrays + kept.buffers + requests * self._arrays_each,
            "buffers_limit": self._machine.buffers if self._machine else 0,
            "window_tokens": self.window_tokens,
            "pressure": self._level,
        }

    @property
    def _taken(self) -> int:
        return self._meter.active() + self._outside_mlx

    def _heap_overhead(self, *, fresh: bool) -> int:
        """Bytes of a process without a GPU that belong to no array: free heap pages that are retained."""
        if self._machine is None or self._machine.working_set_bytes:
            return 0
        self._updates += 1
        if fresh or self._updates % _MEASURE_EVERY == 0:
            self._heap_bytes = max(0, self._meter.resident() - self._taken - self._meter.cached())
        return self._heap_bytes

    def _set_limits(self) -> None:
        assert self._machine is not None
        limit, weights = self.limit.bytes, self._weights + self._draft
        self._previous_limits["set_memory_limit"] = mx.set_memory_limit(limit)
        if self._machine.working_set_bytes:  # MLX's default for a CPU is small
            self._previous_limits["set_cache_limit"] = mx.set_cache_limit(buffer_cache_limit(limit, weights))
        target = wired_target(self._wired, min(weights, self._meter.active()), self._machine)
        if target is not None:
            self._previous_limits["set_wired_limit"] = mx.set_wired_limit(target)
