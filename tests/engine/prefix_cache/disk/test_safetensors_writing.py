"""A file equals one that MLX writes, and is written without work on the device."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.prefix_cache.disk.safetensors_writing import write_safetensors
from engine.prefix_cache.disk.span_files import SpanFile, read_header, read_span, span_id, write_span
from tests.engine.disk_tiers import FINGERPRINT

TYPES = [
    *(mx.bool_, mx.uint8, mx.uint16, mx.uint32, mx.uint64, mx.int8, mx.int16, mx.int32, mx.int64),
    *(mx.float16, mx.bfloat16, mx.float32, mx.complex64),
]


@given(
    st.lists(st.tuples(st.sampled_from(TYPES), st.lists(st.integers(0, 4), max_size=4)), max_size=5),
    st.text(),
)
def test_what_is_written_is_what_mlx_writes(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[tuple[Any, list[int]]], note: str
) -> None:
    folder = tmp_path_factory.mktemp("files")
    arrays = {
        f"{number} é": (mx.random.normal(shape) * 100).astype(dtype)
        for number, (dtype, shape) in enumerate(kinds)
    }
    arrays |= {f"{name} turned": array.T for name, array in arrays.items()}
    mx.eval(arrays)
    write_safetensors(str(folder / "ours"), arrays, {"note": note})
    (folder / "ours").rename(folder / "ours.safetensors")
    ours: Any = mx.load(str(folder / "ours.safetensors"), return_metadata=True)
    assert ours[1]["note"] == note
    assert ours[0].keys() == arrays.keys()
    for name, array in arrays.items():
        got = ours[0][name]
        assert (got.dtype, got.shape) == (array.dtype, array.shape)
        assert memoryview(got).tobytes() == memoryview(array).tobytes()


def test_a_type_that_the_format_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot hold arrays of datetime64"):
        write_safetensors(str(tmp_path / "x"), {"a": np.zeros(2, "datetime64[s]")}, {})


def test_the_data_begins_at_a_multiple_of_eight(tmp_path: Path) -> None:
    write_safetensors(str(tmp_path / "x"), {"a": np.arange(3, dtype=np.int32)}, {"m": "odd"})
    written = (tmp_path / "x").read_bytes()
    length = int.from_bytes(written[:8], "little")
    assert length % 8 == 0
    assert written[8 + length :] == np.arange(3, dtype="<i4").tobytes()


def test_a_span_is_written_without_work_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kv = [(mx.random.normal((1, 2, 5, 8)).astype(mx.bfloat16),) * 2]
    mx.eval(kv)
    tokens = np.arange(5, dtype=np.int32)
    file = SpanFile(span_id("", 0, tokens, "rows"), "", 0, 5, "rows", "main", "a layout")
    faults: list[str] = []

    def forbid(name: str) -> None:
        def forbidden(*arguments: Any, **options: Any) -> None:
            faults.append(name)

        patch.setattr(mx, name, forbidden)

    with monkeypatch.context() as patch:
        for name in ("eval", "async_eval", "array", "save_safetensors", "contiguous", "take", "synchronize"):
            forbid(name)
        writer = threading.Thread(target=write_span, args=(tmp_path, file, FINGERPRINT, tokens, kv))
        writer.start()
        writer.join()
    assert faults == []
    back: Any = read_span(tmp_path / file.name, read_header(tmp_path / file.name, FINGERPRINT)[0])
    assert memoryview(back[0][0]).tobytes() == memoryview(kv[0][0]).tobytes()
