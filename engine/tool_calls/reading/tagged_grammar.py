"""The grammar of calls with bare text between tags; it matches the reader in `tagged_calls`.

Arguments come in the schema's order: each at most once, required ones always. A string may contain anything
but its closing tag with structure behind it, in any layout that the reader accepts. Lexemes of text are lazy
and end there; a structure that may not follow is excluded from the text.

Not constrained, and left to the verdict: keywords about the arguments as a whole (`anyOf`, `allOf`,
`dependentRequired` at the top), and for strings everything but length, pattern and enumeration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.tool_calls.reading.family import ArgumentsRule
from engine.tool_calls.reading.tagged_calls import SPACE, TaggedSyntax
from engine.tool_calls.schemas.lark_text import choice, is_counted, literal, text_pattern
from engine.tool_calls.schemas.pattern_source import escaped, pattern
from engine.tool_calls.schemas.text_schemas import ANNOTATIONS, text_schema
from engine.tool_calls.schemas.tools import DEFINITIONS, ToolSchema

_MAX_EXCLUDING = 64
_ANY_KEY = r'[^/"<>\s]'  # begins a name that is a tag


@dataclass(frozen=True, slots=True)
class TaggedLayout:
    """The tags as a family writes them.

    A call is NAME `header_end` (`open` KEY `key_end` VALUE `close`)* `call_end`, then `next_call` and a
    further call, or `section_end`. `typed_key_ends`, where the family marks types, replaces `key_end` after
    the keys of strings, and after those of JSON. With `loose`, line breaks in these may be missing. `$number`
    is the number of the call.
    """

    letters: str
    header_end: str
    open: str
    key_end: str
    close: str
    call_end: str
    section_end: str
    next_call: str = ""
    typed_key_ends: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    loose: bool = False


def marks_text(text: str, loose: bool) -> str:
    """Lark's expression for a text of tags; empty for none."""
    if "$number" in text or (loose and "\n" in text):
        source = escaped(text).replace(escaped("$number"), "[0-9]{1,3}")
        return pattern(source.replace("\\n", "\\n?") if loose else source)
    return literal(text) if text else ""


def tagged_rules(
    layout: TaggedLayout,
    syntax: TaggedSyntax,
    tools: Sequence[ToolSchema],
    arguments: ArgumentsRule,
    nested: Callable[[ToolSchema, str], str] | None = None,
) -> str:
    """Lark rules; the rule named by the layout's letters matches NAME and the rest of a section.

    With `nested`, all values but strings are what it returns for an argument, closing tag included.
    """
    rules = _Rules(layout, syntax, arguments, nested)
    calls = [rules.call(number, tool) for number, tool in enumerate(tools)]
    return "\n".join([f"{layout.letters}: " + "\n  | ".join(calls), *rules.lines.values()])


def tagged_unconstrained(tool: ToolSchema) -> str:
    """The part of a tool's schema that these rules do not enforce; empty for none."""
    beyond = sorted(tool.parameters.keys() - ANNOTATIONS - _CONSTRAINED)
    if beyond:
        return f"{', '.join(beyond)} of the arguments as a whole"
    if tool.parameters.get("type", "object") != "object":
        return "arguments that are not an object"
    if tool.is_unsatisfiable:
        return "arguments that are both required and forbidden"
    keys = dict.fromkeys([*tool.properties, *tool.required])
    loose = [key for key in keys if not (_PLAIN_KEY.fullmatch(key) and text_schema(tool.argument(key)).whole)]
    return f"the whole schema of {', '.join(map(repr, loose))}" if loose else ""


_CONSTRAINED = frozenset(["type", "properties", "required", "additionalProperties"])
_PLAIN_KEY = re.compile(r"[^<>\"\s](?:[^<>\"\n\r]{0,254}[^<>\"\s])?")  # what all readers accept as a name


