"""Which theme a screen begins with: the environment's, the configuration's, the last choice, or a fit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from engine.process.private_files import write_private
from tui.screen.themes import DAY, NIGHT

FILE_NAME = "screen.json"  # in the state folder
_MOST_BYTES = 4096


class ThemeChoice:
    """The user's choice, kept in `path` (None: it is kept nowhere)."""

    def __init__(
        self,
        path: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        light_background: Callable[[], bool | None] = lambda: None,
        *,
        configured: str = "",
    ) -> None:
        self.configured = configured
        self._path = path
        self._environ = environ
        self._light_background = light_background

    def first(self) -> str:
        """The name of the theme to begin with; there may be none of this name."""
        return self._environ.get("TEXTUAL_THEME") or self.configured or self._kept() or self._fit()

    def keep(self, name: str) -> None:
        """Remember the theme for the next start; a folder that takes no file keeps none."""
        if self._path is not None and name != self._kept():
            with suppress(OSError):
                write_private(self._path, json.dumps({"theme": name}).encode())

    def _kept(self) -> str:
        try:
            with open(self._path or os.devnull, "rb") as file:
                name = json.loads(file.read(_MOST_BYTES))["theme"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ""
        return name if isinstance(name, str) else ""

    def _fit(self) -> str:
        return DAY.name if self._light_background() else NIGHT.name
