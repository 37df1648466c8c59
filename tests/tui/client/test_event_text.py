from __future__ import annotations

from typing import Any

from tui.client.event_text import cleaned, one_line_arguments


def test_every_text_at_every_depth_is_cleaned() -> None:
    data = {"a": ["\x1b[1mx", {"\x07k": "y\x1b]0;t\x07"}], "n": 1, "none": None}
    assert cleaned(data) == {"a": ["x", {"k": "y"}], "n": 1, "none": None}


def test_a_nesting_without_end_is_cut() -> None:
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    assert "…" in str(cleaned(deep))


def test_the_telling_argument_comes_first() -> None:
    assert one_line_arguments({"description": "why", "command": "make\nlint"}, "") == (
        "make lint",
        "description=why",
    )
    assert one_line_arguments({"todos": [{"a": 1}]}, "") == ('[{"a": 1}]', "")
    assert one_line_arguments({"x": 1, "y": True}, "") == ("", "x=1 y=true")
    assert one_line_arguments(None, "<tool_call>\n{") == ("<tool_call> {", "")
    assert one_line_arguments({}, "") == ("", "")
