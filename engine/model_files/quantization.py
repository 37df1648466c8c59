"""How a model's weights are quantized, by config.json and the types of its tensors.

mlx-lm writes `quantization` with `bits`, `group_size` and `mode` (`affine`, `mxfp4`, …), and below the names
of modules what differs for them. `quantization_config` with a `quant_method` is another program's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.model_files.safetensors_header import TensorEntry

_FLOATS = {"BF16": "bf16", "F16": "fp16", "F32": "fp32", "F64": "fp64", "F8_E4M3": "fp8", "F8_E5M2": "fp8"}


@dataclass(frozen=True, slots=True)
class Quantization:
    """`name` for people, such as `4-bit`, `mxfp4` or `bf16`; `bits` of most weights, 0 where not quantized.

    `mixed` says that some modules have other bits. `foreign` names another program's method, empty for
    mlx-lm's own and for none.
    """

    name: str
    bits: int = 0
    group_size: int = 0
    mixed: bool = False
    foreign: str = ""


def quantization_of(config: Mapping[str, Any], tensors: Iterable[TensorEntry]) -> Quantization:
    """The quantization of a model with this config.json and these tensors."""
    found = config.get("quantization")
    if not isinstance(found, dict):
        other = config.get("quantization_config")
        if isinstance(other, dict):
            if "quant_method" not in other and "bits" in other:
                found = other  # mlx-lm's own, under both names
            else:
                method = str(other.get("quant_method") or "unknown method")
                return Quantization(method, foreign=method)
    if not isinstance(found, dict):
        return Quantization(_FLOATS.get(float_type(tensors), ""))
    bits, mode = found.get("bits"), found.get("mode")
    bits = bits if type(bits) is int else 0
    size = found.get("group_size")
    others = {
        value.get("bits", bits) if isinstance(value, dict) else 0
        for value in found.values()
        if isinstance(value, dict) or value is False
    }
    mixed = bool(others - {bits})
    name = mode if isinstance(mode, str) and mode != "affine" else f"{bits}-bit" if bits else "quantized"
    return Quantization(name + (" mixed" if mixed else ""), bits, size if type(size) is int else 0, mixed)


def float_type(tensors: Iterable[TensorEntry]) -> str:
    """The type of most numbers that are not quantized, in which the model computes; empty for none."""
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        if tensor.dtype in _FLOATS:
            sizes[tensor.dtype] += tensor.nbytes
    return max(sizes, key=lambda name: sizes[name], default="")
