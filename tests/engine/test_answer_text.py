"""What a client is shown of an answer, piece by piece."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_lm.tool_parsers import json_tools, mistral

from engine.answer_text import (
    AnswerStyle,
    AnswerText,
    Call,
    Composing,
    Piece,
    Remark,
    Stopped,
    Text,
    Thinking,
)
from engine.tool_calls.call_format import CallFormat
from tests.engine.spelling import Spelling

TOOLS = ({"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}},)
CALLS = CallFormat("<tool_call>", "</tool_call>", json_tools.parse_tool_call)
PLAIN = AnswerStyle(think_start="<think>", think_end="</think>")
STYLE = replace(PLAIN, calls=CALLS, tools=TOOLS)
LOOK = '<tool_call>\n{"name": "look", "arguments": {"at": "it"}}\n</tool_call>'


def read(style: AnswerStyle, *texts: str) -> list[Piece]:
    reader = AnswerText(Spelling(list(texts)), style)
    pieces = [piece for token in range(len(texts)) for piece in reader.add(token)]
    return [*pieces, *reader.finish()]


def shown(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Kind and text of what a client sees, neighbours of a kind joined."""
    joined: list[tuple[str, str]] = []
    for piece in pieces:
        if isinstance(piece, Call):
            joined.append(("call", f"{piece.call.name}{piece.call.arguments}"))
        elif isinstance(piece, Stopped):
            joined.append(("stopped", piece.stop or ""))
        elif isinstance(piece, Text | Thinking):
            kind = type(piece).__name__.lower()
            if joined and joined[-1][0] == kind:
                joined[-1] = (kind, joined[-1][1] + piece.text)
            else:
                joined.append((kind, piece.text))
    return joined


CASES: list[tuple[AnswerStyle, str, list[tuple[str, str]]]] = [
    (STYLE, "Hello there.\n", [("text", "Hello there.\n")]),
    (STYLE, "\n\nHello", [("text", "\n\nHello")]),
    (STYLE, "<think>\nhm\n</think>\n\nHello", [("thinking", "hm"), ("text", "Hello")]),
    (STYLE, "<think>\n\n</think>\n\nHello", [("text", "Hello")]),
    (replace(STYLE, opens_thinking=True), "\nhm\n</think>\n\nHi", [("thinking", "hm"), ("text", "Hi")]),
    (replace(STYLE, opens_thinking=True), "cut in thought", [("thinking", "cut in thought")]),
    (STYLE, f"I look.\n{LOOK}", [("text", "I look."), ("call", 'look{"at": "it"}')]),
    (STYLE, f"{LOOK}\n{LOOK}", [("call", 'look{"at": "it"}')] * 2),
    (STYLE, f"{LOOK}\nDone", [("call", 'look{"at": "it"}'), ("text", "Done")]),
    (STYLE, f"<think>so {LOOK}", [("thinking", "so"), ("call", 'look{"at": "it"}')]),
    (PLAIN, f"I look.\n{LOOK}", [("text", f"I look.\n{LOOK}")]),
    (
        STYLE,
        "a\n<tool_call>\nnonsense\n</tool_call> b",
        [("text", "a\n<tool_call>\nnonsense\n</tool_call> b")],
    ),
    (STYLE, "<think>like <tool_call>x</tool_call> y", [("thinking", "like <tool_call>x</tool_call> y")]),
    (STYLE, 'a\n<tool_call>\n{"name": "look", "arg', [("text", 'a\n<tool_call>\n{"name": "look", "arg')]),
    (STYLE, "a <tool_ca", [("text", "a <tool_ca")]),
    (
        STYLE,
        '<tool_call>{"name": "look", "arguments": {"at": "</tool_call>"}}</tool_call>',
        [("call", 'look{"at": "</tool_call>"}')],
    ),
    (STYLE, '<tool_call>{"name": "fly"}</tool_call>', [("text", '<tool_call>{"name": "fly"}</tool_call>')]),
    (replace(STYLE, stops=("END", "\n\n")), "one two END three", [("text", "one two "), ("stopped", "END")]),
    (replace(STYLE, stops=("END",)), "one EN", [("text", "one EN")]),
    (replace(STYLE, stops=("END", "EN")), "one EN", [("text", "one "), ("stopped", "EN")]),
    (
        replace(STYLE, stops=("END",)),
        "<think>END</think>x END",
        [("thinking", "END"), ("text", "x "), ("stopped", "END")],
    ),
    (replace(STYLE, parallel=False), f"{LOOK}\n{LOOK}", [("call", 'look{"at": "it"}'), ("stopped", "")]),
    (replace(STYLE, drop=("<|sep|>",)), "a<|sep|>b", [("text", "ab")]),
]


