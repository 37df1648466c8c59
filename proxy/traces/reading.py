"""Opens traces on disk, with or without a host that runs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import orjson
from pydantic import ValidationError

from proxy.configuration.small_file import FileTooLarge, read_small_file
from proxy.traces.files import id_in, trace_files
from proxy.traces.schema import SCHEMA_VERSION, Trace

MOST_BYTES = 1 << 30  # of one trace


class TraceError(Exception):
    """Base of what can be wrong with a trace that is asked for; the message is for people."""


class TraceNotFound(TraceError):
    """Raised when no trace has this id, or several have an id that begins like this."""


class TraceUnreadable(TraceError):
    """Raised when the file cannot be read or holds no trace that this version understands."""


class TraceDamaged(TraceUnreadable):
    """Raised when the file's content is no trace of any version."""


def find_trace(folder: Path, trace_id: str) -> Path:
    """The file of one trace in the traces folder, by its id or by an unambiguous beginning of it.

    Raises:
        TraceNotFound: there is none, or more than one.
    """
    if not trace_id.strip():
        raise TraceNotFound("no trace id was given")
    found = [path for path in trace_files(folder) if (id_in(path) or "").startswith(trace_id)]
    exact = [path for path in found if id_in(path) == trace_id]
    if len(exact or found) == 1:
        return folder / (exact or found)[0]
    if not found:
        raise TraceNotFound(f"no trace {trace_id} in {folder}")
    ids = ", ".join(sorted(id_in(path) or "" for path in found)[:5])
    raise TraceNotFound(f"{len(found)} traces begin with {trace_id} ({ids}); give more of the id")


def load_trace(folder: Path, trace_id: str) -> Trace:
    """One trace of the traces folder, by its id or by an unambiguous beginning of it.

    Raises:
        TraceNotFound: there is none, or more than one.
        TraceUnreadable: it cannot be read or is damaged; the file is left as it is.
    """
    return read_trace(find_trace(folder, trace_id))


def read_trace(path: Path) -> Trace:
    """The trace in a file.

    Raises:
        TraceUnreadable: it cannot be read or is damaged; the file is left as it is.
    """
    try:
        content = trace_content(path)
    except OSError as error:
        raise TraceUnreadable(f"{path} cannot be read: {error.strerror or error}") from None
    return parse_trace(content, str(path))


def trace_content(path: Path) -> bytes:
    """The bytes of a trace's file.

    Raises:
        OSError: it cannot be read, or is no file of a size that a trace can have: a pipe would never end.
    """
    size = os.stat(path).st_size
    if size > MOST_BYTES:
        raise FileTooLarge(errno.EFBIG, f"is larger than {MOST_BYTES >> 30} GiB", str(path))
    return read_small_file(path, most=size).data


def parse_trace(content: bytes, name: str, *, exact: bool = True) -> Trace:
    """The trace in these bytes; `name` is what errors call it.

    Inexact takes half the time and rounds whole numbers beyond 64 bits.

    Raises:
        TraceDamaged: they are no trace.
        TraceUnreadable: they are of a newer version than this program's.
    """
    try:
        trace = _exactly_parsed(content) if exact else _parsed(content)
    except ValidationError as error:
        _refuse_newer(_version(content), name)
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TraceDamaged(f"{name} is no trace: {where + ': ' if where else ''}{first['msg']}") from None
    _refuse_newer(trace.schema_version, name)
    return trace


def _refuse_newer(version: int, name: str) -> None:
    if version > SCHEMA_VERSION:
        raise TraceUnreadable(
            f"{name} was written by a newer version (schema {version}, this program reads up to"
            f" {SCHEMA_VERSION}); update anyclaude-tui to open it"
        )


def _version(content: bytes) -> int:
    """The schema version of what is no trace of this version's: a newer one may say time otherwise."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return 0
    version = document.get("schema_version") if isinstance(document, dict) else None
    return version if isinstance(version, int) else 0


def _exactly_parsed(content: bytes) -> Trace:
    try:
        return Trace.model_validate_json(content)
    except ValidationError:
        return _parsed(content)  # goes deeper than 200 levels


def _parsed(content: bytes) -> Trace:
    try:
        return Trace.model_validate(orjson.loads(content))
    except orjson.JSONDecodeError:
        return Trace.model_validate_json(content)  # says where it breaks off
