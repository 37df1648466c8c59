"""A tiny random model of each architecture of mlx-lm, with a tokenizer of 512 tokens.

`architecture_configs.json` has a small configuration of each: sizes and switches that its module reads,
after the configurations in mlx-lm's tests and those of published models.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx_lm.models
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.models import qwen3_5

from bench.random_model import new_model, write_model
from bench.stdlib_tokenizer import TURN_END, save_tokenizer, train_tokenizer
from engine.source_texts import standard_library_texts

CONFIGS = Path(__file__).with_name("architecture_configs.json")
WINDOW = 64  # tokens: rotating caches pass it within a short prompt
_VOCABULARY = 512
_CONTEXT = 4096
_WINDOWS = (
    "sliding_window",
    "sliding_window_size",
    "attention_window_size",
    "window_size",
    "loop_window_size",
    "attention_chunk_size",
)


@cache
def configurations() -> dict[str, dict[str, Any]]:
    """The configuration of each architecture, by its model type."""
    found: dict[str, dict[str, Any]] = json.loads(CONFIGS.read_text(encoding="utf-8"))
    return found


def modules_of_mlx_lm() -> list[str]:
    """The architectures that the installed mlx-lm has: its modules with a class `Model`."""
    folder = Path(mlx_lm.models.__path__[0])
    texts = ((path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py")))
    return [name for name, text in texts if "\nclass Model(" in text or "import Model  #" in text]


def write_architecture(name: str, out: Path) -> Path:
    """Write the model's folder.

    Raises:
        Exception: mlx-lm cannot build it; any type.
    """
    config = _with_window(configurations()[name])
    if name == "prism_hadamard_qwen35":
        config = _with_packed_modules(config)
    tokenizer = train_tokenizer(_VOCABULARY, standard_library_texts(300_000))
    end = tokenizer.token_to_id(TURN_END)
    config["eos_token_id"] = end
    mx.random.seed(7)
    model = new_model(json.loads(json.dumps(config)))
    model.update(tree_unflatten([(path, _drawn(name, path, array)) for path, array in _weights(model)]))
    mx.eval(model.parameters())
    shutil.rmtree(out, ignore_errors=True)
    write_model(out, model, config)
    save_tokenizer(tokenizer, out, _CONTEXT)
    return out


def _weights(model: Any) -> Iterator[tuple[str, mx.array]]:
    yield from tree_flatten(model.parameters())


def _drawn(name: str, path: str, array: mx.array) -> mx.array:
    """Weights of which none is constant: a norm of ones hides whether it is applied."""
    if "hadamard" in name and path.endswith("scales"):
        return mx.random.uniform(0.02, 0.1, array.shape).astype(mx.float16)
    if "hadamard" in name and path.endswith(".biases"):
        return mx.full(array.shape, -0.1, mx.float16)
    if array.dtype == mx.uint8 and name == "bitnet":  # four ternary codes (0, 1, 2) in each byte
        codes = mx.random.randint(0, 3, (4, *array.shape)).astype(mx.uint8)
        return codes[0] | (codes[1] << 2) | (codes[2] << 4) | (codes[3] << 6)
    if array.dtype == mx.uint32:
        return mx.random.randint(0, 2**31 - 1, array.shape).astype(mx.uint32)
    if not mx.issubdtype(array.dtype, mx.floating) or array.size < 2:
        return array
    if not mx.all(array == array.flatten()[0]).item():
        return array
    return array + 0.1 * mx.random.normal(array.shape).astype(array.dtype)


def _with_window(config: Any) -> Any:
    if isinstance(config, list):
        return [_with_window(each) for each in config]
    if not isinstance(config, dict):
        return config
    return {
        key: WINDOW if key in _WINDOWS and value else _with_window(value) for key, value in config.items()
    }


def _with_packed_modules(config: dict[str, Any]) -> dict[str, Any]:
    """The list of packed modules that `prism_hadamard_qwen35` reads."""
    config["text_config"]["tie_word_embeddings"] = False
    model = qwen3_5.Model(qwen3_5.ModelArgs.from_dict(config | {"model_type": "qwen3_5"}))
    modules = [
        {"path": path, "embedding": isinstance(module, nn.Embedding), "dtype": "float16", "block": 0}
        for path, module in model.language_model.named_modules()
        if isinstance(module, nn.Linear | nn.Embedding) and module.weight.shape[-1] % 128 == 0
    ]
    return config | {
        "schema_version": 1,
        "tensor_namespace": "mlx-lm-text",
        "gdn_activation_layout": "grouped",
        "quantization": {"bits": 2, "group_size": 128, "mode": "affine"},
        "modules": modules,
    }
