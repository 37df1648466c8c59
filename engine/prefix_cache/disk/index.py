"""The index of one model's span files by id; any thread may use it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from engine.prefix_cache.disk.span_files import SpanFile


class SpanIndex:
    """Files on disk or queued, and the bytes of those on disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, SpanFile] = {}
        self.nbytes = 0
        self.entries = 0  # files on disk

    def __contains__(self, identity: str) -> bool:
        return identity in self._files

    def get(self, identity: str) -> SpanFile | None:
        return self._files.get(identity)

    def files(self) -> list[SpanFile]:
        with self._lock:
            return list(self._files.values())

    def below(self, files: Iterable[SpanFile]) -> list[SpanFile]:
        """These files, and all that go on from them."""
        found = {file.id: file for file in files}
        for file in sorted(self.files(), key=lambda file: file.start):  # parents before children
            if file.parent in found:
                found[file.id] = file
        return list(found.values())

    def add_written(self, files: Iterable[SpanFile]) -> None:
        """Add files that are on disk already."""
        for file in files:
            self.add(file)
            self._count(file, 1)

    def add(self, file: SpanFile) -> None:
        """Add a file that is queued."""
        with self._lock:
            self._files[file.id] = file

    def mark_written(self, file: SpanFile) -> bool:
        """Record that a file is on disk; returns false if it was removed meanwhile."""
        with self._lock:
            if self._files.get(file.id) is not file:
                return False
            file.state = "written"
            self._count(file, 1)
            return True

    def remove(self, file: SpanFile) -> None:
        """Remove a file; its tokens have to be computed again."""
        with self._lock:
            if file.state == "written":
                self._count(file, -1)
            file.state = "gone"
            if self._files.get(file.id) is file:
                del self._files[file.id]

    def _count(self, file: SpanFile, sign: int) -> None:
        self.nbytes += sign * file.nbytes
        self.entries += sign
