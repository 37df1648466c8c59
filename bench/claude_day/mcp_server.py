"""An MCP server on stdio for scenarios: odd schemas, a picture, an error, tools that come late, a sudden end.

python mcp_server.py [--late SECONDS]     slow to start, and with a second tool after the first call
python mcp_server.py [--without TOOL]
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

_NODE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    },
    "required": ["name"],
}
_STRICT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "properties": {
        "items": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1},
            "maxItems": 5,
            "uniqueItems": True,
        },
        "mode": {"enum": ["a", "b", None, 3]},
        "a-b": {"type": ["boolean", "null"]},
        "when": {"type": "string", "format": "date-time"},
        "fixed": {"const": 7},
    },
    "required": ["items"],
    "additionalProperties": False,
}
_UNION = {
    "properties": {
        "value": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {}},
                {"type": "object", "additionalProperties": {"type": "string"}},
            ]
        },
        "other": {"oneOf": [{"type": "string", "pattern": "^[a-z]+$"}, {"type": "null"}]},
    },
    "required": ["value"],
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "echo": {"properties": {"text": {"type": "string"}}, "required": ["text"]},
    "strict": _STRICT,
    "picture": {},
    "name.with-dot": {"properties": {}},
    "union": _UNION,
    "open": {"properties": {"any": True}, "patternProperties": {"^x-": {"type": "string"}}},
    "tree": {
        "properties": {"tree": {"$ref": "#/$defs/node"}},
        "$defs": {"node": _NODE},
        "required": ["tree"],
    },
    "fails": {"properties": {}},
    "dies": {},
}
_DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def main() -> None:
    """Answer each line of stdin."""
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    late = float(options["--late"]) if "--late" in options else None
    names = [name for name in _SCHEMAS if name != options.get("--without")] if late is None else ["first"]
    for line in sys.stdin:
        asked = json.loads(line)
        method, given = asked.get("method"), asked.get("params") or {}
        if "id" not in asked:
            continue
        if method == "initialize":
            time.sleep(late or 0)
            answer: dict[str, Any] = {
                "protocolVersion": given["protocolVersion"],
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "odd", "version": "1"},
                "instructions": "SERVER-TEXT-12 prefer echo.",
            }
        elif method == "tools/list":
            answer = {"tools": [_tool(name) for name in names]}
        elif method == "tools/call":
            answer = _called(given["name"], given.get("arguments"))
        else:
            answer = {}
        _send({"id": asked["id"], "result": answer})
        if method == "tools/call" and late is not None and "second" not in names:
            names.append("second")
            _send({"method": "notifications/tools/list_changed"})


def _tool(name: str) -> dict[str, Any]:
    about = f"The tool {name}. " + ("It has a long description. " * 100 if name == "fails" else "")
    return {"name": name, "description": about, "inputSchema": {"type": "object"} | _SCHEMAS.get(name, {})}


def _called(name: str, arguments: Any) -> dict[str, Any]:
    if name == "dies":
        sys.exit(3)
    content: list[dict[str, Any]] = [{"type": "text", "text": f"{name} got {json.dumps(arguments)}"}]
    if name == "picture":
        content = [
            {"type": "text", "text": "a picture"},
            {"type": "image", "data": _DOT, "mimeType": "image/png"},
        ]
    elif name == "tree":
        embedded = {"uri": "odd://r", "mimeType": "text/plain", "text": "EMBEDDED-TEXT"}
        content.append({"type": "resource", "resource": embedded})
    elif name == "fails":
        return {"isError": True, "content": [{"type": "text", "text": "it failed"}]}
    return {"content": content}


def _send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
