"""The folder of one model's span files, below a root that models share; one engine locks it at a time.

`<root>/<fingerprint>/` holds span files and the model's answers (`engine.prefix_cache.disk.answer_log`),
`<root>/set-aside/` the quarantine of damaged files, for diagnosis. Folders are 0700 and files
0600, since they hold prompts. The user may keep other files below the root; they are neither counted nor
changed: this module recognizes files by name, and other models' folders by their lock.
"""

from __future__ import annotations

import fcntl
import heapq
import logging
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import orjson

from engine.prefix_cache.disk.backup_exclusion import exclude_from_backups
from engine.prefix_cache.disk.span_files import (
    BadSpanFile,
    SpanFile,
    is_span_file,
    is_unfinished,
    read_header,
)
from engine.prefix_cache.interface import RANK, TokenArray
from engine.process.private_files import write_private

_log = logging.getLogger(__name__)

QUARANTINE = "set-aside"
ANSWERS, UNFINISHED_ANSWERS = "answers.jsonl", "writing-answers.jsonl"
_LOCK, _WRITTEN_TODAY = "lock", "written-today.json"
_MOST_QUARANTINED = 16  # files
_QUARANTINE_SHARE = 1 / 20  # of the budget, for quarantined files
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")


class FolderInUse(Exception):
    """Another engine has locked the folder; raised by `CacheFolder.open`."""


