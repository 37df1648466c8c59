"""Requests of the size and shape that Claude Code sends, with made-up content.

The shape: a system prompt in blocks, twelve tools, one of them very large, a user's text followed by a
`system` entry, streaming. About 50 KB as JSON.
"""

from __future__ import annotations

import random
from typing import Any

_VOCABULARY = (
    "file path line command result search pattern change before after when only never always output error"
    " test branch value option list folder first last number text write read check keep name match"
)
_TOOL_SIZES = {
    "Agent": 5200,
    "Bash": 9800,
    "Edit": 1300,
    "Glob": 900,
    "Grep": 2600,
    "Monitor": 2300,
    "Notebook": 1400,
    "Read": 2100,
    "Skill": 1800,
    "Tasks": 4700,
    "Fetch": 1900,
    "Write": 900,
}


class _Prose:
    """Sentences from a fixed word list; the same seed gives the same text."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._words = _VOCABULARY.split()

    def text(self, size: int) -> str:
        sentences: list[str] = []
        while sum(map(len, sentences)) < size:
            words = self._random.choices(self._words, k=self._random.randint(6, 16))
            sentences.append(" ".join(words).capitalize() + ".\n")
        return "".join(sentences)[:size]


def prose(size: int, *, seed: int) -> str:
    """`size` characters of made-up text; the same seed gives the same text."""
    return _Prose(seed).text(size)


def _schema(prose: _Prose) -> dict[str, Any]:
    kinds: tuple[dict[str, Any], ...] = (
        {"type": "string"},
        {"type": "boolean"},
        {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "string"}},
    )
    fields = {f"field_{i}": kind | {"description": prose.text(90)} for i, kind in enumerate(kinds)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": fields,
        "required": ["field_0"],
        "additionalProperties": False,
    }


def anthropic_body(model: str, *, seed: int = 1) -> dict[str, Any]:
    """A first request of about 50 KB in Anthropic's form."""
    prose = _Prose(seed)
    tools = [
        {"name": name, "description": prose.text(size), "input_schema": _schema(prose)}
        for name, size in _TOOL_SIZES.items()
    ]
    return {
        "model": model,
        "max_tokens": 32000,
        "stream": True,
        "thinking": {"type": "adaptive"},
        "metadata": {"user_id": '{"session_id":"00000000-0000-4000-8000-000000000001"}'},
        "system": [
            {"type": "text", "text": "You are a coding agent."},
            {"type": "text", "text": prose.text(2600), "cache_control": {"type": "ephemeral"}},
        ],
        "tools": tools,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Who are you?"}]},
            {"role": "system", "content": [{"type": "text", "text": prose.text(2400)}]},
        ],
    }


def openai_body(model: str, *, seed: int = 1) -> dict[str, Any]:
    """The same content in OpenAI's form: the request of a client that needs no proxy."""
    body = anthropic_body(model, seed=seed)
    system = "\n\n".join(block["text"] for block in body["system"])
    turns = [
        {"role": message["role"], "content": "\n\n".join(part["text"] for part in message["content"])}
        for message in body["messages"]
    ]
    return {
        "model": model,
        "max_tokens": body["max_tokens"],
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "system", "content": system}, *turns],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool["name"],
                    "description": tool["description"],
                    "parameters": tool["input_schema"],
                },
            }
            for tool in body["tools"]
        ],
    }
