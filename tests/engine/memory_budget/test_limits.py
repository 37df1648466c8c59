"""The limit is the smallest of GPU, memory and control group; at most the weights are wired."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.memory_budget.limits import (
    GB,
    Machine,
    buffer_cache_limit,
    cache_buffers,
    memory_limit,
    reserve_bytes,
    wired_target,
)

GIB = 1 << 30


def mac(gigabytes: int, share: float = 0.75) -> Machine:
    ram = gigabytes * GIB
    return Machine(ram, working_set_bytes=int(ram * share), buffers=499_000)


def test_on_a_mac_the_gpus_working_set_is_the_limit() -> None:
    limit = memory_limit(mac(64))
    assert limit.bytes == 48 * GIB
    assert "GPU" in limit.reason


def test_a_working_set_that_was_raised_leaves_the_system_its_reserve() -> None:
    limit = memory_limit(mac(64, share=1.0))
    assert limit.bytes == 48 * GIB
    assert limit.reason == "RAM less 17.2 GB for everything else"


def test_without_a_gpu_the_memory_less_a_reserve_is_the_limit() -> None:
    assert memory_limit(Machine(16 * GIB)).bytes == 12 * GIB
    assert memory_limit(Machine(4 * GIB)).bytes == 2 * GIB


def test_a_control_group_with_less_is_the_limit() -> None:
    limit = memory_limit(Machine(64 * GIB, group_bytes=8 * GIB))
    assert limit.bytes == 7 * GIB
    assert "control group" in limit.reason


def test_the_users_limit_counts_up_to_the_whole_memory() -> None:
    assert memory_limit(mac(32), 30 * GIB).bytes == 30 * GIB
    assert memory_limit(mac(32), 99 * GIB).bytes == 32 * GIB
    assert "memoryLimitBytes" in memory_limit(mac(32), 1).reason


@given(st.integers(1, 1024))
def test_the_reserve_is_a_quarter_within_bounds(gigabytes: int) -> None:
    ram = gigabytes * GIB
    assert 0 < reserve_bytes(ram) <= min(32 * GB, ram // 2)
    assert reserve_bytes(ram) >= min(4 * GB, ram // 2)


@given(st.integers(8, 512), st.floats(0.5, 1.0), st.integers(1, 200))
def test_never_more_is_wired_than_the_weights_and_the_gpu_wants(
    gigabytes: int, share: float, weights_gb: int
) -> None:
    machine = mac(gigabytes, share)
    target = wired_target("weights", weights_gb * GB, machine)
    if target is not None:
        assert target <= weights_gb * GB
        assert target <= 0.9 * machine.working_set_bytes
        assert target <= machine.ram_bytes / 2
    assert wired_target("off", weights_gb * GB, machine) is None


def test_weights_are_wired_where_they_leave_half_of_the_memory() -> None:
    assert wired_target("weights", 17 * GB, mac(64)) == 17 * GB
    assert wired_target("weights", 17 * GB, mac(24)) is None
    assert wired_target("weights", 1 * GB, Machine(64 * GIB)) is None


@pytest.mark.parametrize(("gigabytes", "cached"), [(8, GB // 8), (32, 712_304_640), (128, 2 * GB)])
def test_freed_buffers_are_held_up_to_an_eighth_of_what_is_left(gigabytes: int, cached: int) -> None:
    limit = memory_limit(mac(gigabytes, 2 / 3)).bytes
    assert buffer_cache_limit(limit, min(limit, 172 * GB // 10)) == pytest.approx(cached, rel=0.01)


def test_the_prefix_cache_leaves_buffers_to_others() -> None:
    assert cache_buffers(mac(32)) == 299_400
    assert cache_buffers(Machine(32 * GIB)) is None
