"""A span is read once, whoever waits for it, and each who waits is served."""

from __future__ import annotations

import threading
from pathlib import Path

from engine.prefix_cache.cache import RadixPrefixCache
from tests.engine.disk_tiers import cache_on, make_tier
from tests.engine.prefix_cache.disk.lives import FIRST, ROWS, keep
from tests.engine.telling_caches import computed, holds


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
