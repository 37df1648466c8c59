"""What is written first, and what a queue that is full leaves for later."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from engine.prefix_cache.disk.safetensors_writing import write_safetensors
from engine.prefix_cache.interface import Kind
from tests.engine.disk_tiers import cache_on, make_tier
from tests.engine.prefix_cache.disk.lives import FIRST, ROWS, reused
from tests.engine.telling_caches import computed


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
