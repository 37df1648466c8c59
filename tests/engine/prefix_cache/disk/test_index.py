"""An index that may not know all files forgets its oldest leaves, and loses none."""

from __future__ import annotations

from pathlib import Path

from tests.engine.disk_tiers import cache_on, files_in, make_tier
from tests.engine.prefix_cache.disk.lives import FIRST, ROWS, keep, reused
from tests.engine.telling_caches import computed


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
