"""Applies a LoRA or DoRA adapter, as `mlx_lm.lora` trains it, to a model that is not yet in memory.

The format is mlx-lm's (its LORA.md): `adapters.safetensors` and `adapter_config.json` with `num_layers` and
`lora_parameters`. Adapters of PEFT have other names and another layout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.model_files.errors import OptionUnsupported, first_line

_WEIGHTS = "adapters.safetensors"
_CONFIG = "adapter_config.json"
_OF_PEFT = ("adapter_model.safetensors", "adapter_model.bin")


def apply_adapter(model: Any, folder: Path, name: str) -> int:
    """Change the model's layers; returns the bytes of the adapter's weights. `name` is the model's.

    Raises:
        OptionUnsupported: the folder has no adapter, a damaged one, or one of another model.
    """
    _check(folder)
    from mlx_lm.tuner.utils import load_adapters  # comes with all that mlx-lm trains with

    try:
        load_adapters(model, str(folder))
    except Exception as error:  # mlx-lm checks little: a wrong configuration raises what it happens to raise
        raise OptionUnsupported(
            f"adapter: {folder} does not fit {name} ({first_line(error)}); take the adapter that was trained"
            " for this model, or leave adapter out"
        ) from error
    model.eval()  # its new layers would drop values at random, as in training
    return (folder / _WEIGHTS).stat().st_size


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise OptionUnsupported(f"adapter: there is no folder {folder}; name the one that mlx_lm.lora wrote")
    if any((folder / name).is_file() for name in _OF_PEFT) and not (folder / _WEIGHTS).is_file():
        raise OptionUnsupported(
            f"adapter: {folder} holds an adapter of PEFT, which mlx-lm does not read; merge it into its model"
            " with PEFT and convert that with mlx_lm.convert"
        )
    for name in (_WEIGHTS, _CONFIG):
        if not (folder / name).is_file():
            raise OptionUnsupported(
                f"adapter: {folder} has no {name}; name the folder that mlx_lm.lora wrote"
            )
    try:
        document = json.loads((folder / _CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise OptionUnsupported(
            f"adapter: {folder / _CONFIG} cannot be read ({first_line(error)})"
        ) from error
    if not isinstance(document, dict):
        raise OptionUnsupported(f"adapter: {folder / _CONFIG} is no JSON object")
