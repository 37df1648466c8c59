"""What side requests are for, and the titles that they bring."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.anthropic.side_requests import LONGEST_TITLE, purpose, title_of


def asking_for(*fields: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in fields}}
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def answer(text: str) -> dict[str, Any]:
    return {"content": [{"type": "thinking", "thinking": "{}"}, {"type": "text", "text": text}]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (asking_for("title"), "title"),
        ({"output_format": asking_for("title")["output_config"]["format"]}, "title"),
        (asking_for("ok", "reason"), "hook"),
        ({"stop_sequences": ["</block>"]}, "check"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "search"),
        ({"max_tokens": 1}, "probe"),
        ({"max_tokens": 300}, ""),
    ],
)
def test_the_purpose_is_read_off_the_body(body: dict[str, Any], expected: str) -> None:
    assert purpose(body, "auxiliary") == expected
    assert purpose(body, "main") == ""


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('{"title": "Add  JSON\\nexport"}', "Add JSON export"),
        (json.dumps({"title": "x" * 500}), "x" * LONGEST_TITLE),
        ('{"title": 3}', ""),
        ('{"title": "cut', ""),
        ("Add JSON export", ""),
        ('["title"]', ""),
    ],
)
def test_a_title_is_the_answer_to_a_side_request(text: str, title: str) -> None:
    assert title_of(answer(text), "auxiliary") == title
    assert title_of(answer(text), "main") == ""


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("output_config", "output_format", "stop_sequences", "tools", "max_tokens", "content")


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_no_form_raises(found: dict[str, Any]) -> None:
    assert isinstance(purpose(found, "auxiliary"), str)
    assert isinstance(title_of(found, "auxiliary"), str)
