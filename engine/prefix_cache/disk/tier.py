"""The disk tier of the prefix cache: save, load and remove span files within limits.

It also holds the model's answers (`engine.prefix_cache.disk.answer_log`).

Files are written and read on separate threads (`engine.prefix_cache.disk.write_queue`,
`engine.prefix_cache.disk.read_queue`). No failure here fails a request: spans that cannot be saved or loaded
are computed again, and the reason is logged once.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from engine.prefix_cache.disk.answer_log import AnswerLog
from engine.prefix_cache.disk.backoff import WriteBackoff
from engine.prefix_cache.disk.encoding import NotSavable
from engine.prefix_cache.disk.folder import CacheFolder, FolderInUse, in_order_of_removal
from engine.prefix_cache.disk.index import SpanIndex
from engine.prefix_cache.disk.limits import DiskLimits
from engine.prefix_cache.disk.pin_file import FILE_NAME, PinFile
from engine.prefix_cache.disk.read_queue import IsWanted, OnDone, PendingRead, ReadQueue, always_wanted
from engine.prefix_cache.disk.safetensors_writing import write_safetensors
from engine.prefix_cache.disk.span_files import (
    BadSpanFile,
    Part,
    SpanFile,
    Write,
    read_span,
    span_id,
    write_span,
)
from engine.prefix_cache.disk.write_queue import WriteJob, WriteQueue
from engine.prefix_cache.interface import NO_DISK, Kind, TokenArray, last_evicted
from engine.prefix_cache.layers import KV, Checkpoint, nbytes_of
from engine.prompts.answer_memory import AnswerMemory
from engine.wire.feed import CacheEvent

_log = logging.getLogger(__name__)

QUEUE_BYTES = 1 << 30  # of the write queue; most of them are in the tree's budget as well
_REMEMBERED_REFUSALS = 10_000


class DiskTier:
    """The span files of one model. Call `open`, `save`, `load`, `remove` and `touch` on one thread."""

    def __init__(
        self,
        root: Path,
        fingerprint: str,
        *,
        max_bytes: int,
        max_daily_bytes: int,
        queue_bytes: int = QUEUE_BYTES,
        keep_free_bytes: int | None = None,
        total_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).total,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        write: Write = write_safetensors,
    ) -> None:
        """`max_bytes` limits all files below `root`, `max_daily_bytes` the writes below it in a day.

        The fingerprint separates incompatible files: weights, versions, number types. `clock` returns epoch
        seconds, `free_bytes` and `total_bytes` the free bytes and the size of a folder's disk.
        `keep_free_bytes` are left to others; the default is `reserve_bytes` of the disk.
        """
        self._folder = CacheFolder(root, fingerprint, max_bytes=max_bytes, clock=clock)
        self.pins = PinFile(self._folder.path / FILE_NAME)
        self._index = SpanIndex()
        self._limits = DiskLimits(
            self._folder,
            self._index,
            max_bytes=max_bytes,
            max_daily_bytes=max_daily_bytes,
            keep_free_bytes=keep_free_bytes,
            free_bytes=free_bytes,
            total_bytes=total_bytes,
        )
        self._backoff = WriteBackoff(self._limits.free, monotonic)
        self._clock, self._monotonic = clock, monotonic
        self._write_file = write
        self._writer = WriteQueue(self._write, queue_bytes)
        self._loader = ReadQueue(self._read)
        self._answers: AnswerLog | None = None
        self._refused: set[str] = set()
        self._logged: set[str] = set()
        self._events: deque[tuple[CacheEvent, int, int]] = deque()
        self._loaded_tokens = self._skipped = self._quarantined = 0
        self._is_open = self._is_saving = False
        self._can_save = True

    @property
    def is_open(self) -> bool:
        """Whether the tier is in use: its folder could be locked."""
        return self._is_open

    def open(self) -> list[tuple[SpanFile, TokenArray]]:
        """Lock the folder, read its index and start the threads; on failure the tier stays closed."""
        try:
            self._folder.open()
            found, faults = self._folder.read_index()
        except FolderInUse:
            _log.warning("another engine uses %s; this one keeps prompts in memory only", self._folder.path)
            return []
        except OSError as error:
            _log.warning(
                "%s cannot be used (%s); prompts are kept in memory only. Make it a writable folder, or"
                " choose another home (--home)",
                self._folder.path,
                error,
            )
            return []
        if faults:
            _log.warning(
                "unusable files of the prefix cache in %s were quarantined (%d), first %s; their tokens are"
                " computed again",
                self._folder.path,
                len(faults),
                faults[0],
            )
            self._quarantined += len(faults)
            self._events.append(("set_aside", 0, 0))
        self._index.add_written(file for file, _ in found)
        self._limits.refresh()
        self._is_open = self._is_saving = True
        self._writer.start()
        self._loader.start()
        self._writer.run_soon(self._enforce_budget)
        return found

    def keep_answers(self, answers: AnswerMemory, tokenizer: str) -> None:
        """Load the answers on disk into a memory, and save its new ones from now on.

        `tokenizer` identifies the tokenizer and the chat template. Does nothing unless the tier is open.
        """
        if not self._is_open:
            return
        self._answers = AnswerLog(
            self._folder.answers,
            f"{self._folder.fingerprint}-{tokenizer}",
            self._limits,
            WriteBackoff(self._limits.free, self._monotonic),
        )
        answers.fill(self._answers.read(), self._answers.add)
        self._answers.start(answers.entries)
        self._writer.run_soon(self._enforce_budget)

    def save(
        self,
        parent: SpanFile | None,
        start: int,
        tokens: TokenArray,
        content: KV | Checkpoint,
        *,
        part: Part,
        kind: Kind,
        layout: str,
        spare: bool = False,
    ) -> SpanFile | None:
        """Queue a span with evaluated arrays, unless it is saved already; None if it is refused.

        A `spare` one is written only where that removes no file and leaves others half of the day's writes.
        """
        above = parent.id if parent is not None else ""
        identity = span_id(above, start, tokens, part)
        if (known := self._index.get(identity)) is not None:
            known.kind = last_evicted(known.kind, kind)
            return known
        if not self._is_saving or self._backoff.is_active():
            self._skip(identity)
            return None
        nbytes = nbytes_of(content, []) if part == "rows" else nbytes_of([], content)
        nbytes += tokens.nbytes
        file = SpanFile(identity, above, start, len(tokens), part, kind, layout, used=self._clock())
        if not self._limits.allows_today(self._writer.queued_bytes + nbytes, kind, spare=spare):
            self._refuse(
                file,
                "the prefix cache has reached its daily limit of writes and saves no more until tomorrow;"
                " raise diskWritesPerDayBytes to save more",
                log=not spare,
            )
            return None
        self._index.add(file)
        if not self._writer.put(WriteJob(file, tokens, content, nbytes, spare)):
            self._index.remove(file)
            self._refuse(file, "the disk is slower than the prefix cache grows; some spans are not saved")
            return None
        return file

    def load(self, file: SpanFile, on_done: OnDone, is_wanted: IsWanted = always_wanted) -> PendingRead:
        """Queue a file to be read; see `ReadQueue.load`."""
        self.touch([file])
        return self._loader.load(file, on_done, is_wanted)

    def remove(self, files: Sequence[SpanFile]) -> None:
        """Remove files that are no longer used."""
        paths = [self._folder.path_of(file) for file in files if file.state == "written"]
        for file in files:
            self._index.remove(file)

        def remove() -> None:
            for path in paths:
                path.unlink(missing_ok=True)

        if paths:
            self._writer.run_soon(remove)

    def remove_with_what_follows(self, files: Iterable[SpanFile]) -> tuple[int, int]:
        """Remove files and all that go on from them; returns how many were on disk, and their bytes."""
        found = self._index.below(files)
        written = [file for file in found if file.state == "written"]
        self.remove(found)
        return len(written), sum(file.nbytes for file in written)

    def flush_files(self) -> tuple[int, int]:
        """Remove all files but pinned ones and those that they go on from; returns as above."""
        queued = [file for file in self._index.files() if file.state == "queued" and not file.pinned]
        self.remove(queued)
        return self.remove_with_what_follows(list(in_order_of_removal(self._index.files())))

    def quarantine(self, files: Sequence[SpanFile], fault: str) -> None:
        """Move files to the quarantine and log why; any thread."""
        bad = [file for file in files if file.state == "written"]
        for file in files:
            self._index.remove(file)
        for file in bad:
            self._folder.quarantine(self._folder.path_of(file))
        if bad:
            self._quarantined += len(bad)
            tokens = sum(file.length for file in bad)
            self._events.append(("set_aside", tokens, sum(file.nbytes for file in bad)))
            _log.warning(
                "%d files of the prefix cache were quarantined, first %s: %s; %d tokens are computed again"
                " when they are needed",
                len(bad),
                bad[0].name,
                fault,
                tokens,
            )

    def touch(self, files: Iterable[SpanFile]) -> None:
        """Record the use of files, in memory now and on disk later."""
        now = self._clock()
        touched = list(files)
        for file in touched:
            file.used = now
        if touched and self._is_open:
            self._writer.run_soon(lambda: self._stamp(touched))

    def take_events(self) -> list[tuple[CacheEvent, int, int]]:
        """Return and clear the events since the last call: event, tokens and bytes of each."""
        return [self._events.popleft() for _ in range(len(self._events))]

    @property
    def queued_bytes(self) -> int:
        """Bytes of arrays in the write queue; any thread may ask."""
        return self._writer.queued_bytes

    def stats(self) -> dict[str, int]:
        """Counters and totals; any thread may ask."""
        return NO_DISK | {
            "disk_entries": self._index.entries,
            "disk_bytes": self._index.nbytes + self._limits.answer_bytes,
            "disk_budget_bytes": self._limits.max_bytes if self._is_open else 0,
            "disk_written_today_bytes": self._limits.written_today,
            "disk_daily_budget_bytes": self._limits.max_daily_bytes if self._is_open else 0,
            "disk_loaded_tokens": self._loaded_tokens,
            "disk_skipped": self._skipped,
            "disk_set_aside": self._quarantined,
            "disk_paused": int(self._is_open and (self._has_failed or not self._can_save)),
        }

    @property
    def _has_failed(self) -> bool:
        return self._backoff.has_failed or (self._answers is not None and self._answers.has_failed)

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until the queues are empty; returns whether they are in time."""
        answers = self._answers is None or self._answers.wait_until_idle(timeout_s)
        return not self._is_open or (self._writer.wait_until_idle(timeout_s) and answers)

    def close(self, timeout_s: float = 3.0) -> None:
        """Write queued files for at most `timeout_s`, stop the threads and unlock the folder."""
        if not self._is_open:
            return
        self._is_saving = False
        self._loader.close(timeout_s)
        answers_done = self._answers is None or self._answers.close(timeout_s)
        if self._writer.close(timeout_s) and answers_done:
            self._folder.close()
        self._is_open = False

    # On the writer's thread

    def _write(self, job: WriteJob) -> None:
        file = job.file
        if file.state == "gone":
            return
        if (
            not self._can_save
            or self._backoff.is_active()
            or (file.parent and file.parent not in self._index)
        ):
            self._give_up(file)
            return
        try:
            if not self._limits.make_room(job.nbytes, spare=job.spare):
                self._index.remove(file)
                why = "the disk budget of the prefix cache is full; raise diskCacheBytes"
                self._refuse(file, why, log=not job.spare)
                return
            self._limits.count(job.nbytes)
            write_span(
                self._folder.path, file, self._folder.fingerprint, job.tokens, job.content, self._write_file
            )
            fits = self._limits.fit(file.nbytes, spare=job.spare)  # its header's size was unknown before
        except NotSavable as error:
            self._give_up(file)
            self._can_save = self._is_saving = False
            _log.warning(
                "the prefix cache can no longer be saved to %s (%s); existing files stay in use",
                self._folder.path,
                error,
            )
            return
        except (OSError, RuntimeError, MemoryError) as error:
            self._give_up(file)
            if self._backoff.record_failure(self._limits.retry_bytes(job.nbytes)):
                _log.warning(
                    "the prefix cache is not saved to %s for now (%s); existing files stay in use. Saving is"
                    " retried after a pause, and at once when the disk has more room",
                    self._folder.path,
                    error,
                )
            return
        if self._backoff.record_success():
            _log.warning("the prefix cache is saved to %s again", self._folder.path)
        if fits and self._index.mark_written(file):
            self._events.append(("saved", file.length, file.nbytes))
        else:
            self._index.remove(file)
            self._folder.path_of(file).unlink(missing_ok=True)

    def _enforce_budget(self) -> None:
        """Remove files above the budget, which may be smaller than at the last start."""
        try:
            self._limits.fit(0)
        except OSError as error:  # the next write reports it
            _log.info("%s cannot be reduced to its budget: %s", self._folder.path, error)

    def _stamp(self, files: list[SpanFile]) -> None:
        for file in files:
            try:
                os.utime(self._folder.path_of(file), (file.used, file.used))
            except OSError:  # not written yet, or gone
                continue

    # On the loader's thread

    def _read(self, file: SpanFile, is_wanted: IsWanted) -> KV | Checkpoint | None:
        try:
            content = read_span(self._folder.path_of(file), file, is_wanted)
        except BadSpanFile as fault:
            self.quarantine([file], str(fault))
            return None
        except OSError as error:
            self._index.remove(file)
            _log.info("%s cannot be read and is computed again: %s", file.name, error)
            return None
        if content is not None:
            self._loaded_tokens += file.length
        return content

    def _refuse(self, file: SpanFile, why: str, *, log: bool = True) -> None:
        """Count a span that is not saved, and log each reason once."""
        self._skip(file.id)
        if log and why not in self._logged:
            self._logged.add(why)
            _log.warning("%s", why)

    def _give_up(self, file: SpanFile) -> None:
        self._index.remove(file)
        self._skip(file.id)

    def _skip(self, identity: str) -> None:
        """Count a span that is not saved, once for each span."""
        if identity in self._refused:
            return
        if len(self._refused) >= _REMEMBERED_REFUSALS:
            self._refused.clear()
        self._refused.add(identity)
        self._skipped += 1
