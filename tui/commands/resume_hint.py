"""The command that resumes a session on the host; Claude Code's own hint would use the user's account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def resume_hint(command: str, *, environ: Mapping[str, str], cwd: Path, user_home: Path, since: float) -> str:
    """The notice at the end of a session in `cwd` that began at `since`, in epoch seconds; empty without one.

    `command` starts a session. Claude Code 2.1.332 writes each session to a file of its id, in a folder that
    is named after the working directory.
    """
    named = environ.get("CLAUDE_CONFIG_DIR")
    folder = (Path(named) if named else user_home / ".claude") / "projects"
    written = []
    for path in (folder / re.sub(r"[^A-Za-z0-9]", "-", str(cwd))).glob("*.jsonl"):
        try:
            written.append((path.stat().st_mtime, path.stem))
        except OSError:
            continue  # it was removed meanwhile
    last, session = max(written, default=(0.0, ""))
    return f"to resume this session here: {command} --resume {session}" if last >= since else ""
