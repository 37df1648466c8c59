"""How calls begin that belong to no family: patterns that tell "it is one" from "it may become one".

All are patterns of the `regex` package, for partial matches. They look no further than needed: a text that
cannot be a call fails at the letter that shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import regex

from engine.tool_calls.schemas import ToolSchemas

Pattern = Any

_S = r"\s{0,80}"
_Q = "[\"']"
_NEVER = r"(?!)"


@dataclass(frozen=True)
class CallHeads:
    """`json`, `tag`, `python`: beginnings of calls; `body`: what may stand behind a family's opening mark."""

    json: Pattern
    tag: Pattern
    python: Pattern
    body: Pattern
    fence: Pattern


def call_heads(tools: ToolSchemas) -> CallHeads:
    """The patterns for a request's tools."""
    name = _either(map(_loosely, tools))
    prefixed = rf"(?:(?:functions?|tools?|default_api)[.:])?(?:{name})"
    return CallHeads(
        json=regex.compile(_json(prefixed), regex.IGNORECASE),
        tag=regex.compile(_tag(tools)),
        python=regex.compile(rf"(?:\[{_S})?(?:print\({_S})?{prefixed}\(", regex.IGNORECASE),
        body=regex.compile(rf"{_S}(?:[{{\[<]|call:|{prefixed})", regex.IGNORECASE),
        fence=regex.compile(r"```(?:json|tool_calls?|tool_code|xml)?[ \t]*(?:\n|(?=[{\[<]))"),
    )


def _json(name: str) -> str:
    def key(*names: str) -> str:
        return rf"{_Q}(?:{'|'.join(names)}){_Q}{_S}:{_S}"

    of_call = key("type") + rf"{_Q}(?:function|tool_use|tool_call){_Q}"
    counted = key("id", "index", "call_id") + rf"(?:{_Q}[\w.:-]{{0,80}}{_Q}|\d{{1,9}})"
    beside = rf"(?:(?:{of_call}|{counted}){_S},{_S}){{0,4}}"
    named = key("name", "tool", "tool_name", "function", "function_name", "recipient_name")
    within = rf"(?:{key('function', 'tool')}\{{{_S})?"
    call = rf"\{{{_S}{beside}{within}{named}{_Q}{name}{_Q}"
    return rf"(?:\[{_S})?{call}|\{{{_S}{key('tool_calls', 'tool_uses', 'calls')}\[{_S}{call}"


def _tag(tools: ToolSchemas) -> str:
    """Group `end` is the name of the tag that closes the call, if the head has not closed it."""
    own = [
        rf"<{regex.escape(name)}>{_S}"
        rf"(?:</{regex.escape(name)}>|(?=\{{|<(?:{_either(map(regex.escape, tool.properties))})>)"
        rf"(?P<own_{number}>))"
        for number, (name, tool) in enumerate(tools.items())
    ]
    common = [
        rf"<function=[^<>\n]{{1,200}}>{_S}(?:</function>|(?=\{{|<parameter)(?P<function>))",
        rf"<(?:antml:)?invoke name=[^<>\n]{{1,200}}>{_S}"
        rf"(?:</(?:antml:)?invoke>|(?=\{{|<(?:antml:)?parameter)(?P<invoke>))",
        rf"<(?:antml:)?function_calls>{_S}(?=[{{\[]|<(?:antml:)?invoke name=)(?P<function_calls>)",
        rf"<tool_calls?(?:\s[^<>\n]{{0,200}})?>{_S}(?=[{{\[<])(?P<tool_call>)",
    ]
    return "|".join([*common, *own])


def tag_end(head: Any, tools: ToolSchemas) -> tuple[Pattern, Pattern | None] | None:
    """The end of the call that a match of `CallHeads.tag` begins, and what else belongs to it if it follows.

    None if the match is all of the call. A closing tag ends a call only behind something that a call may end
    with.
    """
    groups = [group for group, text in head.groupdict().items() if text is not None]
    if not groups:
        return None
    tail = None
    values = r"</(?:antml:)?parameter>"
    match groups[0]:
        case "function":
            end, tail = "function", regex.compile(rf"{_S}</tool_call>")
        case "invoke":
            end = "(?:antml:)?invoke"
        case "function_calls":
            end, values = "(?:antml:)?function_calls", "</(?:antml:)?invoke>"
        case "tool_call":
            end, values = "tool_calls?", r"</[\w:]+>"
        case own:
            name = list(tools)[int(own.removeprefix("own_"))]
            end = regex.escape(name)
            values = f"</(?:{_either(map(regex.escape, tools[name].properties))})>"
    return regex.compile(rf"(?:{values}|[}}\]]){_S}</{end}>"), tail


def _loosely(name: str) -> str:
    return "".join("[_-]?" if letter in "_-" else regex.escape(letter) for letter in name)


def _either(patterns: Iterable[str]) -> str:
    return "|".join(sorted(patterns, key=len, reverse=True)) or _NEVER