@dataclass
class _Rules:
    layout: TaggedLayout
    syntax: TaggedSyntax
    arguments: ArgumentsRule
    nested: Callable[[ToolSchema, str], str] | None
    lines: dict[str, str] = field(default_factory=dict)
    lexemes: dict[str, str] = field(default_factory=dict)
    # The keys that a rule may begin with, and the rule of what follows each.
    begun_by: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def call(self, number: int, tool: ToolSchema) -> str:
        """NAME and everything that may follow it."""
        properties = tool.properties
        required = set(tool.required)
        keys = [key for key in properties if properties[key] is not False or key in required]
        keys += [key for key in tool.required if key not in properties]
        ends = {place for place in range(len(keys) + 1) if required.isdisjoint(keys[place:])}
        name = f"{self.layout.letters}_{number}"
        for place in reversed(range(len(keys))):
            later = [] if keys[place] in required else self.begun_by.get(f"{name}_{place + 1}", [])
            self.begun_by[f"{name}_{place}"] = [(keys[place], f"{name}_{place}_value"), *later]
        for place, key in enumerate(keys):
            more = f"{name}_{place + 1}" if place + 1 < len(keys) else ""
            value = self._value(tool, key, more, place + 1 in ends)
            rule = f"{literal(key)} {value}"
            if self.nested is not None:
                self.lines[f"{name}_{place}_value"] = f"{name}_{place}_value: {value}"
                rule = f"{literal(key + self.layout.key_end)} {name}_{place}_value"
            if key not in required and more:
                rule += f"\n  | {more}"
            self.lines[f"{name}_{place}"] = f"{name}_{place}: {rule}"
        behind = self._structure(self.layout.header_end, f"{name}_0" if keys else "", 0 in ends)
        return f"{literal(tool.name)} {behind}"

    def _value(self, tool: ToolSchema, key: str, more: str, may_end: bool) -> str:
        """Everything behind a key, up to the end of the section."""
        argument = tool.argument(key)
        parts = text_schema(argument)
        close = self.layout.close.replace("$key", key)
        if self.nested is not None and (tool.types(key) != {"string"} or parts.json):
            # A tag in it may be a part of it.
            return f"{self.nested(tool, key)} {self._structure('', more, may_end)}"
        behind = self._structure(close, more, may_end)
        texts = [self._text(schema, close, more, may_end) for schema in parts.texts]
        if parts.words:
            texts.append(f"{choice([literal(word) for word in parts.words])} {behind}")
        json = []
        # Free text also matches JSON, unless the family marks strings.
        if not parts.texts or self.layout.typed_key_ends:
            kept = {name: argument.parameters[name] for name in DEFINITIONS if name in argument.parameters}
            json = [f"{self.arguments(tool, kept | schema)} {behind}" for schema in parts.json]
        if self.nested is not None:
            return choice(texts)
        if self.layout.typed_key_ends is None:
            return f"{self._mark(self.layout.key_end)} {choice(list(dict.fromkeys(texts + json)))}"
        typed = zip(("text", "json"), self.layout.typed_key_ends, (texts, json), strict=True)
        return choice(
            [f"{self._key_end(kind, ends)} {choice(values)}" for kind, ends, values in typed if values]
        )

    def _key_end(self, kind: str, ends: Sequence[str]) -> str:
        """What stands behind the key of a string, or of JSON."""
        if len(ends) == 1:
            return literal(ends[0])
        name = f"{self.layout.letters}_{kind}_key"
        self.lines[name] = f"{name}: {choice([*map(literal, ends)])}"
        return name

    def _structure(self, before: str, more: str, may_end: bool) -> str:
        """The structure behind a value that is not free text."""
        layout = self.layout
        ways = [f"{self._mark(before + layout.open)} {more}"] if more else []
        if may_end:
            ways.append(self._mark(before + layout.call_end + layout.section_end))
            if layout.next_call:
                ways.append(f"{self._mark(before + layout.call_end + layout.next_call)} {layout.letters}")
        return choice(ways)

    def _text(self, schema: Mapping[str, Any], close: str, more: str, may_end: bool) -> str:
        """A string, by the structure that ends it."""
        plain = choice(self._ways(schema, close, more, may_end, ""))
        begin, end = self.syntax.wrap
        if not begin or text_pattern(schema, whole_lines=self.syntax.newlines) is not None:
            return plain
        return f"({plain} | {literal(begin)} {choice(self._ways(schema, end + close, more, may_end, begin))})"

    def _ways(self, schema: Mapping[str, Any], close: str, more: str, may_end: bool, begun: str) -> list[str]:
        layout = self.layout

        def lexeme(way: str, alone: bool, key: str = "") -> str:
            return self._lexeme(way, schema, close, alone, begun, key)

        ways = [f"{lexeme('more', not may_end)} {more}"] if more and self.nested is None else []
        if more and self.nested is not None:
            ways = [f"{lexeme('more', not may_end, key)} {rule}" for key, rule in self.begun_by[more]]
        if may_end:
            ways.append(lexeme("end", not more))
            if layout.next_call:
                ways.append(f"{lexeme('next', not more)} {layout.letters}")
        return ways

    def _lexeme(
        self, way: str, schema: Mapping[str, Any], close: str, alone: bool, begun: str, key: str
    ) -> str:
        """The rule of a string and the structure that ends it.

        If another structure may end the string too, it has its own lazy lexeme. A structure that may not
        follow is excluded from the text; not where characters are counted, which would take one state for
        each pair of count and position.
        """
        ends = self._ends(close)
        bounds = text_pattern(schema, whole_lines=self.syntax.newlines)
        content = pattern("(?s:.*)" if bounds is None else bounds)
        excluded = [end for other, end in ends.items() if alone and (other == "more") != (way == "more")]
        if self.nested is not None:
            # Behind its end any name would be read as the next one's.
            excluded = list(dict.fromkeys([*excluded, ends["more"]]))
            if key:
                ends["more"] = self._ends(close, escaped(key + self.layout.key_end))["more"]
        if excluded and (bounds is None or schema.get("maxLength", 0) <= _MAX_EXCLUDING):
            # Unlimited blanks take fewer states.
            others = "|".join(excluded).replace(SPACE, r"[ \t\r\n]*" if self.nested is not None else SPACE)
            content = f"({content} & ~{pattern(f'(?s:.*)({others})(?s:.*)')})"
        if self.syntax.wrap[0] and not begun:
            content = f"({content} & ~{pattern(escaped(self.syntax.wrap[0]) + '(?s:.*)')})"
        line_break = ""
        if bounds is not None and self.syntax.newlines:
            # A pattern may end with a line break too; the layout's own always follows it.
            line_break = "\\n?" if is_counted(schema) else "\\n"
        source = f"{content} {pattern(line_break + ends[way])}"
        if source not in self.lexemes:
            name = self.lexemes[source] = f"{self.layout.letters}_text_{len(self.lexemes)}"
            self.lines[name.upper()] = f"{name.upper()}: {source}"
            self.lines[name] = f"{name}[lazy]: {name.upper()}"
        return self.lexemes[source]

    def _ends(self, close: str, key: str = _ANY_KEY) -> dict[str, str]:
        """The patterns of the structures that end a string, in any layout; `key` where the name is a tag."""
        syntax, layout = self.syntax, self.layout
        close = escaped(close.strip()) + SPACE
        call_end = escaped(syntax.call_end) + SPACE if syntax.call_end else ""
        more = escaped(layout.open) + (key if self.nested is not None else "")
        ends = {"more": close + more, "end": close + call_end + escaped(syntax.section_end)}
        if layout.next_call:
            ends["next"] = close + call_end + escaped(layout.next_call.strip())
        return ends

    def _mark(self, text: str) -> str:
        return marks_text(text, self.layout.loose)
