"""The limits of the disk tier: a budget, a daily limit of writes, and free space left to others."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable
from pathlib import Path

from engine.prefix_cache.disk.folder import CacheFolder, in_order_of_removal
from engine.prefix_cache.disk.index import SpanIndex
from engine.prefix_cache.interface import Kind

_MEASURE_SHARE = 1 / 100  # of the budget, written between two measurements of other models' files
_SLACK = 1 / 100  # of the budget, freed in addition, so that not every write has to free room
_RETRY_SHARE = 1 / 16  # of the reserve: the additional free space that is worth a retry
_RESERVE_BYTES = 1 << 30
_MAC_RESERVE_SHARE = 1 / 20
_MAC_LEAST_RESERVE_BYTES, _MAC_MOST_RESERVE_BYTES = 10_000_000_000, 100_000_000_000
_SHARED_PREFIX_SHARE = 1 / 10  # of the daily limit, for shared prefixes only
_SPARE_SHARE = 1 / 2  # of the daily limit, what side requests may use of it


def reserve_bytes(total: int, system: str | None = None) -> int:
    """Bytes to leave free on a disk of `total` bytes.

    macOS creates swap files on demand, and does so with a large model when memory is short: a disk that the
    cache has filled would then stop the machine. Their size follows memory, not the disk, so the reserve is
    bounded.
    """
    if (system or platform.system()) == "Darwin":
        share = int(total * _MAC_RESERVE_SHARE)
        return min(max(_MAC_LEAST_RESERVE_BYTES, share), _MAC_MOST_RESERVE_BYTES)
    return _RESERVE_BYTES


class DiskLimits:
    """The bytes below one root; any thread may write, after `make_room` and `count`."""

    def __init__(
        self,
        folder: CacheFolder,
        index: SpanIndex,
        *,
        max_bytes: int,
        max_daily_bytes: int,
        keep_free_bytes: int | None,
        free_bytes: Callable[[Path], int],
        total_bytes: Callable[[Path], int],
    ) -> None:
        self.max_bytes = max_bytes
        self.max_daily_bytes = max_daily_bytes
        self.answer_bytes = 0  # of this model's answers
        self._folder = folder
        self._index = index
        self._asked_to_keep_free = keep_free_bytes
        self._keep_free_bytes = keep_free_bytes or 0
        self._free_bytes = free_bytes
        self._total_bytes = total_bytes
        self._removing_helps = True  # removing files frees space; snapshots may prevent it
        self._written = "", 0  # a day, and the bytes written on it
        self._other_bytes = 0  # of other models
        self._since_measured = 0  # bytes written since these were measured
        self._lock = threading.RLock()

    def refresh(self) -> None:
        """Read the disk's size, other models' bytes and what was written today."""
        if self._asked_to_keep_free is None:
            try:
                self._keep_free_bytes = reserve_bytes(self._total_bytes(self._folder.path))
            except OSError:
                self._keep_free_bytes = reserve_bytes(0)
        with self._lock:
            self._measure_others()
        self._written = self._folder.day(), self._folder.written_today()

    @property
    def written_today(self) -> int:
        """Bytes written today, as far as is known; does not read the disk."""
        day, nbytes = self._written
        return nbytes if day == self._folder.day() else 0

    def allows_today(self, nbytes: int, kind: Kind, *, spare: bool = False) -> bool:
        """Whether so many more bytes may be written today; the last tenth is for shared prefixes.

        `spare`: for a side request, which leaves half of them to conversations.
        """
        share = _SPARE_SHARE if spare else 1 if kind == "head" else 1 - _SHARED_PREFIX_SHARE
        cap = self.max_daily_bytes * share
        if self.written_today + nbytes > cap:
            self._written = self._folder.day(), self._folder.written_today()  # other engines write too
        return self.written_today + nbytes <= cap

    def count(self, nbytes: int) -> None:
        """Count bytes that are about to be written.

        Raises:
            OSError: the count cannot be stored.
        """
        with self._lock:
            self._written = self._folder.day(), self._folder.count_written(nbytes)
            self._since_measured += nbytes

    def make_room(self, nbytes: int, *, spare: bool = False) -> bool:
        """Remove the least valuable files until so many bytes fit; returns whether they fit the budget.

        Files of models that no engine uses are removed first. For a `spare` file none is removed.

        Raises:
            OSError: the disk has too little free space.
        """
        lacking = nbytes + self._keep_free_bytes - self.free()
        if spare:
            return lacking <= 0 and self.fit(nbytes, spare=True)
        if lacking > 0 and self._removing_helps and lacking <= self._index.nbytes + self._other_bytes:
            with self._lock:
                self._remove(lacking)
            lacking = nbytes + self._keep_free_bytes - self.free()
            self._removing_helps = lacking <= 0
        if lacking > 0:
            raise OSError(
                f"the disk is almost full: {self.free() / 1e9:.1f} GB are free, and"
                f" {self._keep_free_bytes / 1e9:.1f} GB are left to others"
            )
        return self.fit(nbytes)

    def free(self) -> int:
        """Bytes that are free on the disk.

        Raises:
            OSError: the folder is gone.
        """
        return self._free_bytes(self._folder.path)

    def retry_bytes(self, nbytes: int) -> int:
        """How many more bytes have to be free to retry a file that did not fit."""
        return max(nbytes, int(self._keep_free_bytes * _RETRY_SHARE))

    def fit(self, nbytes: int, *, spare: bool = False) -> bool:
        """Like `make_room`, for a file that is on disk and not counted yet."""
        with self._lock:
            return self._over(nbytes) <= 0 if spare else self._fit(nbytes)

    def _fit(self, nbytes: int) -> bool:
        if self._since_measured > self.max_bytes * _MEASURE_SHARE:
            self._measure_others()
        over = self._over(nbytes)
        if over <= 0:
            return True
        if nbytes > self.max_bytes:
            return False
        over = self._remove_others(over + int(self.max_bytes * _SLACK))
        others = self._other_bytes + self.answer_bytes
        if nbytes + others > self.max_bytes:  # not even without this model's spans
            return False
        self._remove_own(over)
        return self._over(nbytes) <= 0

    def _remove(self, nbytes: int) -> None:
        self._remove_own(self._remove_others(nbytes))

    def _remove_others(self, nbytes: int) -> int:
        """Remove up to so many bytes of models that no engine uses; returns the bytes still to remove."""
        if self._other_bytes:
            nbytes -= self._folder.free_others(nbytes)
            self._measure_others()
        return nbytes

    def _measure_others(self) -> None:
        """Measure other models' files; other engines may write too, and each enforces the common budget."""
        self._other_bytes = self._folder.other_bytes()
        self._since_measured = 0

    def _remove_own(self, nbytes: int) -> None:
        for file in in_order_of_removal(self._index.files()) if nbytes > 0 else ():
            if nbytes <= 0:
                break
            nbytes -= file.nbytes
            self._index.remove(file)
            self._folder.path_of(file).unlink(missing_ok=True)

    def _over(self, nbytes: int) -> int:
        return self._index.nbytes + self.answer_bytes + self._other_bytes + nbytes - self.max_bytes
