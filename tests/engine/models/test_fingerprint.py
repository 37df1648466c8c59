"""A fingerprint changes with everything that changes a model's results."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlx.core as mx
import pytest

from engine.models.fingerprint import cache_fingerprint, tokenizer_fingerprint, weights_fingerprint
from tests.models import ModelShelf


@pytest.fixture
def folder(tmp_path: Path, shelf: ModelShelf) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(shelf.tiny(), copy)
    return copy


def fingerprint_of(folder: Path) -> str:
    return weights_fingerprint(folder, [folder / "model.safetensors"])


def test_each_tensor_counts(folder: Path) -> None:
    path = str(folder / "model.safetensors")
    before = fingerprint_of(folder)
    weights = mx.load(path)
    assert isinstance(weights, dict)
    found = set()
    for name in weights:
        mx.save_safetensors(path, weights | {name: weights[name] + 1}, metadata={"format": "mlx"})
        found.add(fingerprint_of(folder))
    assert len(found) == len(weights)
    assert before not in found


def test_adapters_and_configuration_count(folder: Path) -> None:
    found = [fingerprint_of(folder)]
    mx.save_safetensors(str(folder / "adapters.safetensors"), {"a": mx.ones(4)})
    found.append(fingerprint_of(folder))
    (folder / "adapter_config.json").write_text("{}")
    found.append(fingerprint_of(folder))
    (folder / "config.json").write_text("{}")
    found.append(fingerprint_of(folder))
    (folder / "model.safetensors").write_bytes(b"no weights")
    found.append(fingerprint_of(folder))
    assert len(set(found)) == 5


def test_files_that_are_not_loaded_do_not_count(folder: Path) -> None:
    before = fingerprint_of(folder)
    mx.save_safetensors(str(folder / "model-stray.safetensors"), {"a": mx.ones(4)})
    assert fingerprint_of(folder) == before


def test_circumstances_count_in_any_order() -> None:
    first = cache_fingerprint("w", {"mlx": "1", "chunk": 512})
    assert cache_fingerprint("w", {"chunk": 512, "mlx": "1"}) == first
    others = [
        ("v", {"mlx": "1", "chunk": 512}),
        ("w", {"mlx": "2", "chunk": 512}),
        ("w", {"mlx": "1", "chunk": 9}),
    ]
    assert len({first, *(cache_fingerprint(*other) for other in others)}) == 4


def test_tokenizer_and_template_are_part_of_the_fingerprint(folder: Path) -> None:
    found = {tokenizer_fingerprint(folder), tokenizer_fingerprint(folder)}
    assert len(found) == 1
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        with (folder / name).open("a") as stream:
            stream.write(" ")
        found.add(tokenizer_fingerprint(folder))
    (folder / "generation_config.json").write_text("{}")
    found.add(tokenizer_fingerprint(folder))
    assert len(found) == 4
