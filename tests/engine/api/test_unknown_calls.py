"""Calls that no grammar binds, above all of a model whose way to write them is not known."""

from __future__ import annotations

import json

import pytest

from engine.answers.pieces import AnswerStyle, Call, Text
from engine.answers.reader import AnswerText
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.reading.family import Family
from tests.engine.answers.test_reader import TOOLS, read, shown
from tests.engine.spelling import Spelling
from tests.engine.tool_calls.call_making import OF_EACH_KIND

STRANGE = AnswerStyle(tools=TOOLS)
THINKS = AnswerStyle(tools=TOOLS, think_start="<think>", think_end="</think>", drop=("<|border|>",))
DATA = ["a </think> b", "<think>\na\n</think>\n", "[THINK]a[/THINK]", "x <|think|> y", "<|border|>"]


@pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)
@pytest.mark.parametrize("at", DATA)
def test_marks_in_its_arguments_are_data(family: Family, at: str) -> None:
    text = family.write([("look", {"at": at})], TOOLS)
    for style in (STRANGE, THINKS):
        for pieces in (read(style, f"So:\n{text}"), read(style, "So:\n", *text)):
            [call] = [piece for piece in pieces if isinstance(piece, Call)]
            assert json.loads(call.arguments) == {"at": at}


def test_a_call_is_under_way_while_its_arguments_are_written() -> None:
    texts = ["So <", "tool_call>", '{"name": "look", ', '"arguments": {"at": "0', '0"}}', "</tool_call>"]
    reader = AnswerText(Spelling(texts), STRANGE)
    under_way = []
    for token in range(len(texts)):
        reader.add(token)
        under_way.append(reader.in_data)
    assert under_way == [False, False, False, True, True, False]


def test_a_thought_behind_it_is_none_of_its_arguments() -> None:
    family = family_named("glm")
    text = family.write([("look", {"at": "it"})], TOOLS)
    for start, end in (("So:\n<think>\n", "</think>"), ("<|think:start|>", "<|think:end|>")):
        pieces = f"{text}{start}{text}{end}Hi"
        kinds = [kind for kind, _ in shown(read(STRANGE, *pieces))]
        assert kinds == [kind for kind, _ in shown(read(STRANGE, pieces))] == ["text", "thinking", "text"]


@pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)
@pytest.mark.parametrize("known", [True, False])
def test_a_call_in_a_thought_that_nothing_follows_leaves_no_turn_empty(family: Family, known: bool) -> None:
    text = family.write([("look", {"at": "it"})], TOOLS)
    style = AnswerStyle(tools=TOOLS, family=family if known else None, stops=("STOP",))
    for end in ("", "\n", "</think>", "</think>\n\n"):
        pieces = f"<think>\nhm\n{text}\n{end}"
        found = shown(read(style, *pieces))
        assert shown(read(style, pieces)) == found
        assert [(kind, said.strip()) for kind, said in found] == [("thinking", "hm"), ("text", text.strip())]
        assert [kind for kind, _ in shown(read(style, pieces, cut=True))] == ["thinking"]
    twice = shown(read(style, *f"<think>{text}</think>\n<think>{text}</think>"))
    assert [kind for kind, _ in twice] == ["thinking", "text"]
    for more in ("\n\nHi", "STOP"):
        (kind, thought), *_ = shown(read(style, *f"<think>\nhm\n{text}</think>{more}"))
        assert (kind, thought) == ("thinking", f"hm\n{text}".strip())


@pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)
@pytest.mark.parametrize("known", [True, False])
def test_calls_that_are_taken_back_are_text_once(family: Family, known: bool) -> None:
    text = family.write([("look", {"at": "a"}), ("look", {"at": "b"})], TOOLS)
    style = AnswerStyle(tools=TOOLS, family=family if known else None)
    for more in (" Do not.", "\n<think>\nhm</think>", "\n</think>"):
        pieces = read(style, f"So:\n\n{text}{more}")
        said = "".join(piece.text for piece in pieces if isinstance(piece, Text))
        assert said.replace("\n", "").startswith(f"So:{text}".replace("\n", ""))
        assert said.count(text.strip()) <= 1
        assert not any(isinstance(piece, Call) for piece in pieces)
