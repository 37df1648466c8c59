"""The answers of `engine.prompts.answer_memory` on disk, to render history from them after a kill.

Each model has one file, with a line for each answer: a digest of the line, and as JSON the answer's name, the
digest of the prompt before it, its opening, its token ids, and what the client got of it. Appending costs one
small write an answer; a file for each answer, or a database, costs several, and thousands of files to read at
the start. A truncated or damaged line does not match its digest and is skipped; the next line break starts
the next answer. The digest includes the model and its tokenizer, so that another model's lines do not match
either. When the file is full, or has unusable lines, it is rewritten from memory under a temporary name,
synced and renamed.

An appended answer survives a SIGKILL; it is then synced, as spans are. Writes count in the budget and the
daily limit of the disk tier. After failed or refused writes, the next one adds all answers that the file
lacks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import orjson
import xxhash

from engine.prefix_cache.disk.backoff import WriteBackoff
from engine.prefix_cache.disk.folder import UNFINISHED_ANSWERS
from engine.prefix_cache.disk.limits import DiskLimits
from engine.prefix_cache.disk.span_files import sync_folder, sync_path
from engine.process.private_files import open_private
from engine.prompts.answer_memory import KeptAnswer

_log = logging.getLogger(__name__)

_FORMAT = 1
_MOST_BYTES = 24 << 20  # of the file; half of it is enough for the memory's limit of a million tokens
_BUDGET_SHARE = 1 / 16  # of the disk's budget
_FULL_SHARE = 1 / 2  # of the file, filled when it is rewritten

Entry = tuple[str, KeptAnswer]


class AnswerLog:
    """The file of one model's answers. Call `read`, then `start`; after that any thread may `add`."""

    def __init__(self, path: Path, identity: str, limits: DiskLimits, backoff: WriteBackoff) -> None:
        """`identity` names model, tokenizer and template; answers of another identity are skipped.

        `backoff` is for answers only.
        """
        self._path = path
        self._seed = f"{_FORMAT}:{identity}:".encode()
        self._limits = limits
        self._backoff = backoff
        self._most_bytes = min(_MOST_BYTES, int(limits.max_bytes * _BUDGET_SHARE))
        self._all_answers: Callable[[], list[Entry]] = list
        self._changed = threading.Condition()
        self._waiting: list[tuple[Entry, Future[None]]] = []
        self._busy = self._closing = False
        self._is_saving = False
        self._is_behind = False  # the file has unusable lines, or lacks answers
        self._refused_bytes = 0  # size of the last rewrite that the daily limit refused
        self._logged: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="answer-log", daemon=True)

    @property
    def has_failed(self) -> bool:
        """Whether the last write failed; any thread may ask."""
        return self._backoff.has_failed

    def read(self) -> list[Entry]:
        """All usable answers, oldest first; unusable ones are logged."""
        try:
            content = self._path.read_bytes() if self._path.exists() else b""
            self._unfinished.unlink(missing_ok=True)
        except OSError as error:
            _log.warning(
                "the answers in %s cannot be read (%s); history may be computed again", self._path, error
            )
            return []
        self._is_saving = True
        self._limits.answer_bytes = len(content)
        self._is_behind = len(content) > self._most_bytes
        found, unusable = [], 0
        for line in content.splitlines(keepends=True):
            entry = entry_from(line, self._seed)
            if entry is None:
                unusable += 1
            else:
                found.append(entry)
        if unusable:
            self._is_behind = True
            _log.warning(
                "%d of %d answers in %s were skipped: damaged, truncated, or of another tokenizer or chat"
                " template; the history behind them is computed again",
                unusable,
                unusable + len(found),
                self._path,
            )
        return found

    def start(self, all_answers: Callable[[], list[Entry]]) -> None:
        """Start the thread; `all_answers` returns the answers for a rewrite, the most important last."""
        self._all_answers = all_answers
        self._busy = self._is_behind
        self._thread.start()

    def add(self, name: str, answer: KeptAnswer) -> Future[None]:
        """Save an answer; the future is done once it survives the process, or will not be saved."""
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # it cannot be cancelled
        with self._changed:
            if self._is_saving and not self._closing:
                self._waiting.append(((name, answer), done))
                self._changed.notify_all()
                return done
        done.set_result(None)
        return done

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until all added answers are on disk; returns whether they are in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._busy), timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Write waiting answers and stop the thread; returns whether it stopped in time."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # On the thread

    def _run(self) -> None:
        if self._is_behind:
            self._save([])
        while batch := self._next():
            self._save(batch)

    def _save(self, batch: list[tuple[Entry, Future[None]]]) -> None:
        content = b"".join(line_of(entry, self._seed) for entry, _ in batch)
        wrote = self._try(self._write, content)
        for _, done in batch:
            done.set_result(None)
        if wrote and self._try(self._sync, content) and self._backoff.record_success():
            _log.warning("answers are saved to %s again", self._path)
        with self._changed:
            self._busy = False
            self._changed.notify_all()

    def _next(self) -> list[tuple[Entry, Future[None]]]:
        """All waiting answers; none once the log is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            batch, self._waiting = self._waiting, []
            self._busy = bool(batch)
            return batch

    def _try(self, action: Callable[[bytes], bool], content: bytes) -> bool:
        """Run `action`; on an error start the backoff and return false."""
        try:
            return action(content)
        except OSError as error:
            self._is_behind = True
            if self._backoff.record_failure(self._limits.retry_bytes(len(content))):
                _log.warning(
                    "answers are not saved to %s for now (%s); existing ones stay in use. Saving is retried"
                    " after a pause, and at once when the disk has more room",
                    self._path,
                    error,
                )
        except Exception as error:
            self._stop_saving(error)
        return False

    def _write(self, content: bytes) -> bool:
        """Append answers, or rewrite the file if it is due; returns false if a limit refuses."""
        if not self._is_saving:
            return False
        size = self._size()
        rewrite = self._is_behind or size + len(content) > self._most_bytes
        self._is_behind = True  # until the write is done
        if self._backoff.is_active():
            return False
        # A rewrite takes a while: do not build one that would be refused.
        if not self._allows(max(len(content), self._refused_bytes)):
            return False
        if rewrite:
            content = self._all()
            if not self._allows(len(content)):
                self._refused_bytes = len(content)
                return False
        self._refused_bytes = 0
        self._limits.answer_bytes = 0 if rewrite else size
        try:
            if not self._limits.make_room(len(content)):
                self._log_once("the disk budget is full; raise diskCacheBytes")
                return False
            self._limits.count(len(content))
            if rewrite:
                self._replace(content)
            else:
                _append(self._path, content)
        finally:
            self._limits.answer_bytes = self._size()
        self._is_behind = False
        return True

    def _allows(self, nbytes: int) -> bool:
        if self._limits.allows_today(nbytes, "main"):
            return True
        self._log_once("the daily limit of writes is reached; raise diskWritesPerDayBytes")
        return False

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _all(self) -> bytes:
        """The newest answers, up to a share of the file that leaves room for more."""
        lines: list[bytes] = []
        room = int(self._most_bytes * _FULL_SHARE)
        for entry in reversed(self._all_answers()):
            line = line_of(entry, self._seed)
            if len(line) <= room:
                room -= len(line)
                lines.append(line)
        return b"".join(reversed(lines))

    def _replace(self, content: bytes) -> None:
        self._unfinished.unlink(missing_ok=True)
        try:
            _append(self._unfinished, content)
            sync_path(self._unfinished)
            self._unfinished.rename(self._path)
        except OSError:  # free the room on a full disk
            self._unfinished.unlink(missing_ok=True)
            raise
        sync_folder(self._path.parent)

    def _sync(self, _: bytes) -> bool:
        sync_path(self._path)
        return True

    def _stop_saving(self, error: Exception) -> None:
        self._is_saving = False
        _log.warning(
            "answers can no longer be saved to %s (%s); existing ones stay in use. Fix the cause and restart"
            " to save more",
            self._path,
            error,
        )

    def _log_once(self, why: str) -> None:
        if why not in self._logged:
            self._logged.add(why)
            _log.warning("answers are not saved for now, and history may be computed again: %s", why)

    @property
    def _unfinished(self) -> Path:
        return self._path.with_name(UNFINISHED_ANSWERS)


def line_of(entry: Entry, seed: bytes) -> bytes:
    """An answer as a line of the file, with its digest over `seed`."""
    name, answer = entry
    described = {
        "name": name,
        "before": answer.before.hex(),
        "opening": answer.opening,
        "tokens": answer.tokens,
    }
    if answer.sent:
        described["sent"] = answer.sent
    content = orjson.dumps(described)
    return _digest(seed, content) + b" " + content + b"\n"


def entry_from(line: bytes, seed: bytes) -> Entry | None:
    """The entry that `line_of` wrote with the same seed; None for any other line."""
    digest, _, content = line.partition(b" ")
    if not content.endswith(b"\n") or _digest(seed, content[:-1]) != digest:
        return None
    try:
        fields = orjson.loads(content)
        before = bytes.fromhex(fields["before"])
        opening, tokens, sent = str(fields["opening"]), tuple(fields["tokens"]), str(fields.get("sent", ""))
        return str(fields["name"]), KeptAnswer(before, opening, tokens, sent)
    except (ValueError, KeyError, TypeError):
        return None


def _digest(seed: bytes, content: bytes) -> bytes:
    return xxhash.xxh3_128_hexdigest(seed + content).encode()


def _append(path: Path, content: bytes) -> None:
    with open_private(path, "ab") as stream:
        stream.write(content)
