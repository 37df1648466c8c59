"""Readings of broken JSON: a guess of the repair library counts only if the text says it."""

from __future__ import annotations

import json
from typing import Any

import json_repair
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tool_calls.repair.json_repair import Unreadable, readings
from engine.tool_calls.repair.repair_check import RepairMismatch, repairs_between
from tests.engine.tool_calls.offered import TEXTS

SCHEMA = {"properties": {"a": {"type": "string"}, "b": {}}}


@pytest.mark.parametrize(
    "text",
    [
        "no {json} here",
        '{"a" 1}',
        "{a b c}",
        '{"a": 1, 2, 3}',
        '{"a"="x"}',
        '{"a": 1_000}',
        '{"a": 0x1F}',
        '{"a": NaN}',
        '{"a": fast mode, "b": 1}',
        '{"a": "x" b}',
        "{'a'}",
        '{"b": 1, "b": 2 "a": "x"}',
    ],
)
def test_content_invented_by_the_repair_library_is_refused(text: str) -> None:
    assert json_repair.loads(text), "the library makes something of it"
    with pytest.raises(Unreadable):
        readings(text, SCHEMA, SCHEMA)


@pytest.mark.parametrize(
    ("text", "value", "repairs"),
    [
        ('{"a": 1 "b": 2}', {"a": 1, "b": 2}, ("added a comma",)),
        ('{"a": "x, "b": 2}', {"a": "x", "b": 2}, ("quoted 'x'",)),
        ('{"a": x", "b": 2}', {"a": "x", "b": 2}, ("quoted 'x'",)),
        ('{"a": .5}', {"a": 0.5}, ("read .5 as 0.5",)),
        ('{"a": ["x" "y"', {"a": ["x", "y"]}, ("added a comma", "closed 2 open brackets")),
    ],
)
def test_repairs_of_punctuation_are_named(text: str, value: Any, repairs: tuple[str, ...]) -> None:
    assert repairs_between(text, value) == repairs


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "x"}', {"a": "y"}),
        ('{"a": "x"}', {"a": "x", "b": 1}),
        ('{"a": "x", "b": 1}', {"a": "x"}),
        ('{"a": "x', {"a": "x"}),
        ('{"a": "x}', {"a": "x"}),
        ('{"a": 1', {"a": 1}),
        ('{"a":  x", "b":1}', {"a": "x", "b": 1}),
        ('{"a":x",\n"b": 1}}', {"a": "x", "b": 1}),
        ('{"a": ["x",  y"]}', {"a": ["x", "y"]}),
        ("{", {}),
    ],
)
def test_a_value_with_more_or_less_content_than_the_text_is_refused(text: str, value: Any) -> None:
    with pytest.raises(RepairMismatch):
        repairs_between(text, value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=3), st.sampled_from([None, 1]))
def test_valid_json_has_one_reading_and_no_repairs(value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    [reading] = readings(text, {}, {})
    assert (reading.text, reading.repairs) == (text, ())
    assert repairs_between(text, value) == ()


@given(TEXTS)
def test_every_reading_is_strict_json(text: str) -> None:
    try:
        found = readings("{" + text, SCHEMA, SCHEMA)
    except Unreadable:
        return
    for reading in found:
        assert json.loads(reading.text) == reading.value
