"""A file is read as it was written, or refused."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models.cache import (
    ArraysCache,
    CacheList,
    ChunkedKVCache,
    KVCache,
    QuantizedKVCache,
    RotatingKVCache,
)

from engine.prefix_cache.disk.encoding import NotSavable, layout_from, layout_text
from engine.prefix_cache.disk.span_files import (
    BadSpanFile,
    SpanFile,
    read_header,
    read_span,
    span_id,
    write_span,
)
from engine.prefix_cache.interface import TokenArray
from engine.prefix_cache.layers import KV, checkpoint_of, dtypes_of, kv_between, layout_of
from tests.engine.disk_tiers import FINGERPRINT

TOKENS = np.arange(7, 12, dtype=np.int32)


def span_file(part: Any = "rows", tokens: TokenArray = TOKENS) -> SpanFile:
    held = tokens if part == "rows" else tokens[:0]
    return SpanFile(span_id("", 0, held, part), "", 0, len(held), part, "main", "a layout")


def written(folder: Path, content: Any, part: Any = "rows") -> SpanFile:
    file = span_file(part)
    write_span(folder, file, FINGERPRINT, TOKENS if part == "rows" else TOKENS[:0], content)
    return file


def rows_of_type(dtype: mx.Dtype, bits: int = 0) -> KV:
    layer: Any = QuantizedKVCache(group_size=64, bits=bits) if bits else KVCache()
    keys = mx.random.normal((1, 2, len(TOKENS), 64)).astype(dtype)
    layer.update_and_fetch(keys, keys * 2)
    kv = kv_between([layer, layer], 0, len(TOKENS))
    mx.eval(kv)
    return kv


@pytest.mark.parametrize(
    ("dtype", "bits"), [(mx.float32, 0), (mx.float16, 0), (mx.bfloat16, 0), (mx.bfloat16, 4)]
)
def test_kv_of_any_type_is_read_as_it_was_written(tmp_path: Path, dtype: mx.Dtype, bits: int) -> None:
    kv = rows_of_type(dtype, bits)
    file = written(tmp_path, kv)
    found, tokens = read_header(tmp_path / file.name, FINGERPRINT)
    assert tokens.tolist() == TOKENS.tolist()
    assert (found.id, found.digest, found.nbytes, found.kind) == (file.id, file.digest, file.nbytes, "main")
    back: Any = read_span(tmp_path / file.name, found)
    assert [len(layer) for layer in back] == [len(layer) for layer in kv]
    for layer, wanted in zip(back, kv, strict=True):
        for array, want in zip(layer, wanted, strict=True):
            assert array.dtype == want.dtype
            assert mx.array_equal(array, want)


def some_states() -> list[Any]:
    rotating = RotatingKVCache(max_size=4, keep=1)
    row = mx.random.normal((1, 1, 1, 8)).astype(mx.bfloat16)
    for _ in range(6):
        rotating.update_and_fetch(row, row)
    recurrent = ArraysCache(3)
    recurrent[0], recurrent[2] = mx.random.normal((1, 3)), mx.zeros((1, 0, 4))
    chunked = ChunkedKVCache(8)
    chunked.update_and_fetch(row, row)
    return checkpoint_of([rotating, CacheList(recurrent, KVCache()), chunked])


def test_states_come_back_as_they_were(tmp_path: Path) -> None:
    checkpoint = some_states()
    mx.eval([layer.state for layer in checkpoint])
    file = written(tmp_path, checkpoint, "states")
    back: Any = read_span(tmp_path / file.name, read_header(tmp_path / file.name, FINGERPRINT)[0])
    assert [type(layer) for layer in back] == [RotatingKVCache, ArraysCache, ChunkedKVCache]
    for layer, wanted in zip(back, checkpoint, strict=True):
        got, want = tree_flatten(layer.state), tree_flatten(wanted.state)
        assert [name for name, _ in got] == [name for name, _ in want]
        for (_, value), (_, wish) in zip(got, want, strict=True):
            same = mx.array_equal(value, wish) if isinstance(wish, mx.array) else value == wish
            assert same
    back[0].update_and_fetch(*[mx.zeros((1, 1, 1, 8), mx.bfloat16)] * 2)


def test_a_file_is_for_its_owner_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = written(tmp_path, rows_of_type(mx.float32))
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert stat.S_IMODE(os.stat(tmp_path / file.name).st_mode) == 0o600


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def full(path: str, arrays: Any, metadata: Any) -> None:
        Path(path).write_bytes(b"half of it")
        raise RuntimeError("[write] Unable to write 8 bytes to file.")

    file = span_file()
    with pytest.raises(RuntimeError, match="Unable to write"):
        write_span(tmp_path, file, FINGERPRINT, TOKENS, rows_of_type(mx.float32), full)
    assert list(tmp_path.iterdir()) == []
    assert file.state == "queued"


@pytest.mark.parametrize("fault", [RuntimeError("[malloc] Unable to allocate 9 bytes."), MemoryError()])
def test_a_file_for_which_there_is_no_memory_is_not_called_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    file = written(tmp_path, rows_of_type(mx.float32))

    def full(*arguments: Any, **options: Any) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(mx, "load", full)
        with pytest.raises(OSError, match="it cannot be loaded"):
            read_span(tmp_path / file.name, file)
    assert read_span(tmp_path / file.name, file)
    assert read_span(tmp_path / file.name, file, lambda: False) is None


def test_an_id_stands_for_all_tokens_before_it() -> None:
    first = span_id("", 0, TOKENS, "rows")
    assert span_id("", 0, TOKENS.copy(), "rows") == first
    others = [
        span_id(first, 0, TOKENS, "rows"),
        span_id("", 1, TOKENS, "rows"),
        span_id("", 0, TOKENS[:-1], "rows"),
        span_id("", 0, TOKENS, "states"),
    ]
    assert len({first, *others}) == 5


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_truncated_file_is_detected_by_its_header(tmp_path: Path, kept: int) -> None:
    path = tmp_path / written(tmp_path, rows_of_type(mx.float32)).name
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadSpanFile, match=r"truncated|damaged"):
        read_header(path, FINGERPRINT)


def test_every_flipped_bit_is_found_out_by_header_or_digest(tmp_path: Path) -> None:
    file = written(tmp_path, rows_of_type(mx.float32))
    path = tmp_path / file.name
    data = path.read_bytes()
    for place in range(0, len(data), 97):
        path.write_bytes(flipped(data, place))
        with pytest.raises(BadSpanFile):
            read_span(path, read_header(path, FINGERPRINT)[0])


def test_what_was_written_for_another_model_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / written(tmp_path, rows_of_type(mx.float32)).name
    with pytest.raises(BadSpanFile, match="another model"):
        read_header(path, "0" * 32)


@pytest.mark.parametrize(
    "entries",
    [
        b'"tokens":{"data_offsets":[0,9223372036854775808]}',
        b'"tokens":{"data_offsets":[0,4611686018427387904]}',
        b'"tokens":{"data_offsets":[4,0]},"b":{"data_offsets":[0,4]}',
        b'"tokens":{"data_offsets":[0,4]},"b":{"data_offsets":[0,"4"]}',
    ],
    ids=["beyond a read", "beyond memory", "backwards", "no number"],
)
def test_a_header_with_offsets_of_another_kind_is_found_out(tmp_path: Path, entries: bytes) -> None:
    path = tmp_path / f"{'a' * 32}-{'b' * 32}.safetensors"
    header = b'{"__metadata__":{"span":"{}"},' + entries + b"}"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    with pytest.raises(BadSpanFile, match="header is damaged"):
        read_header(path, FINGERPRINT)


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    file = written(tmp_path, rows_of_type(mx.float32))
    path = tmp_path / file.name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadSpanFile, match="no regular file"):
        read_header(path, FINGERPRINT)
    with pytest.raises(BadSpanFile, match="no regular file"):
        read_span(path, file)


@pytest.mark.parametrize("name", ["model.safetensors", f"{'a' * 32}-{'b' * 32}.safetensors"])
def test_a_foreign_file_is_refused(tmp_path: Path, name: str) -> None:
    mx.save_safetensors(str(tmp_path / name), {"tokens": mx.array([1, 2])}, {"span": "{}"})
    with pytest.raises(BadSpanFile):
        read_header(tmp_path / name, FINGERPRINT)


def test_a_layout_is_decoded_from_its_text() -> None:
    layer = KVCache()
    layer.update_and_fetch(mx.zeros((1, 1, 1, 4)), mx.zeros((1, 1, 1, 4)))
    cache = [layer, CacheList(QuantizedKVCache(32, 4), ArraysCache(2)), RotatingKVCache(8)]
    layout = layout_of(cache)
    text = layout_text(layout, dtypes_of(cache[:1]))
    assert layout_from(text) == layout
    assert text != layout_text(layout, [])
    for wrong in ("nonsense", "{}", '{"layers": [["Path", null]]}', '{"layers": [["KVCache"]]}'):
        with pytest.raises(ValueError, match=r"no layout|no class|invalid literal|unpack"):
            layout_from(wrong)


def test_a_class_of_a_models_own_is_not_savable() -> None:
    class Own(KVCache):  # type: ignore[misc]
        pass

    with pytest.raises(NotSavable, match="no class Own"):
        layout_text(layout_of([Own()]), [])


def refusing_folders(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A disk that brings files to its medium, but not what was renamed in a folder."""
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_disk_that_cannot_sync_a_folder_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refusing_folders(monkeypatch, number)
    file = written(tmp_path, rows_of_type(mx.float16))
    assert read_header(tmp_path / file.name, FINGERPRINT)[0].digest == file.digest


def test_of_a_file_that_may_not_be_on_the_disk_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing_folders(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        written(tmp_path, rows_of_type(mx.float16))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_synced_counts_as_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Invalid argument"):
        written(tmp_path, rows_of_type(mx.float16))
    assert list(tmp_path.iterdir()) == []
