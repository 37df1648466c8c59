"""Layouts and states of prompt caches as JSON and arrays, so that files can hold them."""

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
    """A cache holds what files cannot: a class of its own, or a value that is neither number nor array."""


def layout_text(layout: Layout, dtypes: Sequence[str]) -> str:
    """A layout and the number types of its rows, as text: what is laid out alike has the same text.

    Raises:
        NotSavable: a layer's class is not one of mlx-lm's.
    """
    described = {"layers": [_layer_to_json(layer) for layer in layout.layers], "dtypes": list(dtypes)}
    return orjson.dumps(described).decode()


def layout_from(text: str) -> Layout:
    """The layout that `layout_text` wrote.

    Raises:
        ValueError: this is no such text, or mlx-lm knows the classes no more.
    """
    described = orjson.loads(text)
    try:
        layers = tuple(_layer_from_json(layer) for layer in described["layers"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"this describes no layout: {text[:200]}") from error
    return Layout(layers, has_checkpoint(layers))


def describes(text: str, layout: Layout) -> bool:
    """Whether `layout_text` wrote this of such a layout."""
    try:
        return layout_from(text) == layout
    except ValueError:
        return False


def kv_to_arrays(kv: KV) -> Arrays:
    """Rows under names that tell layer and array."""
    return {f"rows.{number}.{n}": array for number, layer in enumerate(kv) for n, array in enumerate(layer)}


def kv_from_arrays(arrays: Arrays) -> KV:
    """The rows that `kv_to_arrays` named."""
    layers: list[dict[int, mx.array]] = []
    for number, n in sorted(_kv_numbers(name) for name in arrays if name.startswith("rows.")):
        if n == 0:
            layers.append({})
        layers[number][n] = arrays[f"rows.{number}.{n}"]
    return [tuple(layer[n] for n in range(len(layer))) for layer in layers]


def checkpoint_to_arrays(checkpoint: Checkpoint) -> tuple[list[Any], Arrays]:
    """States as JSON-able values, in which arrays are named, and these arrays.

    Raises:
        NotSavable: a state is of a class or holds a value that is not known here.
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
    """The states that `checkpoint_to_arrays` took apart.

    Raises:
        ValueError: mlx-lm does not know a class, or an array is missing.
    """

    def decode(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        ((kind, held),) = value.items()
        if kind == "array":
            return arrays[held]
        parts = [decode(part) for part in held]
        return tuple(parts) if kind == "tuple" else parts

    try:
        return [_class_of(layer["class"]).from_state(decode(layer["state"])) for layer in described]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"these states cannot be put together: {error!r}") from error


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