@pytest.mark.parametrize(("style", "text", "expected"), CASES)
def test_an_answer_is_read(style: AnswerStyle, text: str, expected: list[tuple[str, str]]) -> None:
    assert shown(read(style, text)) == expected


@given(st.sampled_from(CASES), st.data())
def test_how_the_tokens_cut_the_text_changes_nothing(case: Any, data: st.DataObject) -> None:
    style, text, expected = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert shown(read(style, *pieces)) == expected
    assert shown(read(style, *text)) == expected


@given(
    st.lists(
        st.sampled_from(["a", " ", "\n", "<", "tool_call>", "</", "<tool_call>", "</tool_call>", '{"', "{}"])
    )
)
def test_no_letter_that_is_not_white_is_lost_or_invented(pieces: list[str]) -> None:
    texts = [text for kind, text in shown(read(STYLE, *pieces)) if kind == "text"]
    assert "".join("".join(texts).split()) == "".join("".join(pieces).split())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<tool_call>x</tool_call>", "could not be parsed"),
        ('<tool_call>{"name": "fly"}</tool_call>', "not offered"),
        ('<tool_call>{"name": "look", "arg', "cut before its end"),
    ],
)
def test_a_call_given_back_as_text_leaves_a_remark(text: str, why: str) -> None:
    remarks = [piece.text for piece in read(STYLE, *text) if isinstance(piece, Remark)]
    assert len(remarks) == 1
    assert why in remarks[0]
    assert "given back as text" in remarks[0]


def test_a_call_shows_as_it_is_composed_and_keeps_what_the_model_wrote() -> None:
    pieces = read(STYLE, *LOOK)
    composed = "".join(piece.text for piece in pieces if isinstance(piece, Composing))
    assert composed.startswith('<tool_call>\n{"name"')
    assert [piece.raw for piece in pieces if isinstance(piece, Call)] == [LOOK]


def test_calls_that_only_the_end_of_the_answer_ends_are_read_there() -> None:
    style = AnswerStyle(calls=CallFormat("[TOOL_CALLS]", "", mistral.parse_tool_call), tools=TOOLS)
    assert shown(read(style, *'ok[TOOL_CALLS]look[ARGS]{"at": 1}')) == [
        ("text", "ok"),
        ("call", 'look{"at": 1}'),
    ]
    assert shown(read(style, "[TOOL_CALLS]look[ARGS]{")) == [("text", "[TOOL_CALLS]look[ARGS]{")]


def test_thinking_is_counted() -> None:
    reader = AnswerText(Spelling(["<think>", "a", "b", "</think>", "c"]), STYLE)
    for token in range(5):
        reader.add(token)
    assert reader.reasoning_tokens == 3  # a, b and the mark that ends it


# mlx-lm's detokenizer drops a leading space and misreads NUL.
LETTERS = st.characters(codec="utf-8", exclude_characters="<\0")


@given(st.text(LETTERS, max_size=20).filter(lambda text: text[:1] != " "))
def test_characters_of_many_bytes_arrive_whole(text: str) -> None:
    tokenizer = _TOKENIZER[0]
    reader = AnswerText(tokenizer.detokenizer, PLAIN)
    tokens = tokenizer.encode(text, add_special_tokens=False)
    pieces = [piece for token in tokens for piece in reader.add(token)] + reader.finish()
    assert "".join(piece.text for piece in pieces if isinstance(piece, Text)) == text
    assert json.dumps([str(piece) for piece in pieces])


_TOKENIZER: list[Any] = []


@pytest.fixture(autouse=True, scope="module")
def _tokenizer(tokenizer: Any) -> None:
    _TOKENIZER.append(tokenizer)
