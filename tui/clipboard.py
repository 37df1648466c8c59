"""The clipboard: macOS's own tool where it is there (Terminal.app ignores OSC 52), else the terminal's."""

from __future__ import annotations

import shutil
import subprocess
import sys

from textual.app import App

from tui.figures import plural


def copy(app: App[None], text: str, what: str) -> None:
    """Copy `text` and say what was copied; nothing to copy is said as well."""
    if not text:
        app.notify(f"There is no {what} to copy yet.", severity="warning", timeout=3, markup=False)
        return
    if sys.platform == "darwin" and (tool := shutil.which("pbcopy")):
        subprocess.run([tool], input=text.encode(), check=False, timeout=5)
    else:
        app.copy_to_clipboard(text)
    app.notify(f"Copied the {what}: {plural(len(text), 'character')}.", timeout=2, markup=False)
