"""Every family: what a random model writes under the grammar is read as calls that fit their schemas."""

from __future__ import annotations

import json
import random
import zlib
from itertools import pairwise
from typing import Any

import llguidance
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.tool_parsers import Letters
from engine.answers.pieces import AnswerStyle, Call, Text
from engine.answers.reader import AnswerText
from engine.constrained.answer_grammar import AnswerRules, grammar_text
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.families.tagged_format import TaggedFormat
from engine.tool_calls.reading.family import Family
from engine.tool_calls.reading.pieces import CallEnd
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from tests.engine.tool_calls.call_making import MANY, MARKS, OF_EACH_KIND
from tests.engine.tool_calls.reading import read, read_by
from tests.engine.tool_calls.walks import RandomModel, answer_grammar, json_rule

every_kind = pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)

_DSML = "</｜DSML｜parameter>\n"
_M3 = "]<]minimax[>["
_K3 = "<|close|>argument<|sep|>"
CLOSING = {
    "qwen3_coder": ["\n</parameter>\n</function>\n</tool_call>", "\n</parameter>\n<parameter="],
    "glm": ["</arg_value>\n</tool_call>", "</arg_value>\n<arg_key>", "</arg_value></tool_call>"],
    "minimax": ["</parameter>\n</invoke>\n</minimax:tool_call>", '</parameter>\n<parameter name="'],
    "minimax_m3": [f"{_M3}</", f"{_M3}</invoke>", f"{_M3}</tool_call>"],
    "minicpm5": ["</param></function>", '</param><param name="', "]]></param></function>"],
    "kimi_k3": [f"{_K3}<|close|>call<|sep|><|close|>tools<|sep|>", f'{_K3}<|open|>argument key="'],
    "lfm2": ["'", ")]<|tool_call_end|>"],
    "olmo3": ["'", ")\n</function_calls>"],
    "function_gemma": ["<escape>", "<end_function_call>"],
    "gemma4": ['<|"|>', "<tool_call|>"],
    "kimi": ["<|tool_calls_section_end|>", "<|tool_call_end|>"],
    "deepseek_v3": ["\n```<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"],
    "deepseek_v31": ["<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"],
    "deepseek_v32": [
        f"{_DSML}</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        f'{_DSML}<｜DSML｜parameter name="',
    ],
    "deepseek_v4": [f"{_DSML}</｜DSML｜invoke>\n</｜DSML｜tool_calls>", f'{_DSML}<｜DSML｜parameter name="'],
}

TYPED = ToolSchemas(
    [
        ToolSchema(
            "Write",
            {"type": "object", "properties": MANY, "required": ["content"], "additionalProperties": False},
        ),
        ToolSchema(
            "search",
            {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "minLength": 2, "maxLength": 6},
                    "mode": {"enum": ["fast", "slow", "fa"]},
                    "limit": {"type": ["integer", "null"], "minimum": 1},
                    "where": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                    "when": {"anyOf": [{"const": "now"}, {"type": "integer", "minimum": 7}]},
                    "place": {"$ref": "#/$defs/place"},
                    "anything": {"description": "what you like"},
                    "zip": {"type": "string", "pattern": "^[0-9]{5}$"},
                    "one": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 1},
                    "few": {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
                },
                "required": ["mode", "when"],
                "$defs": {
                    "place": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "inside": {"$ref": "#/$defs/place"}},
                        "required": ["name"],
                        "additionalProperties": False,
                    }
                },
                "additionalProperties": False,
            },
        ),
        ToolSchema("go", {"type": "object", "properties": {}}),
        ToolSchema("go-on", {}),
    ]
)


NO_SHRINKING = [phase for phase in Phase if phase != Phase.shrink]  # a walk from a seed cannot be shrunk


def model(family: Family, tools: ToolSchemas) -> RandomModel:
    # A token may contain a mark and the text around it.
    marks = MARKS[family.name]
    closing = CLOSING.get(family.name, [])
    if isinstance(family, TaggedFormat) and family.nested:
        # A string ends where its own name and then another, or the end of the call, stand in tags.
        for keys in (list(tool.properties) for tool in tools.values()):
            closing = [*closing, *(f"{_M3}</{key}>{_M3}</invoke>{_M3}</tool_call>" for key in keys)]
            closing = [*closing, *(f"{_M3}</{key}>{_M3}<{behind}>" for key, behind in pairwise(keys))]
    return RandomModel([*marks, marks[-1] + "\n", "x" + marks[-1], '"x"', "null", "true"], closing)


def check(family: Family, tools: ToolSchemas, answer: str) -> int:
    whole = read(family, answer, tools)
    assert not whole.broken, answer
    ends = [part for part in whole.parts if isinstance(part, CallEnd)]
    for end in ends:
        verdict = tools.judge(end.name, end.arguments)
        assert verdict.verdict == "valid", f"{verdict.detail}: {answer!r}"
    assert read_by(1, family, answer, tools) == whole
    return len(ends)


