"""Merges two settings objects of Claude Code, value by value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SettingsConflict(ValueError):
    """The lower layer has another type where the upper one has an object; raised by `merged`."""


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """`upper` merged over `lower`: objects are merged, lists are joined, other values come from `upper`.

    `where` names the object, for the error.

    Raises:
        SettingsConflict: a merge would drop a value of `lower`, such as a rule of the user.
    """
    both = dict(lower)
    for key, value in upper.items():
        both[key] = _joined(both[key], value, f"{where}.{key}" if where else key) if key in both else value
    return both


def _joined(lower: Any, upper: Any, where: str) -> Any:
    if isinstance(upper, Mapping):
        if not isinstance(lower, Mapping):
            raise SettingsConflict(f"{where} must be a JSON object")
        return merged(lower, upper, where=where)
    if isinstance(upper, list) and isinstance(lower, list):
        return [*lower, *(item for item in upper if item not in lower)]
    return upper
