"""System entries in the middle of a conversation find a place where every template takes them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.chat import content_text
from engine.wire.turn_folding import fold_system_turns, marked
from tests.engine.conversations import conversations, extended

S = {"role": "system", "content": "rules"}
U = {"role": "user", "content": "hi"}
A = {"role": "assistant", "content": "hello"}
C = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
}
T = {"role": "tool", "tool_call_id": "1", "content": "result"}
M = {"role": "system", "content": "remember"}
MARK = marked("remember")


def said(message: dict[str, Any]) -> tuple[str, str]:
    return message["role"], content_text(message.get("content"))


@pytest.mark.parametrize(
    ("messages", "folded"),
    [
        ([S, U], [("system", "rules"), ("user", "hi")]),
        ([S, U, M], [("system", "rules"), ("user", f"hi\n\n{MARK}")]),
        (
            [S, U, M, A, U],
            [("system", "rules"), ("user", f"hi\n\n{MARK}"), ("assistant", "hello"), ("user", "hi")],
        ),
        ([S, U, M, M], [("system", "rules"), ("user", f"hi\n\n{MARK}\n\n{MARK}")]),
        ([U, A, M, U], [("user", "hi"), ("assistant", "hello"), ("user", f"{MARK}\n\nhi")]),
        ([U, A, M, A], [("user", "hi"), ("assistant", "hello"), ("user", MARK), ("assistant", "hello")]),
        ([U, A, M], [("user", "hi"), ("assistant", "hello"), ("user", MARK)]),
        ([S, M, U], [("system", "rules"), ("user", f"{MARK}\n\nhi")]),
        ([U, C, T, M], [("user", "hi"), ("assistant", ""), ("tool", f"result\n\n{MARK}")]),
        (
            [U, C, M, T, A],
            [("user", "hi"), ("assistant", ""), ("tool", f"result\n\n{MARK}"), ("assistant", "hello")],
        ),
        (
            [U, C, T, M, T],
            [("user", "hi"), ("assistant", ""), ("tool", "result"), ("tool", f"result\n\n{MARK}")],
        ),
        ([U, C, T, M, U], [("user", "hi"), ("assistant", ""), ("tool", f"result\n\n{MARK}"), ("user", "hi")]),
        ([U, {"role": "developer", "content": "remember"}], [("user", f"hi\n\n{MARK}")]),
        ([U, {"role": "system", "content": " \n"}], [("user", "hi")]),
        ([{"role": "user", "content": ""}, M], [("user", MARK)]),
    ],
)
def test_a_system_entry_joins_the_turn_at_its_place(
    messages: list[Any], folded: list[tuple[str, str]]
) -> None:
    assert [said(message) for message in fold_system_turns(messages)[0]] == folded


def test_a_leading_entry_is_folded_where_the_template_has_no_place_for_it() -> None:
    assert [said(m) for m in fold_system_turns([M, U], keep_first=False)[0]] == [("user", f"{MARK}\n\nhi")]


def test_parts_fold_to_the_same_text_as_a_string() -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}
    system = {"role": "system", "content": [{"type": "text", "text": "remember"}]}
    for messages in ([parts, system], [A, system, parts]):
        plain = [U if m is parts else M if m is system else m for m in messages]
        assert list(map(said, fold_system_turns(messages)[0])) == list(map(said, fold_system_turns(plain)[0]))


def test_every_fold_leaves_a_note_and_the_messages_that_came_in_as_they_were() -> None:
    messages = [dict(S), dict(U), dict(M)]
    _, notes = fold_system_turns(messages)
    assert len(notes) == 1
    assert "2 of 3" in notes[0]
    assert messages == [S, U, M]


@given(conversations())
def test_nothing_stands_between_calls_and_results_and_no_word_is_lost(messages: list[dict[str, Any]]) -> None:
    folded, _ = fold_system_turns(messages)
    assert all(m["role"] != "system" for m in folded[1:])
    for before, after in itertools.pairwise(folded):
        assert after["role"] != "tool" or before["role"] in {"tool", "assistant"}
    text = "\n".join(content_text(m.get("content")) for m in folded)
    assert all(content_text(m.get("content")).strip() in text for m in messages)


@given(conversations(), st.data())
def test_the_fold_of_a_turn_is_the_beginning_of_the_fold_of_the_next(
    messages: list[dict[str, Any]], data: st.DataObject
) -> None:
    longer = data.draw(extended(messages))
    short, long = fold_system_turns(messages)[0], fold_system_turns(longer)[0]
    assert [said(m) for m in long[: len(short)]] == [said(m) for m in short]