class CacheFolder:
    """The folder of one fingerprint, and what lies beside it below the root."""

    def __init__(
        self, root: Path, fingerprint: str, *, max_bytes: int, clock: Callable[[], float] = time.time
    ) -> None:
        """`max_bytes` is the budget of all files below the root; `DiskLimits` enforces it."""
        self.root = root
        self.path = root / fingerprint
        self.fingerprint = fingerprint
        self.max_bytes = max_bytes
        self._clock = clock
        self._lock = -1

    def open(self) -> None:
        """Create the folder and lock it. It is excluded from backups; the root is not, it may be the user's.

        Raises:
            FolderInUse: another engine has locked it.
            OSError: it cannot be created or written to.
        """
        for folder in (self.root, self.path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        exclude_from_backups(self.path)
        self._lock = _lock_folder(self.path)

    def close(self) -> None:
        """Unlock the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def read_index(self) -> tuple[list[tuple[SpanFile, TokenArray]], list[str]]:
        """All usable files, by their headers, and the faults of those that were quarantined.

        Files that an engine was writing when it ended are removed: nothing is damaged.
        """
        found: dict[str, tuple[SpanFile, TokenArray]] = {}
        faults, unfinished = [], 0
        for path in [Path(entry.path) for entry in os.scandir(self.path) if not entry.is_dir()]:
            if not is_span_file(path):
                continue
            try:
                if is_unfinished(path):
                    path.unlink()
                    unfinished += 1
                    continue
                file, tokens = read_header(path, self.fingerprint)
                if file.id in found:  # it was written again after a failed read
                    path.unlink()
                else:
                    found[file.id] = file, tokens
            except BadSpanFile as fault:
                self.quarantine(path)
                faults.append(f"{path.name}: {fault}")
            except OSError as error:
                faults.append(f"{path.name}: {error}")
        if unfinished:
            _log.info(
                "the last engine ended while it saved a part of the prefix cache (%d): it is computed again",
                unfinished,
            )
        return list(found.values()), faults

    def path_of(self, file: SpanFile) -> Path:
        return self.path / file.name

    @property
    def answers(self) -> Path:
        """The file of the model's answers."""
        return self.path / ANSWERS

    def quarantine(self, path: Path) -> None:
        """Move a file to the quarantine, and remove the oldest ones there above its limits."""
        folder = self.root / QUARANTINE
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            exclude_from_backups(folder)
            path.rename(folder / path.name)
            os.utime(folder / path.name, (self._clock(), self._clock()))
        except OSError:
            _remove(path)
        newest = sorted(_span_files(folder), key=lambda item: -item[2])
        total = 0
        for number, (old, size, _) in enumerate(newest):
            total += size
            if number >= _MOST_QUARANTINED or total > self.max_bytes * _QUARANTINE_SHARE:
                _remove(old)

    def other_bytes(self) -> int:
        """Bytes of other models' files and of quarantined ones."""
        others = sum(size for folder in self._other_folders() for _, size, _ in _files_of(folder))
        return others + sum(size for _, size, _ in _span_files(self.root / QUARANTINE))

    def free_others(self, wanted: int) -> int:
        """Remove files of models that no engine uses, up to `wanted` bytes; returns the bytes removed."""
        freed = 0
        for folder in sorted(self._other_folders(), key=_last_use):
            if freed >= wanted:
                break
            try:
                lock = _lock_folder(folder)
            except (FolderInUse, OSError):
                continue
            try:
                freed += _free(folder, wanted - freed)
            finally:
                os.close(lock)
        return freed

    def _other_folders(self) -> list[Path]:
        named = [path for path in self.root.iterdir() if _FINGERPRINT.fullmatch(path.name)]
        return [path for path in named if path != self.path and path.is_dir() and _is_ours(path)]

    # The day's count

    def written_today(self) -> int:
        """Bytes that all engines wrote below the root today (UTC)."""
        try:
            known = orjson.loads((self.root / _WRITTEN_TODAY).read_bytes())
            return int(known["bytes"]) if known["day"] == self.day() else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def count_written(self, nbytes: int) -> int:
        """Add to the day's count; returns it. Of two engines that write at once one count may be lost."""
        total = self.written_today() + nbytes
        write_private(self.root / _WRITTEN_TODAY, orjson.dumps({"day": self.day(), "bytes": total}))
        return total

    def day(self) -> str:
        """Today's date (UTC)."""
        return time.strftime("%Y-%m-%d", time.gmtime(self._clock()))


def in_order_of_removal(files: Iterable[SpanFile]) -> Iterator[SpanFile]:
    """Files in order of removal: by kind and last use, children before parents.

    Files whose parent is missing come first: they are of no use for now. Pinned ones, and those that they go
    on from, are in none.
    """
    known = {file.id: file for file in files}
    children = Counter(file.parent for file in known.values())
    lost: set[str] = set()
    for file in sorted(known.values(), key=lambda file: file.start):  # parents before children
        if file.parent and (file.parent not in known or file.parent in lost):
            lost.add(file.id)

    def worth(file: SpanFile) -> tuple[int, float, str]:
        return -1 if file.id in lost else RANK[file.kind], file.used, file.id

    def is_removable(file: SpanFile) -> bool:
        return file.state == "written" and not file.pinned and not children[file.id]

    leaves = [worth(file) for file in known.values() if is_removable(file)]
    heapq.heapify(leaves)
    while leaves:
        file = known[heapq.heappop(leaves)[2]]
        yield file
        children[file.parent] -= 1
        parent = known.get(file.parent)
        if parent is not None and is_removable(parent):
            heapq.heappush(leaves, worth(parent))


def _lock_folder(folder: Path) -> int:
    """Lock a folder; returns a descriptor that holds the lock until it is closed or the process ends."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            raise FolderInUse(folder) from error
        raise
    return lock


def _is_ours(folder: Path) -> bool:
    """Whether an engine created a folder: it has an empty lock file, or a span file of its fingerprint."""
    try:
        status = (folder / _LOCK).lstat()
        if stat.S_ISREG(status.st_mode) and not status.st_size:
            return True
    except OSError:  # the user may have removed it
        pass
    return any(_belongs(path) for path, _, _ in _span_files(folder))


def _belongs(path: Path) -> bool:
    try:
        read_header(path, path.parent.name)
    except (BadSpanFile, OSError):
        return False
    return True


def _free(folder: Path, wanted: int) -> int:
    """Remove files of another model, unusable ones first; returns the bytes removed."""
    files, freed = [], 0
    for path, size, _ in list(_span_files(folder)):
        try:
            files.append(read_header(path, folder.name)[0])
        except (BadSpanFile, OSError):
            freed += size if _remove(path) else 0
    for file in in_order_of_removal(files):
        if freed >= wanted:
            return freed
        freed += file.nbytes if _remove(folder / file.name) else 0
    for path, size, _ in list(_files_of(folder)) if freed < wanted else ():
        if not is_span_file(path):  # answers are of no use without span files
            freed += size if _remove(path) else 0
    return freed


def _files_of(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Span and answer files of a folder: path, size and last change."""
    for found in _files_in(folder):
        if is_span_file(found[0]) or found[0].name in (ANSWERS, UNFINISHED_ANSWERS):
            yield found


def _span_files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """The files of a folder that have a span file's name, whole or unfinished."""
    return (found for found in _files_in(folder) if is_span_file(found[0]))


def _files_in(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Path, size and last change of each file; folders and vanished files are skipped."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            if not entry.is_dir(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                yield Path(entry.path), status.st_size, status.st_mtime
        except OSError:
            continue


def _last_use(folder: Path) -> float:
    return max((changed for _, _, changed in _files_of(folder)), default=0.0)


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
