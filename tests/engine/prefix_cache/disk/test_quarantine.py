"""What is damaged, foreign or half written is moved out of the way and never used."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

from engine.prefix_cache.interface import as_token_array
from tests.engine.disk_tiers import FINGERPRINT, cache_on, files_in, make_tier
from tests.engine.prefix_cache.disk.lives import FIRST, ROWS, keep, reused, truncate
from tests.engine.telling_caches import computed


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_file_is_quarantined_with_a_notice_and_computed_again(
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
    assert "quarantined" in caplog.text
    assert last.name in caplog.text
    assert [path.name for path in (tmp_path / "set-aside").iterdir()] == [last.name]
    assert reused(tmp_path, [*FIRST, 7]) == 6


def test_what_was_written_for_another_model_is_not_seen_and_moved_here_is_quarantined(tmp_path: Path) -> None:
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
def test_a_foreign_file_with_a_header_of_its_own_is_quarantined(tmp_path: Path, described: bytes) -> None:
    keep(tmp_path, FIRST)
    foreign = tmp_path / FINGERPRINT / f"{'a' * 32}-{'b' * 32}.safetensors"
    mx.save_safetensors(str(foreign), {"tokens": mx.array([1])}, {"span": described.decode()})
    assert reused(tmp_path, [*FIRST, 7]) == 6
    assert [path.name for path in (tmp_path / "set-aside").iterdir()] == [foreign.name]


def test_another_layout_or_number_type_is_quarantined(tmp_path: Path) -> None:
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


def test_a_file_of_another_number_type_that_was_forgotten_is_quarantined_before_it_is_used(
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
    for number in (5, 6, 7):  # beside the one that was quarantined
        keep(tmp_path, [number] * 3, kind="subagent", max_bytes=4 * size)
    assert not set(orphans) & set(files_in(tmp_path))
    assert [reused(tmp_path, [number] * 3 + [0]) for number in (5, 6, 7)] == [3, 3, 3]


def test_a_leftover_of_a_write_is_removed(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    leftover = tmp_path / FINGERPRINT / f"writing-{'a' * 32}.safetensors"
    leftover.write_bytes(b"half")
    assert reused(tmp_path, [*FIRST, 7]) == 6
    assert not leftover.exists()
    assert not (tmp_path / "set-aside").exists()


def test_only_the_newest_files_are_kept_in_quarantine(tmp_path: Path) -> None:
    keep(tmp_path, FIRST)
    for number in range(20):
        (tmp_path / FINGERPRINT / f"{number:032x}-{number:032x}.safetensors").write_bytes(b"half")
    assert reused(tmp_path, [*FIRST, 7]) == 6
    assert len(list((tmp_path / "set-aside").iterdir())) == 16


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
    with caplog.at_level(logging.INFO):
        assert reused(tmp_path, [1, 2, 3, 4], state=True) == 3
    # Nothing is damaged: it is no warning.
    assert "ended while it saved a part of the prefix cache (1)" in caplog.text
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert not list(tmp_path.rglob("writing-*"))
    keep(tmp_path, FIRST, state=True)
    assert reused(tmp_path, [*FIRST, 7], state=True) == 6
