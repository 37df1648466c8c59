"""What was computed outlives the engine; what is damaged, foreign or half written is never used."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.disk.safetensors_writing import write_safetensors
from engine.prefix_cache.interface import Kind, MissAt, as_token_array
from engine.prefix_cache.layers import layout_of
from tests.engine.disk_tiers import FINGERPRINT, Fetching, cache_on, fetched, files_in, make_tier
from tests.engine.telling_caches import computed, holds

ROWS = layout_of(computed([0], with_state=False))
STATES = layout_of(computed([0], with_state=True))
FIRST = [1, 2, 3, 4, 5, 6]


def keep(root: Path, *prompts: list[int], kind: Kind = "main", state: bool = False, **options: Any) -> None:
    """An engine that computed these prompts, saved them and ended."""
    tier = make_tier(root, **options)
    with cache_on(tier, STATES if state else ROWS) as cache:
        for tokens in prompts:
            cache.insert(tokens, computed(tokens, with_state=state), kind)
        assert tier.flush()


def reused(root: Path, prompt: list[int], *, state: bool = False, **options: Any) -> int:
    """How much of a prompt a new engine finds on the disk, and that it is right."""
    with cache_on(make_tier(root, **options), STATES if state else ROWS) as cache:
        match = cache.lookup(prompt)
        assert match.cache is None or holds(match.cache, prompt[: match.restored])
        return match.restored


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


def test_two_fetches_of_one_span_read_it_once(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    with cache_on(make_tier(tmp_path), ROWS, kind=RadixPrefixCache) as cache:
        both = [threading.Event(), threading.Event()]
        fetches = [cache.fetch([*FIRST, 7 + n], event.set) for n, event in enumerate(both)]
        for event, fetch in zip(both, fetches, strict=True):
            assert event.wait(30)
            assert fetch is not None
            assert fetch.tokens == 6
            assert fetch.bytes > 0
            cache.insert_fetched(fetch)
        assert cache.lookup([*FIRST, 7]).restored == cache.lookup([*FIRST, 8]).restored == 6
        assert cache.stats()["entries"] == 1


def test_a_span_that_is_split_while_it_loads_serves_both_parts(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    with cache_on(make_tier(tmp_path), ROWS, kind=RadixPrefixCache) as cache:
        done = threading.Event()
        fetch = cache.fetch([*FIRST, 7], done.set)
        cache.insert([1, 2, 9], computed([1, 2, 9], with_state=False), "main")
        assert done.wait(30)
        assert fetch is not None
        cache.insert_fetched(fetch)
        match = cache.lookup([*FIRST, 7])
        assert match.restored == 6
        assert match.cache is not None
        assert holds(match.cache, FIRST)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_file_is_set_aside_with_a_notice_and_computed_again(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, FIRST[:3], FIRST)
    last = max(files_in(tmp_path), key=lambda path: path.stat().st_mtime_ns)
    damage(last)
    with cache_on(make_tier(tmp_path), ROWS) as cache:
        assert cache.lookup([*FIRST, 7]).restored == 3
        assert cache.stats()["disk_set_aside"] == 1
        changes = [change.event for change in cache.insert(FIRST, computed(FIRST, with_state=False), "main")]
        assert "set_aside" in [*changes, *(change.event for change in cache.changes)]  # type: ignore[attr-defined]
    assert "set aside" in caplog.text
    assert last.name in caplog.text
    assert [path.name for path in (tmp_path / "set-aside").iterdir()] == [last.name]
    assert reused(tmp_path, [*FIRST, 7]) == 6


def test_what_was_written_for_another_model_is_not_seen_and_moved_here_is_set_aside(tmp_path: Path) -> None:
    keep(tmp_path, FIRST, fingerprint="0" * 32)
    assert reused(tmp_path, [*FIRST, 7]) == 0
    (foreign,) = files_in(tmp_path, "0" * 32)
    foreign.rename(tmp_path / FINGERPRINT / foreign.name)
    with cache_on(make_tier(tmp_path), ROWS) as cache:
        assert cache.lookup([*FIRST, 7]).restored == 0
        assert cache.stats()["disk_set_aside"] == 1


def test_a_newest_file_that_is_damaged_in_its_layout_costs_no_other(tmp_path: Path) -> None:
    keep(tmp_path, FIRST[:3], FIRST, [9, 8, 7])
    newest = max(files_in(tmp_path), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes().replace(b"mlx.core.float32", b"mlx.core.float22", 1))
    with cache_on(make_tier(tmp_path), ROWS) as cache:
        assert cache.stats()["disk_set_aside"] == 1
        assert cache.lookup([*FIRST, 7]).restored == 6
        assert cache.lookup([9, 8, 7, 6]).restored == 0
    assert [path.name for path in (tmp_path / "set-aside").iterdir()] == [newest.name]


@pytest.mark.parametrize("described", [b"[]", b'{"layout":[]}'])
def test_a_foreign_file_with_a_header_of_its_own_is_set_aside(tmp_path: Path, described: bytes) -> None:
    keep(tmp_path, FIRST)
    foreign = tmp_path / FINGERPRINT / f"{'a' * 32}-{'b' * 32}.safetensors"
    mx.save_safetensors(str(foreign), {"tokens": mx.array([1])}, {"span": described.decode()})
    assert reused(tmp_path, [*FIRST, 7]) == 6
    assert [path.name for path in (tmp_path / "set-aside").iterdir()] == [foreign.name]


def test_another_layout_or_number_type_is_set_aside(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    assert reused(tmp_path, [*FIRST, 7], state=True) == 0
    keep(tmp_path, FIRST)
    half = computed(FIRST, with_state=False)
    half[0].keys, half[0].values = half[0].keys.astype(mx.float16), half[0].values.astype(mx.float16)
    with cache_on(make_tier(tmp_path), ROWS) as cache:
        cache.insert(FIRST, half, "main")
        assert cache.stats()["disk_set_aside"] == 1
        assert cache.lookup([*FIRST, 7]).restored == 6
        assert cache.stats()["disk_loaded_tokens"] == 0


def test_a_file_of_another_number_type_that_was_forgotten_is_set_aside_before_it_is_used(
    tmp_path: Path,
) -> None:
    prompts = [FIRST, *([token] * 5 for token in range(10, 50))]
    keep(tmp_path, *prompts)
    half = computed(FIRST, with_state=False)
    half[0].keys, half[0].values = half[0].keys.astype(mx.float16), half[0].values.astype(mx.float16)
    with cache_on(tier := make_tier(tmp_path), ROWS, max_bytes=80_000) as cache:
        known = sum(1 for _ in cache._tree.nodes())
        assert cache.restorable(as_token_array([*FIRST, 7])) == cache.lookup([*FIRST, 7]).restored == 0
        cache.insert(FIRST, half, "main")
        assert tier.flush()
        assert cache.stats()["disk_set_aside"] == known + 1
        (node,) = cache._tree.nodes()
        assert node.kv_file is not None
        assert node.kv_file.layout == cache._layout_text


LONGER = [*FIRST, 7, 8, 9]


def lose_the_first_of_three(root: Path) -> None:
    """Three files, each of which continues the one before; the first is damaged and found so at a start."""
    keep(root, FIRST[:3], FIRST, LONGER)
    truncate(min(files_in(root), key=lambda path: path.stat().st_mtime_ns))
    assert reused(root, [*LONGER, 0]) == 0


def test_what_continues_a_lost_file_is_used_again_once_that_was_computed_anew(tmp_path: Path) -> None:
    lose_the_first_of_three(tmp_path)
    assert len(files_in(tmp_path)) == 2
    keep(tmp_path, FIRST[:3])
    assert reused(tmp_path, [*LONGER, 0]) == len(LONGER)


def test_what_continues_a_lost_file_is_not_written_twice(tmp_path: Path) -> None:
    lose_the_first_of_three(tmp_path)
    before = set(files_in(tmp_path))
    keep(tmp_path, FIRST[:3], FIRST, LONGER)
    assert before < set(files_in(tmp_path))
    assert len(files_in(tmp_path)) == 3


def test_what_continues_a_lost_file_goes_before_all_others(tmp_path: Path) -> None:
    lose_the_first_of_three(tmp_path)
    orphans = files_in(tmp_path)
    size = max(path.stat().st_size for path in orphans)
    for number in (5, 6, 7):  # beside the one that was set aside
        keep(tmp_path, [number] * 3, kind="subagent", max_bytes=4 * size)
    assert not set(orphans) & set(files_in(tmp_path))
    assert [reused(tmp_path, [number] * 3 + [0]) for number in (5, 6, 7)] == [3, 3, 3]


def test_a_leftover_of_a_write_is_set_aside(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    leftover = tmp_path / FINGERPRINT / f"writing-{'a' * 32}.safetensors"
    leftover.write_bytes(b"half")
    assert reused(tmp_path, [*FIRST, 7]) == 6
    assert [path.name for path in (tmp_path / "set-aside").iterdir()] == [leftover.name]


def test_only_the_newest_files_are_kept_aside(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    for number in range(20):
        (tmp_path / FINGERPRINT / f"writing-{number:032x}.safetensors").write_bytes(b"half")
    assert reused(tmp_path, [*FIRST, 7]) == 6
    assert len(list((tmp_path / "set-aside").iterdir())) == 16


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


def test_a_full_disk_pauses_saving_with_one_notice_and_fails_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: str, arrays: Any, metadata: Any) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError("[write] Unable to write 8 bytes to file.")

    keep(tmp_path, FIRST)
    with cache_on(tier := make_tier(tmp_path, write=full), ROWS) as cache:
        for last in (7, 8, 9):
            prompt = [*FIRST, last]
            cache.insert(prompt, computed(prompt, with_state=False), "main")
            assert tier.flush()
            assert cache.lookup([*prompt, 0]).restored == 7
        assert cache.stats()["disk_skipped"] == 3
    assert caplog.text.count("is not saved to") == 1
    assert len(files_in(tmp_path)) == 1
    assert reused(tmp_path, [*FIRST, 7]) == 6


class FailingWrites:
    """Writes files while `works`; counts what it was asked for."""

    def __init__(self) -> None:
        self.works = False
        self.tries = 0

    def __call__(self, path: str, arrays: Any, metadata: Any) -> None:
        self.tries += 1
        if not self.works:
            raise OSError("no space left on device")
        write_safetensors(path, arrays, metadata)


def test_saving_is_tried_again_after_growing_pauses_and_told_once_when_it_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write, now = FailingWrites(), [0.0]
    tier = make_tier(tmp_path, write=write, monotonic=lambda: now[0], free_bytes=lambda path: 1 << 40)
    with cache_on(tier, ROWS) as cache:
        prompt = list(FIRST)

        def tries_at(second: float) -> int:
            """How many files the disk was asked to take by a turn at this time."""
            now[0] = second
            before = write.tries
            prompt.append(7)
            cache.insert(prompt, computed(prompt, with_state=False), "main")
            assert tier.flush()
            return write.tries - before

        assert [tries_at(second) for second in (0, 9, 10, 29, 30, 69)] == [1, 0, 1, 0, 1, 0]
        assert caplog.text.count("is not saved to") == 1
        write.works = True
        assert [tries_at(second) for second in (69.5, 70)] == [0, 8]  # all that was computed so far
        assert [tries_at(second) for second in (71, 72)] == [1, 1]
    assert caplog.text.count("is saved to") == 1
    assert reused(tmp_path, [*prompt, 0]) == len(prompt)


def test_saving_goes_on_at_once_when_there_is_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    free = [500]
    tier = make_tier(tmp_path, keep_free_bytes=16_000, free_bytes=lambda path: free[0], monotonic=lambda: 0.0)
    with cache_on(tier, ROWS) as cache:
        for free[0], saved in ((500, 0), (1000, 0), (20_000, 1)):
            cache.insert(FIRST, computed(FIRST, with_state=False), "main")
            assert tier.flush()
            assert cache.stats()["disk_entries"] == saved
    assert caplog.text.count("is not saved to") == caplog.text.count("is saved to") == 1


def test_on_a_disk_that_is_almost_full_new_spans_take_the_place_of_old_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, [1] * 6, [2] * 6)
    size = max(path.stat().st_size for path in files_in(tmp_path))

    def free(folder: Path) -> int:
        return 3 * size - sum(path.stat().st_size for path in files_in(tmp_path))

    keep(tmp_path, [3] * 6, [4] * 6, free_bytes=free, keep_free_bytes=size)
    assert [reused(tmp_path, [n] * 6 + [9]) for n in (1, 2, 3, 4)] == [0, 0, 6, 6]
    assert not [record for record in caplog.records if record.name.startswith("engine")]


def test_where_removed_files_free_nothing_no_more_are_removed(tmp_path: Path) -> None:
    keep(tmp_path, [1] * 6, [2] * 6, [3] * 6)
    now = [0.0]
    tier = make_tier(tmp_path, free_bytes=lambda folder: 900, keep_free_bytes=1000, monotonic=lambda: now[0])
    with cache_on(tier, ROWS) as cache:
        left = []
        for now[0] in (0.0, 1000.0, 2000.0):
            cache.insert(FIRST, computed(FIRST, with_state=False), "main")
            assert tier.flush()
            left.append(len(files_in(tmp_path)))
    assert left == [2, 2, 2]


def test_the_last_bytes_of_a_disk_are_left_to_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, FIRST, keep_free_bytes=1 << 60)
    assert "almost full" in caplog.text
    assert files_in(tmp_path) == []


def test_a_second_engine_works_without_the_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep(tmp_path, FIRST)
    with cache_on(make_tier(tmp_path), ROWS) as first, cache_on(make_tier(tmp_path), ROWS) as second:
        assert second.lookup([*FIRST, 7]).restored == 0
        assert first.lookup([*FIRST, 7]).restored == 6
    assert "another engine" in caplog.text


def test_the_days_cap_holds_over_restarts_and_until_the_next_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    with cache_on(tier := make_tier(tmp_path, max_daily_bytes=40_000, clock=lambda: now[0]), ROWS) as cache:
        for token in range(40):
            prompt = [token] * 30
            cache.insert(prompt, computed(prompt, with_state=False), "main")
            assert tier.flush()
        saved, stats = len(files_in(tmp_path)), cache.stats()
        assert 0 < stats["disk_written_today_bytes"] <= 40_000
        assert stats["disk_skipped"] == 40 - saved > 0
    assert caplog.text.count("until tomorrow") == 1
    with cache_on(tier := make_tier(tmp_path, max_daily_bytes=40_000, clock=lambda: now[0]), ROWS) as cache:
        cache.insert([99] * 30, computed([99] * 30, with_state=False), "main")
        assert tier.flush()
        assert len(files_in(tmp_path)) == saved
        now[0] += 86_400
        cache.insert([99] * 30, computed([99] * 30, with_state=False), "main")
        assert tier.flush()
        assert len(files_in(tmp_path)) == saved + 1


def test_what_does_not_fit_the_queue_is_skipped_and_tried_again(tmp_path: Path) -> None:
    go, begun = threading.Event(), threading.Event()

    def slow(path: str, arrays: Any, metadata: Any) -> None:
        begun.set()
        assert go.wait(30)
        write_safetensors(path, arrays, metadata)

    with cache_on(tier := make_tier(tmp_path, write=slow, queue_bytes=1), ROWS) as cache:
        cache.insert(FIRST, computed(FIRST, with_state=False), "main")
        assert begun.wait(30)
        cache.insert([*FIRST, 7], computed([*FIRST, 7], with_state=False), "main")
        assert cache.stats()["disk_skipped"] == 1
        go.set()
        assert tier.flush()
        cache.insert([*FIRST, 7], computed([*FIRST, 7], with_state=False), "main")
        assert tier.flush()
    assert reused(tmp_path, [*FIRST, 7, 8]) == 7


def test_heads_are_written_before_what_waits(tmp_path: Path) -> None:
    go, begun = threading.Event(), threading.Event()
    order: list[int] = []

    def slow(path: str, arrays: Any, metadata: Any) -> None:
        begun.set()
        assert go.wait(30)
        order.append(int(arrays["tokens"][0]))
        write_safetensors(path, arrays, metadata)

    with cache_on(tier := make_tier(tmp_path, write=slow), ROWS) as cache:
        kinds: list[Kind] = ["main", "subagent", "main", "head"]
        for token, kind in enumerate(kinds):
            cache.insert([token], computed([token], with_state=False), kind)
            assert begun.wait(30)
        go.set()
        assert tier.flush()
    assert order == [0, 3, 2, 1]


def budget_for(root: Path, files: int) -> int:
    """Bytes that so many files of 30 tokens take."""
    keep(root / "probe", [1] * 30)
    (file,) = files_in(root / "probe")
    return int(file.stat().st_size * (files + 0.5))


def test_the_budget_holds_and_heads_go_last(tmp_path: Path) -> None:
    budget = budget_for(tmp_path, 4)
    root = tmp_path / "kv-cache"
    keep(root, [50] * 30, kind="head", max_bytes=budget)
    for token in range(8):
        keep(root, [token] * 30, max_bytes=budget)
        assert sum(path.stat().st_size for path in files_in(root)) <= budget
    assert reused(root, [*[50] * 30, 1]) == 30
    assert reused(root, [*[7] * 30, 1]) == 30
    assert reused(root, [*[0] * 30, 1]) == 0


def test_what_continues_a_file_goes_before_it(tmp_path: Path) -> None:
    budget = budget_for(tmp_path, 3)
    root = tmp_path / "kv-cache"
    keep(root, [1] * 30, [1] * 30 + [2] * 30, [1] * 30 + [3] * 30, max_bytes=budget)
    keep(root, [9] * 30, max_bytes=budget)
    assert reused(root, [*[1] * 30, 4]) == 30
    assert reused(root, [*[9] * 30, 4]) == 30


def test_states_inside_of_a_conversation_go_before_its_end(tmp_path: Path) -> None:
    now = [1000.0]
    turns = [[1] * length for length in (10, 20, 30)]
    with cache_on(tier := make_tier(tmp_path, clock=lambda: now[0]), STATES) as cache:
        for turn in turns:
            cache.lookup([*turn, 0])
            cache.insert(turn, computed(turn, with_state=True), "main")
            assert tier.flush()
            now[0] += 1
        cache.lookup([*turns[-1], 0])
        assert tier.flush()
    size = sum(path.stat().st_size for path in files_in(tmp_path))
    with cache_on(tier := make_tier(tmp_path, clock=lambda: now[0], max_bytes=size + 100), STATES) as cache:
        cache.insert([2], computed([2], with_state=True), "main")
        assert tier.flush()
    assert reused(tmp_path, [*turns[-1], 0], state=True) == 30
    assert reused(tmp_path, [*turns[0], 0], state=True) == 0


def test_other_models_files_go_first_unless_they_are_in_use(tmp_path: Path) -> None:
    budget = budget_for(tmp_path, 4)
    root = tmp_path / "kv-cache"
    keep(root, [1] * 30, [2] * 30, fingerprint="0" * 32, max_bytes=budget)
    keep(root, [1] * 30, [2] * 30, [3] * 30, max_bytes=budget)
    assert len(files_in(root)) == 3
    assert len(files_in(root, "0" * 32)) <= 1
    with cache_on(make_tier(root, "0" * 32, max_bytes=budget), ROWS):
        held = len(files_in(root, "0" * 32))
        keep(root, [4] * 30, [5] * 30, [6] * 30, max_bytes=budget)
        assert len(files_in(root, "0" * 32)) == held


def test_what_a_user_keeps_in_the_same_folder_is_neither_counted_nor_removed(tmp_path: Path) -> None:
    budget = budget_for(tmp_path, 2)
    root = tmp_path / "models"
    theirs = [
        root / "Qwen3-Coder" / "model.safetensors",
        root / "deep" / "er" / "x.safetensors",
        root / ("0" * 32) / "model.safetensors",
        root / ("0" * 32) / "writing-notes.safetensors",
        root / ("0" * 32) / "answers.jsonl",
        root / FINGERPRINT / "model.safetensors",
        root / FINGERPRINT / "writing-notes.safetensors",
        root / "set-aside" / "model.safetensors",
        root / "set-aside" / "photos" / "1.jpg",
        root / "written-by-me.safetensors",
    ]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights" * 1000)
    for token in range(4):
        keep(root, [token] * 30, max_bytes=budget)
    assert all(path.read_bytes() == b"weights" * 1000 for path in theirs)
    assert {path.name for path in theirs[0].parent.iterdir()} == {"model.safetensors"}
    assert not (root / ("0" * 32) / "lock").exists()
    assert len(set(files_in(root)) - set(theirs)) == 2


def test_what_cannot_fit_beside_others_removes_nothing(tmp_path: Path) -> None:
    budget = budget_for(tmp_path, 4)
    root = tmp_path / "kv-cache"
    keep(root, [1] * 30, [2] * 30, [3] * 30, fingerprint="0" * 32, max_bytes=budget)
    with cache_on(make_tier(root, "0" * 32, max_bytes=budget), ROWS):
        keep(root, [4] * 30, max_bytes=budget)
        keep(root, [5] * 60, max_bytes=budget)
        assert reused(root, [*[4] * 30, 1]) == 30


def test_an_index_that_outgrows_its_share_loses_its_oldest_leaves_and_no_file(tmp_path: Path) -> None:
    keep(tmp_path, *([token] * 5 for token in range(40)))
    with cache_on(make_tier(tmp_path), ROWS, max_bytes=80_000) as cache:
        assert cache.stats()["bytes"] <= 10_000
        assert cache.lookup([*[39] * 5, 1]).restored == 5
        assert cache.lookup([*[0] * 5, 1]).restored == 0
    assert len(files_in(tmp_path)) == 40
    assert reused(tmp_path, [*[0] * 5, 1]) == 5


def test_a_span_that_was_forgotten_and_computed_again_keeps_its_file(tmp_path: Path) -> None:
    prompts = [[token] * 5 for token in range(40)]
    keep(tmp_path, *prompts)
    saved = files_in(tmp_path)
    with cache_on(tier := make_tier(tmp_path), ROWS, max_bytes=80_000) as cache:
        for prompt in prompts:
            cache.insert(prompt, computed(prompt, with_state=False), "main")
        assert tier.flush()
        assert files_in(tmp_path) == saved
        assert cache.stats()["disk_entries"] == 40
        longer = [*[0] * 5, 1, 1]
        cache.insert(longer, computed(longer, with_state=False), "main")
        assert tier.flush()
        assert len(files_in(tmp_path)) == 41
    assert reused(tmp_path, [*[0] * 5, 1, 1, 2]) == 7


def test_a_span_that_was_forgotten_and_comes_again_in_other_parts_is_found_once(tmp_path: Path) -> None:
    keep(tmp_path, [1] * 9, *([token] * 5 for token in range(10, 50)))
    with cache_on(tier := make_tier(tmp_path), ROWS, max_bytes=80_000) as cache:
        for prompt in ([1] * 4, [1] * 9):
            cache.insert(prompt, computed(prompt, with_state=False), "main")
        assert tier.flush()
    assert reused(tmp_path, [*[1] * 9, 2]) == 9
    assert len(files_in(tmp_path)) <= 40 + 2


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


def test_a_fetch_ends_when_the_cache_is_closed(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    tier = make_tier(tmp_path)
    with cache_on(tier, ROWS, kind=RadixPrefixCache) as cache:
        done = threading.Event()
        fetch = cache.fetch([*FIRST, 7], done.set)
        cache.close()
        assert fetch is not None
        assert done.wait(30)
        cache.insert_fetched(fetch)


KILLED = """
import os, sys
from pathlib import Path
from engine.prefix_cache.layers import layout_of
from engine.prefix_cache.disk.safetensors_writing import write_safetensors
from tests.engine.disk_tiers import cache_on, make_tier
from tests.engine.telling_caches import computed

