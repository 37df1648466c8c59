"""The tables of docs/events.md have each type, each object and each field, and nothing else."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from proxy.events.types import PAYLOADS

DOCUMENT = Path(__file__).parents[3] / "docs" / "events.md"


def documented() -> dict[str, set[str]]:
    """Each name in a first column, with the field names in the last one."""
    found: dict[str, set[str]] = {}
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("| `"):
            names, _, fields = line.strip("| ").split(" | ")
            for name in re.findall(r"`([\w.]+)`", names):
                assert name not in found, f"{name} has two rows"
                found[name] = set(re.findall(r"`(\w+)`", fields))
    return found


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The payload models that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models_in(part)


def test_each_event_type_and_each_object_is_documented_with_its_fields() -> None:
    expected = {name: set(model.model_fields) for name, model in PAYLOADS.items()}
    left = [*PAYLOADS.values()]
    while left:
        for field in left.pop().model_fields.values():
            for model in models_in(field.annotation):
                if model.__name__ not in expected:
                    expected[model.__name__] = set(model.model_fields)
                    left.append(model)
    assert documented() == expected
