"""What a chat template sees of a client's request: everything that spells a control token is masked.

A template copies content, or tests it. It cannot take masked content for its own marks: a tool's result that
contains `</think>` is not split there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from engine.prompts.encoding.control_tokens import ControlTokens
from engine.prompts.template_traits import Render
from engine.wire.chat import Message

Mask = Callable[[str], str]

# Operations of a template that may produce the spelling of a token.
_ALTERS = re.compile(
    r"\b(?:replace|title|capitalize|swapcase|translate|reverse|striptags|truncate)\b"
    r"|(?:content|text|result|value|thought|thinking)\w*(?:['\"]\])?\s*\[[^\]]*:"
)
_RECASES = {"lower": str.lower, "upper": str.upper}  # their result is known
_SPLITS = re.compile(r"""\bsplit\(\s*(?:(['"])(.*?)\1)?""")

# Words of JSON Schema that templates compare with; they are not content.
_SCHEMA_WORDS = frozenset(
    {"type", "function", "name", "description", "parameters", "properties", "required", "items", "enum"}
    | {"default", "format", "title", "anyOf", "oneOf", "allOf", "not", "const", "additionalProperties"}
    | {"strict", "minimum", "maximum", "pattern", "$ref", "$defs", "definitions", "return", "response"}
    | {"string", "number", "integer", "boolean", "object", "array", "null"}
)


class ContentGuard:
    """Renders with a template, from content in which the control tokens `tokens` are masked."""

    def __init__(self, tokens: ControlTokens, template: str | None) -> None:
        """`template` is its source, None if unknown."""
        self._tokens = tokens
        self._alters = template is None or _may_alter(template, tokens)
        self._recases = [
            change for name, change in _RECASES.items() if re.search(rf"\b{name}\b", template or "")
        ]

    def render(
        self, render: Render, messages: list[Message], tools: list[dict[str, Any]] | None, **options: Any
    ) -> str:
        """The result of `render` for messages, tools and options, with stand-ins."""
        joins = self._alters

        def masked(text: str) -> str:
            nonlocal joins
            joins = joins or self._tokens.may_join(text) or self._may_become(text)
            return self._tokens.masked(text)

        text = self._rendered(render, masked, messages, tools, options)
        if not joins:
            return text
        # Parts may form a token: content and its neighbours, or what is left after a removal. Then more than
        # the spellings must be masked, which a template may notice.
        careful = self._rendered(render, self._tokens.masked_throughout, messages, tools, options)
        written, sure = (Counter(self._tokens.pattern.findall(one)) for one in (text, careful))
        return text if written <= sure else careful

    def _may_become(self, text: str) -> bool:
        """Whether a change of case may turn a text into a token."""
        changed = (change(text) for change in self._recases)
        return any(
            other != text and (self._tokens.may_join(other) or self._tokens.masked(other) != other)
            for other in changed
        )

    def _rendered(
        self,
        render: Render,
        mask: Mask,
        messages: list[Message],
        tools: list[dict[str, Any]] | None,
        options: dict[str, Any],
    ) -> str:
        text = render(
            [_masked_message(message, mask) for message in messages],
            _masked_tools(tools, mask),
            **{name: _masked_option(value, mask) for name, value in options.items()},
        )
        if "\\udc" in text and not any("\\udc" in sent for sent in _texts([messages, tools, options])):
            return self._tokens.unescaped(text)
        return text


def _may_alter(template: str, tokens: ControlTokens) -> bool:
    splits = any(found[2] is None or found[2] not in tokens.numbers for found in _SPLITS.finditer(template))
    return splits or _ALTERS.search(template) is not None


def _masked_message(message: Message, mask: Mask) -> Message:
    """The message with masked values; the names of its fields are kept."""
    others = (name for name in message if name not in {"role", "tool_calls"})
    masked: Message = {"role": message["role"]} | {name: _masked(message[name], mask) for name in others}
    if calls := message.get("tool_calls"):
        masked["tool_calls"] = [_masked_call(call, mask) for call in calls]
    return masked


def _masked_call(call: dict[str, Any], mask: Mask) -> dict[str, Any]:
    function = {name: _masked(value, mask) for name, value in call["function"].items()}
    return call | {"function": function} | ({"id": _masked(call["id"], mask)} if "id" in call else {})


def _masked_tools(tools: list[dict[str, Any]] | None, mask: Mask) -> list[dict[str, Any]] | None:
    masked: list[dict[str, Any]] | None = _masked(
        tools, lambda text: text if text in _SCHEMA_WORDS else mask(text)
    )
    return masked


def _masked_option(value: Any, mask: Mask) -> Any:
    """The value of a template argument; a single word is a choice that the template compares, and is kept."""
    return value if isinstance(value, str) and value.isalnum() else _masked(value, mask)


def _masked(value: Any, mask: Mask) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {_masked(key, mask): _masked(item, mask) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, mask) for item in value]
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
