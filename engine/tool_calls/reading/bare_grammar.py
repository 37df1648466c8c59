"""The grammar of calls without a mark: where a text shows that it is one, and how it goes on.

A call begins with its tool's name in the family's syntax and the beginning of its arguments, as JSON up to
the name of the first. Only from there on it is constrained, so that no other text is forbidden: a link, a
sentence, an answer in JSON. `begun` is a name alone, and `NOT_CALLED` what follows it where it begins no
arguments.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from engine.tool_calls.reading.family import ArgumentsRule
from engine.tool_calls.schemas.lark_text import choice
from engine.tool_calls.schemas.pattern_source import escaped, pattern
from engine.tool_calls.schemas.text_schemas import ANNOTATIONS
from engine.tool_calls.schemas.tools import DEFINITIONS, ToolSchema

# At most one line break: an empty line ends a call that nothing else ends.
_BLANKS = r"(?:[ \t]{0,4}|\n[ \t]{0,40})"
_BEFORE = r"[ \t\r\n]{0,8}"
_CONSTRAINED = frozenset(("type", "properties", "required", "additionalProperties"))


@dataclass(frozen=True, slots=True)
class BareHead:
    """Of one tool: the pattern of what stands before its arguments, and the expression for the rest."""

    header: str
    rest: str


def bare_rules(
    heads: Sequence[BareHead], not_called: str = "", *, behind: str = "", spaced: bool = False
) -> list[str]:
    """Lark rules for `bare_calls`, `begun`, `NOT_CALLED` and `NOT_BEGUN`, a text that begins no call.

    `not_called` is the expression of what is no beginning of arguments; without it, a head is one already.
    `behind` stands behind the first call. With `spaced`, blanks may stand before a call.
    """
    before = _BEFORE if spaced else ""
    begun = [f"begun_{place}" for place in range(len(heads))]
    named = [*zip(begun, heads, strict=True)]
    calls = choice([f"{name} {head.rest}".strip() for name, head in named])
    headers = "|".join(head.header for head in heads)
    return [
        f"bare_calls: {calls} {behind}".strip(),
        *([f"begun: {choice(begun)}", f"NOT_CALLED: {not_called}"] if not_called else []),
        "NOT_BEGUN: " + without_beginning(rf"[\s;,]*(?:{headers})"),
        *(f"{name}[lazy]: {pattern(before + head.header)}" for name, head in named),
    ]


def without_beginning(source: str) -> str:
    """The expression of all texts that do not begin with a pattern."""
    return f"/(?s:.*)/ & ~{pattern(source + '(?s:.*)')}"


def json_heads(
    tools: Sequence[ToolSchema], arguments: ArgumentsRule, between: str, *, listed: bool
) -> tuple[list[BareHead], list[str]]:
    """The heads of calls as JSON objects, and the rules that they refer to; with `listed`, of a list.

    `bare_next` is a further call behind `between`. A tool whose arguments are more than named ones has none.
    """
    heads: list[BareHead] = []
    further, lines = [], ["BARE_SPACE: /[ \\t]{1,4}|\\n[ \\t]{0,40}/"]
    before, first = _BLANKS + between.strip() + _BLANKS, rf"\[{_BLANKS}" if listed else ""
    of_type = rf'(?:"type"{_BLANKS}:{_BLANKS}"function"{_BLANKS},{_BLANKS})?'
    for place, tool in enumerate(tools):
        if not is_plain(tool):
            continue
        name = escaped(json.dumps(tool.name, ensure_ascii=False))
        header = rf'\{{{_BLANKS}{of_type}"name"{_BLANKS}:{_BLANKS}{name}{_BLANKS},{_BLANKS}'
        header += rf'"(?:arguments|parameters)"{_BLANKS}:'
        begins, members = _members(f"bare_{place}", tool, arguments)
        lines += members
        for begin, rest in begins:
            # Without arguments, only the whole call is one: other members may still follow.
            source = header + begin + ("" if rest else _BLANKS + r"\}")
            behind = f'{rest} BARE_SPACE? "}}"' if rest else ""
            further.append(f"next_{len(heads)} {behind}".strip())
            lines.append(f"next_{len(heads)}[lazy]: {pattern(before + source)}")
            heads.append(BareHead(first + source, behind))
    return heads, [*lines, f"bare_next: {choice(further)}"] if further else []


def is_plain(tool: ToolSchema) -> bool:
    """Whether named arguments are all that a tool takes, or that its schema says."""
    schema = tool.parameters
    closed = bool(tool.properties) or schema.get("additionalProperties") is False
    return closed and schema.keys() - ANNOTATIONS <= _CONSTRAINED and not tool.is_unsatisfiable


def _members(
    name: str, tool: ToolSchema, arguments: ArgumentsRule
) -> tuple[list[tuple[str, str]], list[str]]:
    """The ways in which a tool's arguments begin, each with what follows, and the rules for it.

    Arguments come in the tool's order. All of an object without any is its beginning.
    """
    required = set(tool.required)
    keys = [key for key, part in tool.properties.items() if part is not False or key in required]
    keys += [key for key in tool.required if key not in keys]
    shared = {word: tool.parameters[word] for word in DEFINITIONS if word in tool.parameters}
    lines = []

    def ways(begin: int, before: str, end: str) -> list[tuple[str, str]]:
        """What may follow: one of the next arguments, or the end."""
        found = []
        for place, key in enumerate(keys[begin:], begin):
            quoted = escaped(json.dumps(key, ensure_ascii=False))
            found.append((before + _BLANKS + quoted + _BLANKS + ":", f"{name}_{place}"))
            if key in required:
                return found
        return [*found, (end, "")]

    for place, key in enumerate(keys):
        schema = tool.properties.get(key)
        value = arguments(tool, shared | (schema if isinstance(schema, dict) else {}))
        more = ways(place + 1, f"{_BLANKS},", _BLANKS + r"\}")
        behind = choice([f"{pattern(source)} {rest}".strip() for source, rest in more])
        lines.append(f"{name}_{place}: BARE_SPACE? {value} {behind}")
    begin = _BLANKS + r"\{"
    return ways(0, begin, begin + _BLANKS + r"\}"), lines
