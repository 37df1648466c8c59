"""How much the disk tier may hold and write: a budget, a cap for each day, and room left to others."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable
from pathlib import Path

from engine.prefix_cache.disk.folder import CacheFolder, in_order_of_removal
from engine.prefix_cache.disk.index import SpanIndex
from engine.prefix_cache.interface import Kind

_LOOK_SHARE = 1 / 100  # of the budget, written between two looks at what other models have
_SLACK = 1 / 100  # of the budget, freed beyond what is needed, so that not every file looks for room
_ROOM_SHARE = 1 / 16  # of what is left free: so much more has to be free than before, to be called room
_RESERVE_BYTES = 1 << 30
_MAC_RESERVE_SHARE = 1 / 20
_MAC_LEAST_RESERVE_BYTES, _MAC_MOST_RESERVE_BYTES = 10_000_000_000, 100_000_000_000
_SHARED_PREFIX_SHARE = 1 / 10  # of what may be written in a day, for heads alone


def reserve_bytes(total: int, system: str | None = None) -> int:
    """Bytes that are left free for everybody else on a disk of `total` bytes.

    macOS makes swap files as it needs them, and with a large model it does when memory is short: a disk that
    a cache has filled then stops the whole machine. How much they take follows memory, not the disk: a
    very large one is not asked for more.
    """
    if (system or platform.system()) == "Darwin":
        share = int(total * _MAC_RESERVE_SHARE)
        return min(max(_MAC_LEAST_RESERVE_BYTES, share), _MAC_MOST_RESERVE_BYTES)
    return _RESERVE_BYTES


class DiskLimits:
    """Bytes below one root; any thread may write, as long as it makes room and counts before."""

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
        self._dropping_helps = True  # what is removed here becomes free; not so where snapshots keep it
        self._written = "", 0  # a day, and the bytes that are known to be written on it
        self._other_bytes = 0  # of other models
        self._since_look = 0  # bytes written since these were looked at
        self._lock = threading.RLock()

    def look(self) -> None:
        """Learn how large the disk is, what others have and what was written today."""
        if self._asked_to_keep_free is None:
            try:
                self._keep_free_bytes = reserve_bytes(self._total_bytes(self._folder.path))
            except OSError:
                self._keep_free_bytes = reserve_bytes(0)
        with self._lock:
            self._look_at_others()
        self._written = self._folder.day(), self._folder.written_today()

    @property
    def written_today(self) -> int:
        """Bytes that are known to be written today; the disk is not read."""
        day, nbytes = self._written
        return nbytes if day == self._folder.day() else 0

    def allows_today(self, nbytes: int, kind: Kind) -> bool:
        """Whether so many bytes more may be written today; the last tenth is for heads."""
        cap = self.max_daily_bytes * (1 if kind == "head" else 1 - _SHARED_PREFIX_SHARE)
        if self.written_today + nbytes > cap:
            self._written = self._folder.day(), self._folder.written_today()  # others write too
        return self.written_today + nbytes <= cap

    def count(self, nbytes: int) -> None:
        """Count what is about to be written.

        Raises:
            OSError: the count cannot be kept.
        """
        with self._lock:
            self._written = self._folder.day(), self._folder.count_written(nbytes)
            self._since_look += nbytes

    def make_room(self, nbytes: int) -> bool:
        """Remove what is worth least until so many bytes fit into the budget; false where they cannot.

        Files of models that no engine uses go first.

        Raises:
            OSError: the disk has not that much to spare.
        """
        lacking = nbytes + self._keep_free_bytes - self.free()
        if lacking > 0 and self._dropping_helps and lacking <= self._index.nbytes + self._other_bytes:
            with self._lock:
                self._remove(lacking)
            lacking = nbytes + self._keep_free_bytes - self.free()
            self._dropping_helps = lacking <= 0
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

    def room_for(self, nbytes: int) -> int:
        """How many bytes more have to be free, so that a file which did not fit is worth another try."""
        return max(nbytes, int(self._keep_free_bytes * _ROOM_SHARE))

    def fit(self, nbytes: int) -> bool:
        """Like `make_room`, for a file that is on the disk and not counted yet."""
        with self._lock:
            return self._fit(nbytes)

    def _fit(self, nbytes: int) -> bool:
        if self._since_look > self.max_bytes * _LOOK_SHARE:
            self._look_at_others()
        over = self._over(nbytes)
        if over <= 0:
            return True
        if nbytes > self.max_bytes:
            return False
        over = self._remove_others(over + int(self.max_bytes * _SLACK))
        others = self._other_bytes + self.answer_bytes
        if nbytes + others > self.max_bytes:  # not even if all of this model's spans went
            return False
        self._remove_own(over)
        return self._over(nbytes) <= 0

    def _remove(self, nbytes: int) -> None:
        self._remove_own(self._remove_others(nbytes))

    def _remove_others(self, nbytes: int) -> int:
        """Remove up to so many bytes of models that no engine uses; returns how many are still to go."""
        if self._other_bytes:
            nbytes -= self._folder.free_others(nbytes)
            self._look_at_others()
        return nbytes

    def _look_at_others(self) -> None:
        """Other engines may be writing too; each keeps the budget for all as far as it knows of them."""
        self._other_bytes = self._folder.other_bytes()
        self._since_look = 0

    def _remove_own(self, nbytes: int) -> None:
        for file in in_order_of_removal(self._index.files()) if nbytes > 0 else ():
            if nbytes <= 0:
                break
            nbytes -= file.nbytes
            self._index.remove(file)
            self._folder.path_of(file).unlink(missing_ok=True)

    def _over(self, nbytes: int) -> int:
        return self._index.nbytes + self.answer_bytes + self._other_bytes + nbytes - self.max_bytes
