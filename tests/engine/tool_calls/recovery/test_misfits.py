from __future__ import annotations

import pytest

from engine.tool_calls.families.registry import family_named
from engine.tool_calls.reading.family import Family
from engine.tool_calls.recovery.misfits import misfit_call, misfit_calls
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from tests.engine.tool_calls.call_making import OF_EACH_KIND

LOOK = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
TOOLS = ToolSchemas([ToolSchema("look", LOOK)])
NONE = ToolSchemas([])


@pytest.mark.parametrize(
    ("name", "arguments", "verdict"),
    [
        ("look", "{}", "invalid"),
        ("look", '{"at": 3}', "invalid"),
        ("fly", '{"to": "x"}', "unknown_tool"),
        ("look", '{"at": "it"', None),
        ("look", "[1]", None),
        ("fly away", "{}", None),
        ("", "{}", None),
        ("x" * 129, "{}", None),
    ],
)
def test_what_can_be_a_call_is_passed_on_as_it_is(name: str, arguments: str, verdict: str | None) -> None:
    found = misfit_call(name, arguments, TOOLS)
    assert (found and (found.name, found.arguments, found.verdict.verdict)) == (
        verdict and (name, arguments, verdict)
    )
    assert misfit_call(name, arguments, NONE) is None


@pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)
def test_calls_in_a_familys_form_are_read_though_no_tool_fits(family: Family) -> None:
    if not family.openings:
        return
    for name, arguments in (("fly", {"to": "x"}), ("look", {"to": "x"})):
        text = family.write([(name, arguments)], ToolSchemas([ToolSchema(name)]))
        (found,) = misfit_calls(text, TOOLS, family)
        assert (found.name, found.verdict.input) == (name, arguments)
        assert not found.verdict.usable
        assert not misfit_calls(text + "more", TOOLS, family)
        assert not misfit_calls("So: " + text, TOOLS, family)
        assert not misfit_calls(text, NONE, family)


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>x</tool_call>",
        '{"name": "fly", "arguments": {"to": "x"}}',
        '<tool_call>{"name": "fly", "arguments": {"to": "x"',
        '<tool_call>{"name": "fly", "arguments": 3}</tool_call>',
        "<tool_call>" + "x " * 60_000,
    ],
)
def test_what_has_no_certain_form_is_no_call(text: str) -> None:
    assert misfit_calls(text, TOOLS) == ()


def test_a_mark_and_a_word_are_a_call_only_where_the_model_writes_calls_so() -> None:
    text = "<tool_call>fly</tool_call>"
    assert [call.name for call in misfit_calls(text, TOOLS, family_named("glm"))] == ["fly"]
    assert misfit_calls(text, TOOLS, family_named("hermes")) == ()
