"""What was computed outlives the engine and comes back from the disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.interface import MissAt
from tests.engine.disk_tiers import FINGERPRINT, Fetching, cache_on, fetched, files_in, make_tier
from tests.engine.prefix_cache.disk.lives import FIRST, ROWS, STATES, keep, reused
from tests.engine.telling_caches import computed, holds


@pytest.mark.parametrize("state", [False, True])
def test_what_was_inserted_is_found_after_a_restart(tmp_path: Path, state: bool) -> None:
    keep(tmp_path, FIRST[:3], FIRST, state=state)
    assert reused(tmp_path, [*FIRST, 7], state=state) == 6
    assert reused(tmp_path, [*FIRST[:3], 9], state=state) == 3
    assert reused(tmp_path, FIRST, state=state) == (3 if state else 5)


def test_a_lookup_tells_what_came_from_the_disk(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    with cache_on(make_tier(tmp_path), ROWS, kind=RadixPrefixCache) as cache:
        before = cache.lookup([*FIRST, 7])
        assert (before.restored, before.tier) == (0, "none")
        changes = fetched(cache, [*FIRST, 7])
        assert [(change.event, change.tokens, change.entries) for change in changes] == [("loaded", 6, 1)]
        loaded = cache.lookup([*FIRST, 7])
        assert (loaded.restored, loaded.tier, loaded.miss) == (6, "disk", None)
        assert cache.lookup([*FIRST, 7]).tier == "memory"
        assert cache.fetch([*FIRST, 7], lambda: None) is None
        assert cache.stats()["disk_loaded_tokens"] == 6


def test_what_is_on_disk_and_not_in_the_way_is_not_called_evicted(tmp_path: Path) -> None:
    keep(tmp_path, FIRST[:2], FIRST, state=True)
    with cache_on(make_tier(tmp_path), STATES) as cache:
        match = cache.lookup([*FIRST[:4], 9, 9])
        assert match.restored == 2
        assert match.miss == MissAt("diverged", 4, before=(1, 2, 3, 4, 5, 6), now=(1, 2, 3, 4, 9, 9))


def test_a_conversation_that_goes_on_after_a_restart_is_saved_behind_what_was_there(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    with cache_on(tier := make_tier(tmp_path), ROWS) as cache:
        for prompt in ([*FIRST, 7, 8], [*FIRST[:2], 9]):
            cache.lookup(prompt)
            cache.insert(prompt, computed(prompt, with_state=False), "main")
        assert tier.flush()
        assert [change.event for change in cache.insert([5], computed([5], with_state=False), "main")][
            :2
        ] == [
            "inserted",
            "saved",
        ]
    assert len(files_in(tmp_path)) == 4
    assert reused(tmp_path, [*FIRST, 7, 8, 0]) == 8
    assert reused(tmp_path, [*FIRST[:2], 9, 0]) == 3


def test_what_was_evicted_from_memory_is_loaded_again(tmp_path: Path) -> None:
    prompts = [[token] * 60 for token in range(8)]
    with cache_on(tier := make_tier(tmp_path), ROWS, max_bytes=60_000) as cache:
        for prompt in prompts:
            cache.insert(prompt, computed(prompt, with_state=False), "main")
            assert tier.flush()
        assert cache.stats()["evictions"] > 0
        for prompt in prompts:
            match = cache.lookup([*prompt, 9])
            assert match.restored == 60
            assert match.cache is not None
            assert holds(match.cache, prompt)
            assert cache.stats()["bytes"] <= 60_000
    assert len(files_in(tmp_path)) == 8


def test_a_file_that_is_deleted_meanwhile_is_computed_again_and_saved_again(tmp_path: Path) -> None:
    keep(tmp_path, FIRST[:3], FIRST)
    with cache_on(tier := make_tier(tmp_path), ROWS) as cache:
        for path in files_in(tmp_path):
            path.unlink()
        assert cache.lookup([*FIRST, 7]).restored == 0
        cache.insert(FIRST, computed(FIRST, with_state=False), "main")
        assert cache.lookup([*FIRST, 7]).restored == 6
        assert tier.flush()
    assert reused(tmp_path, [*FIRST, 7]) == 6


def test_a_folder_that_cannot_be_made_means_no_disk_and_one_notice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with cache_on(make_tier(tmp_path / "file" / "kv-cache"), ROWS) as cache:
        cache.insert(FIRST, computed(FIRST, with_state=False), "main")
        assert cache.lookup([*FIRST, 7]).restored == 6
        assert cache.stats()["disk_budget_bytes"] == 0
    assert caplog.text.count("cannot be used") == 1


def test_a_second_engine_works_without_the_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep(tmp_path, FIRST)
    with cache_on(make_tier(tmp_path), ROWS) as first, cache_on(make_tier(tmp_path), ROWS) as second:
        assert second.lookup([*FIRST, 7]).restored == 0
        assert first.lookup([*FIRST, 7]).restored == 6
    assert "another engine" in caplog.text


def test_folders_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    root = tmp_path / "kv-cache"
    keep(root, FIRST)
    leftover = f"writing-{'1' * 32}.safetensors"
    (root / FINGERPRINT / leftover).write_bytes(b"")
    keep(root, FIRST)
    for path in [root, *root.rglob("*")]:
        if path.name != leftover:
            wanted = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_clearing_empties_memory_and_keeps_what_is_on_disk(tmp_path: Path) -> None:
    with cache_on(tier := make_tier(tmp_path), ROWS, kind=Fetching) as cache:
        cache.insert(FIRST, computed(FIRST, with_state=False), "main")
        assert tier.flush()
        assert [change.event for change in cache.clear()] == ["evicted"]
        assert cache.stats()["entries"] == 0
        assert cache.lookup([*FIRST, 7]).restored == 6


def test_a_cache_that_is_emptied_keeps_its_files(tmp_path: Path) -> None:
    tier = make_tier(tmp_path, max_daily_bytes=1200)
    with cache_on(tier, ROWS) as cache:
        for prompt in (FIRST, [9, 8, 7]):
            cache.insert(prompt, computed(prompt, with_state=False), "main")
            assert tier.flush()
        cache.clear()
        assert cache.stats()["entries"] == 0
        assert cache.lookup([*FIRST, 7]).restored == 6
        assert cache.lookup([9, 8, 7, 6]).restored == 0
