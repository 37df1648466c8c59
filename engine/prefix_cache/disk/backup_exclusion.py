"""Exclude a folder from Time Machine backups, since its content can be computed again.

Format: the extended attribute that `tmutil addexclusion` sets, a property list with the name of the program
that reads it. It moves with the folder, and applies to all of its content. The user removes it with
`tmutil removeexclusion`.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import plistlib
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)

ATTRIBUTE = "com.apple.metadata:com_apple_backup_excludeItem"
VALUE = plistlib.dumps("com.apple.backupd", fmt=plistlib.FMT_BINARY)

SetAttribute = Callable[[Path, str, bytes], None]


def exclude_from_backups(
    folder: Path, *, system: str | None = None, set_attribute: SetAttribute | None = None
) -> None:
    """Set the attribute on macOS; elsewhere do nothing. A disk without attributes is only logged."""
    if (system or platform.system()) != "Darwin":
        return
    try:
        (set_attribute or _set_attribute)(folder, ATTRIBUTE, VALUE)
    except OSError as error:
        _log.info("%s cannot be excluded from Time Machine backups: %s", folder, error)


def _set_attribute(path: Path, name: str, value: bytes) -> None:
    """macOS's setxattr(2), which Python has no function for.

    Raises:
        OSError: the system refused.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.setxattr.argtypes = (
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint32,  # where to write in the value: only for resource forks
        ctypes.c_int,
    )
    if library.setxattr(os.fsencode(path), name.encode(), value, len(value), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
