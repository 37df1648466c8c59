"""Write arrays to a safetensors file (https://huggingface.co/docs/safetensors) directly from memory.

`mx.save_safetensors` first copies each array on the device, on a stream of the calling thread: a second queue
beside the model's. This module only reads the bytes of evaluated arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np
import orjson

Arrays = Mapping[str, Any]
"""Evaluated `mx.array` or numpy arrays by name."""

_TYPES = {
    "bool_": "BOOL",
    "bool": "BOOL",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
}
_ALIGNED = 8  # bytes; the format aligns the data


def write_safetensors(path: str, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Write or overwrite a file. Does no work on the device.

    Raises:
        OSError: it cannot be written.
        ValueError: the format does not support an array's type.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    place = 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": _type_of(array),
            "shape": list(array.shape),
            "data_offsets": [place, place + array.nbytes],
        }
        place += array.nbytes
    text = orjson.dumps(header)
    text += b" " * (-len(text) % _ALIGNED)
    with open(path, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for array in arrays.values():
            stream.write(_bytes_of(array))


def _type_of(array: Any) -> str:
    name = str(array.dtype).rpartition(".")[2]
    if name not in _TYPES:
        raise ValueError(f"safetensors files cannot hold arrays of {name}")
    return _TYPES[name]


def _bytes_of(array: mx.array | np.ndarray[Any, Any]) -> memoryview | bytes:
    """The bytes of an array in row-major order, without a copy if contiguous. Assumes little-endian."""
    view = memoryview(array)  # type: ignore[arg-type]
    if not view.nbytes:
        return b""
    return view.cast("B") if view.c_contiguous and view.ndim else view.tobytes()
