"""Reads a recording, or the one in a bug bundle: a file from anybody, of which nothing is trusted."""

from __future__ import annotations

import gzip
import math
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson
from pydantic import ValidationError

from proxy.events.types import Event, HostState
from proxy.recordings.format import (
    FORMAT,
    LONGEST_LINE,
    MOST_BYTES,
    SUFFIX,
    Contact,
    HostAnswer,
    Moment,
    PastOfHost,
    Recording,
    RecordingError,
    RecordingHeader,
)
from proxy.traces.schema import Trace, TraceSummary

IN_BUNDLE = f"recording{SUFFIX}"
_LATEST = 253_370_764_800.0  # the year 9999, the last that dates go to
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"


def read_recording(path: Path) -> Recording:
    """The recording in a file. Lines that cannot be read are counted, and an end that is missing is noted.

    Raises:
        RecordingError: there is no recording, or one that this version does not play.
        OSError: the file cannot be read.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a pipe would wait for one who writes
        raise RecordingError(f"{path} is no recording: it is no file")
    with path.open("rb") as file:
        begins = file.read(4)
        file.seek(0)
        if begins == _ZIP:
            with _bundled(file, path) as packed:
                return unpacked_recording(packed, path)
        if not begins.startswith(_GZIP):
            lacks = "is not packed by gzip" if begins else "is empty"
            raise RecordingError(f"{path} is no recording: it {lacks}")
        return unpacked_recording(file, path)


def _bundled(file: IO[bytes], path: Path) -> IO[bytes]:
    try:
        return zipfile.ZipFile(file).open(IN_BUNDLE)
    except KeyError:
        raise RecordingError(f"{path} has no {IN_BUNDLE}: a bundle without a host has no recording") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
        raise RecordingError(f"{path} is a damaged bundle: {error}") from None


def unpacked_recording(file: IO[bytes], path: Path) -> Recording:
    """The recording in an open file, which the error calls `path`. Raises as `read_recording`."""
    source = _Lines(file, path)
    lines = iter(source)
    recording = Recording(_header(next(lines, b""), path))
    order = _Order()
    for line in lines:
        try:
            _take(recording, line, order)
        except (ValueError, TypeError, KeyError):  # pydantic's and orjson's errors are ValueErrors
            recording.damaged += 1
    recording.cut_off = source.cut_off
    recording.moments = order.moments()
    if not recording.moments:
        raise RecordingError(f"{path} has nothing to play: it ends before the first event")
    return recording


def _header(line: bytes, path: Path) -> RecordingHeader:
    try:
        header = RecordingHeader.model_validate_json(line)
    except ValidationError:
        raise RecordingError(f"{path} is no recording: its first line does not say that it is one") from None
    if header.anyclaude_recording > FORMAT:
        made_by = (
            f"anyclaude-tui {header.version[:40]}" if header.version.isprintable() else "a newer version"
        )
        raise RecordingError(
            f"{path} has format {header.anyclaude_recording} and was made by {made_by};"
            f" this version plays format {FORMAT}: update anyclaude-tui"
        )
    return header.model_copy(update={"made": _moment(header.made)})


def _take(recording: Recording, packed: bytes, order: _Order) -> None:
    line = orjson.loads(packed)
    at = _moment(line["at"])
    if "event" in line:
        seq = line["event"]["seq"]
        if not isinstance(seq, int):
            raise TypeError("seq")
        order.add(at, seq, packed)  # encoded anew, each would take many times its size
    elif "state" in line:
        state = HostState.model_validate(line["state"])
        order.add(at, -1 if order.begin(state) else state.seq, state)
    elif "past" in line:
        order.add(at, None, PastOfHost([Event.model_validate(event) for event in line["past"]]))
    elif "contact" in line:
        order.add(at, None, Contact.model_validate(line["contact"]))
    elif "answer" in line:
        answer = HostAnswer.model_validate(line["answer"])
        recording.answers.setdefault(answer.path, []).append((at, answer))
    elif "row" in line:
        row = TraceSummary.model_validate(line["row"])
        recording.rows[row.id] = row
    elif "trace" in line:
        trace = Trace.model_validate(line["trace"])
        recording.traces[trace.id] = trace


def _moment(value: Any) -> float:
    moment = float(value)
    if not math.isfinite(moment) or not 0 <= moment < _LATEST:
        raise ValueError("no moment")
    return moment


class _Order:
    """Puts moments in the order in which the host numbered them: text waits for the end of its block."""

    def __init__(self) -> None:
        self._found: list[tuple[int, int, int, float, HostState | PastOfHost | Contact | bytes]] = []
        self._run = 0  # of the hosts, one after the other
        self._host: tuple[int, float] | None = None
        self._seq = -1

    def begin(self, state: HostState) -> bool:
        """Whether this is the first of its host: it goes before its events, whatever its number."""
        host = (state.pid, state.started)
        is_first = self._host != host
        if self._host not in (None, host):
            self._run, self._seq = self._run + 1, -1
        self._host = host
        return is_first

    def add(self, at: float, seq: int | None, what: HostState | PastOfHost | Contact | bytes) -> None:
        place = self._seq if seq is None else seq
        self._seq = max(self._seq, place)
        self._found.append((self._run, place, len(self._found), at, what))

    def moments(self) -> list[Moment]:
        made, latest = [], 0.0
        for _, _, _, at, what in sorted(self._found, key=lambda one: one[:3]):
            latest = max(latest, at)
            made.append(Moment(latest, what))
        return made


class _Lines:
    """The lines of a packed file; it ends where the file does, or where it is damaged."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.cut_off = False
        self._packed = gzip.GzipFile(fileobj=file, mode="rb")
        self._path = path
        self._read = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                line = self._packed.readline(LONGEST_LINE)
            except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile):
                self.cut_off = True
                return
            if not line:
                return
            self._read += len(line)
            if self._read > MOST_BYTES:
                raise RecordingError(
                    f"{self._path} is too large: unpacked it has more than {MOST_BYTES >> 20} MB"
                )
            if not line.endswith(b"\n"):
                if len(line) == LONGEST_LINE:
                    raise RecordingError(
                        f"{self._path} is no recording: a line has more than {LONGEST_LINE >> 20} MB"
                    )
                self.cut_off = True
                return
            yield line
