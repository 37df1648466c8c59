"""The guard sets limits once after a load, makes room in order, and evicts under pressure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import pytest

from engine.memory.guard import MemoryGuard, MlxMeter
from engine.memory.pressure import Pressure, PressureWatch
from engine.memory.reservations import Admission
from engine.memory_budget.costs import RequestCost
from engine.memory_budget.limits import GB, Machine
from engine.model_files.errors import ModelTooLarge
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.interface import as_token_array
from tests.engine.telling_caches import computed

MAC = Machine(32 << 30, working_set_bytes=22_900_000_000, buffers=499_000)
COST = RequestCost(kv_bytes=98_304, chunk_bytes=100_000, chunk_size_at=lambda position: 512)
WEIGHTS = 17_200_000_000


class FakeMeter:
    """What a test says that MLX holds."""

    def __init__(self, active: int) -> None:
        self.now = active
        self.held = 0
        self.clears = 0

    def active(self) -> int:
        return self.now

    def cached(self) -> int:
        return self.held

    def peak(self) -> int:
        return self.now

    def resident(self) -> int:
        return self.now

    def clear(self) -> None:
        self.held = 0
        self.clears += 1


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What is set of MLX's limits, in place of setting it."""
    made: list[tuple[str, int]] = []

    def setter(name: str) -> Callable[[int], int]:
        def set_limit(value: int) -> int:
            made.append((name, value))
            return 7

        return set_limit

    for name in ("set_memory_limit", "set_cache_limit", "set_wired_limit"):
        monkeypatch.setattr(mx, name, setter(name))
    return made


def guard_of(
    cache: RadixPrefixCache | None = None,
    *,
    machine: Machine | None = MAC,
    weights: int = WEIGHTS,
    context: int = 262_144,
    **more: Any,
) -> MemoryGuard:
    meter = more.pop("meter", None) or FakeMeter(weights)
    guard = MemoryGuard(cache or RadixPrefixCache(max_bytes=1 << 40), machine, meter=meter, **more)
    guard.set_up("the model", (weights, 0, 100), COST, 96, context)
    return guard


def prompt_of(number: int, tokens: int = 50) -> list[int]:
    return [number, *range(1, tokens)]


def filled(spans: int = 4, tokens: int = 50) -> RadixPrefixCache:
    cache = RadixPrefixCache(max_bytes=1 << 30)
    for number in range(spans):
        prompt = prompt_of(number, tokens)
        cache.insert(prompt, computed(prompt, with_state=False), "main")
    return cache


def test_the_weights_are_wired_once_after_the_load_and_nothing_with_each_request(
    calls: list[tuple[str, int]],
) -> None:
    machine = Machine(64 << 30, working_set_bytes=48 << 30)
    guard = guard_of(machine=machine)
    for number in range(5):
        guard.admit(number, 1000, 2000)
        guard.rebalance([number], 0)
    assert [value for name, value in calls if name == "set_wired_limit"] == [WEIGHTS]
    assert ("set_memory_limit", 48 << 30) in calls
    (cached,) = [value for name, value in calls if name == "set_cache_limit"]
    assert cached <= 2 * GB
    calls.clear()
    guard.close()
    assert sorted(calls) == [("set_cache_limit", 7), ("set_memory_limit", 7), ("set_wired_limit", 7)]
    guard.close()
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("machine", "wired"),
    [
        (Machine(64 << 30, working_set_bytes=48 << 30), "off"),
        (MAC, "weights"),  # more than half of the memory
        (Machine(64 << 30), "weights"),  # no GPU
    ],
)
def test_nothing_is_wired_where_it_should_not_be(
    calls: list[tuple[str, int]], machine: Machine, wired: Any
) -> None:
    guard_of(machine=machine, wired=wired)
    assert "set_wired_limit" not in [name for name, _ in calls]


@pytest.mark.usefixtures("calls")
def test_the_window_fits_beside_the_weights(calls: list[tuple[str, int]]) -> None:
    guard = guard_of()
    assert 40_000 < guard.window_tokens < 52_000
    assert COST.bytes_alone(guard.window_tokens) + WEIGHTS <= MAC.working_set_bytes
    assert guard_of(context=8192).window_tokens == 8192


