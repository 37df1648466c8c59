"""The lines of cache metrics: `requests-<UTC month>.jsonl`, one JSON object for each request.

A file only grows, by one process at a time (`.lock`), and has a request once. So it does not matter how
often, or by how many hosts, a request is added. Lines that cannot be read are quarantined: they move to
`requests-<month>.jsonl.damaged`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from engine.process.private_files import open_private, private_folder, write_private
from engine.wire.json_text import encode_json
from proxy.traces.analysis.facts import REQUEST_COLUMNS, Row
from proxy.traces.metrics.known_ids import KnownIds
from proxy.traces.reconcile import DAMAGED_SUFFIX

LINE_VERSION = 1  # grows when a field changes its meaning; readers ignore fields that they do not know
LOCKED_S = 5.0  # that a writer waits for another process
_PAUSE_S = 0.01
_LOCK = ".lock"

_LATEST = 253_370_764_800.0  # the year 9999, before which a request was received

_Count = Annotated[int, Field(ge=-(2**53), le=2**53)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class RequestLine(BaseModel):
    """One line; the fields are the columns of the index (`proxy.traces.analysis.facts`), times in seconds."""

    v: int
    id: Annotated[str, Field(max_length=80)]  # of a foreign file it may be empty
    time: Annotated[float, Field(ge=0, lt=_LATEST)]
    backend: str
    model: str
    upstream: str
    session: str
    lane: str
    failed: bool
    cancelled: bool
    input: _Count
    created: _Count
    read: _Count
    output: _Count
    ttft: _Number | None
    speed: _Number | None
    duration: _Number | None
    prefill: _Number | None
    restore: _Number | None
    own: Annotated[str, Field(max_length=80)] = ""


_FLAGS = frozenset(REQUEST_COLUMNS.index(name) for name in ("failed", "cancelled"))


class _AnyLine(BaseModel):
    """What lines of all versions have in common."""

    v: int
    id: str


@dataclass(slots=True)
class _Known:
    """What this process knows of a file: the requests in its first `size` bytes."""

    inode: int = 0
    size: int = 0
    ids: KnownIds = field(default_factory=KnownIds)


class RequestLines:
    """The files of one folder; its methods may be called from any thread.

    `notice` is told of what people should know, from whichever thread.
    """

    def __init__(self, folder: Path, *, notice: Callable[[str], None]) -> None:
        self.folder = folder
        self._notice = notice
        self._known: dict[str, _Known] = {}

    def add(self, rows: Iterable[Row]) -> int:
        """Add the requests that have no line yet; returns how many. Rows have `REQUEST_COLUMNS`.

        Raises:
            OSError: it cannot be written, or another process has held the lock for 5 s; no line is lost.
        """
        months: dict[str, dict[str, Row]] = {}
        for row in rows:
            months.setdefault(month_of(float(row[1])), {})[str(row[0])] = row  # type: ignore[arg-type]
        added = 0
        if months:
            with self._locked():
                for month, wanted in months.items():
                    added += self._append(month, wanted)
        return added

    def rows(self, since: float = 0.0, until: float = 0.0) -> Iterator[Row]:
        """All rows of the months from `since` to `until` (epoch seconds, 0: no bound), as they were added.

        Raises:
            OSError: the folder or a file is there and cannot be read.
        """
        for path in self.files():
            month = path.stem.removeprefix("requests-")
            if month < month_of(since) or (until and month > month_of(until)):
                continue
            damaged = newer = 0
            with path.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):  # being written now
                        break
                    try:
                        yield _row(line)
                    except _Newer:
                        newer += 1
                    except ValueError:
                        damaged += line != b"\n"
            if damaged:
                self._notice(f"{_lines(damaged)} of {path} cannot be read and are not counted")
            if newer:
                self._notice(
                    f"{_lines(newer)} of {path} of a newer anyclaude-tui: what it wrote stays as it is and is"
                    " not counted; update anyclaude-tui to count it"
                )

    def files(self) -> list[Path]:
        """The files, oldest month first."""
        return sorted(self.folder.glob("requests-[0-9][0-9][0-9][0-9]-[0-9][0-9].jsonl"))

    def _append(self, month: str, wanted: dict[str, Row]) -> int:
        path = self.folder / f"requests-{month}.jsonl"
        known = self._refreshed(path)
        new = {key: row for key, row in wanted.items() if key not in known.ids}
        if not new:
            return 0
        content = b"".join(_line(row) for row in new.values())
        try:
            with open_private(path, "ab") as file:
                file.write(content)
        except OSError:
            if path.exists():
                os.truncate(path, known.size)  # a part of it, on a full disk
            raise
        known.inode, known.size = path.stat().st_ino, known.size + len(content)
        for key in new:
            known.ids.add(key)
        return len(new)

    def _refreshed(self, path: Path) -> _Known:
        """What the file holds now; what cannot be read of it is quarantined."""
        try:
            file = path.stat()
        except FileNotFoundError:
            known = self._known[path.name] = _Known()
            return known
        known = self._known.setdefault(path.name, _Known(file.st_ino))
        if known.inode != file.st_ino or file.st_size < known.size:  # another process has repaired it
            known = self._known[path.name] = _Known(file.st_ino)
        damaged = False
        with path.open("rb") as lines:
            lines.seek(known.size)
            for line in lines:
                damaged = damaged or not line.endswith(b"\n")
                try:
                    known.ids.add(str(_row(line)[0]))
                except _Newer as newer:
                    known.ids.add(newer.id)
                except ValueError:
                    damaged = True
        known.size = file.st_size
        return self._repaired(path) if damaged else known

    def _repaired(self, path: Path) -> _Known:
        good, bad = bytearray(), bytearray()
        ids = KnownIds()
        count = 0
        for line in path.read_bytes().split(b"\n"):
            try:
                ids.add(str(_row(line)[0]))
            except _Newer as newer:
                ids.add(newer.id)
            except ValueError:
                bad += line + b"\n" if line else b""
                count += bool(line)
                continue
            good += line + b"\n"
        if count:  # else only the end of the last line was missing
            aside = path.with_name(path.name + DAMAGED_SUFFIX)
            with open_private(aside, "ab") as file:
                file.write(bad)
            self._notice(
                f"{_lines(count)} of {path} could not be read: kept in {aside.name}, and counted again if the"
                " trace of the request is still there"
            )
        write_private(path, bytes(good))
        known = self._known[path.name] = _Known(path.stat().st_ino, len(good), ids)
        return known

    @contextmanager
    def _locked(self) -> Iterator[None]:
        private_folder(self.folder)
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + LOCKED_S
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise OSError(
                            errno.EAGAIN, "another process holds it", str(self.folder / _LOCK)
                        ) from None
                    time.sleep(_PAUSE_S)
            yield
        finally:
            os.close(lock)


def month_of(at: float) -> str:
    """The UTC month of a time in epoch seconds, as `2026-11`; the nearest that a request can have."""
    return f"{datetime.fromtimestamp(min(max(at, 0.0), _LATEST), UTC):%Y-%m}"


def _lines(count: int) -> str:
    return f"{count:,} line{'s' if count != 1 else ''}"


class _Newer(ValueError):
    """Raised for a line of a newer version, with the request that it is about."""

    def __init__(self, id: str) -> None:
        self.id = id


def _row(line: bytes) -> Row:
    """The row in a line.

    Raises:
        _Newer: it is of a newer version.
        ValueError: it is no line of any version.
    """
    try:
        found = RequestLine.model_validate_json(line)
    except ValidationError:
        newer = _AnyLine.model_validate_json(line)
        if newer.v > LINE_VERSION:
            raise _Newer(newer.id) from None
        raise
    if found.v > LINE_VERSION:
        raise _Newer(found.id)
    return tuple(map(found.__dict__.__getitem__, REQUEST_COLUMNS))


def _line(row: Row) -> bytes:
    values = [bool(value) if place in _FLAGS else value for place, value in enumerate(row)]
    return encode_json({"v": LINE_VERSION} | dict(zip(REQUEST_COLUMNS, values, strict=True))) + b"\n"
