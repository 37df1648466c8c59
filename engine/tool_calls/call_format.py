"""One model family's way to write tool calls, read by mlx-lm's parser for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.unclosed import is_unclosed


class UnreadableCall(ValueError):
    """Text between call marks that is no call; raised by `CallFormat.parse`. The message says why."""


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """A call that the model wrote; `arguments` is JSON text with its keys in the model's order."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CallFormat:
    """`start` and `end` enclose calls; `end` is empty where only the end of the answer ends them."""

    start: str
    end: str
    parser: Callable[..., Any]

    def parse(self, text: str, tools: list[dict[str, Any]]) -> list[ParsedCall]:
        """Read what stands between the marks.

        Raises:
            UnreadableCall: it is cut, malformed, or names a tool that was not offered.
        """
        try:
            found = self.parser(text, tools)
        except Exception as error:  # the parsers raise whatever their text makes them raise
            raise UnreadableCall(f"a tool call could not be parsed: {error}") from error
        calls = [_checked(call) for call in (found if isinstance(found, list) else [found])]
        if not calls:
            raise UnreadableCall("a tool call could not be parsed: it is empty")
        offered = list(_names(tools))
        for call in calls:
            if call.name not in offered:
                raise UnreadableCall(f"a tool call names {call.name!r}, which was not offered")
        return calls

    def is_unclosed(self, text: str) -> bool:
        """Whether the end mark after `text` belongs to an argument, because the call is still open there."""
        return is_unclosed(text)


def call_format(tokenizer: Any) -> CallFormat | None:
    """The format of the model behind an mlx-lm tokenizer, or None if it has none that is known."""
    if not tokenizer.has_tool_calling or tokenizer.tool_parser is None:
        return None
    return CallFormat(tokenizer.tool_call_start, tokenizer.tool_call_end or "", tokenizer.tool_parser)


def _checked(call: Any) -> ParsedCall:
    name = call.get("name") if isinstance(call, dict) else None
    if not isinstance(name, str) or not name:
        raise UnreadableCall("a tool call could not be parsed: it names no tool")
    arguments = call.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _decoded(arguments)
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise UnreadableCall(f"the arguments of a call of {name!r} are no JSON object")
    try:
        text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            text = json.dumps(arguments)  # half a surrogate pair is JSON as an escape, and no UTF-8
        return ParsedCall(name, text)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnreadableCall(f"the arguments of a call of {name!r} are no JSON: {error}") from error


def _decoded(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _names(tools: Iterable[dict[str, Any]]) -> Iterable[str]:
    return (tool["function"]["name"] for tool in tools)
