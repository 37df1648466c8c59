"""Tools and calls for the tests of all families, and what a family cannot distinguish."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from engine.tool_calls.families.registry import FAMILIES, family_named
from engine.tool_calls.families.tagged_format import TaggedFormat
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

JSON_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
MANY = {
    "file_path": {"type": "string"},
    "content": {"type": "string", "description": "all of it"},
    "count": {"type": "integer"},
    "ratio": {"type": "number"},
    "all": {"type": "boolean"},
    "nothing": {"type": "null"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "options": {"type": "object"},
    "edits": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"old": {"type": "string"}, "new": {"type": "string"}},
            "required": ["old", "new"],
        },
    },
}
TOOLS = ToolSchemas(
    [
        ToolSchema("Write", {"type": "object", "properties": MANY, "required": ["file_path"]}),
        ToolSchema("mcp__disk__list-all", {"type": "object", "properties": {"path": {"type": "string"}}}),
        ToolSchema("go", {"type": "object", "properties": {}}),
    ]
)

OF_EACH_KIND: tuple[Family, ...] = tuple(
    family_named(name)
    for name in (
        *("qwen3_coder", "glm", "minimax_m3", "minicpm5", "kimi_k3", "deepseek_v32", "gemma4"),
        *("lfm2", "olmo3", "hermes", "cohere", "kimi", "harmony", "deepseek_v3", "mistral"),
    )
)
"""Families that between them have all that a description can say, for tests that take long."""

MARKS: dict[str, list[str]] = {
    "qwen3_coder": [
        "<tool_call>",
        "<function=go>",
        "<parameter=content>",
        "</parameter>",
        "</function>",
        "</tool_call>",
    ],
    "glm": ["<tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "</tool_call>", "go\n"],
    "minimax": [
        "<minimax:tool_call>",
        '<invoke name="go">',
        '<parameter name="content">',
        "</parameter>",
        "</invoke>",
        "</minimax:tool_call>",
    ],
    "mistral": ["[TOOL_CALLS]", "go[ARGS]", "[ARGS]", "[CALL_ID]", "{}"],
    "mistral_v3": ["[TOOL_CALLS]", '[{"name": "go", "arguments": {}}]', '"id": "abc"', "}]"],
    "function_gemma": ["<start_function_call>", "call:go{", "<escape>", "}", "]", "<end_function_call>"],
    "gemma4": ["<|tool_call>", "call:go{", '<|"|>', "}", "]", "<tool_call|>"],
    "harmony": [
        "<|channel|>commentary to=functions.go",
        "<|message|>",
        "<|call|>",
        "<|end|>",
        "<|start|>assistant",
    ],
    "deepseek_v3": [
        "<｜tool▁call▁begin｜>",
        "```json\n",
        "\n```",
        "<｜tool▁call▁end｜>",
        "<｜tool▁calls▁end｜>",
    ],
    "deepseek_v31": [
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁sep｜>",
        "<｜tool▁call▁end｜>",
        "<｜tool▁calls▁end｜>",
    ],
    "deepseek_v32": [
        "<｜DSML｜function_calls>",
        '<｜DSML｜invoke name="go">',
        '<｜DSML｜parameter name="content" string="true">',
        "</｜DSML｜parameter>",
        "</｜DSML｜invoke>",
        "</｜DSML｜function_calls>",
    ],
    "deepseek_v4": [
        "<｜DSML｜tool_calls>",
        "</｜DSML｜parameter>",
        "</｜DSML｜invoke>",
        "</｜DSML｜tool_calls>",
    ],
    "kimi": [
        "<|tool_calls_section_begin|>",
        "functions.go:0",
        "<|tool_call_end|>",
        "<|tool_calls_section_end|>",
    ],
    "hermes": ["<tool_call>", "</tool_call>", '{"name": "go", "arguments": {}}'],
}
"""Of each family, what a file about it would hold."""

_ANY_MARK = re.compile(
    r"]<]minimax\[>\[</?[^<>]+>|</?[^<>\s]+(?: name=\")?[^<>]*>|\[/?[A-Z_]{3,}\]|functools\[|```\w*"
)


def _written_marks(family: Family) -> list[str]:
    written = family.write([("Write", {"content": "x", "count": 3})], TOOLS)
    return list(dict.fromkeys([*family.openings, *_ANY_MARK.findall(written), '"}', "}]", ")]"]))


MARKS |= {family.name: _written_marks(family) for family in FAMILIES if family.name not in MARKS}


def _reopening(family: TaggedFormat) -> str:
    """A string's own closing tag with the beginning of something else behind it."""

    def source(text: str) -> str:
        words = r"\s*".join(re.escape(word) for word in text.split("\n") if word)
        return words.replace(r"\$number", "[0-9]+").replace(r"\$key", "[^<>]+?")

    close, key = source(family.close), source(family.before_key)
    following = [key] + (
        [rf"{source(family.call_end)}\s*{source(family.before_name)}"]
        if family.several or family.runs_on
        else []
    )
    opening = re.escape(family.opens_alone or family.openings[0])
    section_end = f"(?:{source(family.section_end)})" + ("?" if family.opens_alone else "")
    end = rf"{close}\s*{source(family.call_end)}\s*{section_end}.*{opening}"
    wrapped = rf"|{re.escape(family.wrap[0])}|{re.escape(family.wrap[1])}" if family.wrap[0] else ""
    return rf"{close}\s*(?:{'|'.join(following)})|{end}{wrapped}"


