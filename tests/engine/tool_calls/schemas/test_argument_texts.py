"""The value of bare text between tags, by the schema of the argument."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.tool_calls.schemas.argument_texts import argument_json, argument_text, string_piece, text_as_json
from engine.tool_calls.schemas.tools import ToolSchema

NULLABLE = {"type": ["string", "null"]}
EITHER = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}
LIMIT = {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 10}]}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "null", "null"),
        ({"type": "string"}, "5", "5"),
        ({"type": "string"}, "true", "true"),
        ({"type": "string"}, ' {"a": 1}\n', ' {"a": 1}\n'),
        ({"enum": ["1", "2"]}, "1", "1"),
        ({"type": "integer"}, "5", 5),
        ({"type": "integer"}, "\n5 ", 5),
        ({"type": "integer"}, "five", "five"),
        ({"type": "number"}, "1e-07", 1e-07),
        ({"type": "number"}, "NaN", "NaN"),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "False", False),
        ({"type": "null"}, "None", None),
        ({"type": "array"}, '["a", "b"]', ["a", "b"]),
        ({"type": "array"}, "['a', True, None]", ["a", True, None]),
        ({"type": "object"}, "{'it': \"it's\"}", {"it": "it's"}),
        ({"type": "object"}, "{1: {2}}", "{1: {2}}"),
        ({"type": ["integer", "null"]}, "None", None),
        (NULLABLE, "null", None),
        (NULLABLE, "None", None),
        (NULLABLE, " null", " null"),
        (NULLABLE, "5", "5"),
        (NULLABLE, "nothing", "nothing"),
        (EITHER, "[1, 2]", [1, 2]),
        (EITHER, '["a"]', '["a"]'),
        (EITHER, "[1, 2", "[1, 2"),
        (EITHER, "[1, 2]\n", "[1, 2]\n"),
        (EITHER, "5", "5"),
        (LIMIT, "12", 12),
        (LIMIT, "5", "5"),
        ({}, '{"a": 1}', {"a": 1}),
        ({}, "[1]", [1]),
        ({}, "5", 5),
        ({}, "true", True),
        ({}, "null", "null"),
        ({}, '"x"', '"x"'),
        ({}, "True", "True"),
    ],
)
def test_the_schema_decides_the_type_of_a_text(schema: dict[str, Any], text: str, value: Any) -> None:
    tool = ToolSchema("look", {"properties": {"at": schema}})
    assert json.loads(argument_json(text, tool, "at")) == value


def test_an_argument_that_no_schema_names_is_json_or_text() -> None:
    tool = ToolSchema("look", {})
    assert argument_json("[1]", tool, "at") == "[1]"
    assert argument_json("there", tool, "at") == '"there"'


def test_an_argument_may_refer_to_the_tools_definitions() -> None:
    definitions = {"few": {"type": "integer", "maximum": 3}}
    properties = {"at": {"anyOf": [{"$ref": "#/$defs/few"}, {"type": "string"}]}}
    tool = ToolSchema("look", {"properties": properties, "$defs": definitions})
    assert argument_json("2", tool, "at") == "2"
    assert argument_json("9", tool, "at") == '"9"'


def test_numbers_keep_their_digits() -> None:
    tool = ToolSchema("look", {"properties": {"at": {"type": "number"}}})
    for digits in ("123456789012345678901234567890", "1.10", "0.1000000000000000055"):
        assert argument_json(digits, tool, "at") == digits


def test_string_pieces_can_be_joined_at_any_position() -> None:
    text = 'a "b" \\ \n\t\x00 é 😀 \u2028 \ud83d'
    for split in range(len(text)):
        assert json.loads(f'"{string_piece(text[:split])}{string_piece(text[split:])}"') == text


def test_string_pieces_can_be_sent_as_utf8() -> None:
    assert string_piece("\ud83d é").encode() == "\\ud83d é".encode()


def test_a_text_that_is_not_json_gives_none() -> None:
    assert text_as_json("one, two") is None
    assert text_as_json("") is None


def test_strings_are_written_bare() -> None:
    assert argument_text("null") == "null"
    assert argument_text(None) == "null"
    assert argument_text({"é": [True]}) == '{"é": [true]}'
