"""A disk that takes nothing pauses saving, and saving goes on when it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.prefix_cache.disk.safetensors_writing import write_safetensors
from tests.engine.disk_tiers import cache_on, files_in, make_tier
from tests.engine.prefix_cache.disk.lives import FIRST, ROWS, keep, reused
from tests.engine.telling_caches import computed


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
