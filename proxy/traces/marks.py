"""Marks on traces: files beside the index, so that they outlive it; a marked trace is never pruned.

`<traces>/.marks/<id>.json` holds when and why. No backend's folder begins with a dot.
"""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.process.private_files import write_private
from engine.wire.json_text import encode_json
from proxy.traces.files import is_trace_id
from proxy.traces.redaction.redact import Redactor

_FOLDER, _SUFFIX = ".marks", ".json"


class Mark(BaseModel):
    """A mark: this trace is kept, for the reason of its note; `time` in epoch seconds."""

    model_config = ConfigDict(extra="ignore")

    time: float = 0.0
    note: str = ""


def set_mark(folder: Path, trace_id: str, note: str = "", *, now: float | None = None) -> None:
    """Mark a trace of this traces folder; a mark that is there gets the new note.

    Raises:
        ValueError: this is no trace's id.
        OSError: it cannot be written.
    """
    mark = Mark(time=time.time() if now is None else now, note=Redactor().text(note))
    write_private(_file(folder, trace_id), encode_json(mark.model_dump()))


def remove_mark(folder: Path, trace_id: str) -> bool:
    """Whether there was a mark to take off.

    Raises:
        ValueError: this is no trace's id.
        OSError: it cannot be removed.
    """
    try:
        _file(folder, trace_id).unlink()
    except FileNotFoundError:
        return False
    return True


def read_marks(folder: Path) -> dict[str, Mark]:
    """All marks by the ids of their traces; a mark that cannot be read still counts, without its note.

    Raises:
        OSError: the folder of marks is there and cannot be read.
    """
    marks = {}
    try:
        files = list((folder / _FOLDER).iterdir())
    except FileNotFoundError:
        return {}
    for file in files:
        if file.suffix == _SUFFIX and is_trace_id(file.stem):
            try:
                marks[file.stem] = Mark.model_validate_json(file.read_bytes())
            except FileNotFoundError:
                continue
            except (OSError, ValidationError):
                marks[file.stem] = Mark()
    return marks


def is_marked(folder: Path, trace_id: str) -> bool:
    """Whether this trace has a mark now, also one that cannot be read.

    Raises:
        ValueError: this is no trace's id.
        OSError: it cannot be looked for.
    """
    try:
        _file(folder, trace_id).lstat()
    except FileNotFoundError:
        return False
    return True


def _file(folder: Path, trace_id: str) -> Path:
    if not is_trace_id(trace_id):
        raise ValueError(f"{trace_id} is no id of a trace")
    return folder / _FOLDER / (trace_id + _SUFFIX)
