"""Prefix caches with a disk tier, closed when their block ends, and a lookup that waits for the disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.models.loading import LoadedModel, OnProgress
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.disk.tier import DiskTier
from engine.prefix_cache.interface import NOBODY, CacheUser, Match, TokenArray
from engine.prefix_cache.layers import Layout, layout_of
from engine.scheduling.runner import ModelRunner
from engine.scheduling.scheduler import Scheduler
from engine.wire.feed import CacheChange
from tests.engine.model_thread import Load, running

FINGERPRINT = "f" * 32


class Fetching(RadixPrefixCache):
    """Loads what a lookup needs before it looks."""

    changes: list[CacheChange]

    def lookup(self, tokens: Sequence[int] | TokenArray, user: CacheUser = NOBODY) -> Match:
        self.changes = fetched(self, tokens)
        return super().lookup(tokens, user)


def fetched(
    cache: RadixPrefixCache, tokens: Sequence[int] | TokenArray, unused_since: int | None = None
) -> list[CacheChange]:
    """Load what a prompt needs and wait for it; what changed by that."""
    done = threading.Event()
    fetch = cache.fetch(tokens, done.set)
    if fetch is None:
        return []
    assert done.wait(30)
    assert fetch.done
    return cache.insert_fetched(fetch, unused_since)


def make_tier(root: Path, fingerprint: str = FINGERPRINT, **options: Any) -> DiskTier:
    """A tier with room enough, unless `options` say otherwise."""
    defaults: dict[str, Any] = {"max_bytes": 1 << 30, "max_daily_bytes": 1 << 40, "keep_free_bytes": 0}
    return DiskTier(root, fingerprint, **(defaults | options))


@contextmanager
def cache_on(
    tier: DiskTier, layout: Layout, *, max_bytes: int = 1 << 26, kind: type[RadixPrefixCache] = Fetching
) -> Iterator[RadixPrefixCache]:
    """A cache with this tier."""
    cache = kind(max_bytes=max_bytes)
    cache.attach(tier, layout)
    try:
        yield cache
    finally:
        cache.close()


@contextmanager
def running_on(tier: DiskTier, load: Load, *, max_bytes: int, **options: Any) -> Iterator[Scheduler]:
    """A scheduler whose cache has this tier."""
    cache = RadixPrefixCache(max_bytes=max_bytes)

    def load_and_attach(on_progress: OnProgress) -> LoadedModel:
        loaded = load(on_progress)
        cache.attach(tier, layout_of(ModelRunner(loaded).new_cache()))
        return loaded

    try:
        with running(load_and_attach, cache=cache, **options) as scheduler:
            yield scheduler
    finally:
        cache.close()


def files_in(root: Path, fingerprint: str = FINGERPRINT) -> list[Path]:
    """The span files of a model."""
    return sorted((root / fingerprint).glob("*.safetensors"))
