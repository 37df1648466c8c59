"""JSON objects in files: reading one whatever the file holds, and values that are kept in one by name."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from engine.process.private_files import write_private

_log = logging.getLogger("engine")


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if the file is missing, unreadable or holds something else."""
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


class KnownValues:
    """A file of values by name. An unreadable file counts as empty; a failed write is logged."""

    def __init__(self, file: Path, *, lost: str = "so it is measured again next time", most: int = 0) -> None:
        """`lost`: what follows if the file cannot be written. `most` values are kept, the newest; 0: all."""
        self._file = file
        self._lost = lost
        self._most = most

    def get(self, name: str) -> Any:
        """The value of a name, or None."""
        return read_object(self._file).get(name)

    def put(self, name: str, value: Any) -> None:
        """Store a value, or delete it if None; values that another process stored meanwhile stay."""
        known = {key: old for key, old in read_object(self._file).items() if key != name}
        known |= {} if value is None else {name: value}
        newest = list(known.items())[-self._most :]
        try:
            write_private(self._file, json.dumps(dict(newest)).encode())
        except OSError as error:
            _log.warning("%s cannot be written, %s: %s", self._file, self._lost, error)