count = 0
def write(path, arrays, metadata):
    global count
    count += 1
    if count == 3:
        Path(path).write_bytes(b"half of a file")
        print("writing", flush=True)
        sys.stdin.read()
    write_safetensors(path, arrays, metadata)

tier = make_tier(Path(sys.argv[1]), write=write)
with cache_on(tier, layout_of(computed([0], with_state=True))) as cache:
    for length in (3, 6):
        tokens = list(range(1, length + 1))
        cache.insert(tokens, computed(tokens, with_state=True), "main")
    tier.flush()
"""


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_writes_leaves_a_folder_that_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        os.kill(process.pid, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        assert reused(tmp_path, [1, 2, 3, 4], state=True) == 3
    assert "was not written to its end" in caplog.text
    keep(tmp_path, FIRST, state=True)
    assert reused(tmp_path, [*FIRST, 7], state=True) == 6


def test_what_is_forgotten_of_unsaved_prompts_costs_no_file(tmp_path: Path) -> None:
    tier = make_tier(tmp_path, max_daily_bytes=1200)
    with cache_on(tier, ROWS, max_bytes=60_000) as cache:
        cache.insert(FIRST, computed(FIRST, with_state=False), "main")
        assert tier.flush()
        for token in range(10, 70):
            cache.insert([token] * 40, computed([token] * 40, with_state=False), "main")
        assert tier.flush()
        assert cache.stats()["disk_skipped"] > 0
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


def test_the_budget_of_the_disk_counts_whole_files(tmp_path: Path) -> None:
    keep(tmp_path / "one", FIRST)
    (one,) = files_in(tmp_path / "one")
    budget = 2 * one.stat().st_size - 1
    keep(tmp_path / "two", FIRST, [7] * len(FIRST), max_bytes=budget)
    assert 0 < sum(path.stat().st_size for path in files_in(tmp_path / "two")) <= budget
