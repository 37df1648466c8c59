"""Several calls in one answer, of which one fits no offered tool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.answers.pieces import AnswerStyle, Call, Text
from engine.answers.reader import AnswerText
from engine.tool_calls.families.registry import FAMILIES, family_named
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from tests.engine.spelling import Spelling

NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
TOOLS = ToolSchemas([ToolSchema("look", {"type": "object"}), ToolSchema("count", NUMBER)])
STYLE = AnswerStyle(tools=TOOLS, all_constrained=True)


def read(family: Family, text: str) -> tuple[list[str], str]:
    """The calls, and the text beside them."""
    style = replace(STYLE, family=family, drop=family.layout)
    reader = AnswerText(Spelling([text]), style)
    pieces = [*reader.add(0), *reader.finish()]
    calls = [f"{piece.name}{piece.arguments}" for piece in pieces if isinstance(piece, Call)]
    return calls, "".join(piece.text for piece in pieces if isinstance(piece, Text))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_tool_that_is_not_offered_costs_no_other_call(family: Family) -> None:
    made = [("look", {"at": "it"}), ("fly", {"to": "x"}), ("count", {"number": 3})]
    calls, text = read(family, family.write(made, TOOLS))
    assert calls == ['look{"at": "it"}', 'fly{"to": "x"}', 'count{"number": 3}']
    assert not text.strip()


@pytest.mark.parametrize(
    ("name", "text", "calls", "shown"),
    [
        (
            "hy3",
            "<tool_calls><tool_call>look<tool_sep></tool_call><tool_call>count<tool_sep>three</tool_call>"
            "</tool_calls>",
            ["look{}"],
            "<tool_call>count<tool_sep>three</tool_call></tool_calls>",
        ),
        (
            "minimax_m1",
            '<tool_calls>\n{"name": "look", "arguments": {}}\n{"name": count}\n</tool_calls>',
            ["look{}"],
            '\n{"name": count}\n</tool_calls>',
        ),
    ],
)
def test_what_cannot_be_read_behind_a_call_is_text(
    name: str, text: str, calls: list[str], shown: str
) -> None:
    assert read(family_named(name), text) == (calls, shown)
