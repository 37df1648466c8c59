"""What a request asks of its answer, and what of it a model can be held to."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.answer_plan import AnswerPlan, AnswerPlanner
from engine.tool_calls.families import UnknownFamily
from engine.tool_calls.family_names import FAMILY_NAMES
from engine.wire import parse_chat

HI = [{"role": "user", "content": "hi"}]


def tool(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema or {"type": "object"}}}


LOOK, GO = tool("look"), tool("go")
ODD = tool("odd", {"type": "object", "properties": {"a": {"not": {"type": "string"}}}})
TITLE = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}


@pytest.fixture(scope="module")
def planner(tokenizer: Any) -> AnswerPlanner:
    return AnswerPlanner(tokenizer, frozenset(tokenizer.eos_token_ids))


def plan(planner: AnswerPlanner, **fields: Any) -> AnswerPlan:
    return planner.plan(parse_chat({"messages": HI} | fields), opens_thinking=False)


def test_an_answer_of_which_nothing_is_asked_has_no_grammar(planner: AnswerPlanner) -> None:
    made = plan(planner)
    assert made.grammar is None
    assert made.notes == ()
    assert not made.style.tools


def test_calls_are_guaranteed_where_their_schemas_have_a_grammar(planner: AnswerPlanner) -> None:
    made = plan(planner, tools=[LOOK, ODD])
    assert made.grammar is not None
    assert made.style.guaranteed == {"look"}
    assert made.relaxed.keys() == {"odd"}
    assert made.notes == ()


def test_the_same_tools_have_the_same_grammar(planner: AnswerPlanner) -> None:
    first, second = (plan(planner, tools=copy.deepcopy([LOOK, GO])) for _ in range(2))
    assert first.grammar is second.grammar


def test_a_choice_leaves_the_tools_that_may_be_called(planner: AnswerPlanner) -> None:
    one = {"type": "function", "function": {"name": "go"}}
    assert set(plan(planner, tools=[LOOK, GO], tool_choice=one).style.tools) == {"go"}
    none = plan(planner, tools=[LOOK, GO], tool_choice="none")
    assert not none.style.tools
    assert none.grammar is not None
    assert planner.can_forbid_calls


def test_a_format_that_the_model_is_told_wins_over_its_template(tokenizer: Any) -> None:
    eos = frozenset(tokenizer.eos_token_ids)
    named = AnswerPlanner(tokenizer, eos, tool_format="glm")
    assert named.family is not None
    assert named.family.name == "glm"
    with pytest.raises(UnknownFamily, match="hermes"):
        AnswerPlanner(tokenizer, eos, tool_format="klingon")


def test_without_grammars_what_was_asked_for_is_noted(tokenizer: Any) -> None:
    free = AnswerPlanner(tokenizer, frozenset(tokenizer.eos_token_ids), grammar=False)
    made = plan(free, tools=[LOOK], tool_choice="required", response_format=TITLE)
    assert made.grammar is None
    assert not made.style.guaranteed
    assert made.relaxed == {"look": "grammars are switched off"}
    assert [note.partition(" is accepted")[0] for note in made.notes] == ["tool_choice", "response_format"]
    assert not free.can_forbid_calls


def test_a_model_whose_way_is_not_known_is_held_to_json_all_the_same(tokenizer: Any) -> None:
    other = copy.copy(tokenizer)
    other._tokenizer = copy.deepcopy(tokenizer._tokenizer)
    other._tokenizer.chat_template = "{{ messages }}"
    unknown = AnswerPlanner(other, frozenset(tokenizer.eos_token_ids))
    assert unknown.family is None
    made = plan(unknown, tools=[LOOK], tool_choice="required", response_format=TITLE)
    assert made.grammar is not None
    assert [note.partition(" is ")[0] for note in made.notes] == ["tool_choice"]
    assert "--tool-format" in made.notes[0]
    assert set(made.style.tools) == {"look"}


def test_every_name_of_a_format_is_one_of_a_family(tokenizer: Any) -> None:
    for name in FAMILY_NAMES:
        assert AnswerPlanner(tokenizer, frozenset({0}), tool_format=name, grammar=False).family is not None
