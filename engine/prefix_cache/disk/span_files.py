"""Span files of the prefix cache: each is self-contained, has a checksum, and names its parent.

A file holds either tokens and their KV, or a checkpoint at one position, in safetensors format
(https://huggingface.co/docs/safetensors). Its id is a hash of its parent's id, its position, its tokens and
its part, so that the same span always has the same id, and an id identifies all tokens before it too. It may
branch off within its parent: positions count from the start of the prompt. Its name is its id and the hash of
its bytes.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import mlx.core as mx
import numpy as np
import orjson
import xxhash

from engine.prefix_cache.disk.encoding import (
    checkpoint_from_arrays,
    checkpoint_to_arrays,
    kv_from_arrays,
    kv_to_arrays,
)
from engine.prefix_cache.disk.safetensors_writing import Arrays, write_safetensors
from engine.prefix_cache.interface import Kind, TokenArray
from engine.prefix_cache.layers import KV, Checkpoint
from engine.process.device_faults import device_fault
from engine.process.private_files import open_private

FORMAT = 1
"""Raise it with each change of the format; it is part of the fingerprint."""

Part = Literal["rows", "states"]
Write = Callable[[str, Arrays, dict[str, str]], None]
"""`write_safetensors`, or a test's replacement."""

_NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{32})\.safetensors")
_UNFINISHED = re.compile(r"writing-[0-9a-f]{32}\.safetensors")
_FIRST_READ = 1 << 14  # bytes; most headers are shorter
_LONGEST_HEADER = 1 << 26
_HASHED_AT_ONCE = 1 << 20
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


class BadSpanFile(Exception):
    """A file that must not be used; the message says why: damaged, foreign, or no span file."""


@dataclass(slots=True, eq=False)
class SpanFile:
    """One file, as in its header; `kind`, `used`, `state`, `references` and `pinned` change.

    Any thread may read `state`: a file can be read while it is "written".
    """

    id: str
    parent: str  # id of the parent file; empty at the start of a prompt
    start: int  # position of its first token, or of its checkpoint
    length: int  # tokens; 0 for a checkpoint
    part: Part
    kind: Kind
    layout: str  # as engine.prefix_cache.disk.encoding writes it
    digest: str = ""
    nbytes: int = 0
    used: float = 0.0  # epoch seconds
    state: Literal["queued", "written", "gone"] = "queued"
    references: int = 0  # nodes that use it; counted on the model's thread
    pinned: bool = False  # never removed for others; set on the model's thread

    @property
    def name(self) -> str:
        return f"{self.id}-{self.digest}.safetensors"


def span_id(parent: str, start: int, tokens: TokenArray, part: Part) -> str:
    """The id: 32 hex digits for a span, all tokens before it, and its part."""
    hashed = xxhash.xxh3_128(f"{parent}:{start}:{part}:".encode())
    hashed.update(tokens.astype("<i4").tobytes())
    return hashed.hexdigest()


def is_span_file(path: Path) -> bool:
    """Whether a file has the name of a span file, whole or unfinished."""
    return _NAME.fullmatch(path.name) is not None or is_unfinished(path)


def is_unfinished(path: Path) -> bool:
    """Whether a file was left by a process that ended during the write."""
    return _UNFINISHED.fullmatch(path.name) is not None


def write_span(
    folder: Path,
    file: SpanFile,
    fingerprint: str,
    tokens: TokenArray,
    content: KV | Checkpoint,
    write: Write = write_safetensors,
) -> None:
    """Write a file under a temporary name, sync it and rename it; sets digest and size.

    The arrays must be evaluated. Does no work on the device, so that any thread may write. On macOS the disk
    may still have the bytes in its own cache; the digest detects a file that a power cut damaged.

    Raises:
        OSError, RuntimeError: the write failed; nothing of the file is left.
        NotSavable: the checkpoint cannot be encoded.
    """
    described: dict[str, Any] = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        **{key: getattr(file, key) for key in ("id", "parent", "start", "part", "kind", "layout")},
    }
    if file.part == "states":
        described["states"], named = checkpoint_to_arrays(content)
    else:
        named = kv_to_arrays(content)
    arrays: Arrays = {**named, "tokens": tokens.astype("<i4")}
    temporary = folder / f"writing-{file.id}.safetensors"
    try:
        open_private(temporary, "wb").close()
        write(str(temporary), arrays, {"span": orjson.dumps(described).decode()})
        with temporary.open("rb") as stream:
            file.digest, file.nbytes = _digest(stream)
            os.fsync(stream.fileno())
        temporary.rename(folder / file.name)
        sync_folder(folder)
    except BaseException:
        temporary.unlink(missing_ok=True)
        if file.digest:
            (folder / file.name).unlink(missing_ok=True)
        raise


