"""Arguments between tags of which one lacks its closing tag, so that it holds the next ones too."""

from __future__ import annotations

import re
from typing import Any

from engine.tool_calls.schemas.tools import ToolSchema


def split_values(arguments: dict[str, Any], tool: ToolSchema) -> tuple[dict[str, Any], list[str]] | None:
    """The arguments with those that stand in another's text, and the names of the unclosed ones.

    Only required arguments are looked for, and each must stand there once: else a text that shows such tags
    would become other arguments. None if one is not found.
    """
    missing = [key for key in tool.required if key not in arguments]
    if not missing:
        return None
    found: dict[str, Any] = {}
    unclosed = []
    for key, value in arguments.items():
        parts = _parts(value, missing) if isinstance(value, str) else {}
        if parts:
            unclosed.append(key)
        found |= {key: parts.pop("", value)} | parts
    whole = len(found) == len(arguments) + len(missing) and all(key in found for key in missing)
    return (found, unclosed) if whole else None


def _parts(text: str, keys: list[str]) -> dict[str, str]:
    """The texts behind the opening tags of these arguments, and before the first one under an empty name."""
    names = "|".join(map(re.escape, keys))
    tag = re.compile(rf"\n?<(?:\w+:)?param(?:eter)?(?:=| name=\")({names})\"?>\n?")
    before, *rest = tag.split(text)
    names_found = rest[::2]
    if not rest or len(set(names_found)) < len(names_found):
        return {}
    return {"": before} | dict(zip(names_found, rest[1::2], strict=True))
