"""Calls of a model whose way to write them is not known: what their arguments hold is data."""

from __future__ import annotations

import json

import pytest

from engine.answer_pieces import AnswerStyle, Call
from engine.answer_text import AnswerText
from engine.tool_calls.families import FAMILIES
from engine.tool_calls.family import Family
from tests.engine.spelling import Spelling
from tests.engine.test_answer_text import TOOLS, read

STRANGE = AnswerStyle(tools=TOOLS)
THINKS = AnswerStyle(tools=TOOLS, think_start="<think>", think_end="</think>", drop=("<|sep|>",))
DATA = ["a </think> b", "<think>\na\n</think>\n", "[THINK]a[/THINK]", "x <|think|> y", "<|sep|>"]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("at", DATA)
def test_marks_in_its_arguments_are_data(family: Family, at: str) -> None:
    text = family.write([("look", {"at": at})], TOOLS)
    for style in (STRANGE, THINKS):
        for pieces in (read(style, f"So:\n{text}"), read(style, "So:\n", *text)):
            [call] = [piece for piece in pieces if isinstance(piece, Call)]
            assert json.loads(call.arguments) == {"at": at}


def test_a_call_is_under_way_while_its_arguments_are_written() -> None:
    texts = ["So <", "tool_call", ">\n{", '"name": "lo', 'ok"}', "</tool_call>"]
    reader = AnswerText(Spelling(texts), STRANGE)
    under_way = []
    for token in range(len(texts)):
        reader.add(token)
        under_way.append(reader.in_call)
    assert under_way == [False, False, True, True, True, False]
