"""What was found out about models on this machine, in a JSON file, so that it is found out once."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

log = logging.getLogger("engine")


class Measurements:
    """A file of values by name; one that cannot be read is empty, one that cannot be written stays so."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, name: str) -> Any:
        """The value of a name, None where there is none."""
        return self._read().get(name)

    def put(self, name: str, value: Any) -> None:
        """Keep a value, beside those that another process may have put there meanwhile."""
        known = self._read() | {name: value}
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(known, stream)
            part.replace(self._file)
        except OSError as error:
            log.warning("%s cannot be written, and is measured again next time: %s", self._file, error)

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}
