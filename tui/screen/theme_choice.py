"""Which theme a screen begins with: the environment's, the configuration's, the last choice, or a fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from tui.screen.choices.remembered import Remembered
from tui.screen.themes import DAY, NIGHT


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
        self.remembered = Remembered(path)
        self._environ = environ
        self._light_background = light_background

    def first(self) -> str:
        """The name of the theme to begin with; there may be none of this name."""
        return self._environ.get("TEXTUAL_THEME") or self.configured or self._kept() or self._fit()

    def keep(self, name: str) -> None:
        """Remember the theme for the next start."""
        self.remembered.keep("theme", name)

    def _kept(self) -> str:
        name = self.remembered.get("theme")
        return name if isinstance(name, str) else ""

    def _fit(self) -> str:
        return DAY.name if self._light_background() else NIGHT.name
