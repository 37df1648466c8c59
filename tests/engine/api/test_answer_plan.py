"""What a request asks of its answer, and what of it a model can be held to."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from engine.answers.pieces import Call, Text
from engine.answers.reader import AnswerText
from engine.api.answer_plan import AnswerPlan, AnswerPlanner
from engine.api.requests import parse_chat
from engine.prompts.model_forms import model_forms
from engine.tool_calls.families.names import FAMILY_NAMES
from engine.tool_calls.families.registry import FAMILIES, UnknownFamily, family_named
from tests.engine.spelling import Spelling

HI = [{"role": "user", "content": "hi"}]


def tool(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema or {"type": "object"}}}


TEXT = {"type": "string"}
LOOK, GO = tool("look"), tool("go")
ODD = tool("odd", {"type": "object", "properties": {"a": {"not": {"type": "string"}}}})
TITLE = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}


@pytest.fixture(scope="module")
def planner(tokenizer: Any) -> AnswerPlanner:
    return AnswerPlanner(tokenizer, frozenset(tokenizer.eos_token_ids))


def named_planner(
    tokenizer: Any, tool_format: str = "", thinking_format: str = "", *, grammar: bool = True
) -> AnswerPlanner:
    """A planner for a model whose forms the user has named."""
    forms = model_forms(tokenizer, tool_format, thinking_format)
    return AnswerPlanner(tokenizer, frozenset(tokenizer.eos_token_ids), forms=forms, grammar=grammar)


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
    assert made.style.constrained == {"look"}
    assert made.relaxed.keys() == {"odd"}
    assert made.notes == ()
    assert made.style.all_constrained


@pytest.mark.parametrize("format_name", ["hermes", "qwen3_coder", "gemma4", "deepseek_v4"])
@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": TEXT}, "dependentRequired": {"a": ["b"]}},
        {"properties": {"a": TEXT}, "minProperties": 1},
        {"properties": {"a": {"type": "string", "not": {"const": "x"}}}},
        {"properties": {"a": {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 5}]}}},
        {"properties": {"a": {"type": "array", "uniqueItems": True}}},
        {"type": ["object", "null"]},
    ],
    ids=lambda schema: "-".join(schema),
)
def test_no_call_is_guaranteed_that_its_grammar_does_not_hold_whole(
    tokenizer: Any, format_name: str, schema: dict[str, Any]
) -> None:
    planner = named_planner(tokenizer, format_name)
    made = plan(planner, tools=[LOOK, tool("odd", {"type": "object"} | schema)])
    assert made.grammar is not None
    assert made.style.constrained == {"look"}
    assert made.relaxed["odd"]


@pytest.mark.parametrize("format_name", ["qwen3_coder", "glm", "minimax", "function_gemma", "deepseek_v32"])
@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": TEXT, "b": TEXT}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"properties": {"a": {"type": "string", "pattern": "^x|y$"}}},
        {"properties": {"a": {"type": "string", "pattern": "^x+$", "minLength": 2}}},
        {"properties": {"a": {"type": "string", "enum": ["x", "xyz"], "minLength": 2}}},
        {"properties": {"a": {"enum": []}}, "required": ["a"]},
        {"properties": {"a": {"type": "integer", "enum": ["x"]}}, "required": ["a"]},
        {"properties": {"a": False}, "required": ["a"]},
        {"properties": {"a": {"$ref": "#n"}}, "$defs": {"n": {"$anchor": "n", "type": "string"}}},
        {"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"$ref": "#/$defs/n"}}},
    ],
    ids=lambda schema: json.dumps(schema["properties"]["a"]),
)
def test_no_call_without_json_is_guaranteed_that_its_grammar_does_not_hold_whole(
    tokenizer: Any, format_name: str, schema: dict[str, Any]
) -> None:
    planner = named_planner(tokenizer, format_name)
    made = plan(planner, tools=[LOOK, tool("odd", {"type": "object"} | schema)])
    assert made.style.constrained == {"look"}
    assert made.relaxed["odd"]


def test_an_argument_whose_name_no_tag_can_hold_is_not_guaranteed(tokenizer: Any) -> None:
    odd = tool("odd", {"type": "object", "properties": {"<k>": TEXT}, "required": ["<k>"]})
    planner = named_planner(tokenizer, "glm")
    assert plan(planner, tools=[LOOK, odd]).style.constrained == {"look"}


@pytest.mark.parametrize("format_name", ["gemma4", "function_gemma"])
@pytest.mark.parametrize(
    "schema",
    [
        *({"properties": {key: TEXT}, "required": [key]} for key in ("", "k\n", "<escape>", "k" * 257)),
        {"properties": {"a": {"type": "array", "items": False}}},
        {"properties": {"a": {"type": "object", "properties": {"": TEXT}}}},
    ],
    ids=lambda schema: json.dumps(schema["properties"])[:40],
)
def test_no_call_of_gemma_is_guaranteed_that_its_reader_or_the_verdict_refuses(
    tokenizer: Any, format_name: str, schema: dict[str, Any]
) -> None:
    planner = named_planner(tokenizer, format_name)
    made = plan(planner, tools=[LOOK, tool("odd", {"type": "object"} | schema)])
    held = format_name == "gemma4" and "<escape>" in schema["properties"]
    assert made.style.constrained == ({"look", "odd"} if held else {"look"})


def test_an_answer_that_has_to_be_json_is_read_as_json(planner: AnswerPlanner) -> None:
    assert plan(planner, response_format=TITLE).style.answers_json
    assert not plan(planner, tools=[LOOK]).style.answers_json


def test_plain_schemas_are_held_whole_in_every_format(tokenizer: Any) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "where", "minLength": 1},
            "mode": {"type": "string", "enum": ["r", "w"], "default": "r"},
            "limit": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
            "edits": {"type": "array", "items": {"$ref": "#/$defs/edit"}, "minItems": 1, "maxItems": 1},
            "anything": {},
        },
        "required": ["path"],
        "additionalProperties": False,
        "$defs": {"edit": {"type": "object", "properties": {"old": TEXT}, "additionalProperties": False}},
    }
    for name in (family.name for family in FAMILIES):
        planner = named_planner(tokenizer, name)
        made = plan(planner, tools=[tool("edit", schema)])
        assert made.relaxed == {}, name
        assert made.style.constrained == {"edit"}, name


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
    named = AnswerPlanner(tokenizer, eos, forms=model_forms(tokenizer, "glm"))
    assert named.family is not None
    assert named.family.name == "glm"
    with pytest.raises(UnknownFamily, match="hermes"):
        AnswerPlanner(tokenizer, eos, forms=model_forms(tokenizer, "klingon"))


def with_template(tokenizer: Any, template: str) -> Any:
    other = copy.copy(tokenizer)
    other._tokenizer = copy.deepcopy(tokenizer._tokenizer)
    other._tokenizer.chat_template = template
    return other


CALL_IN_DOUBT = 'I could <tool_call>{"name": "look", "arguments": {}}</tool_call>'


@pytest.mark.parametrize(
    ("behind", "calls"), [("", 1), (" but no.\n</ponder>\nDone.", 0), ("\n</ponder>\n", 0)]
)
def test_a_call_in_what_may_be_a_thought_waits_for_the_end_of_the_answer(
    tokenizer: Any, behind: str, calls: int
) -> None:
    shown = "{% for one in messages %}[{{ one.role }}]{{ one.content }}{% endfor %}"
    opened = with_template(tokenizer, shown + "{% if add_generation_prompt %}[assistant]<ponder>{% endif %}")
    planner = named_planner(opened, "hermes")
    made = plan(planner, tools=[LOOK])
    assert made.grammar is not None
    assert "'<ponder>', whose end is not known" in made.notes[-1]
    text = list(CALL_IN_DOUBT + behind)
    answer = AnswerText(Spelling(text), made.style)
    pieces = [piece for number in range(len(text)) for piece in answer.add(number)]
    found = [piece for piece in [*pieces, *answer.finish()] if isinstance(piece, Call)]
    assert len(found) == calls
    told = named_planner(opened, "hermes", "think")
    assert plan(told, tools=[LOOK]).style.all_constrained


def test_the_mark_that_opens_answers_and_the_one_that_cuts_them_are_around_thinking(tokenizer: Any) -> None:
    cut = "{% for one in messages %}[{{ one.role }}]{{ one.content.split('</ponder>')[-1] }}{% endfor %}"
    opened = with_template(tokenizer, cut + "{% if add_generation_prompt %}[assistant]<ponder>{% endif %}")
    style = plan(named_planner(opened, "hermes"), tools=[LOOK]).style
    assert (style.think_start, style.think_end) == ("<ponder>", "</ponder>")
    assert style.all_constrained


def test_the_marks_of_thinking_that_the_model_is_told_win_over_its_template(tokenizer: Any) -> None:
    planner = named_planner(tokenizer, thinking_format="seed")
    style = plan(planner, tools=[LOOK]).style
    assert (style.think_start, style.think_end) == ("<seed:think>", "</seed:think>")


@pytest.mark.parametrize(("before", "allowed"), [("", True), ('"id": 1, ', False)])
def test_a_grammar_that_forbids_what_the_template_writes_is_not_used(
    tokenizer: Any, before: str, allowed: bool
) -> None:
    template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls or [] %}"
        f'{{{{ \'<tool_call>\\n{{{before}"name": "\' ~ c.function.name ~ \'", "arguments": \' }}}}'
        "{{ c.function.arguments | tojson ~ '}\\n</tool_call>' }}{% endfor %}{% endfor %}"
    )
    other = with_template(tokenizer, template)
    planner = AnswerPlanner(other, frozenset(tokenizer.eos_token_ids))
    assert planner.family is not None
    assert planner.family.name == "hermes"
    made = plan(planner, tools=[LOOK], tool_choice="required")
    assert (made.grammar is not None) == allowed
    assert (planner.unavailable == "") == allowed
    told = named_planner(other, "hermes")
    assert plan(told, tools=[LOOK]).grammar is not None


@pytest.mark.parametrize("name", ["glm4", "functionary", "pythonic"])
def test_calls_without_a_mark_are_constrained_from_the_beginning_of_an_answer(
    tokenizer: Any, name: str
) -> None:
    planner = named_planner(tokenizer, name)
    made = plan(planner, tools=[LOOK], tool_choice="required")
    assert made.grammar is not None
    assert not made.notes
    assert not made.relaxed
    assert not made.style.all_constrained  # words behind a call take it back
    assert planner.can_forbid_calls


def test_calls_without_a_mark_of_a_model_with_marks_may_be_taken_back(tokenizer: Any) -> None:
    llama = named_planner(tokenizer, "llama3_json")
    assert not plan(llama, tools=[LOOK]).style.all_constrained


def test_without_grammars_what_was_asked_for_is_noted(tokenizer: Any) -> None:
    free = AnswerPlanner(tokenizer, frozenset(tokenizer.eos_token_ids), grammar=False)
    made = plan(free, tools=[LOOK], tool_choice="required", response_format=TITLE)
    assert made.grammar is None
    assert not made.style.constrained
    assert not made.style.all_constrained
    assert made.relaxed == {"look": "grammars are switched off"}
    assert [note.partition(" is accepted")[0] for note in made.notes] == ["tool_choice", "response_format"]
    assert not free.can_forbid_calls


def test_a_model_whose_way_is_not_known_is_held_to_json_all_the_same(tokenizer: Any) -> None:
    other = with_template(tokenizer, "{{ messages }}")
    unknown = AnswerPlanner(other, frozenset(tokenizer.eos_token_ids))
    assert unknown.family is None
    made = plan(unknown, tools=[LOOK], tool_choice="required", response_format=TITLE)
    assert made.grammar is not None
    assert [note.partition(" is ")[0] for note in made.notes] == ["tool_choice"]
    assert "--tool-format" in made.notes[0]
    assert set(made.style.tools) == {"look"}


def test_every_name_of_a_format_is_one_of_a_family(tokenizer: Any) -> None:
    for name in FAMILY_NAMES:
        assert named_planner(tokenizer, name, grammar=False).family is not None


def test_a_message_to_a_tool_is_not_shown_with_its_address(tokenizer: Any) -> None:
    family = family_named("muse_spark")
    style = plan(named_planner(tokenizer, "muse_spark"), tools=[LOOK, GO]).style
    call = family.write([("go", {})], style.tools)
    text = f" to=user<|message|>I go.<|eom|><|start|>assistant to=go<|message|>{call}"
    reader = AnswerText(Spelling(list(text)), style)
    pieces = [piece for token in range(len(text)) for piece in reader.add(token)] + reader.finish()
    assert [piece.name for piece in pieces if isinstance(piece, Call)] == ["go"]
    assert "".join(piece.text for piece in pieces if isinstance(piece, Text)) == "I go."
