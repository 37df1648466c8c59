"""Requests with deferred tools, as a renderer that keeps the prompt's head would show them.

Claude Code puts a tool that ToolSearch has found among its `tools`, with `defer_loading`, and refers to it by
a `tool_reference` block in the result of that call. Here such tools are taken out of `tools`, and their
definitions stand as text in the place of each block that refers to them. A tool that no block refers to
is not shown, as the Messages API documents `defer_loading`.
"""

from __future__ import annotations

import json
from typing import Any

Body = dict[str, Any]


def shown_in_place(body: Body) -> Body:
    """The body of a Messages request with its deferred tools where they are referred to."""
    tools = body.get("tools") or []
    late = {tool["name"]: tool for tool in tools if tool.get("defer_loading")}
    if not late:
        return body
    shown = body | {"messages": [_message(message, late) for message in body["messages"]]}
    kept = [tool for tool in tools if not tool.get("defer_loading")]
    return shown | {"tools": kept}


def _message(message: Body, late: dict[str, Body]) -> Body:
    content = message["content"]
    return message if isinstance(content, str) else message | {"content": _blocks(content, late)}


def _blocks(blocks: list[Body], late: dict[str, Body]) -> list[Body]:
    shown: list[Body] = []
    for block in blocks:
        if block["type"] == "tool_reference" and block["tool_name"] in late:
            shown.append({"type": "text", "text": _definition(late[block["tool_name"]])})
        elif isinstance(block.get("content"), list):
            shown.append(block | {"content": _blocks(block["content"], late)})
        else:
            shown.append(block)
    return shown


def _definition(tool: Body) -> str:
    function = {
        "description": tool.get("description", ""),
        "name": tool["name"],
        "parameters": tool["input_schema"],
    }
    return f"<function>{json.dumps(function, ensure_ascii=False)}</function>"
