"""A file is read once for all that wait for it, and not loaded for requests that wait no longer."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from engine.prefix_cache.disk.read_queue import IsWanted, ReadQueue
from engine.prefix_cache.disk.span_files import SpanFile


class Disk:
    """Answers a read when a test opens the gate, and then loads it if it is still wanted."""

    def __init__(self) -> None:
        self.gate, self.began = threading.Event(), threading.Event()
        self.loaded: list[str] = []
        self.queue = ReadQueue(self.read)

    def read(self, file: SpanFile, is_wanted: IsWanted) -> Any:
        self.began.set()
        assert self.gate.wait(30)
        if not is_wanted():
            return None
        self.loaded.append(file.id)
        return [file.id]


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    disk.queue.start()
    yield disk
    disk.gate.set()
    disk.queue.close(30)


def span(identity: str) -> SpanFile:
    return SpanFile(identity, "", 0, 1, "rows", "main", "")


def test_two_requests_share_one_read(disk: Disk) -> None:
    done = [threading.Event(), threading.Event()]
    reads = [disk.queue.load(span("a"), one.set) for one in done]
    disk.gate.set()
    assert all(one.wait(30) for one in done)
    assert reads[0] is reads[1]
    assert (reads[0].content, disk.loaded) == (["a"], ["a"])


@pytest.mark.parametrize("begun", [True, False])
def test_a_read_that_all_requests_cancelled_allocates_nothing(disk: Disk, begun: bool) -> None:
    wanted = [True, True]
    done = [threading.Event() for _ in range(3)]
    if not begun:
        disk.queue.load(span("before"), done[2].set)
    reads = [disk.queue.load(span("a"), done[n].set, lambda n=n: wanted[n]) for n in range(2)]  # type: ignore[misc]
    assert disk.began.wait(30)
    wanted[:] = [False, False]
    disk.gate.set()
    assert all(one.wait(30) for one in done[:2])
    assert reads[0].content is None
    assert disk.loaded == ([] if begun else ["before"])
    again = threading.Event()
    read = disk.queue.load(span("a"), again.set)
    assert again.wait(30)
    assert read.content == ["a"]


def test_a_read_that_one_of_two_requests_cancelled_is_loaded(disk: Disk) -> None:
    done = threading.Event()
    disk.queue.load(span("a"), lambda: None, lambda: False)
    read = disk.queue.load(span("a"), done.set)
    disk.gate.set()
    assert done.wait(30)
    assert read.content == ["a"]


def test_the_queue_does_not_keep_content_alive_once_a_request_is_notified(disk: Disk) -> None:
    class Content:
        pass

    content = [Content()]
    alive = weakref.ref(content[0])

    def read(file: SpanFile, is_wanted: IsWanted) -> Any:
        assert disk.gate.wait(30)
        return content.pop()

    disk.queue._read = read
    reads: list[Any] = []
    seen: list[Any] = []
    done = threading.Event()

    def take() -> None:
        reads.clear()
        seen.append(alive())
        done.set()

    reads.append(disk.queue.load(span("a"), take))
    disk.gate.set()
    assert done.wait(30)
    assert seen == [None]
