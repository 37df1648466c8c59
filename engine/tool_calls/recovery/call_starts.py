"""Patterns for the start of calls in no family's form: "it is a call", or "it may become one".

The patterns are compiled by the `regex` package, for partial matches. A text that cannot be a call fails at
the first character that shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import regex

from engine.tool_calls.reading.family import Bare
from engine.tool_calls.reading.json_calls import Pattern
from engine.tool_calls.schemas.tools import ToolSchemas

_S = r"\s{0,80}"
_Q = "[\"']"
_NEVER = r"(?!)"


@dataclass(frozen=True)
class CallStarts:
    """`json`, `python`, `named`: starts of calls without marks; `body`: what may follow an opening mark.

    `called` may follow one behind which only Python's calls stand.
    """

    json: Pattern
    python: Pattern
    named: Pattern
    body: Pattern
    called: Pattern

    def bare(self, kind: Bare) -> Pattern:
        """The start of a call of that kind."""
        return {"json": self.json, "python": self.python, "named": self.named}[kind]


def call_starts(tools: ToolSchemas) -> CallStarts:
    """The patterns for the tools of a request."""
    name = _either(map(_loosely, tools))
    prefixed = rf"(?:(?:functions?|tools?|default_api)[.:])?(?:{name})"
    return CallStarts(
        json=regex.compile(_json(prefixed), regex.IGNORECASE),
        python=regex.compile(rf"\[{_S}(?:{prefixed}){_S}\(", regex.IGNORECASE),
        named=regex.compile(rf"(?:>>>)?(?:{prefixed})[ \t]{{0,8}}\n{_S}\{{", regex.IGNORECASE),
        called=regex.compile(rf"{_S}\[?{_S}{prefixed}{_S}\(", regex.IGNORECASE),
        body=regex.compile(rf"{_S}(?:[{{\[<\]]|call:|{prefixed})", regex.IGNORECASE),
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


def _loosely(name: str) -> str:
    return "".join("[_-]?" if letter in "_-" else regex.escape(letter) for letter in name)


def _either(patterns: Iterable[str]) -> str:
    return "|".join(sorted(patterns, key=len, reverse=True)) or _NEVER
