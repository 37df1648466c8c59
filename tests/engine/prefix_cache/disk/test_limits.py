"""The disk's budget and its daily limit of writes, also with other engines and over midnight."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.disk import limits as cache_limits
from engine.prefix_cache.disk.limits import reserve_bytes
from engine.prefix_cache.layers import layout_of
from tests.engine.disk_tiers import FINGERPRINT, cache_on, files_in, make_tier
from tests.engine.telling_caches import computed

OTHER = "0" * 32
ROWS = layout_of(computed([0], with_state=False))


def insert(cache: RadixPrefixCache, token: int) -> None:
    prompt = [token] * 30
    cache.insert(prompt, computed(prompt, with_state=False), "main")


def size_of(*files: Path) -> int:
    return sum(path.stat().st_size for path in files)


def test_two_engines_that_write_at_once_keep_one_budget(tmp_path: Path) -> None:
    budget = 60_000
    with ExitStack() as stack:
        tiers = [make_tier(tmp_path, name, max_bytes=budget) for name in (FINGERPRINT, OTHER)]
        caches = [stack.enter_context(cache_on(tier, ROWS)) for tier in tiers]
        for token in range(40):
            for tier, cache in zip(tiers, caches, strict=True):
                insert(cache, token)
                assert tier.flush()
            assert size_of(*files_in(tmp_path), *files_in(tmp_path, OTHER)) <= budget
        assert all(files_in(tmp_path, name) for name in (FINGERPRINT, OTHER))


def test_a_budget_that_was_lowered_holds_before_anything_is_written(tmp_path: Path) -> None:
    for name in (OTHER, FINGERPRINT):
        with cache_on(tier := make_tier(tmp_path, name), ROWS) as cache:
            for token in range(6):
                insert(cache, token)
            assert tier.flush()
    budget = size_of(*files_in(tmp_path)) // 2
    with cache_on(tier := make_tier(tmp_path, max_bytes=budget), ROWS):
        assert tier.flush()
        assert 0 < size_of(*files_in(tmp_path)) <= budget
        assert tier.stats()["disk_bytes"] == size_of(*files_in(tmp_path))
        assert files_in(tmp_path, OTHER) == []


def test_a_new_day_begins_at_midnight_also_where_nothing_is_saved(tmp_path: Path) -> None:
    now = [86_399.0]
    with cache_on(tier := make_tier(tmp_path, clock=lambda: now[0]), ROWS) as cache:
        insert(cache, 1)
        assert tier.flush()
        assert tier.stats()["disk_written_today_bytes"] > 0
        now[0] += 1
        assert tier.stats()["disk_written_today_bytes"] == 0


GB = 10**9


@pytest.mark.parametrize(
    ("system", "total", "reserve"),
    [
        ("Darwin", 128 * GB, 10 * GB),
        ("Darwin", 256 * GB, 12.8 * GB),
        ("Darwin", 1000 * GB, 50 * GB),
        ("Darwin", 2000 * GB, 100 * GB),
        ("Darwin", 8000 * GB, 100 * GB),
        ("Darwin", 0, 10 * GB),
        ("Linux", 1000 * GB, 1 << 30),
    ],
)
def test_on_a_mac_the_disk_keeps_room_for_swap(system: str, total: int, reserve: float) -> None:
    assert reserve_bytes(total, system) == reserve


@pytest.mark.parametrize(("free", "saved"), [(49 * GB, 0), (51 * GB, 1)])
def test_the_reserve_follows_the_size_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, free: int, saved: int
) -> None:
    monkeypatch.setattr(cache_limits.platform, "system", lambda: "Darwin")
    disk = {"free_bytes": lambda path: free, "total_bytes": lambda path: 1000 * GB}
    with cache_on(tier := make_tier(tmp_path, keep_free_bytes=None, **disk), ROWS) as cache:
        insert(cache, 1)
        assert tier.flush()
        assert len(files_in(tmp_path)) == saved
    assert saved or "49.0 GB are free, and 50.0 GB are left to others" in caplog.text


def test_a_disk_of_unknown_size_keeps_the_smallest_reserve(tmp_path: Path) -> None:
    def refuse(path: Path) -> int:
        raise OSError("Operation not supported")

    disk = {"free_bytes": lambda path: 20 * GB, "total_bytes": refuse}
    with cache_on(tier := make_tier(tmp_path, keep_free_bytes=None, **disk), ROWS) as cache:
        insert(cache, 1)
        assert tier.flush()
        assert len(files_in(tmp_path)) == 1
