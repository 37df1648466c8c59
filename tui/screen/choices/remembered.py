"""What the screen remembers of the last time: a small JSON file in the state folder, `screen.json`."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.process.private_files import write_private

FILE_NAME = "screen.json"
_MOST_BYTES = 16_384


class Remembered:
    """Values by name, kept in `path` (None: as long as this screen); what cannot be read is not there."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._values: dict[str, Any] | None = {} if path is None else None

    def get(self, name: str) -> Any:
        """The value of this name; None where there is none."""
        return self._read().get(name)

    def keep(self, name: str, value: Any) -> None:
        """Remember a value for the next start; a folder that takes no file keeps none."""
        values = self._read()
        if values.get(name) == value:
            return
        values[name] = value
        if self._path is not None:
            with suppress(OSError):
                write_private(self._path, json.dumps(values).encode())

    def _read(self) -> dict[str, Any]:
        if self._values is None or self._path is not None:
            self._values = self._from_file()
        return self._values

    def _from_file(self) -> dict[str, Any]:
        try:
            with open(self._path or os.devnull, "rb") as file:
                values = json.loads(file.read(_MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return values if isinstance(values, dict) else {}
