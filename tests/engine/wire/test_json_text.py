from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.json_text import encode_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


@given(VALUES)
def test_every_parsed_value_can_be_encoded(value: Any) -> None:
    json.loads(encode_json(value).decode())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.5, None, True, "ü"]}, '{"a":[1,2.5,null,true,"ü"]}'),
        ("lone \ud800 half", '"lone � half"'),
        ([10**30], "[1000000000000000000000000000000]"),
        ([float("nan"), 10**30], "[null, 1000000000000000000000000000000]"),
        ({1: "a"}, '{"1": "a"}'),
    ],
)
def test_what_strict_encoders_refuse_is_still_encoded(value: Any, text: str) -> None:
    assert encode_json(value).decode() == text


def test_very_deep_nesting_ends_in_text() -> None:
    deep: Any = "core"
    for _ in range(900):
        deep = [deep]
    assert orjson.loads(encode_json(deep))
