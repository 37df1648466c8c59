"""Files and folders that only their user can read, whatever the umask says.

This module imports no mlx: engine, proxy and screen keep their state with it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

FOLDER_MODE = 0o700
FILE_MODE = 0o600
DRAFT_SUFFIX = ".tmp"  # of files that are being written; one whose writer was killed stays behind


def private_folder(path: Path) -> Path:
    """Make a folder, and those above it that are missing, readable by nobody else.

    Raises:
        OSError: it cannot be made, or something else is in its place.
    """
    missing = []
    step = path
    while not step.exists():
        missing.append(step)
        step = step.parent
    for folder in reversed(missing):
        try:
            folder.mkdir(FOLDER_MODE)
        except FileExistsError:
            continue  # another host was faster
        folder.chmod(FOLDER_MODE)
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is no folder")
    return path


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole: no reader ever sees a part of it, nor is an older one lost when the disk is full.

    Raises:
        OSError: it could not be written; what was there before is still there.
    """
    private_folder(path.parent)
    draft = draft_of(path)
    with naming(path):
        try:
            with open_private(draft, "wb") as file:
                file.write(content)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def draft_of(path: Path) -> Path:
    """What is written in place of a file until it is whole; no other writer of that file has the same."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}{DRAFT_SUFFIX}")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file that is being written in its errors: a full disk names none, others its draft."""
    try:
        yield
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def open_private(path: Path, mode: str) -> IO[bytes]:
    """Open a file for writing ("wb") or appending ("ab") that only its user can read.

    Raises:
        OSError: it cannot be opened.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, FILE_MODE)

    file: IO[bytes] = open(path, mode, opener=opener)  # noqa: SIM115 - the caller closes it
    return file
