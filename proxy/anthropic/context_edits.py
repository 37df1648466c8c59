"""Context edits of a request: old thinking and old tool results that the client wants cleared. Pure.

As in the API's documentation on context editing: the client sends its whole history each time, and the edits
apply before the prompt is made. `clear_thinking_20251015` keeps the thinking of the last turns,
`clear_tool_uses_20250919` the results of the last calls once the prompt is beyond its trigger.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]
CLEAR_THINKING = "clear_thinking_20251015"
CLEAR_TOOL_USES = "clear_tool_uses_20250919"
CLEARED = "[The result of this call was cleared to save room. Call the tool again if you need it.]"
_TRIGGER_TOKENS = 100_000
_KEPT_TOOL_USES = 3
_KEPT_THINKING_TURNS = 1


@dataclass(frozen=True, slots=True)
class Cleared:
    """Messages after an edit, and how many turns' thinking or calls it cleared."""

    messages: list[Message]
    count: int


@dataclass(frozen=True, slots=True)
class ToolUseEdit:
    """`clear_tool_uses_20250919`: above `trigger_tokens` or `trigger_uses`, whichever is not 0."""

    trigger_tokens: int
    trigger_uses: int
    at_least_tokens: int
    _edit: dict[str, Any]

    @classmethod
    def of(cls, edit: dict[str, Any]) -> ToolUseEdit:
        """The edit with the documented defaults for what is missing or unusable."""
        trigger = edit.get("trigger")
        by_uses = isinstance(trigger, dict) and trigger.get("type") == "tool_uses"
        value = _number(trigger, _KEPT_TOOL_USES if by_uses else _TRIGGER_TOKENS)
        at_least = _number(edit.get("clear_at_least"), 0)
        return cls(0 if by_uses else value, value if by_uses else 0, at_least, edit)

    def apply(self, messages: list[Message]) -> Cleared:
        """Clear the results of all calls but the last ones and those of excluded tools, and their inputs
        where that is asked for."""
        calls = [block for block in _blocks(messages, "assistant") if block.get("type") == "tool_use"]
        results = {block.get("tool_use_id") for block in _blocks(messages, "user")}
        excluded = _names(self._edit.get("exclude_tools"))
        answered = [call for call in calls if call["id"] in results and call["name"] not in excluded]
        kept = _number(self._edit.get("keep"), _KEPT_TOOL_USES)
        cleared = {call["id"]: call["name"] for call in answered[: len(answered) - kept]}
        if not cleared:
            return Cleared(messages, 0)
        inputs = self._edit.get("clear_tool_inputs")
        without_input = {
            call_id for call_id, name in cleared.items() if inputs is True or name in _names(inputs)
        }

        def edited(block: dict[str, Any]) -> dict[str, Any] | None:
            if block.get("type") == "tool_result" and block.get("tool_use_id") in cleared:
                return block | {"content": CLEARED}
            if block.get("type") == "tool_use" and block.get("id") in without_input:
                return block | {"input": {}}
            return block

        return Cleared([_with_blocks(message, edited) for message in messages], len(cleared))

    @property
    def counts_uses(self) -> bool:
        return self.trigger_uses > 0

    def uses_in(self, messages: list[Message]) -> int:
        """How many calls the messages hold."""
        return sum(block.get("type") == "tool_use" for block in _blocks(messages, "assistant"))


def edits_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The edits that a request asks for, of any type."""
    management = body.get("context_management")
    edits = management.get("edits") if isinstance(management, dict) else None
    return [edit for edit in edits if isinstance(edit, dict)] if isinstance(edits, list) else []


def clear_thinking(messages: list[Message], edit: dict[str, Any]) -> Cleared:
    """Clear the thinking of all turns but the last ones.

    A turn lasts until the user speaks again: calls and their results belong to it.
    """
    keep = edit.get("keep")
    if keep == "all" or (isinstance(keep, dict) and keep.get("type") == "all"):
        return Cleared(messages, 0)
    turns: list[list[int]] = [[]]
    for position, message in enumerate(messages):
        if message["role"] == "assistant":
            turns[-1].append(position)
        elif message["role"] == "user" and not _has(message, "tool_result"):
            turns.append([])
    thinking = [turn for turn in turns if any(_thinks(messages[position]) for position in turn)]
    kept = _number(keep, _KEPT_THINKING_TURNS)
    cleared = {position for turn in thinking[: max(0, len(thinking) - kept)] for position in turn}
    count = max(0, len(thinking) - kept)
    return Cleared(
        [
            _with_blocks(message, _without_thinking) if position in cleared else message
            for position, message in enumerate(messages)
        ],
        count,
    )


def _without_thinking(block: dict[str, Any]) -> dict[str, Any] | None:
    return None if block["type"] in ("thinking", "redacted_thinking") else block


def _thinks(message: Message) -> bool:
    return _has(message, "thinking") or _has(message, "redacted_thinking")


def _has(message: Message, kind: str) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(block["type"] == kind for block in content)


def _blocks(messages: list[Message], role: str) -> Iterable[dict[str, Any]]:
    for message in messages:
        if message["role"] == role and isinstance(message.get("content"), list):
            yield from message["content"]


def _with_blocks(message: Message, edited: Any) -> Message:
    if not isinstance(message.get("content"), list):
        return message
    return message | {"content": [new for block in message["content"] if (new := edited(block)) is not None]}


def _number(setting: Any, default: int) -> int:
    value = setting.get("value") if isinstance(setting, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def _names(value: Any) -> frozenset[str]:
    return (
        frozenset(name for name in value if isinstance(name, str)) if isinstance(value, list) else frozenset()
    )