@pytest.mark.usefixtures("calls")
def test_weights_that_do_not_fit_are_refused_before_they_are_read() -> None:
    guard = MemoryGuard(RadixPrefixCache(max_bytes=0), MAC, meter=FakeMeter(0))
    guard.check_weights("small", 22 * GB)
    with pytest.raises(ModelTooLarge, match=r"big take 60\.0 GB.*22\.9 GB here .*working set.*smaller model"):
        guard.check_weights("big", 60 * GB)


def test_the_error_advises_to_raise_the_users_limit() -> None:
    cache = RadixPrefixCache(max_bytes=0)
    guard = MemoryGuard(cache, MAC, asked=120_000_000, meter=FakeMeter(0))
    with pytest.raises(
        ModelTooLarge, match=r"take 143 MB.*120 MB here .*; raise that limit, or take a small"
    ):
        guard.check_weights("small", 143_000_000)
    beyond = MemoryGuard(cache, MAC, asked=32 << 30, meter=FakeMeter(0))
    with pytest.raises(ModelTooLarge, match=r"\); take a smaller model"):
        beyond.check_weights("big", 60 * GB)


@pytest.mark.usefixtures("calls")
def test_weights_that_leave_no_room_for_a_prompt_are_refused() -> None:
    with pytest.raises(ModelTooLarge, match="too little is left for a prompt"):
        guard_of(weights=22_850_000_000)


@pytest.mark.usefixtures("calls")
def test_memory_outside_of_mlx_counts_without_a_gpu() -> None:
    meter = FakeMeter(GB)
    meter.resident = lambda: 3 * GB  # type: ignore[method-assign]
    guard = guard_of(machine=Machine(8 << 30), weights=GB, meter=meter)
    assert guard.reservations.fixed_bytes == 3 * GB


