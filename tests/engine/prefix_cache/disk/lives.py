"""Engines that keep prompts on a disk and end, and engines that find them there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.prefix_cache.interface import Kind
from engine.prefix_cache.layers import layout_of
from tests.engine.disk_tiers import cache_on, make_tier
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


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