def read_header(path: Path, fingerprint: str) -> tuple[SpanFile, TokenArray]:
    """Read a file's header and tokens, without reading or checking the rest.

    Raises:
        BadSpanFile: it is truncated, of another fingerprint or format, or no span file or regular file.
        OSError: it cannot be read.
    """
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise BadSpanFile("its name is not that of a span file")
    with _open(path) as stream:
        status = os.fstat(stream.fileno())
        first = stream.read(_FIRST_READ)
        length = int.from_bytes(first[:8], "little")
        if len(first) < 8 or length > min(_LONGEST_HEADER, status.st_size - 8):
            raise BadSpanFile("it is truncated")
        if 8 + length > len(first):
            first += stream.read(8 + length - len(first))
        try:
            header = orjson.loads(first[8 : 8 + length])
            described = orjson.loads(header.pop("__metadata__")["span"])
            ends = [entry["data_offsets"][1] for entry in header.values()]
            is_whole = 8 + length + max(ends) == status.st_size
            begin, end = header["tokens"]["data_offsets"]
            if not 0 <= begin <= end <= status.st_size:
                raise ValueError("its tokens lie outside of it")
            stream.seek(8 + length + begin)
            tokens = np.frombuffer(stream.read(end - begin), "<i4").astype(np.int32)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise BadSpanFile("its header is damaged") from error
        if not is_whole:
            raise BadSpanFile("it is truncated")
    if not isinstance(described, dict):
        raise BadSpanFile("its header is damaged")
    if described.get("format") != FORMAT or described.get("fingerprint") != fingerprint:
        raise BadSpanFile("it was written for another model or by another version")
    file = _from_metadata(described, len(tokens))
    if file.id != named[1] or span_id(file.parent, file.start, tokens, file.part) != file.id:
        raise BadSpanFile("its tokens are damaged")
    file.digest, file.nbytes, file.used, file.state = named[2], status.st_size, status.st_mtime, "written"
    return file, tokens


def read_span(
    path: Path, file: SpanFile, is_wanted: Callable[[], bool] = lambda: True
) -> KV | Checkpoint | None:
    """The KV or checkpoint of a file, evaluated on the calling thread; all bytes are checked first.

    None if `is_wanted` is false after the check: then no array is allocated.

    Raises:
        BadSpanFile: it is damaged or no regular file, or mlx-lm does not support its content.
        OSError: it cannot be read, or there is no memory for it; the file itself may be fine.
    """
    with _open(path) as stream:
        digest, nbytes = _digest(stream)
    if (digest, nbytes) != (file.digest, file.nbytes):
        raise BadSpanFile("its checksum does not match")
    if not is_wanted():
        return None
    try:
        loaded: Any = mx.load(str(path), return_metadata=True)
        arrays, metadata = loaded
        mx.eval(arrays)
        if file.part == "rows":
            del arrays["tokens"]
            return kv_from_arrays(arrays)
        return checkpoint_from_arrays(orjson.loads(metadata["span"])["states"], arrays)
    except (RuntimeError, ValueError, KeyError, MemoryError) as error:
        if device_fault(error):
            raise OSError(f"it cannot be loaded: {error}") from error
        raise BadSpanFile(f"it cannot be loaded: {error}") from error


def sync_folder(path: Path) -> None:
    """Sync a folder after a rename; some file systems (SMB, exFAT) do not support it."""
    try:
        sync_path(path)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def sync_path(path: Path) -> None:
    """Sync a file to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> BinaryIO:
    """Open a regular file for reading; a pipe or a device, which could block forever, is refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its writer
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadSpanFile("it is no regular file")
    return os.fdopen(descriptor, "rb")


def _from_metadata(described: dict[str, Any], length: int) -> SpanFile:
    try:
        file = SpanFile(
            **{key: described[key] for key in ("id", "parent", "start", "part", "kind", "layout")},
            length=length,
        )
        known = file.part in get_args(Part) and file.kind in get_args(Kind)
    except (KeyError, TypeError) as error:
        raise BadSpanFile("its header is damaged") from error
    typed = isinstance(file.start, int) and isinstance(file.layout, str)
    if not known or not typed or (length > 0) != (file.part == "rows"):
        raise BadSpanFile("its header is damaged")
    return file


def _digest(stream: Any) -> tuple[str, int]:
    hashed = xxhash.xxh3_128()
    buffer = memoryview(bytearray(_HASHED_AT_ONCE))
    total = 0
    while count := stream.readinto(buffer):
        hashed.update(buffer[:count])
        total += count
    return hashed.hexdigest(), total
