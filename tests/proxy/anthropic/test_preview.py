"""The line that says what a request is about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.anthropic.preview import PREVIEW_LENGTH, opening, preview, turns


def user(*texts: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


@pytest.mark.parametrize(
    ("messages", "line"),
    [
        ([{"role": "user", "content": "Who are\n you?"}], "Who are you?"),
        ([user("first", "second")], "second"),
        ([user("the words", "<system-reminder>added by the client</system-reminder>")], "the words"),
        ([user("the words"), {"role": "system", "content": "agents"}], "the words"),
        ([user("the words"), {"role": "user", "content": [{"type": "tool_result"}]}], "the words"),
        ([{"role": "user", "content": [{"type": "image"}]}], ""),
        ([], ""),
        (None, ""),
    ],
)
def test_it_is_the_last_text_of_the_user(messages: Any, line: str) -> None:
    assert preview(messages) == line


@pytest.mark.parametrize(
    ("messages", "line"),
    [
        ([user("<system-reminder>x</system-reminder>", "Who are\n you?"), user("later")], "Who are you?"),
        ([{"role": "assistant", "content": "hello"}, {"role": "user", "content": "later"}], "later"),
        ([user("This session is being continued from a previous conversation: …", "Go on")], "Go on"),
        ("odd", ""),
    ],
)
def test_an_opening_is_the_first_text_of_the_user(messages: Any, line: str) -> None:
    assert opening(messages) == line


def test_long_text_is_truncated_with_an_ellipsis() -> None:
    line = preview([user("x" * 500)])
    assert len(line) == PREVIEW_LENGTH
    assert line.endswith("x…")


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["role", "content", "text"]), inner)
    ),
    max_leaves=12,
)


@given(json_values)
def test_messages_of_any_form_have_one(messages: Any) -> None:
    assert "\n" not in preview(messages)


def test_a_first_prompt_has_one_turn_whatever_the_client_puts_behind_it() -> None:
    system = {"role": "system", "content": "# Environment"}
    assert turns([user("a"), system]) == 1
    assert turns([user("a"), system, {"role": "assistant", "content": []}, user("b")]) == 3
    assert [turns(what) for what in (None, [], ["x"], [{}])] == [0, 0, 1, 1]
