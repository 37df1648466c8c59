from __future__ import annotations

import errno
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.process.private_files import naming, open_private, private_folder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def loose_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


def test_folders_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    write_private(tmp_path / "a" / "b" / "file.json", b"{}")
    with open_private(tmp_path / "a" / "log", "ab") as log:
        log.write(b"line\n")
    assert [mode(tmp_path / name) for name in ("a", "a/b")] == [0o700, 0o700]
    assert [mode(tmp_path / name) for name in ("a/b/file.json", "a/log")] == [0o600, 0o600]


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    private_folder(tmp_path / "mine")
    assert mode(tmp_path / "mine") == 0o755


def test_a_failed_write_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file.json"
    write_private(target, b"old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_private(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]


def test_two_threads_that_write_one_file_do_not_write_into_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, written, go_on = tmp_path / "file.json", threading.Event(), threading.Event()
    replace = Path.replace

    def waiting(self: Path, target: Path) -> Path:
        if threading.current_thread() is not threading.main_thread():
            written.set()
            go_on.wait()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", waiting)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(write_private, target, b"first")
        written.wait()
        try:
            write_private(target, b"second, which is longer")
            assert target.read_bytes() == b"second, which is longer"
        finally:
            go_on.set()
        first.result()
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_in_the_folders_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("")
    with pytest.raises(OSError, match="traces"):
        private_folder(tmp_path / "traces")


def test_an_error_names_the_file_that_was_to_be_written_and_not_its_draft(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as failed:
        write_private(tmp_path / "folder", b"x")
    assert failed.value.filename == str(tmp_path / "folder")
    with pytest.raises(OSError, match="No space") as failed, naming(tmp_path / "full"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as writing reports it
    assert failed.value.filename == str(tmp_path / "full")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]