@pytest.mark.usefixtures("calls")
def test_a_starting_request_takes_room_from_the_prefix_cache() -> None:
    cache = filled()
    held = cache.memory().array_bytes
    machine = Machine(8 << 30, working_set_bytes=GB + COST.bytes_alone(256) + held // 2)
    guard = guard_of(cache, machine=machine, weights=GB, context=256)
    assert guard.admit("a", 200, 256) is Admission.FITS
    changes = guard.rebalance(["a"], 0)
    assert [change.event for change in changes] == ["evicted"] * len(changes)
    assert 0 < cache.memory().array_bytes <= held // 2
    guard.rebalance([], 0)
    prompt = prompt_of(99)
    cache.insert(prompt, computed(prompt, with_state=False), "main")
    assert cache.memory().array_bytes > held // 2  # the room is back


@pytest.mark.usefixtures("calls")
def test_the_prompt_of_a_starting_request_is_evicted_last() -> None:
    cache = filled()
    first = as_token_array(prompt_of(0))
    held = cache.memory().array_bytes
    machine = Machine(8 << 30, working_set_bytes=GB + COST.bytes_alone(256) + held // 3)
    guard = guard_of(cache, machine=machine, weights=GB, context=256)
    assert cache.restorable(first) == 49
    guard.admit("a", 200, 256)
    guard.rebalance(["a"], 0, keep=first)
    assert cache.restorable(first) == 49


@pytest.mark.usefixtures("calls")
def test_memory_without_a_reservation_is_measured_and_made_room_for() -> None:
    cache, meter = filled(), FakeMeter(WEIGHTS)
    guard = guard_of(cache, meter=meter)
    held = cache.memory().array_bytes
    meter.held = 6 * GB
    assert guard.rebalance([], 0) == []
    assert meter.held == 0
    meter.now = MAC.working_set_bytes + held // 2
    assert guard.rebalance([], 0)
    assert cache.memory().array_bytes <= held // 2


class Short:
    """A machine whose pressure a test sets."""

    def __init__(self) -> None:
        self.level: Pressure = "normal"
        self.now = 0.0
        self.watch = PressureWatch(lambda: self.level, lambda: self.now)

    def to(self, level: Pressure, guard: MemoryGuard, after: float = 2.0) -> None:
        self.level, self.now = level, self.now + after
        guard.watch_pressure(self.now)


@pytest.mark.usefixtures("calls")
def test_the_prefix_cache_is_evicted_under_pressure(caplog: pytest.LogCaptureFixture) -> None:
    cache, short, meter = filled(), Short(), FakeMeter(WEIGHTS)
    guard = guard_of(cache, pressure=short.watch, meter=meter)
    held = cache.memory().array_bytes
    short.to("normal", guard)
    assert cache.memory().array_bytes == held
    meter.held = GB
    short.to("warning", guard)
    assert 0 < cache.memory().array_bytes <= held // 2
    assert meter.held == 0
    assert guard.stats()["pressure"] == "warning"
    assert "short of memory (warning)" in caplog.text
    short.to("warning", guard, after=11)  # it lasts
    assert cache.memory().array_bytes <= held // 4
    short.to("critical", guard)
    assert cache.memory().array_bytes == 0
    prompt = prompt_of(0)
    cache.insert(prompt, computed(prompt, with_state=False), "main")
    assert cache.memory().array_bytes == 0  # nothing is kept meanwhile
    short.to("normal", guard)
    guard.rebalance([], 0)
    cache.insert(prompt, computed(prompt, with_state=False), "main")
    assert cache.memory().array_bytes > 0


@pytest.mark.usefixtures("calls")
def test_under_pressure_requests_run_one_at_a_time() -> None:
    short = Short()
    guard = guard_of(pressure=short.watch)
    short.to("warning", guard)
    assert guard.admit("a", 1000, 1000) is Admission.FITS
    assert guard.admit("b", 1000, 1000) is Admission.WAITS
    guard.rebalance([], 0)
    assert guard.admit("b", 1000, 1000) is Admission.FITS
    short.to("normal", guard)
    assert guard.admit("a", 1000, 1000) is Admission.FITS


@pytest.mark.usefixtures("calls")
def test_the_buffers_of_the_prefix_cache_are_counted_and_bounded() -> None:
    cache = filled(spans=20)
    each = cache.memory().buffers // 20
    machine = Machine(32 << 30, working_set_bytes=22_900_000_000, buffers=each * 10)
    guard = guard_of(cache, machine=machine)
    assert cache.memory().buffers <= 6 * each
    for number in range(20, 40):
        prompt = prompt_of(number)
        cache.insert(prompt, computed(prompt, with_state=False), "main")
        assert cache.memory().buffers <= 7 * each  # the newest is counted with the next
    guard.admit("a", 100, 100)
    stats = guard.stats()
    assert stats["buffers"] == 100 + cache.memory().buffers + 96
    assert stats["buffers_limit"] == each * 10


def test_without_a_machine_all_may_pass(calls: list[tuple[str, int]]) -> None:
    guard = guard_of(machine=None)
    assert guard.window_tokens == 262_144
    assert guard.admit("a", 10**9, 10**9) is Admission.FITS
    assert guard.grow("a", 10**9, 10**9)
    assert guard.may_read(10**9)
    assert guard.rebalance([], 0) == []
    assert guard.stats()["limit_bytes"] == 0
    assert calls == []


@pytest.mark.usefixtures("calls")
def test_the_stats_have_the_documented_fields() -> None:
    guard = guard_of()
    guard.admit("a", 1000, 2000)
    stats = guard.stats()
    assert set(stats) == {
        "limit_bytes",
        "limit_reason",
        "weights_bytes",
        "prefix_cache_bytes",
        "requests_bytes",
        "draft_bytes",
        "write_queue_bytes",
        "buffer_cache_bytes",
        "active_bytes",
        "peak_bytes",
        "buffers",
        "buffers_limit",
        "window_tokens",
        "pressure",
    }
    assert stats["requests_bytes"] == COST.bytes_alone(2000)
    assert json.loads(json.dumps(stats)) == stats


def test_mlx_and_the_system_are_measured() -> None:
    meter = MlxMeter()
    before = meter.active()
    array = mx.zeros((1 << 20,), mx.float32)
    mx.eval(array)
    assert meter.active() >= before + (4 << 20)
    assert meter.peak() >= meter.active()
    assert meter.resident() > 1 << 20
    meter.clear()
    assert meter.cached() == 0
    del array


@pytest.mark.usefixtures("calls")
def test_retained_heap_pages_count_while_requests_run() -> None:
    meter = FakeMeter(GB)
    held = [0]
    meter.resident = lambda: meter.now + held[0]  # type: ignore[method-assign]
    guard = guard_of(machine=Machine(16 << 30), weights=GB, meter=meter)
    guard.admit("a", 1000, 1000)
    held[0] = 3 * GB
    keep = as_token_array([1])
    guard.rebalance(["a", "b"], 0, keep=keep)
    assert guard.reservations.loading_bytes == 3 * GB
    guard.rebalance(["a"], 0, keep=keep)
    assert guard.reservations.loading_bytes == 0  # who is alone would wait for ever
