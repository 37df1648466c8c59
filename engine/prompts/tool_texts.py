"""Tools, calls and results as text, for chat templates that have no place for them.

Calls are written in the form of the model's family, which its reader reads; without one in that of Hermes,
which most models know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.prompts.encoding.control_tokens import OWN
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import tool_schemas
from engine.wire.chat import Message, content_text

_APART = "\ud8ff"  # no client can send it, since valid text has no unpaired surrogate
_TOOLS_THERE, _NO_RULES = "You can call tools.", "Answer the user."
_EXAMPLE = ("TOOL_NAME", {"ARGUMENT": "VALUE"})
_NO_TOOLS = tool_schemas([])


class ToolTexts:
    """Writes tools and calls as text in a family's form; `marks` are all control tokens of the model."""

    def __init__(self, family: Family | None = None, marks: Sequence[str] = ()) -> None:
        self.family: Family = family or family_named("hermes")
        example = self.family.write([_EXAMPLE, _EXAMPLE], _NO_TOOLS)
        own = sorted((mark for mark in marks if mark and mark in example), key=len, reverse=True)
        self._marks = re.compile("|".join(map(re.escape, own))) if own else None
        self._example = self.family.write([_EXAMPLE], _NO_TOOLS)

    def with_tools(self, messages: Sequence[Message], tools: list[dict[str, Any]] | None) -> list[Message]:
        """Messages with the tools written into the system text."""
        if not tools:
            return list(messages)
        leads = messages[0].get("role") == "system"
        said = [content_text(messages[0].get("content"))] if leads else []
        lead = {"role": "system", "content": "\n\n".join([*said, self.tools(tools)])}
        return [lead, *messages[leads:]]

    def tools(self, tools: list[dict[str, Any]]) -> str:
        """The tools, and how to call one."""
        listed = [json.dumps(tool, ensure_ascii=False) for tool in tools]
        return "\n".join(
            [
                "Tools:",
                *listed,
                "",
                "To call a tool, write its name and arguments in this form:",
                self._example,
                "The result follows in the next message.",
            ]
        )

    def calls(self, calls: Sequence[dict[str, Any]]) -> str:
        """Calls in the family's form; only its own marks are control tokens, not those in arguments."""
        pairs = [
            (self._apart(str(call["function"]["name"])), self._apart(_mapping(call["function"]["arguments"])))
            for call in calls
        ]
        written = self.family.write(pairs, _NO_TOOLS)
        if self._marks is not None:
            written = self._marks.sub(OWN + r"\g<0>", written)
        return written.replace(_APART, "")

    def _apart(self, value: Any) -> Any:
        """A value in which no text spells a mark of the family."""
        if isinstance(value, str):
            return value if self._marks is None else self._marks.sub(_parted, value)
        if isinstance(value, Mapping):
            return {self._apart(key): self._apart(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._apart(item) for item in value]
        return value


def _parted(mark: re.Match[str]) -> str:
    return mark[0][:1] + _APART + mark[0][1:]


def with_system(messages: Sequence[Message], tools: list[dict[str, Any]] | None) -> list[Message]:
    """Messages that begin with a system entry, for a template that needs one."""
    if messages and messages[0].get("role") == "system":
        return list(messages)
    return [{"role": "system", "content": _TOOLS_THERE if tools else _NO_RULES}, *messages]


def _mapping(arguments: Any) -> Mapping[str, Any]:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return {"text": arguments}
    return arguments if isinstance(arguments, dict) else {"text": arguments}
