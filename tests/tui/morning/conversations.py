"""What the clients of the made-up morning send: bodies of requests, and of what parts a prompt is made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.traces.schema import CountedPart
from tests.tui.traffic import MODEL

TOOLS = {
    "Bash": 1_480, "Edit": 960, "Glob": 410, "Grep": 870, "Read": 720, "Task": 1_390, "TodoWrite": 1_610,
    "WebFetch": 560, "Write": 480,
    **{f"mcp__jira__{name}": 165 for name in (
        "create_issue", "get_issue", "list_issues", "add_comment", "assign", "transition", "search", "link",
    )},
}  # fmt: skip
"""Their names, and the tokens that each takes in a prompt."""

_SYSTEM = "You are a careful engineer.", "Work in small steps.\nSay what you changed and why.\n" * 12
_SYSTEM_TOKENS, _REMINDER_TOKENS, _SHORT_TOKENS = 4_600, 1_990, 300
_MEMORY = (
    "<system-reminder>\nContents of /home/ada/.claude/CLAUDE.md (user's private global instructions for all"
    " projects):\n\n# Ledger\nMoney is Decimal, never float. Names are [bold]plain[/bold] English [/].\n\n"
    "Contents of /home/ada/ledger/CLAUDE.md (project instructions):\n\nTests: python -m pytest -q\n"
    "</system-reminder>"
)
_STATUS = (
    "<system-reminder>\nThis is the git status at the start of the conversation: you are on branch {branch}\n"
    "Last commit: 4f1c2aa Round half up\nStatus:\n{files}</system-reminder>"
)
_FILES = ("command", "writer", "rows", "json", "table")
_TITLE_FORMAT = {
    "format": {
        "type": "json_schema",
        "schema": {"type": "object", "properties": {"title": {"type": "string"}}},
    }
}
HEADERS = {
    "anthropic-beta": "interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14",
    "anthropic-version": "2023-06-01",
    "authorization": "[redacted]",
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.330 (external, cli)",
}


@dataclass(slots=True)
class Conversation:
    """The messages between one agent and the model, as far as they have come."""

    lane: str
    branch: str = "main"
    changed: int = 3  # files, by the status that its first message tells
    messages: list[dict[str, Any]] = field(default_factory=list)
    asked: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)  # to be sent with the next request

    def ask(self, says: str) -> None:
        """Add the message that the next request brings."""
        content = [*self.results]
        if says != self.asked or not content:
            content.append({"type": "text", "text": says})
        self.asked, self.results = says, []
        self.messages.append({"role": "user", "content": content})

    def answered(self, content: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> None:
        """Add what the model wrote, and keep what its calls gave for the next message."""
        self.messages.append(
            {"role": "assistant", "content": [block for block in content if block["type"] != "thinking"]}
        )
        self.results = list(results)

    def body(self, model: str, max_tokens: int) -> dict[str, Any]:
        """The request as the client sends it."""
        is_side = self.lane == "auxiliary"
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": max_tokens,
            "stream": True,
            "temperature": 1,
            "system": [{"type": "text", "text": text} for text in _SYSTEM],
            "tools": [] if is_side else [_tool(name) for name in self._tools()],
            "messages": self._all_messages(),
        }
        return body | ({"output_config": _TITLE_FORMAT} if is_side else {})

    def upstream(self) -> dict[str, Any]:
        """What the proxy makes of it for the engine."""
        sent: list[dict[str, Any]] = [{"role": "system", "content": "\n".join(_SYSTEM)}]
        for message in self._all_messages():
            sent.extend(_translated(message))
        body: dict[str, Any] = {"model": MODEL, "stream": True, "messages": sent}
        if self.lane != "auxiliary":
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": name,
                        "description": f"The tool {name}.",
                        "parameters": {"type": "object"},
                    },
                }
                for name in self._tools()
            ]
        return body

    def parts(self, tokens: int) -> list[CountedPart]:
        """Of what a prompt of so many tokens is made, as the engine counts it."""
        is_side = self.lane == "auxiliary"
        short = is_side or self.lane == "subagent"
        sizes: list[tuple[str, int]] = [("system", _SHORT_TOKENS if short else _SYSTEM_TOKENS)]
        sizes += [] if is_side else [(f"tool {name}", TOOLS[name]) for name in self._tools()]
        if not short:
            sizes.append(("reminders of message 1 (user)", _REMINDER_TOKENS))
        sent = [one for message in self._all_messages() for one in _translated(message)]
        lengths = _sizes(sent, tokens - 4 - sum(size for _, size in sizes))
        for number, (one, length) in enumerate(zip(sent, lengths, strict=True), 1):
            role = "tool result" if one["role"] == "tool" else one["role"]
            sizes.append((f"message {number} ({role})", length))
        sizes.append(("the answer's beginning", tokens - sum(size for _, size in sizes)))
        return [CountedPart(name=name, tokens=size) for name, size in sizes]

    def _tools(self) -> list[str]:
        agents = self.lane == "subagent"  # an agent has none of the servers' tools
        return [name for name in TOOLS if not (agents and name.startswith("mcp__"))]

    def _all_messages(self) -> list[dict[str, Any]]:
        """Its messages; before the first text stands what the client adds."""
        if self.lane in ("auxiliary", "subagent"):
            return list(self.messages)
        files = "".join(f" M src/export/{name}.py\n" for name in _FILES[: self.changed])
        added = [_MEMORY, _STATUS.format(branch=self.branch, files=files)]
        first, *later = self.messages
        content = [*({"type": "text", "text": text} for text in added), *first["content"]]
        return [{**first, "content": content}, *later]


def _tool(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"The tool {name}.", "input_schema": {"type": "object"}}


def _translated(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message as the engine gets it: results of tools are messages of their own."""
    blocks = message["content"]
    text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
    if message["role"] == "user":
        results = [
            {"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]}
            for block in blocks
            if block["type"] == "tool_result"
        ]
        return [*results, *([{"role": "user", "content": text}] if text else [])]
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block["input"])},
        }
        for block in blocks
        if block["type"] == "tool_use"
    ]
    return [{"role": "assistant", "content": text} | ({"tool_calls": calls} if calls else {})]


def _sizes(sent: Sequence[dict[str, Any]], tokens: int) -> list[int]:
    """The tokens of each message: what was said and found by its length, and the answers have the rest."""
    lengths = [len(json.dumps(one)) for one in sent]
    others = sum(length for one, length in zip(sent, lengths, strict=True) if one["role"] != "assistant")
    written = sum(lengths) - others
    rate = 0.25 if written and others * 0.25 < tokens else tokens / sum(lengths)
    left = (tokens - others * rate) / written if written else 0.0
    return [
        int(length * (left if one["role"] == "assistant" else rate))
        for one, length in zip(sent, lengths, strict=True)
    ]
