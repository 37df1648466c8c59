"""A LoRA adapter changes its model as mlx-lm applies it, or is refused with a reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm.utils
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from engine.model_files.errors import OptionUnsupported
from engine.models.loading import load_model
from tests.models import ModelShelf

CONFIG = {
    "fine_tune_type": "lora",
    "num_layers": 2,
    "lora_parameters": {"rank": 4, "scale": 20.0, "dropout": 0.5},
}


@pytest.fixture(scope="module")
def trained(shelf: ModelShelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter as training would leave it: B, which starts with zeros, has other values."""
    folder = tmp_path_factory.mktemp("adapter")
    model, _ = mlx_lm.utils.load_model(shelf.tiny())
    linear_to_lora_layers(model, CONFIG["num_layers"], CONFIG["lora_parameters"])
    mx.random.seed(3)
    drawn = {
        name: mx.random.normal(array.shape) * 0.05
        for name, array in tree_flatten(model.parameters())
        if name.endswith(("lora_a", "lora_b"))
    }
    mx.save_safetensors(str(folder / "adapters.safetensors"), drawn)
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG))
    return folder


def test_the_adapter_is_applied_as_mlx_lm_does(shelf: ModelShelf, trained: Path) -> None:
    path = shelf.tiny()
    plain = load_model(path)
    tuned = load_model(path, adapter=str(trained))
    peer, _ = mlx_lm.utils.load(str(path), adapter_path=str(trained))
    tokens = mx.array([[5, 9, 12, 7]])
    wanted = peer(tokens)
    assert mx.array_equal(tuned.model(tokens), wanted).item()
    assert mx.array_equal(tuned.model(tokens), wanted).item()  # nothing is dropped at random
    assert not mx.allclose(plain.model(tokens), wanted).item()
    assert tuned.fingerprint != plain.fingerprint


def test_the_weights_in_memory_count_the_adapter(shelf: ModelShelf, trained: Path) -> None:
    sizes: list[int] = []
    for adapter in ("", str(trained)):
        load_model(shelf.tiny(), adapter=adapter, check_weights=lambda name, nbytes: sizes.append(nbytes))
    assert sizes[1] - sizes[0] == (trained / "adapters.safetensors").stat().st_size


def rename_weights(folder: Path) -> None:
    (folder / "adapters.safetensors").rename(folder / "adapter_model.safetensors")


def configure(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: (folder / "adapter_config.json").write_text(json.dumps(CONFIG | changes)) and None


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: shutil.rmtree(folder), "there is no folder"),
        (lambda folder: (folder / "adapters.safetensors").unlink(), "has no adapters.safetensors"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "has no adapter_config.json"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "adapter_config.json").write_text("[]"), "is no JSON object"),
        (lambda folder: (folder / "adapters.safetensors").write_bytes(b"x"), "does not fit"),
        (rename_weights, "adapter of PEFT"),
        (configure(num_layers=1), "does not fit"),
        (configure(lora_parameters={"rank": 8, "scale": 1.0, "dropout": 0.0}), "does not fit"),
        (configure(lora_parameters={"rank": 4, "alpha": 1.0}), "'scale'"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_with_a_reason(
    shelf: ModelShelf, trained: Path, tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "adapter"))
    damage(folder)
    with pytest.raises(OptionUnsupported) as caught:
        load_model(shelf.tiny(), adapter=str(folder))
    assert says in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
