"""Folders that look like models: a config.json and safetensors headers, with next to no weights in them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LAYER = {
    "model.embed_tokens.weight": (16, 8),
    "model.layers.0.self_attn.k_proj.weight": (4, 8),
    "model.layers.0.self_attn.v_proj.weight": (4, 8),
}
HERMES = '{{ tools }}<tool_call>{"name": "x", "arguments": {}}</tool_call>{{ messages[0].content }}'


def write_folder(
    folder: Path,
    config: Mapping[str, Any] | None = None,
    tensors: Mapping[str, Sequence[int]] = LAYER,
    *,
    template: str = HERMES,
    dtype: str = "BF16",
) -> Path:
    """A folder with one weight file whose tensors are zeros; of an architecture that mlx-lm knows."""
    folder.mkdir(parents=True, exist_ok=True)
    base = {"model_type": "qwen3", "num_hidden_layers": 1, "max_position_embeddings": 4096}
    (folder / "config.json").write_text(json.dumps(base | dict(config or {})))
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": []}))
    (folder / "chat_template.jinja").write_text(template)
    (folder / "model.safetensors").write_bytes(safetensors(tensors, dtype))
    return folder


def safetensors(tensors: Mapping[str, Sequence[int]], dtype: str = "BF16") -> bytes:
    """A safetensors file of zeros, two bytes a number."""
    entries: dict[str, Any] = {}
    at = 0
    for name, shape in tensors.items():
        size = 2 * math.prod(shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + bytes(at)
