"""What a model keeps of a prompt, by config.json and the names of its tensors; read without mlx.

The engine knows it from the built model (`engine.model_report`). Here it is read off, for lists of many
models: layers with keys and values of all tokens, those with a sliding window, those with a state that does
not grow, and those that keep a latent (multi-head latent attention). A window counts only where mlx-lm's
module for the architecture has a rotating cache: some modules keep all tokens in such layers as well. Of the
rarest architectures this is an upper estimate.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.(.+)")
_NOT_TEXT = re.compile(r"(?:^|[._])(?:vision|visual|audio|image|encoder|mtp|draft|speech|talker)")
_KEYS = re.compile(r"(?:^|\.)(?:k_proj|key_proj|wk|key|c_k|attn_key)\.(?:weight|scales)$")
_VALUES = re.compile(r"(?:^|\.)(?:v_proj|value_proj|wv|value|c_v|attn_value)\.(?:weight|scales)$")
_FUSED = re.compile(
    r"(?:^|\.)(?:qkv_proj|query_key_value|Wqkv|wqkv|c_attn|qkv|q_k_v_proj|W_pack|att_proj)\.(?:weight|scales)$"
)
_LATENT = re.compile(r"(?:^|\.)(?:kv_a_proj_with_mqa|kv_a_proj|wkv_a)\.(?:weight|scales)$")
_STATE = re.compile(
    r"(?:^|\.)(?:linear_attn|mamba|ssm|conv|A_log|in_proj|conv1d|time_mix|recurrent|rec|linear_attention)\b"
)
_LINEAR = re.compile(r"(?:^|\.)(?:linear_attn\.|local_mixer\.|A_log$|dt_bias$|g_norm\.|x_r$)")
_SECTIONS = ("text_config", "language_config", "llm_config", "thinker_config")
_HEADS = ("num_key_value_heads", "n_kv_heads", "num_kv_heads", "multi_query_group_num", "n_head_kv")
_QUERY_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_WIDTH = ("hidden_size", "n_embd", "d_model", "model_dim", "hidden_dim")
_WINDOWS = ("sliding_window", "sliding_window_size", "attention_window_size", "window_size")
_SLIDING = ("sliding_attention", "sliding", "local_attention")
_BYTES = 2  # of a number in an unquantized cache
# What mlx-lm's modules write.
_ROTATING, _ARRAYS, _BOTH = "RotatingKVCache", "ArraysCache", "CacheList"
_KEPT_LATENT = "update_and_fetch(kv_latent"


@dataclass(frozen=True, slots=True)
class CacheLayers:
    """Layers by what they keep, and bytes: `kv_bytes` of one token in layers that keep all tokens.

    `windows` are (bytes a token, tokens) of each layer with a sliding window. `known` false: the names of the
    tensors say nothing, and no number counts.
    """

    full: int = 0
    latent: int = 0
    sliding: int = 0
    state: int = 0
    kv_bytes: int = 0
    windows: tuple[tuple[int, int], ...] = ()
    known: bool = True

    @property
    def kind(self) -> str:
        """In words: `KV`, `latent KV`, with `+ window` and `+ state` for layers of these kinds."""
        if not self.known:
            return ""
        parts = ["KV"] if self.full else []
        parts += ["latent KV"] if self.latent else []
        parts += ["window"] if self.sliding else []
        parts += ["state"] if self.state else []
        return " + ".join(parts)

    @property
    def needs_checkpoints(self) -> bool:
        """Whether prompts are reused from checkpoints alone: some layers cannot be trimmed."""
        return bool(self.sliding or self.state)


def cache_layers(
    config: Mapping[str, Any], shapes: Mapping[str, Sequence[int]], module: str = "", *, number_bytes: int = 2
) -> CacheLayers:
    """What the model with this config.json and these tensors keeps.

    `module` is mlx-lm's source for it; a number in its cache takes `number_bytes`.
    """
    if number_bytes != _BYTES:
        found = cache_layers(config, shapes, module)
        times = number_bytes // _BYTES
        windows = tuple((size * times, tokens) for size, tokens in found.windows)
        return replace(found, kv_bytes=found.kv_bytes * times, windows=windows)
    text = text_config(config)
    layers = _layers(shapes, text)
    window = _first(text, _WINDOWS)
    slides = window > 0 and _ROTATING in module
    full = latent = sliding = state = kv_bytes = 0
    sliding_layers: list[tuple[int, int]] = []
    for number, parts in sorted(layers.items()):
        has_state = any(_STATE.search(name) for name in parts)
        has_both = has_state and _BOTH in module
        if _ARRAYS in module and not has_both and any(_LINEAR.search(name) for name in parts):
            state += 1  # keys of linear attention, which are not kept
            continue
        if _has_latent(parts, text):
            kept = _latent_bytes(parts, text, module)
            latent, full = latent + (_KEPT_LATENT in module), full + (_KEPT_LATENT not in module)
            kv_bytes += kept
            continue
        size = _kv_bytes(parts, text)
        if not size:
            state += has_state
            continue
        state += has_both  # such as falcon_h1's layers
        if slides and _is_sliding(number, text):
            sliding += 1
            sliding_layers.append((size, window))
        else:
            full, kv_bytes = full + 1, kv_bytes + size
    known = bool(full or latent or sliding or state)
    return CacheLayers(full, latent, sliding, state, kv_bytes, tuple(sliding_layers), known)


def _layers(
    shapes: Mapping[str, Sequence[int]], text: Mapping[str, Any]
) -> dict[int, dict[str, Sequence[int]]]:
    found: dict[int, dict[str, Sequence[int]]] = defaultdict(dict)
    for name, shape in shapes.items():
        match = _LAYER.search(name)
        if match and not _NOT_TEXT.search(name):
            found[int(match[1])][match[2]] = shape
    count = _first(text, ("num_hidden_layers", "n_layer", "n_layers", "num_layers"))
    own = count - _first(text, ("num_kv_shared_layers",)) if count else 0  # the last layers may share KV
    return {number: parts for number, parts in found.items() if not count or number < own}


def _has_latent(parts: Mapping[str, Sequence[int]], text: Mapping[str, Any]) -> bool:
    return _first(text, ("kv_lora_rank",)) > 0 and any(_LATENT.search(name) for name in parts)


def _latent_bytes(parts: Mapping[str, Sequence[int]], text: Mapping[str, Any], module: str) -> int:
    """Of one token: the latent and the rotated part, or the keys and values computed of them."""
    rotated = _first(text, ("qk_rope_head_dim",))
    index = _first(text, ("index_head_dim",)) if any("indexer" in name for name in parts) else 0
    if _KEPT_LATENT in module:
        attentions = sum(bool(_LATENT.search(name)) for name in parts if name.endswith("weight"))
        return _BYTES * (attentions * (_first(text, ("kv_lora_rank",)) + rotated) + 2 * index)
    keys = _first(text, ("qk_nope_head_dim",)) + rotated
    return _BYTES * _first(text, _QUERY_HEADS) * (keys + _first(text, ("v_head_dim",)))


def _kv_bytes(parts: Mapping[str, Sequence[int]], text: Mapping[str, Any]) -> int:
    keys = next((shape[0] for name, shape in parts.items() if _KEYS.search(name) and len(shape) == 2), 0)
    values = next((shape[0] for name, shape in parts.items() if _VALUES.search(name) and len(shape) == 2), 0)
    if keys:
        return _BYTES * (keys + (values or keys))  # some models use their keys as values
    if any(_FUSED.search(name) for name in parts):
        heads = _first(text, _QUERY_HEADS)
        size = _first(text, ("head_dim",)) or (_first(text, _WIDTH) // heads if heads else 0)
        shared = _first(text, _HEADS) or (1 if text.get("multi_query") is True else heads)
        return _BYTES * 2 * shared * size
    return 0


def _is_sliding(number: int, text: Mapping[str, Any]) -> bool:
    kinds = text.get("layer_types")
    if isinstance(kinds, list) and number < len(kinds):
        return kinds[number] in _SLIDING
    chosen = text.get("sliding_window_layers")
    if isinstance(chosen, list):
        return number in chosen
    hybrid = text.get("hybrid_layer_pattern")
    if isinstance(hybrid, list) and number < len(hybrid):
        return bool(hybrid[number] == 1)
    pattern = text.get("sliding_window_pattern", text.get("_sliding_window_pattern"))
    if isinstance(pattern, str) and pattern:
        return pattern[number % len(pattern)].upper() == "L"
    every = pattern if type(pattern) is int and pattern > 0 else _PATTERNS.get(str(text.get("model_type")), 0)
    return bool(every) and (number + 1) % every != 0


_PATTERNS = {"gemma3_text": 6, "gemma3": 6, "cohere2": 4, "gpt_oss": 2, "gemma3n_text": 5}
"""Every such layer keeps all tokens, where config.json does not say so: mlx-lm's own defaults."""


def text_config(config: Mapping[str, Any], depth: int = 3) -> Mapping[str, Any]:
    """The section about the text model, over the outer one."""
    for name in _SECTIONS:
        inner = config.get(name)
        if isinstance(inner, dict) and depth:
            return {**config, **text_config(inner, depth - 1)}
    return config


def _first(config: Mapping[str, Any], names: Sequence[str]) -> int:
    found = (config.get(name) for name in names)
    return next((value for value in found if type(value) is int and value > 0), 0)
