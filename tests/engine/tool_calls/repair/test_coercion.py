"""Values of the wrong type are coerced to the schema's types, and no further."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.tool_calls.repair.coercion import SpelledFloat, coerced
from engine.tool_calls.schemas.tools import ToolSchema


def fitted(value: Any, schema: dict[str, Any], **more: Any) -> tuple[Any, tuple[str, ...]]:
    tool = ToolSchema("t", {"type": "object", "properties": {"x": schema}, "required": ["x"], **more})
    changed, repairs = coerced({"x": value}, tool)
    return changed["x"], repairs


OBJECTS = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("value", "schema", "meant"),
    [
        ("5", {"type": "integer"}, 5),
        ("5.0", {"type": "integer"}, 5),
        ("-2.5", {"type": "number"}, -2.5),
        ("true", {"type": "boolean"}, True),
        ("False", {"type": "boolean"}, False),
        ("null", {"type": ["integer", "null"]}, None),
        ("None", {"type": ["integer", "null"]}, None),
        (5, {"type": "string"}, "5"),
        (True, {"type": "string"}, "true"),
        (SpelledFloat.read("1.10"), {"type": "string"}, "1.10"),
        ('["a"]', {"type": "array", "items": {"type": "string"}}, ["a"]),
        ("['a',]", {"type": "array", "items": {"type": "string"}}, ["a"]),
        ('{"n": "1"}', OBJECTS, {"n": 1}),
        (r"[\"a\", \"C:\\\\b\"]", {"type": "array", "items": {"type": "string"}}, ["a", "C:\\b"]),
        ("a", {"type": "array", "items": {"type": "string"}}, ["a"]),
        ({"n": "1"}, {"type": "array", "items": OBJECTS}, [{"n": 1}]),
        ([{"N": 1}], {"type": "array", "items": OBJECTS}, [{"n": 1}]),
        ("5", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, 5),
        ("5", {"$ref": "#/$defs/whole"}, 5),
        ("5", {"allOf": [{"type": "integer"}, {"minimum": 3}]}, 5),
        (
            ["1", 2],
            {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
            [1, "2"],
        ),
    ],
)
def test_a_value_is_coerced_to_its_only_possible_meaning(
    value: Any, schema: dict[str, Any], meant: Any
) -> None:
    changed, repairs = fitted(value, schema, **{"$defs": {"whole": {"type": "integer"}}})
    assert json.dumps(changed) == json.dumps(meant)
    assert repairs


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("null", {"type": "string"}),
        ("5", {"type": ["string", "integer"]}),
        ("5", {}),
        ("five", {"type": "integer"}),
        ("5.5", {"type": "integer"}),
        ("0x10", {"type": "integer"}),
        ("1" * 200, {"type": "integer"}),
        ("yes", {"type": "boolean"}),
        (1, {"type": "boolean"}),
        ("[1, 2", {"type": "array", "items": {"type": "string"}}),
        (r'[\"a\", "b"]', {"type": "array", "items": {"type": "integer"}}),
        (None, {"type": "string"}),
        ("5", {"type": "integer", "maximum": 3}),
        ("5", {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}),
        (["a"], {"type": "string"}),
        ("x", {"enum": ["a", "b"]}),
    ],
)
def test_a_value_is_unchanged_if_it_fits_or_cannot_fit(value: Any, schema: dict[str, Any]) -> None:
    assert fitted(value, schema) == (value, ())


@pytest.mark.parametrize("value", [None, "", "null", "None"])
def test_an_optional_placeholder_is_left_out(value: Any) -> None:
    tool = ToolSchema("t", {"properties": {"x": {"type": "integer"}, "y": {"type": "string"}}})
    changed, repairs = coerced({"y": "", "x": value}, tool)
    assert changed == {"y": ""}
    assert repairs == (f"left out 'x', which was {json.dumps(value)}",)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"filePath": "a"}, {"file_path": "a"}),
        ({"FILE-PATH": "a"}, {"file_path": "a"}),
        ({"filePath": "a", "filepath": "b"}, {"filePath": "a", "filepath": "b"}),
        ({"path": "a"}, {"path": "a"}),
    ],
)
def test_a_key_is_renamed_if_it_matches_only_one_argument(given: Any, meant: Any) -> None:
    tool = ToolSchema("t", {"properties": {"file_path": {"type": "string"}}, "required": ["file_path"]})
    assert coerced(given, tool)[0] == meant


def test_a_schema_that_cannot_be_applied_changes_nothing() -> None:
    assert coerced({"x": "5"}, ToolSchema("t", {"type": 7})) == ({"x": "5"}, ())
    broken = ToolSchema("t", {"properties": {"x": {"$ref": "#/nowhere"}}})
    assert coerced({"x": "5"}, broken) == ({"x": "5"}, ())
