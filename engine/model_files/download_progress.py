"""A progress bar class for the hub's client that draws nothing and reports bytes."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm  # type: ignore[import-untyped]  # no types-tqdm for one class

OnBytes = Callable[[float, float], None]
"""Gets the bytes of one bar that have arrived, and all of them; may raise to end the download."""


def download_bar(report: OnBytes) -> type[Any]:
    """A class that calls `report` at each step of a bar that counts bytes."""
    # By default tqdm makes a lock between processes. Where processes are spawned, as on macOS, a tracker of
    # such locks outlives this process and then writes a warning to its stderr.
    tqdm.set_lock(threading.RLock())

    class DownloadBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **(kwargs | {"file": io.StringIO()}))

        def update(self, n: float | None = 1) -> bool | None:
            updated: bool | None = super().update(n)
            if self.unit == "B" and self.total:
                report(self.n, self.total)
            return updated

    return DownloadBar
