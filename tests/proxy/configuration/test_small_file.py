from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from proxy.configuration.small_file import NOT_THERE, FileTooLarge, NoRegularFile, read_small_file


def test_a_file_is_read_with_what_tells_it_from_others(tmp_path: Path) -> None:
    path, link, other = tmp_path / "a", tmp_path / "link", tmp_path / "other"
    path.write_bytes(b"text")
    link.symlink_to(path)
    os.link(path, other)
    read = read_small_file(path, most=4)
    assert (read.data, read.owner, read.is_link) == (b"text", os.geteuid(), False)
    assert read_small_file(link, most=4).is_link
    assert {read_small_file(name, most=4).identity for name in (path, link, other)} == {read.identity}


def test_one_byte_too_many_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(FileTooLarge):
        read_small_file(tmp_path / "a", most=4)


def test_an_endless_device_is_no_file() -> None:
    with pytest.raises(NoRegularFile):
        read_small_file(Path("/dev/zero"), most=4)


def test_a_pipe_that_nobody_writes_into_does_not_hold_the_reader_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NoRegularFile):
        read_small_file(tmp_path / "pipe", most=4)


def test_neither_folder_nor_socket_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(NoRegularFile):
            read_small_file(Path("s"), most=4)
    with pytest.raises(NoRegularFile):
        read_small_file(tmp_path, most=4)


@pytest.mark.parametrize("name", ["gone", "gone/too", "x" * 5000, "loop"])
def test_what_is_not_there_is_told_by_its_number(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is the point
        read_small_file(tmp_path / name, most=4)
    assert caught.value.errno in NOT_THERE
