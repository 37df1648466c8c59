"""How much the disk tier may hold and write: a budget, a cap for each day, and room left to others."""

from __future__ import annotations

import shutil
import threading

from engine.cache_folder import CacheFolder, in_order_of_removal
from engine.cache_index import SpanIndex
from engine.prefix_cache import Kind

_SLACK = 1 / 100  # of the budget, freed beyond what is needed, so that not every file looks for room
_HEADS_SHARE = 1 / 10  # of what may be written in a day, for heads alone


class DiskLimits:
    """Bytes below one root; any thread may write, as long as it makes room and counts before."""

    def __init__(
        self,
        folder: CacheFolder,
        index: SpanIndex,
        *,
        max_bytes: int,
        max_daily_bytes: int,
        keep_free_bytes: int,
    ) -> None:
        self.max_bytes = max_bytes
        self.written_today = 0
        self.answer_bytes = 0  # of this model's answers
        self._folder = folder
        self._index = index
        self._max_daily_bytes = max_daily_bytes
        self._keep_free_bytes = keep_free_bytes
        self._other_bytes = 0  # of other models
        self._lock = threading.RLock()

    def look(self) -> None:
        """Learn what others have and what was written today."""
        self._other_bytes = self._folder.other_bytes()
        self.written_today = self._folder.written_today()

    def allows_today(self, nbytes: int, kind: Kind) -> bool:
        """Whether so many bytes more may be written today; the last tenth is for heads."""
        cap = self._max_daily_bytes * (1 if kind == "head" else 1 - _HEADS_SHARE)
        if self.written_today + nbytes > cap:
            self.written_today = self._folder.written_today()  # it may be another day
        return self.written_today + nbytes <= cap

    def count(self, nbytes: int) -> None:
        """Count what is about to be written.

        Raises:
            OSError: the count cannot be kept.
        """
        with self._lock:
            self.written_today = self._folder.count_written(nbytes)

    def make_room(self, nbytes: int) -> bool:
        """Remove what is worth least until so many bytes fit into the budget; false where they cannot.

        Files of models that no engine uses go first.

        Raises:
            OSError: the disk has not that much to spare.
        """
        if shutil.disk_usage(self._folder.path).free < nbytes + self._keep_free_bytes:
            raise OSError("the disk is almost full")
        return self.fit(nbytes)

    def fit(self, nbytes: int) -> bool:
        """Like `make_room`, for a file that is on the disk and not counted yet."""
        with self._lock:
            return self._fit(nbytes)

    def _fit(self, nbytes: int) -> bool:
        over = self._over(nbytes)
        if over <= 0:
            return True
        if nbytes > self.max_bytes:
            return False
        over += int(self.max_bytes * _SLACK)
        if self._other_bytes:
            over -= self._folder.free_others(over)
            self._other_bytes = self._folder.other_bytes()
        others = self._other_bytes + self.answer_bytes
        if nbytes + others > self.max_bytes:  # not even if all of this model's spans went
            return False
        for file in in_order_of_removal(self._index.files()) if over > 0 else ():
            if over <= 0:
                break
            over -= file.nbytes
            self._index.lose(file)
            self._folder.path_of(file).unlink(missing_ok=True)
        return self._over(nbytes) <= 0

    def _over(self, nbytes: int) -> int:
        return self._index.nbytes + self.answer_bytes + self._other_bytes + nbytes - self.max_bytes