@every_kind
def test_a_random_model_writes_calls_that_fit(family: Family) -> None:
    grammar = answer_grammar(family, list(TYPED.values()))
    knows_nothing = model(family, TYPED)
    chance = random.Random(zlib.crc32(family.name.encode()))
    calls = sum(
        check(family, TYPED, knows_nothing.answer(grammar, chance.choice(family.openings), chance))
        for _ in range(30)
    )
    assert calls >= 30


@pytest.mark.parametrize("name", ["pythonic", "glm4", "functionary", "lfm2", "llama3_json", "xlam"])
def test_a_random_model_writes_calls_without_marks_that_fit(name: str) -> None:
    family = family_named(name)
    rules = AnswerRules(family=family, tools=tuple(TYPED.values()), choice="required")
    words = ["Write", "search", "go", "go-on", "\n", '"x"', "null", "true"]
    words += ['{"name": ', '[{"name": ', "[Write(", "[search("]
    closing = {"python": [")]", '"', "'"], "json": ["]", "}", '"'], "named": ['"', "}"]}
    knows_nothing = RandomModel(words, closing[family.bare])
    chance = random.Random(zlib.crc32(name.encode()))
    grammar = grammar_text(rules)
    if family.openings:  # else it could write a mark
        grammar = f"start: bare_calls /[ ]*/\n{family.grammar(rules.tools, json_rule)}"
    for _ in range(12):
        answer = knows_nothing.answer(grammar, "", chance)
        reader = AnswerText(Letters(answer), AnswerStyle(family=family, tools=TYPED))
        pieces = [piece for number in range(len(answer)) for piece in reader.add(number)] + reader.finish()
        calls = [piece for piece in pieces if isinstance(piece, Call)]
        assert calls, answer
        assert not [piece for piece in pieces if isinstance(piece, Text)], answer
        assert all(TYPED.judge(call.name, call.arguments).verdict == "valid" for call in calls), answer


PATTERNED = ToolSchemas(
    [
        ToolSchema(
            "fetch",
            {
                "type": "object",
                "properties": {
                    "url": {"type": "string", "pattern": r"^https?:\/\/[a-z]{1,3}$"},
                    "few": {"type": "string", "pattern": "^a{0,3}$"},
                    "line": {"type": "string", "pattern": r"^(?:a|\n)\s?$"},
                    "nothing": {"type": "string", "pattern": "^$"},
                    "odd": {"type": ["string", "null"], "pattern": r"^[a&</>]{1,2}\\$"},
                    "step": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 999},
                },
                "required": ["url", "line", "odd", "step"],
                "additionalProperties": False,
            },
        )
    ]
)


@every_kind
def test_a_random_model_is_constrained_to_patterns_and_multiples(family: Family) -> None:
    assert not family.unconstrained(PATTERNED["fetch"])
    grammar = answer_grammar(family, list(PATTERNED.values()))
    knows_nothing = model(family, PATTERNED)
    chance = random.Random(zlib.crc32(family.name.encode()))
    for _ in range(5):
        answer = knows_nothing.answer(grammar, chance.choice(family.openings), chance)
        assert check(family, PATTERNED, answer)


def _schemas() -> st.SearchStrategy[dict[str, Any]]:
    leaves: list[dict[str, Any]] = [
        {"type": "string"},
        {"type": "string", "enum": ["a", "b c", "<x>"]},
        {"type": "string", "maxLength": 3},
        {"type": "integer"},
        {"type": "number", "minimum": 0},
        {"type": "boolean"},
        {"type": ["string", "null"]},
        {"const": 5},
        {},
    ]
    return st.recursive(
        st.sampled_from(leaves),
        lambda inner: st.one_of(
            inner.map(lambda items: {"type": "array", "items": items, "maxItems": 2}),
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"anyOf": parts}),
            _objects(inner),
        ),
        max_leaves=4,
    )


@st.composite
def _objects(draw: st.DrawFn, inner: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    keys = st.text(alphabet="abcxyz_-.", min_size=1, max_size=4)
    properties = draw(st.dictionaries(keys, inner, max_size=4))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


@every_kind
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=NO_SHRINKING)
@given(schemas=st.lists(_objects(_schemas()), min_size=1, max_size=3), seed=st.integers(0, 1 << 30))
def test_a_grammar_of_any_tools_constrains_to_them(
    family: Family, schemas: list[dict[str, Any]], seed: int
) -> None:
    tools = ToolSchemas([ToolSchema(f"tool_{number}", schema) for number, schema in enumerate(schemas)])
    grammar = answer_grammar(family, list(tools.values()))
    chance = random.Random(seed)
    knows_nothing = model(family, tools)
    for _ in range(2):
        assert check(family, tools, knows_nothing.answer(grammar, chance.choice(family.openings), chance))


@every_kind
def test_many_large_tools_give_a_small_grammar(family: Family) -> None:
    tools = [
        ToolSchema(f"{tool.name}_{number}", tool.parameters)
        for number in range(9)
        for tool in list(TYPED.values())[:3]
    ]
    grammar = answer_grammar(family, tools)
    schemas = len(json.dumps([tool.parameters for tool in tools]))
    assert len(grammar) < 6 * schemas
    matcher = llguidance.LLMatcher(model(family, TYPED).tokenizer, grammar)
    assert not matcher.is_error(), matcher.get_error()
