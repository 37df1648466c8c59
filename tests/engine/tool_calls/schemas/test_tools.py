"""The verdict on a call, and the resolution of references."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tool_calls.repair.coercion import coerced
from engine.tool_calls.schemas import keywords
from engine.tool_calls.schemas.argument_texts import accepts
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas, referenced

ROOT: dict[str, Any] = {
    "$defs": {"a b": {"const": 1}, "x/y": {"const": 2}, "x~y": {"const": 3}, "n": {"$anchor": "n"}},
    "properties": {"p": {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "": {"const": 4}},
}


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("#", ROOT),
        ("#/$defs/a%20b", {"const": 1}),
        ("#/$defs/x~1y", {"const": 2}),
        ("#/$defs/x~0y", {"const": 3}),
        ("#/%24defs/x~1y", {"const": 2}),
        ("#/properties/p/anyOf/1", {"type": "string"}),
        ("#/properties/", {"const": 4}),
        *((lost, None) for lost in ("#n", "#/$defs/none", "#/properties/p/anyOf/2", "", "x#", "http://x/y")),
        *((lost, None) for lost in ("#/properties/p/anyOf/-1", "#/properties/p/anyOf/01", "#$defs")),
    ],
)
def test_a_reference_resolves_within_the_schema_or_not_at_all(reference: str, found: Any) -> None:
    assert referenced(reference, ROOT) == found


def judged(schema: Any, value: Any) -> str:
    tool = ToolSchema("T", {"type": "object", "properties": {"a": schema}})
    return ToolSchemas([tool]).judge_input("T", {"a": value}).verdict


def test_the_verdict_resolves_an_anchor() -> None:
    tool = ToolSchema(
        "T", {"properties": {"a": {"$ref": "#n"}}, "$defs": {"n": {"$anchor": "n", "const": 5}}}
    )
    assert ToolSchemas([tool]).judge("T", '{"a": 5}').verdict == "valid"
    assert ToolSchemas([tool]).judge("T", '{"a": 6}').verdict == "invalid"


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"n": schema}}
    return schema


@pytest.mark.parametrize("schema", [nested(400), {"$schema": 5}, {"$schema": ["x"]}, {"$schema": {}}])
def test_a_schema_that_cannot_be_read_leaves_its_calls_unchecked(schema: dict[str, Any]) -> None:
    verdict = ToolSchemas([ToolSchema("T", schema)]).judge("T", '{"n": 5}')
    assert (verdict.verdict, verdict.input) == ("unchecked", {"n": 5})
    assert "cannot be read" in verdict.detail


@pytest.mark.parametrize("step", ["0.01", "0.1", "0.005", "2.5", "1e-3"])
@given(times=st.integers(-(10**9), 10**9))
def test_fractions_are_judged_as_they_are_written(step: str, times: int) -> None:
    schema = {"type": "number", "multipleOf": float(step)}
    assert judged(schema, float(Decimal(step) * times)) == "valid"
    assert judged(schema, float(Decimal(step) * times + Decimal(step) / 5)) == "invalid"


@pytest.mark.parametrize(
    ("step", "value", "verdict"),
    [(0.01, 538.19, "valid"), (0.01, 1e308, "valid"), (3, 10**400, "invalid"), (0.5, True, "valid")],
)
def test_any_number_is_judged(step: float, value: Any, verdict: str) -> None:
    assert judged({"multipleOf": step}, value) == verdict


def doubled(keyword: str) -> dict[str, Any]:
    """Thirty definitions that each refer to the next one twice."""
    names = [f"#/$defs/{number}" for number in range(31)]
    twice: dict[str, Any] = {
        str(number): {keyword: [{"$ref": names[number + 1]}] * 2} for number in range(30)
    }
    return {"properties": {"a": {"$ref": names[0]}}, "$defs": twice | {"30": {"type": "integer"}}}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_a_schema_that_refers_without_end_is_left_unchecked(
    keyword: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keywords, "_MOST_REFERENCES", 200)
    tool = ToolSchema("T", doubled(keyword))
    verdict = ToolSchemas([tool]).judge("T", '{"a": "b"}')
    assert (verdict.verdict, verdict.input) == ("unchecked", {"a": "b"})
    assert "references" in verdict.detail
    assert accepts(tool.argument("a"), 5)
    assert coerced({"a": "5"}, tool)[0]["a"] in ("5", 5)


GOES_ON = "^(a|a)*$"
FOR_HOURS = "a" * 60 + "!"


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"properties": {"a": {"pattern": GOES_ON}}}, {"a": FOR_HOURS}),
        ({"patternProperties": {GOES_ON: {}}}, {FOR_HOURS: 1}),
        ({"patternProperties": {GOES_ON: {}}, "additionalProperties": False}, {FOR_HOURS: 1}),
    ],
    ids=["of a text", "of a name", "of what is not allowed"],
)
def test_a_pattern_that_takes_too_long_is_left_unchecked(schema: Any, arguments: Any) -> None:
    verdict = ToolSchemas([ToolSchema("T", schema)]).judge_input("T", arguments)
    assert verdict.verdict == "unchecked"
    assert verdict.usable


@pytest.mark.parametrize(
    ("pattern", "text", "verdict"),
    [
        (r"^https?:\/\/", "http://x", "valid"),
        ("b", "abc", "valid"),
        ("^b", "abc", "invalid"),
        ("^a{e}$", "a{e}", "valid"),
        ("^a{e}$", "b", "invalid"),
        (r"^\\{e}$", r"\{e}", "valid"),
        (r"^\{e}$", "{e}", "valid"),
        (r"^\p{L}+$", "é", "valid"),
        (r"^\S$", "\x1c", "valid"),
        ("[a-z&&]", "&", "valid"),
        ("(", "x", "unchecked"),
    ],
)
def test_a_pattern_matches_anywhere_in_a_text(pattern: str, text: str, verdict: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert judged({"type": "string", "pattern": pattern}, text) == verdict


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        ({"x-a": 1, "b": "s"}, "valid"),
        ({"x-a": "s"}, "invalid"),
        ({"c": 1}, "invalid"),
        ({"b": 1}, "invalid"),
    ],
)
def test_names_that_match_a_pattern_are_allowed(arguments: Any, verdict: str) -> None:
    schema = {
        "properties": {"b": {"type": "string"}},
        "patternProperties": {"^x-": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert ToolSchemas([ToolSchema("T", schema)]).judge_input("T", arguments).verdict == verdict


def test_a_schema_is_judged_alike_through_a_reference_to_its_root() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"n": {"multipleOf": 0.01}, "inner": {"$ref": "#"}},
    }
    verdict = ToolSchemas([ToolSchema("T", schema)]).judge_input("T", {"inner": {"n": 538.19}})
    assert verdict.verdict == "valid"
