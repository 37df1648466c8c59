"""Below the root only files that an engine has written are changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.prefix_cache.disk.folder import QUARANTINE, CacheFolder
from engine.prefix_cache.layers import layout_of
from tests.engine.disk_tiers import FINGERPRINT, cache_on, files_in, make_tier
from tests.engine.telling_caches import computed

OTHER = "0" * 32
THEIRS = b"mine" * 1000


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(THEIRS)


@pytest.fixture
def folder(tmp_path: Path) -> CacheFolder:
    folder = CacheFolder(tmp_path, FINGERPRINT, max_bytes=1 << 20)
    folder.path.mkdir()
    return folder


def saved(root: Path, fingerprint: str) -> Path:
    """A file that an engine has saved."""
    with cache_on(tier := make_tier(root, fingerprint), layout_of(computed([0], with_state=False))) as cache:
        cache.insert([1] * 30, computed([1] * 30, with_state=False), "main")
        assert tier.flush()
    (path,) = files_in(root, fingerprint)
    return path


def test_a_users_own_folder_of_that_name_keeps_its_files(folder: CacheFolder) -> None:
    aside = folder.root / QUARANTINE
    theirs = [aside / "photos" / f"{number}.jpg" for number in range(20)]
    theirs += [aside / f"writing-{number}.safetensors" for number in range(20)]
    theirs += [aside / "answers.jsonl"]
    put(*theirs)
    assert folder.other_bytes() == 0
    for number in range(20):
        leftover = folder.path / f"writing-{number:032x}.safetensors"
        leftover.write_bytes(b"half")
        folder.quarantine(leftover)
    assert all(path.read_bytes() == THEIRS for path in theirs)
    assert len(list(aside.iterdir())) == 1 + 20 + 1 + 16
    assert folder.other_bytes() == 16 * 4


@pytest.mark.parametrize("name", ["model.safetensors", "writing-x.safetensors", "writing-notes.txt"])
def test_files_of_other_names_are_passed_over_beside_the_spans(folder: CacheFolder, name: str) -> None:
    put(folder.path / name)
    assert folder.read_index() == ([], [])
    assert (folder.path / name).read_bytes() == THEIRS
    assert not (folder.root / QUARANTINE).exists()


def test_a_folder_in_which_no_engine_was_is_not_touched(folder: CacheFolder) -> None:
    other = folder.root / OTHER
    theirs = [other / name for name in ("answers.jsonl", f"writing-{'1' * 32}.safetensors", "lock")]
    for name in (*theirs, other / f"{'1' * 32}-{'2' * 32}.safetensors"):
        put(name)
        assert folder.other_bytes() == 0
        assert folder.free_others(1 << 30) == 0
        assert name.read_bytes() == THEIRS


@pytest.mark.parametrize("has_lock", [True, False])
def test_in_another_models_folder_only_its_files_go(folder: CacheFolder, has_lock: bool) -> None:
    span = saved(folder.root, OTHER)
    if not has_lock:
        (span.parent / "lock").unlink()
    ours = [span, *(span.parent / name for name in ("answers.jsonl", "writing-answers.jsonl"))]
    theirs = [span.parent / name for name in ("writing-notes.txt", "model.safetensors", "more/answers.jsonl")]
    put(*ours[1:], *theirs)
    wanted = sum(path.stat().st_size for path in ours)
    assert folder.other_bytes() == wanted
    assert folder.free_others(1 << 30) == wanted
    assert folder.other_bytes() == 0
    assert not any(path.exists() for path in ours)
    assert all(path.read_bytes() == THEIRS for path in theirs)
