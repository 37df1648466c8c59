"""Calls that follow each other without marks: JSON objects, each perhaps behind its tool's name."""

from __future__ import annotations

import re

from engine.tool_calls.reading.json_extent import JsonExtent

_BETWEEN = re.compile(r"[\s;,]*(?:>>>)?(?P<name>[\w.:/-]{1,200}[ \t]*\n\s*)?(?=\{)")
_END = re.compile(r"[\s;,]*\Z")
_MAX_PARTS = 50


def bare_parts(text: str) -> list[str]:
    """The calls that make up a text, one after another; none if it has anything else."""
    parts: list[str] = []
    at = 0
    while not _END.match(text, at):
        begins = _BETWEEN.match(text, at)
        if begins is None or len(parts) == _MAX_PARTS:
            return []
        extent = JsonExtent()
        end = begins.end() + extent.feed(text[begins.end() :])
        if not extent.done:
            return []
        parts.append((begins["name"] or "") + text[begins.end() : end])
        at = end
    return parts
