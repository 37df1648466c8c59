"""Encode layouts, KV and checkpoints of prompt caches as JSON and named arrays for files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import orjson
from mlx_lm.models import cache as cache_classes
from mlx_lm.models.cache import CacheList

from engine.prefix_cache.layers import KV, Checkpoint, Layout, has_checkpoint

Arrays = dict[str, mx.array]


class NotSavable(ValueError):
    """A cache cannot be encoded: a class is not mlx-lm's, or a value is neither a number nor an array."""


def layout_text(layout: Layout, dtypes: Sequence[str]) -> str:
    """A layout and the number types of its KV as text; equal layouts have equal texts.

    Raises:
        NotSavable: a layer's class is not one of mlx-lm's.
    """
    described = {"layers": [_layer_to_json(layer) for layer in layout.layers], "dtypes": list(dtypes)}
    return orjson.dumps(described).decode()


def layout_from(text: str) -> Layout:
    """The layout of a text that `layout_text` wrote.

    Raises:
        ValueError: the text is invalid, or mlx-lm no longer has a class.
    """
    described = orjson.loads(text)
    try:
        layers = tuple(_layer_from_json(layer) for layer in described["layers"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"the text describes no layout: {text[:200]}") from error
    return Layout(layers, has_checkpoint(layers))


def describes(text: str, layout: Layout) -> bool:
    """Whether a text describes a layout, whatever its number types."""
    try:
        return layout_from(text) == layout
    except ValueError:
        return False


def kv_to_arrays(kv: KV) -> Arrays:
    """KV arrays, named by layer and array."""
    return {f"rows.{number}.{n}": array for number, layer in enumerate(kv) for n, array in enumerate(layer)}


def kv_from_arrays(arrays: Arrays) -> KV:
    """The KV that `kv_to_arrays` named."""
    layers: list[dict[int, mx.array]] = []
    for number, n in sorted(_kv_numbers(name) for name in arrays if name.startswith("rows.")):
        if n == 0:
            layers.append({})
        layers[number][n] = arrays[f"rows.{number}.{n}"]
    return [tuple(layer[n] for n in range(len(layer))) for layer in layers]


def checkpoint_to_arrays(checkpoint: Checkpoint) -> tuple[list[Any], Arrays]:
    """A checkpoint as JSON values with references to named arrays, and these arrays.

    Raises:
        NotSavable: a class or a value cannot be encoded.
    """
    arrays: Arrays = {}

    def encode(value: Any) -> Any:
        if isinstance(value, mx.array):
            name = f"states.{len(arrays)}"
            arrays[name] = value
            return {"array": name}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, tuple | list):
            return {type(value).__name__: [encode(part) for part in value]}
        raise NotSavable(f"a state holds a {type(value).__name__}")

    return [{"class": _class_name(type(layer)), "state": encode(layer.state)} for layer in checkpoint], arrays


def checkpoint_from_arrays(described: Sequence[Any], arrays: Arrays) -> Checkpoint:
    """The checkpoint that `checkpoint_to_arrays` encoded.

    Raises:
        ValueError: mlx-lm does not know a class, or an array is missing.
    """

    def decode(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        if kind == "array":
            return arrays[content]
        parts = [decode(part) for part in content]
        return tuple(parts) if kind == "tuple" else parts

    try:
        return [_class_of(layer["class"]).from_state(decode(layer["state"])) for layer in described]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the checkpoint cannot be decoded: {error!r}") from error


def _layer_to_json(layer: tuple[Any, Any]) -> list[Any]:
    kind, detail = layer
    inner = [_layer_to_json(part) for part in detail] if kind is CacheList else detail and list(detail)
    return [_class_name(kind), inner]


def _layer_from_json(described: list[Any]) -> tuple[Any, Any]:
    name, detail = described
    kind = _class_of(name)
    if kind is CacheList:
        return kind, tuple(_layer_from_json(part) for part in detail)
    return kind, detail and tuple(detail)


def _class_name(kind: type[Any]) -> str:
    if getattr(cache_classes, kind.__name__, None) is not kind:
        raise NotSavable(f"mlx-lm's cache module has no class {kind.__name__}")
    return str(kind.__name__)


def _class_of(name: str) -> Any:
    found: Callable[..., Any] | None = getattr(cache_classes, name, None)
    if not (isinstance(found, type) and hasattr(found, "from_state")):
        raise ValueError(f"mlx-lm's cache module has no class {name}")
    return found


def _kv_numbers(name: str) -> tuple[int, int]:
    _, number, n = name.split(".")
    return int(number), int(n)
