"""The columns of the list of traces that the user chose last."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from engine.process.private_files import write_private
from tui.screen.trace_list.columns import HELP, USUAL

FILE_NAME = "trace-columns.json"  # in the state folder
_MOST_BYTES = 4096


class ColumnMemory:
    """The columns that the user chose last, kept in `path` (None: nowhere)."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def chosen(self) -> tuple[str, ...]:
        """Their titles; the usual ones where none were chosen, or the file is damaged."""
        try:
            with open(self._path or os.devnull, "rb") as file:
                told = json.loads(file.read(_MOST_BYTES))["columns"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return USUAL
        known = tuple(title for title in HELP if isinstance(told, list) and title in told)
        return known or USUAL

    def keep(self, titles: Sequence[str]) -> None:
        """Remember them for the next start; a folder that takes no file keeps none."""
        if self._path is not None:
            with suppress(OSError):
                write_private(self._path, json.dumps({"columns": list(titles)}, ensure_ascii=False).encode())
