"""The answers of `engine.prompts.answer_memory` on disk: history is rendered from them after a kill as well.

One file for each model, to which a line is appended for each answer: the digest of the line and, as JSON, the
answer's name, its digest of what stood before it, its opening, and its token ids. One append costs an answer
of a few hundred bytes one small write, where a file for each, or a database, costs several and a directory of
thousands of files to be read at the start. A line is whole or not: what a kill cut or a disk damaged does not
fit its digest and is passed over, and the next line break begins the next answer. The digest is over the
model and its tokenizer too, so that lines of others do not fit either. When the file is full, or has such
lines, it is written anew from the memory: under another name, synced and renamed.

An answer is in the hands of the system once it is appended, which outlives a SIGKILL; then it is synced, as
spans are. What is written is counted in the budget and the day's cap of the disk tier. After a time in which
the disk would not take them, or the cap not allow them, the next answer brings all that the file lacks.
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
_MOST_BYTES = 24 << 20  # of the file; half of it holds the million tokens that the memory has at most
_BUDGET_SHARE = 1 / 16  # of the disk's budget, at most
_FULL_SHARE = 1 / 2  # of the file, that is taken when it is written anew

Entry = tuple[str, KeptAnswer]


class AnswerLog:
    """The file of one model's answers; `read` comes first, then `start`, then any thread may `add`."""

    def __init__(self, path: Path, identity: str, limits: DiskLimits, backoff: WriteBackoff) -> None:
        """`identity` stands for all that answers must not be mixed with: model, tokenizer, template.

        `backoff` is for the answers alone.
        """
        self._path = path
        self._seed = f"{_FORMAT}:{identity}:".encode()
        self._limits = limits
        self._backoff = backoff
        self._most_bytes = min(_MOST_BYTES, int(limits.max_bytes * _BUDGET_SHARE))
        self._held: Callable[[], list[Entry]] = list
        self._changed = threading.Condition()
        self._waiting: list[tuple[Entry, Future[None]]] = []
        self._busy = self._closing = False
        self._is_saving = False
        self._is_behind = False  # the file has what is of no use, or lacks what the memory has
        self._refused_bytes = 0  # of the last new file that the day's cap did not allow
        self._logged: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="answer-log", daemon=True)

    @property
    def has_failed(self) -> bool:
        """Whether the disk would not take the last answer; any thread may ask."""
        return self._backoff.has_failed

    def read(self) -> list[Entry]:
        """All answers that can be used, oldest first; of the others people are told."""
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
        found, faults = [], 0
        for line in content.splitlines(keepends=True):
            entry = entry_from(line, self._seed)
            if entry is None:
                faults += 1
            else:
                found.append(entry)
        if faults:
            self._is_behind = True
            _log.warning(
                "%d of %d answers in %s were passed over: damaged, half written or of another tokenizer"
                " or chat template; what follows them is computed again",
                faults,
                faults + len(found),
                self._path,
            )
        return found

    def start(self, held: Callable[[], list[Entry]]) -> None:
        """Start the thread; `held` gives all answers for a new file, the one to lose last at the end."""
        self._held = held
        self._busy = self._is_behind
        self._thread.start()

    def add(self, name: str, answer: KeptAnswer) -> Future[None]:
        """Save an answer; done once it outlives the process, or will not be saved."""
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # from here on nobody can cancel it
        with self._changed:
            if self._is_saving and not self._closing:
                self._waiting.append(((name, answer), done))
                self._changed.notify_all()
                return done
        done.set_result(None)
        return done

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Whether all that was added is on disk in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._busy), timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Write what waits and end the thread; whether it has ended in time."""
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
        """All that waits; nothing once the log is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            batch, self._waiting = self._waiting, []
            self._busy = bool(batch)
            return batch

    def _try(self, action: Callable[[bytes], bool], content: bytes) -> bool:
        """What `action` returns; after an error false, and the next answers have to wait."""
        try:
            return action(content)
        except OSError as error:
            self._is_behind = True
            if self._backoff.record_failure(self._limits.room_for(len(content))):
                _log.warning(
                    "answers are not saved to %s for now (%s); what is there is kept and used. It is tried"
                    " again by and by, and at once when there is more room",
                    self._path,
                    error,
                )
        except Exception as error:
            self._give_up(error)
        return False

    def _write(self, content: bytes) -> bool:
        """Append answers, or write all anew where that is due; false where the limits do not let it."""
        if not self._is_saving:
            return False
        size = self._size()
        anew = self._is_behind or size + len(content) > self._most_bytes
        self._is_behind = True  # until it is known that it is not
        if self._backoff.is_active():
            return False
        # Building a new file takes a while: not where it is known that it would be refused.
        if not self._allows(max(len(content), self._refused_bytes)):
            return False
        if anew:
            content = self._all()
            if not self._allows(len(content)):
                self._refused_bytes = len(content)
                return False
        self._refused_bytes = 0
        self._limits.answer_bytes = 0 if anew else size
        try:
            if not self._limits.make_room(len(content)):
                self._log_once("the disk has no room for them; raise disk_cache_bytes")
                return False
            self._limits.count(len(content))
            if anew:
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
        self._log_once("as much as may be is written today; raise disk_writes_per_day_bytes")
        return False

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _all(self) -> bytes:
        """The newest answers, as many as leave room for others behind them."""
        lines: list[bytes] = []
        room = int(self._most_bytes * _FULL_SHARE)
        for entry in reversed(self._held()):
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
        except OSError:  # a full disk has no room for what is of no use
            self._unfinished.unlink(missing_ok=True)
            raise
        sync_folder(self._path.parent)

    def _sync(self, _: bytes) -> bool:
        sync_path(self._path)
        return True

    def _give_up(self, error: Exception) -> None:
        self._is_saving = False
        _log.warning(
            "answers can no longer be saved to %s (%s); what is there is kept and used. Make room and start"
            " again to save more",
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
    """An answer as a line of the file, for who knows `seed`."""
    name, answer = entry
    described = {
        "name": name,
        "before": answer.before.hex(),
        "opening": answer.opening,
        "tokens": answer.tokens,
    }
    content = orjson.dumps(described)
    return _digest(seed, content) + b" " + content + b"\n"


def entry_from(line: bytes, seed: bytes) -> Entry | None:
    """What `line_of` wrote with the same seed; None for anything else."""
    digest, _, content = line.partition(b" ")
    if not content.endswith(b"\n") or _digest(seed, content[:-1]) != digest:
        return None
    try:
        held = orjson.loads(content)
        before = bytes.fromhex(held["before"])
        return str(held["name"]), KeptAnswer(before, str(held["opening"]), tuple(held["tokens"]))
    except (ValueError, KeyError, TypeError):
        return None


def _digest(seed: bytes, content: bytes) -> bytes:
    return xxhash.xxh3_128_hexdigest(seed + content).encode()


def _append(path: Path, content: bytes) -> None:
    with open_private(path, "ab") as stream:
        stream.write(content)