_OF_ARGUMENTS = 2  # of a value in the arguments in a list of calls
_REOPENS: dict[str, str] = {
    "function_gemma": (
        r"<escape>[\s}\]]*(?:,|call:)|<escape>[\s}\]]*<end_function_call>.*<start_function_call>"
    ),
    "gemma4": r'<\|"\|>[\s}\]]*(?:,|call:)|<\|"\|>[\s}\]]*<tool_call\|>.*<\|tool_call>',
}
_REOPENS |= {family.name: _reopening(family) for family in FAMILIES if isinstance(family, TaggedFormat)}


def ambiguous(family: Family, value: Any, depth: int = 0) -> bool:
    """Whether arguments contain their own ends and a continuation; see the families' modules."""
    if isinstance(value, str):
        if depth > _OF_ARGUMENTS and isinstance(family, TaggedFormat) and family.nested in value:
            return bool(family.nested)  # between tags that are lists and objects, a tag is one too
        pattern = _REOPENS.get(family.name)
        return pattern is not None and re.search(pattern, value, re.DOTALL) is not None
    if isinstance(value, Mapping):
        return any(ambiguous(family, part, depth + 1) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(ambiguous(family, part, depth + 1) for part in value)


# Each strategy is made once: hypothesis checks and labels every new one, which takes longer than drawing.


@functools.cache
def strings(family: Family) -> st.SearchStrategy[str]:
    """Strings, many of them composed of the family's marks."""
    odd = [
        "null",
        "None",
        "true",
        "5",
        "",
        "\n",
        "\n\nx\n\n",
        " x ",
        "\r\n",
        '"',
        "\\",
        "{",
        '{"a": 1}',
        "[1]",
        "é😀\u2028",
    ]
    words = st.sampled_from([*MARKS[family.name], *MARKS[family.name], *odd, "\n", " ", "x"])
    return st.one_of(st.sampled_from(odd), st.text(max_size=30), st.lists(words, max_size=8).map("".join))


def values(family: Family, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema of `TOOLS`."""
    text = strings(family)
    keys = st.text(alphabet="abcdefghij_-.$", min_size=1, max_size=6)
    anything = st.recursive(
        JSON_LEAVES | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=6,
    )
    match schema["type"]:
        case "string":
            return text
        case "integer":
            return st.integers()
        case "number":
            return st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array" if schema["items"]["type"] == "string":
            return st.lists(text, max_size=3)
        case "array":
            return st.lists(st.fixed_dictionaries({"old": text, "new": text}), max_size=2)
    if isinstance(family, TaggedFormat) and family.nested:
        # Of a text between tags that no schema names, only its look says what it is.
        anything = st.text(alphabet="xyz é", min_size=1).filter(str.strip) | st.integers()
    return st.dictionaries(keys, anything, max_size=3)


@functools.cache
def calls(family: Family) -> st.SearchStrategy[list[tuple[str, dict[str, Any]]]]:
    """Calls with their arguments in any order."""

    def one(name: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
        properties = TOOLS[name].properties
        pairs = [st.tuples(st.just(key), values(family, schema)) for key, schema in properties.items()]
        chosen = (
            st.lists(st.one_of(pairs), max_size=5, unique_by=lambda pair: pair[0]) if pairs else st.just([])
        )
        return chosen.map(dict).map(lambda arguments: (name, arguments))

    of_tool = {name: one(name) for name in TOOLS}
    made = st.lists(st.sampled_from(list(TOOLS)).flatmap(of_tool.__getitem__), min_size=1, max_size=3)
    return made.filter(lambda some: not ambiguous(family, [arguments for _, arguments in some]))


@functools.cache
def texts(family: Family) -> st.SearchStrategy[str]:
    """Text around calls: without opening marks, but perhaps with parts of them."""
    beginnings = [mark[:length] for mark in MARKS[family.name] for length in (1, 3, len(mark) - 1)]
    words = st.sampled_from([*beginnings, "\n", " ", "then", ".", "é"])
    some = st.text(max_size=10) | st.lists(words, max_size=5).map("".join)
    return some.filter(lambda text: not any(mark in text for mark in (*family.openings, *MARKS[family.name])))
