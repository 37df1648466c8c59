"""Tool calls as models write them, read or refused with a reason."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from engine.tool_calls.call_format import CallFormat, ParsedCall, UnreadableCall, call_format


def tool(name: str, **properties: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [tool("look", at="string", count="integer"), tool("go")]


def family(name: str) -> CallFormat:
    module = importlib.import_module(f"mlx_lm.tool_parsers.{name}")
    return CallFormat(module.tool_call_start, module.tool_call_end, module.parse_tool_call)


@pytest.mark.parametrize(
    ("name", "text", "calls"),
    [
        (
            "json_tools",
            '\n{"name": "look", "arguments": {"z": 1, "at": "b"}}\n',
            [("look", '{"z": 1, "at": "b"}')],
        ),
        ("json_tools", '{"name": "go", "arguments": "{\\"a\\": 1}"}', [("go", '{"a": 1}')]),
        ("json_tools", '{"name": "go", "arguments": null}', [("go", "{}")]),
        ("json_tools", '{"name": "go"}', [("go", "{}")]),
        ("json_tools", '[{"name": "go"}, {"name": "look"}]', [("go", "{}"), ("look", "{}")]),
        ("json_tools", '{"name": "look", "arguments": {"at": "käse"}}', [("look", '{"at": "käse"}')]),
        ("json_tools", '{"name": "look", "arguments": {"at": "\\ud83d"}}', [("look", '{"at": "\\ud83d"}')]),
        (
            "qwen3_coder",
            "\n<function=look>\n<parameter=at>\nthere\n</parameter>\n<parameter=count>\n3\n</parameter>\n</function>\n",
            [("look", '{"at": "there", "count": 3}')],
        ),
        ("mistral", 'look[ARGS]{"at": "x"}go[ARGS]{}', [("look", '{"at": "x"}'), ("go", "{}")]),
    ],
)
def test_calls_are_read(name: str, text: str, calls: list[tuple[str, str]]) -> None:
    found = family(name).parse(text.strip() if name != "json_tools" else text, TOOLS)
    assert found == [ParsedCall(*call) for call in calls]
    assert all(isinstance(json.loads(call.arguments), dict) for call in found)
    assert all(call.arguments.encode() for call in found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"name": "look", "arguments": {"at": ', "could not be parsed"),
        ("no call at all", "could not be parsed"),
        ('{"name": "fly", "arguments": {}}', "'fly', which was not offered"),
        ('{"arguments": {}}', "names no tool"),
        ('{"name": "look", "arguments": [1]}', "no JSON object"),
        ('{"name": "look", "arguments": "words"}', "no JSON object"),
        ('{"name": "look", "arguments": {"at": NaN}}', "no JSON"),
        ("[]", "empty"),
        ("7", "names no tool"),
    ],
)
def test_what_is_no_call_says_why(text: str, why: str) -> None:
    with pytest.raises(UnreadableCall, match=why):
        family("json_tools").parse(text, TOOLS)


@pytest.mark.parametrize(
    ("text", "unclosed"),
    [
        ('{"name": "look", "arguments": {"at": "a ', True),
        ('{"name": "look", "arguments": {"at": "a"}}', False),
        ('{"name": "look", "arguments": {"at": 1 ', False),
        ("<function=look>\n<parameter=at>\nabout ", True),
        ("<function=look>\n<parameter=at>\nx\n</parameter>\n</function>", False),
        ("anything else", False),
    ],
)
def test_an_end_mark_inside_of_an_argument_is_known_as_such(text: str, unclosed: bool) -> None:
    assert family("json_tools").is_unclosed(text) is unclosed


def test_a_models_format_comes_from_its_tokenizer(tokenizer: Any) -> None:
    found = call_format(tokenizer)
    assert found is not None
    assert (found.start, found.end) == ("<tool_call>", "</tool_call>")
