"""The tables of docs/events.md have each type, each object and each field, and nothing else."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from proxy.events.types import PAYLOADS

DOCUMENT = Path(__file__).parents[3] / "docs" / "events.md"


def documented() -> dict[str, set[str]]:
    """Each name in a first column, with the field names in the last one."""
    found: dict[str, set[str]] = {}
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("| `"):
            names, _, told = line.strip("| ").split(" | ")
            for name in re.findall(r"`([\w.]+)`", names):
                assert name not in found, f"{name} has two rows"
                found[name] = set(re.findall(r"`(\w+)`", told))
    return found


def models_in(annotation: Any) -> Iterator[type]:
    """The payload models that a field's type is made of."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models_in(part)


def fields_of(model: type) -> set[str]:
    return {one.name for one in fields(model)} if is_dataclass(model) else set(cast(Any, model).model_fields)


def test_each_event_type_and_each_object_is_documented_with_its_fields() -> None:
    expected = {name: set(model.model_fields) for name, model in PAYLOADS.items()}
    left: list[type] = [*PAYLOADS.values()]
    while left:
        for annotation in typing.get_type_hints(left.pop()).values():
            for model in models_in(annotation):
                if model.__name__ not in expected:
                    expected[model.__name__] = fields_of(model)
                    left.append(model)
    assert documented() == expected
