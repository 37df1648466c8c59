"""A home with traces, and the invocation of a command on it, for tests without a process."""

from __future__ import annotations

from pathlib import Path

from proxy.traces.files import TRACES_FOLDER
from proxy.traces.schema import Trace
from tests.proxy.traces.folders import Folder
from tui.commands.invocation import Invocation


def invocation_on(home: Path, **environ: str) -> Invocation:
    """With that home and nothing else from this machine."""
    return Invocation({"home": str(home), "config": str(home / "config.json")}, environ=environ)


def home_with(home: Path, *traces: Trace) -> Path:
    """Write traces and an empty configuration into a home; returns the traces folder."""
    home.mkdir(exist_ok=True)
    (home / "config.json").write_text("{}")
    folder = Folder(home / TRACES_FOLDER)
    for trace in traces:
        folder.write(trace)
    folder.index.close()
    return folder.path
