"""What a side request of Claude Code (2.1.332) is for, by its body; and the title that one has asked for.

Bodies and messages are read as they came, of any form: nothing here raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

LONGEST_TITLE = 120  # characters
_MOST_BYTES = 4_000  # of an answer that is a title


def purpose(body: Mapping[str, Any], lane: str) -> str:
    """What an auxiliary request is for: title, check, hook, search, probe; empty where it is not known."""
    if lane != "auxiliary":
        return ""
    wanted = _wanted_fields(body)
    stops, tools = body.get("stop_sequences"), body.get("tools")
    if "title" in wanted:
        return "title"
    if isinstance(stops, list) and "</block>" in stops:  # auto mode, which asks whether a call is harmless
        return "check"
    if "ok" in wanted:
        return "hook"
    if isinstance(tools, list) and any(_is_search(tool) for tool in tools):
        return "search"
    return "probe" if body.get("max_tokens") == 1 else ""


def title_of(message: Any, lane: str) -> str:
    """The title of the session that an auxiliary request's answer is; empty: it is none."""
    content = message.get("content") if lane == "auxiliary" and isinstance(message, dict) else None
    for block in content if isinstance(content, list) else ():
        text = block.get("text") if isinstance(block, dict) else None
        if isinstance(text, str) and text.lstrip()[:1] == "{" and len(text) <= _MOST_BYTES:
            try:
                title = orjson.loads(text).get("title")
            except orjson.JSONDecodeError:
                continue
            if isinstance(title, str):
                return " ".join(title.split())[:LONGEST_TITLE]
    return ""


def _wanted_fields(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the JSON that an answer is to be."""
    config = body.get("output_config")
    wanted = config.get("format") if isinstance(config, dict) else body.get("output_format")
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    fields = schema.get("properties") if isinstance(schema, dict) else None
    return fields if isinstance(fields, dict) else {}


def _is_search(tool: Any) -> bool:
    kind = tool.get("type") if isinstance(tool, dict) else None
    return isinstance(kind, str) and kind.startswith("web_search")
