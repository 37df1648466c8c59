"""The folder keeps to its bytes, of a day and in all, and what goes first is what is worth least."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.disk_tiers import FINGERPRINT, cache_on, files_in, make_tier
from tests.engine.prefix_cache.disk.lives import FIRST, ROWS, STATES, keep, reused
from tests.engine.telling_caches import computed


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


def test_the_budget_of_the_disk_counts_whole_files(tmp_path: Path) -> None:
    keep(tmp_path / "one", FIRST)
    (one,) = files_in(tmp_path / "one")
    budget = 2 * one.stat().st_size - 1
    keep(tmp_path / "two", FIRST, [7] * len(FIRST), max_bytes=budget)
    assert 0 < sum(path.stat().st_size for path in files_in(tmp_path / "two")) <= budget
