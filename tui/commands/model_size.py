"""How many parameters a model has: by its name, else by the weights in its folder."""

from __future__ import annotations

import re
from pathlib import Path

from engine.model_files.description import describe
from engine.model_files.errors import ModelError

# 30B, 8x7B, 0.5B, 270m: what a letter stands before is another number, such as the active 3 of 30B-A3B.
_IN_NAME = re.compile(
    r"(?<![A-Za-z0-9.])(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?)([bm])(?![a-z0-9])", re.IGNORECASE
)
_BILLION = 1e9
_SCALES = 0.5  # bits a weight for the scales of its group


def billions_of(model: str) -> float:
    """Billions of parameters, all experts included; 0 if neither the name nor a folder says it.

    `model` is a folder, a hub id or a name at a server.
    """
    found = _IN_NAME.findall(Path(model).name)
    sizes = [int(times or 1) * float(each) / (1 if unit in "bB" else 1000) for times, each, unit in found]
    return max(sizes, default=0.0) or (_by_weights(Path(model)) if model.startswith("/") else 0.0)


def on_diet(setting: bool | float, model: str) -> bool:
    """Whether this model gets the shorter prompt: as `promptDiet` says for all, or up to its size."""
    return setting if isinstance(setting, bool) else 0 < billions_of(model) <= setting


def _by_weights(folder: Path) -> float:
    try:
        description = describe(folder)
    except (ModelError, OSError):
        return 0.0
    bits = description.quantization.bits
    return description.weights_bytes * 8 / (bits + _SCALES if bits else 16) / _BILLION
