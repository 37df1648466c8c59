"""Writes a recording line by line, so that what is on disk can be played however the writer ends."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel

from engine.process.private_files import FILE_MODE, private_folder
from engine.wire.json_text import encode_json
from proxy.recordings.format import FORMAT, MOST_BYTES, Contents, Kind, RecordingHeader


class RecordingFull(Exception):
    """The recording is as large as one may be, and what was written is whole; raised by `write`."""


class RecordingWriter:
    """One recording in the making. All methods raise `OSError` where the disk does not take it."""

    def __init__(
        self, file: IO[bytes], *, version: str, made: float, contents: Contents = "redacted", about: str = ""
    ) -> None:
        self.bytes = 0  # unpacked
        self.events = 0
        self._file = file
        # No time and no name in its head: equal recordings are equal files.
        self._packed = gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=9, mtime=0)
        header = RecordingHeader(
            anyclaude_recording=FORMAT, version=version, made=round(made, 3), contents=contents, about=about
        )
        self._line(header.model_dump())

    def write(self, kind: Kind, at: float, value: BaseModel | list[Any]) -> None:
        """Add one line: something of `kind` at a moment in epoch seconds.

        Raises:
            RecordingFull: it would be larger than a recording may be.
        """
        # Whatever has its default is left out: readers know it.
        plain = value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else value
        self._line({"at": round(at, 3), kind: plain})
        self.events += kind == "event"

    def flush(self) -> None:
        """Bring what was written to the disk."""
        self._packed.flush()
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._packed.close()
        self._file.flush()

    def _line(self, line: dict[str, Any]) -> None:
        encoded = encode_json(line) + b"\n"
        if self.bytes + len(encoded) > MOST_BYTES:
            raise RecordingFull(f"a recording holds at most {MOST_BYTES >> 20} MB")
        self.bytes += len(encoded)
        self._packed.write(encoded)


def new_private_file(path: Path) -> IO[bytes]:
    """A new file that only its user can read.

    Raises:
        FileExistsError: something is there.
        OSError: it cannot be made.
    """
    private_folder(path.parent)
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, FILE_MODE))
