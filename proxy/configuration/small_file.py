"""A small file, read once: what is checked are the very bytes that are used afterwards.

Nothing that stands in its place may block the reader or fill its memory: no pipe, no device, no huge file.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

# Error numbers of a file that is not there, whatever the reason.
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class NoRegularFile(OSError):
    """Something stands there, but no file: a folder, a pipe, a device. Raised by `read_small_file`."""


class FileTooLarge(OSError):
    """The file is larger than such a file can be. Raised by `read_small_file`."""


@dataclass(frozen=True, slots=True)
class SmallFile:
    """The content of one file, and which file it was."""

    path: Path
    data: bytes
    identity: tuple[int, int]  # device and inode: the same for all paths that lead to it
    owner: int  # user id
    is_link: bool = False  # `path` is a symbolic link


def read_small_file(path: Path, *, most: int) -> SmallFile:
    """Read a file of at most `most` bytes.

    Raises:
        NoRegularFile: what stands there is no file.
        FileTooLarge: it holds more.
        OSError: it is not there (`NOT_THERE` has the numbers), or cannot be read.
    """
    # Asked before opening: opening alone makes some devices do something.
    _require_regular(os.stat(path), path)
    # Not blocking: it may have become a pipe meanwhile.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _require_regular(status, path)
        data = file.read(most + 1)
    if len(data) > most:
        raise FileTooLarge(errno.EFBIG, f"more than {most // 1024} KiB", str(path))
    return SmallFile(path, data, (status.st_dev, status.st_ino), status.st_uid, path.is_symlink())


def _require_regular(status: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise NoRegularFile(errno.EISDIR, "is a folder", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise NoRegularFile(errno.EINVAL, "is no regular file", str(path))
