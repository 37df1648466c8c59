"""The contents of a safetensors file, from its header: eight bytes of length, then JSON; read without mlx."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.model_files.errors import BrokenWeights

_LFS_POINTER = b"version https://git-lfs"
_MAX_HEADER_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor by the header: its type as safetensors names it (`BF16`, `U32`), shape and bytes."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int


def tensor_shapes(file: Path) -> Mapping[str, tuple[int, ...]]:
    """The names and shapes of a file's tensors; raises as `tensor_entries` does."""
    return {name: entry.shape for name, entry in tensor_entries(file).items()}


def tensor_entries(file: Path) -> Mapping[str, TensorEntry]:
    """The tensors of a file by their names.

    Raises:
        BrokenWeights: it is not a safetensors file, is shorter than its header says, or cannot be read.
    """
    try:
        status = file.stat()
    except OSError as error:
        raise _unreadable(file, error) from error
    return _read(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _read(file: Path, size: int, changed: int) -> Mapping[str, TensorEntry]:
    """Cached by size and time of change; a folder is checked several times while its model loads."""
    try:
        with file.open("rb") as stream:
            start = stream.read(len(_LFS_POINTER))
            if start == _LFS_POINTER:
                raise BrokenWeights(f"{file} is a git-lfs pointer, not weights; run: git lfs pull")
            length = int.from_bytes(start[:8], "little")
            if len(start) < 8 or size < 8:
                raise BrokenWeights(f"{file} is empty or truncated; download it again")
            if length > min(size - 8, _MAX_HEADER_BYTES):
                raise BrokenWeights(f"{file} is damaged: it does not begin like weights; download it again")
            stream.seek(8)
            entries = _entries(file, stream.read(length))
    except OSError as error:
        raise _unreadable(file, error) from error
    end = 8 + length + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if end > size:
        raise BrokenWeights(f"{file} is damaged or truncated: {size} of {end} bytes; download it again")
    return {name: _entry(entry) for name, entry in entries.items()}


def _entry(entry: Mapping[str, Any]) -> TensorEntry:
    start, end = entry["data_offsets"]
    return TensorEntry(str(entry.get("dtype", "")), tuple(entry["shape"]), max(0, end - start))


def _entries(file: Path, text: bytes) -> dict[str, Any]:
    try:
        entries = {name: entry for name, entry in json.loads(text).items() if name != "__metadata__"}
        if all(
            len(entry["data_offsets"]) == 2
            and _are_sizes(entry["data_offsets"])
            and _are_sizes(entry["shape"])
            for entry in entries.values()
        ):
            return entries
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise BrokenWeights(f"{file} is damaged: its header cannot be read; download it again")


def _are_sizes(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(number) is int and number >= 0 for number in numbers)


def _unreadable(file: Path, error: OSError) -> BrokenWeights:
    return BrokenWeights(f"the weights {file} cannot be read: {error.strerror or error}")
