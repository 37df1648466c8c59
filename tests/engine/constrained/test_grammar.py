"""Which answers a grammar allows, token by token, and what happens if a grammar does not compile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.constrained.answer_grammar import ANSWER, AnswerRules
from engine.constrained.grammar import AnswerGuide, Grammars, GrammarUnavailable, token_bytes, token_masks
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from tests.engine.byte_tokens import END, ByteTokens
from tests.engine.tool_calls.call_making import OF_EACH_KIND

HERMES = family_named("hermes")
TOKENS = ByteTokens()
THINKING = ("<think>", "</think>")
READ = ToolSchema(
    "Read",
    {
        "type": "object",
        "properties": {"path": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["path"],
        "additionalProperties": False,
    },
)
GO = ToolSchema("Go", {"type": "object", "properties": {}, "additionalProperties": False})
CALLS = AnswerRules(family=HERMES, tools=(READ, GO))
REQUIRED = AnswerRules(family=HERMES, tools=(READ, GO), choice="required", thinking=THINKING)
THINKING_CALLS = AnswerRules(family=HERMES, tools=(READ, GO), thinking=THINKING, marks=THINKING)
FORBIDDEN = AnswerRules(family=HERMES, tools=(READ, GO), choice="none")
TITLE = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}
PYTHONIC, GLM4, FUNCTIONARY = (
    AnswerRules(family=family_named(name), tools=(READ, GO)) for name in ("pythonic", "glm4", "functionary")
)
LFM2, LLAMA3, XLAM = (
    AnswerRules(family=family_named(name), tools=(READ, GO), marks=THINKING, thinking=THINKING)
    for name in ("lfm2", "llama3_json", "xlam")
)
THINKING_GLM4 = replace(GLM4, thinking=THINKING, marks=THINKING)
NO_GLM4 = replace(THINKING_GLM4, choice="none")
NO_PYTHONIC = replace(PYTHONIC, choice="none", thinking=THINKING, marks=THINKING)
MINIMAX_M3 = family_named("minimax_m3")
M3 = AnswerRules(family=MINIMAX_M3, tools=(READ, GO))
_MARK = "]<]minimax[>["
M3_CALL = MINIMAX_M3.write(
    [("Read", {"path": f"{_MARK}<tool_call>{_MARK}</path>{_MARK}</invoke>\n{_MARK}<", "limit": 3})],
    ToolSchemas([READ]),
)
REQUIRED_LFM2 = replace(LFM2, choice="required")
LFM2_CALL = "<|tool_call_start|>[Go()]<|tool_call_end|>"
READ_AS_JSON = '{"name": "Read", "parameters": {"path": "}\\"", "limit" : 3}}'
A_CALL = '<tool_call>\n{"name": "Read", "arguments": {"path": "/a", "limit": 3}}\n</tool_call>'


@pytest.fixture(scope="module")
def grammars() -> Grammars:
    return Grammars(TOKENS, TOKENS.eos)


def allowed(guide: AnswerGuide, width: int = 300) -> Any:
    masks = token_masks([guide], width)
    return np.ones(width, np.bool_) if masks is None else masks[0]


def first_refused(guide: AnswerGuide, tokens: list[int]) -> int | None:
    """The position of the first token that the mask does not allow."""
    for place, token in enumerate(tokens):
        if not allowed(guide)[token]:
            return place
        guide.advance(token)
    return None


WRITTEN: list[tuple[str, AnswerRules, str]] = [
    ("plain text", CALLS, "Hello <b>there</b>, tool_call"),
    ("a call", CALLS, A_CALL),
    ("text around calls", CALLS, f"I read.\n{A_CALL}\n{A_CALL} and now?"),
    ("a call without arguments", CALLS, '<tool_call>{"name": "Go", "arguments": {}}</tool_call>'),
    (
        "marks inside of an argument",
        CALLS,
        '<tool_call>{"name": "Read", "arguments": {"path": "</tool_call>"}}</tool_call>',
    ),
    ("a tag's own marks inside of a string", M3, M3_CALL),
    ("thinking", CALLS, "<think>hm</think>hello"),
    ("the beginning of a mark at the end", CALLS, "what is a <tool_ca"),
    ("a required call at once", REQUIRED, A_CALL),
    ("a required call behind thinking", REQUIRED, f"<think>which?</think>\n\n{A_CALL}"),
    ("a call behind thinking", THINKING_CALLS, f"<think>which?</think>\n\n{A_CALL}"),
    ("a mark in a code span", CALLS, "with `<tool_call>` around it"),
    ("text behind a required call", REQUIRED, f"{A_CALL}\nDone"),
    ("text where calls are forbidden", FORBIDDEN, "no <tool_cal here"),
    ("JSON", AnswerRules(schema=TITLE), '{"title": "A day"}'),
    ("JSON behind thinking", AnswerRules(schema=TITLE, thinking=THINKING), '<think>so</think>{"title": "A"}'),
    (
        "JSON where the prompt opened the thinking",
        AnswerRules(schema=TITLE, thinking=THINKING, opens_thinking=True),
        'so</think>\n{"title": "A"}',
    ),
    (
        "JSON, or a call on the way to it",
        AnswerRules(family=HERMES, tools=(GO,), schema=TITLE),
        '<tool_call>{"name": "Go", "arguments": {}}</tool_call>',
    ),
    (
        "JSON where there are tools",
        AnswerRules(family=HERMES, tools=(GO,), schema=TITLE),
        '{"title": "ünï 💡"}',
    ),
    ("calls without a mark, in Python's form", PYTHONIC, "[Go(), Read(path='x\"', limit=3)] so"),
    ("a link that begins like such a call", PYTHONIC, "[Read(2)](/man) and [Read(path=3)]"),
    ("calls without a mark, as a name and JSON", GLM4, 'Read\n{"path": "/a"}\nGo\n{} so'),
    ("words that begin like such a call", GLM4, "Go\nand read:\nRead\n{}"),
    ("a call without a mark behind thinking", THINKING_GLM4, '<think>hm\n</think>\nRead\n{"path": "/a"}'),
    ("calls behind a mark between them", FUNCTIONARY, '>>>Read\n{"path": "/a"}>>>Go\n{}'),
    ("words, then calls", FUNCTIONARY, 'all\nI read.>>>Read\n{"path": "/a"}>>>Go\n{}\n>>>all\nso'),
    ("what Python's shell shows", FUNCTIONARY, "all\n>>> Read\n3\n```\n>>>Read\n```"),
    ("the only call behind words", replace(FUNCTIONARY, parallel=False), "all\nso>>>Go\n{}"),
    ("a required call without a mark", replace(PYTHONIC, choice="required"), ' [Read(path="/a")] '),
    ("a call whose mark is missing", LFM2, "[Go(), Read(path='x\"', limit=3)] so"),
    ("it behind thinking", LFM2, "<think>hm\n</think>\n[Read(path='x')]"),
    ("it behind another with its mark", LFM2, f"{LFM2_CALL}\n[Go()]"),
    ("it within words, where it is none", LFM2, f"so [Read(path=3)]\n{LFM2_CALL}"),
    (
        "a link that begins like it, before a call",
        LFM2,
        f"[Read(2)](/man)\n<think>\nhm</think>{LFM2_CALL}",
    ),
    ("the only call, without its mark", replace(LFM2, parallel=False), "<think>hm\n</think>[Go()] "),
    ("a required call, without its mark", REQUIRED_LFM2, '<think>hm</think> [Read(path="")]'),
    ("a required call with it", REQUIRED_LFM2, LFM2_CALL),
    (
        "calls as JSON",
        LLAMA3,
        f'{READ_AS_JSON}; {{"type": "function", "name": "Go", "parameters": {{\n}}\n}}',
    ),
    ("a call as JSON behind a mark", LLAMA3, '<|python_tag|>{"name": "Go", "parameters": {}}'),
    ("an answer in JSON", LLAMA3, '{"name": "Read", "path": 3}'),
    ("an answer in JSON with an unknown name", LLAMA3, '{"name": "Walk", "parameters": {"path": 3}}'),
    ("a tool's definition", LLAMA3, '{"name": "Read", "parameters": {"type": "object", "properties": {}}}'),
    ("the name of a tool with other members", LLAMA3, '{"name": "Read", "parameters": {}, "limit": {}}'),
    ("a tool without arguments and other members", LLAMA3, '{"name": "Go", "parameters": {}, "path": 3}'),
    ("the name of a tool with another value", LLAMA3, '{"name": "Read", "parameters": ["path"]}\nso'),
    ("JSON where no call may be made", replace(LLAMA3, choice="none"), READ_AS_JSON.replace("path", "a")),
    (
        "calls in a list",
        XLAM,
        ' [{"name": "Read", "arguments": {"path": "/a"}}, {"name": "Go", "arguments": {}}]\n',
    ),
    ("an answer that is a list", XLAM, '[{"name": "Read", "path": 3}, 4]'),
    ("words where such calls are forbidden", NO_GLM4, "<think>so</think>Read\nme"),
    ("JSON of a model without marks", replace(PYTHONIC, schema=TITLE), '{"title": "[Go("}'),
    ("or a call of it", replace(PYTHONIC, schema=TITLE), "[Go()]"),
]


@pytest.mark.parametrize(("rules", "text"), [row[1:] for row in WRITTEN], ids=[row[0] for row in WRITTEN])
@pytest.mark.parametrize("spell", [TOKENS.spelled, TOKENS.bytes_only], ids=["as tokens", "as bytes"])
def test_a_fitting_answer_is_allowed_and_may_end(
    grammars: Grammars, rules: AnswerRules, text: str, spell: Any
) -> None:
    guide = grammars.compile(rules).guide()
    assert first_refused(guide, spell(text)) is None
    assert not guide.failure
    assert allowed(guide)[0]


REFUSED: list[tuple[str, AnswerRules, str, str]] = [
    ("a tool that is not offered", CALLS, '<tool_call>{"name": "R', "m"),
    ("an argument of another type", CALLS, '<tool_call>{"name": "Read", "arguments": {"path": ', "3"),
    ("a call without what it needs", CALLS, '<tool_call>{"name": "Read", "arguments": {', "}"),
    ("a call within thinking", THINKING_CALLS, "<think>so <tool_call", ">"),
    ("a call within thinking, by its token", THINKING_CALLS, "<think>so ", "<tool_call>"),
    ("a required call within thinking", REQUIRED, "<think>so <tool_call", ">"),
    (
        "a call within thinking before JSON",
        AnswerRules(family=HERMES, tools=(GO,), schema=TITLE, thinking=THINKING),
        "<think>so <tool_call",
        ">",
    ),
    (
        "a required call that its reader would not see",
        AnswerRules(family=family_named("qwen3_coder"), tools=(GO,), choice="required", thinking=THINKING),
        "<think>so</think><",
        "f",
    ),
    ("an unknown argument", CALLS, '<tool_call>{"name": "Go", "arguments": {', '"'),
    ("text inside of a call", CALLS, "<tool_call>", "h"),
    ("the end inside of a call", CALLS, '<tool_call>{"name": "Read', END),
    ("text where a call is required", REQUIRED, "", "h"),
    ("an end where a call is required", REQUIRED, "<think>no</think>", END),
    ("the last letter of a forbidden mark", FORBIDDEN, "x <tool_call", ">"),
    ("a forbidden mark in one token", FORBIDDEN, "x ", "<tool_call>"),
    ("text in place of JSON", AnswerRules(schema=TITLE), "", "S"),
    ("text behind JSON", AnswerRules(schema=TITLE), '{"title": "A"}', "h"),
    ("an end inside of JSON", AnswerRules(schema=TITLE), '{"title": "A"', END),
    ("an argument of another type without a mark", PYTHONIC, "[Go(), Read(path=", "3"),
    ("an unknown argument without a mark", GLM4, 'Read\n{"', "f"),
    ("the end inside of a call without a mark", FUNCTIONARY, 'Go\n{}>>>Read\n{"path": "/a"', END),
    ("an argument of another type behind words", FUNCTIONARY, 'all\nso>>>Read\n{"path": ', "3"),
    ("text where a call without a mark is required", replace(PYTHONIC, choice="required"), "", "h"),
    ("more than one call without a mark", replace(GLM4, parallel=False), "Go\n{}\n", "G"),
    ("a forbidden call without a mark", NO_GLM4, "<think>so</think>Read\n", "{"),
    ("an argument of another type, the mark missing", LFM2, "<think>\n</think>[Go(), Read(path=", "3"),
    ("an unknown argument behind thinking and a call", LFM2, "[Go()]\n<think>\n</think>[Read(path='', ", "m"),
    ("the end of a call whose mark is missing", LFM2, "[Read(path=''", END),
    ("more than one call whose mark is missing", replace(LFM2, parallel=False), "[Go()]", "["),
    ("a forbidden call whose mark is missing", replace(LFM2, choice="none"), "[Read", "("),
    ("an argument of another type as JSON", LLAMA3, f"{READ_AS_JSON} {READ_AS_JSON[:40]}", "3"),
    ("an unknown argument as JSON", LLAMA3, '{"name": "Read", "parameters": {"path": "", "', "f"),
    ("an argument twice as JSON", LLAMA3, '{"name": "Read", "parameters": {"path": "", "', "p"),
    ("the end of a call as JSON", LLAMA3, '{"name": "Read", "parameters": {"path": ""}', END),
    ("a required call that is other JSON", replace(LLAMA3, choice="required"), '{"', "p"),
    (
        "an argument that no tool has, in a list",
        XLAM,
        '[{"name": "Go", "arguments": {}}, {"name": "Go", "a',
        "s",
    ),
    ("text in a list of calls", XLAM, '[{"name": "Go", "arguments": {}}, ', '"'),
    ("a forbidden call in Python's form", NO_PYTHONIC, "<think>so</think>[Read", "("),
]


@pytest.mark.parametrize(
    ("rules", "text", "refused"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_an_answer_that_does_not_fit_is_not_allowed(
    grammars: Grammars, rules: AnswerRules, text: str, refused: str
) -> None:
    guide = grammars.compile(rules).guide()
    tokens = [*TOKENS.bytes_only(text), TOKENS.spelled(refused)[0]]
    assert first_refused(guide, tokens) == len(tokens) - 1


def test_a_token_may_cross_the_end_of_a_mark(grammars: Grammars) -> None:
    guide = grammars.compile(CALLS).guide()
    tokens = [*TOKENS.bytes_only("<tool_"), *TOKENS.spelled('call>\n{"name": "')]
    assert len(tokens) == 7
    assert first_refused(guide, tokens) is None
    assert [TOKENS.text([token]) for token in np.flatnonzero(allowed(guide)).tolist()] == ["G", "R"]


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_the_answer_ends_behind_its_only_call(grammars: Grammars, choice: Any) -> None:
    rules = AnswerRules(family=HERMES, tools=(READ, GO), parallel=False, choice=choice)
    before = "" if choice == "required" else "I read. "
    tokens = [*TOKENS.spelled(before + A_CALL), *TOKENS.spelled("h")]
    guide = grammars.compile(rules).guide()
    assert first_refused(guide, tokens) == len(tokens) - 1
    assert allowed(guide)[0]


@pytest.mark.parametrize(
    ("text", "refused"),
    [("<function=", True), ("so\n<function=", True), ("so <function=", False), ("a <b>\n <function=", False)],
)
def test_a_bare_mark_opens_a_call_only_at_the_beginning_of_a_line(
    grammars: Grammars, text: str, refused: bool
) -> None:
    rules = AnswerRules(family=family_named("qwen3_coder"), tools=(READ, GO))
    tokens = TOKENS.bytes_only(text + "x")
    assert first_refused(grammars.compile(rules).guide(), tokens) == (len(tokens) - 1 if refused else None)


def test_a_compiled_grammar_is_cached(grammars: Grammars) -> None:
    assert grammars.compile(CALLS) is grammars.compile(AnswerRules(family=HERMES, tools=(READ, GO)))
    assert grammars.compile(CALLS) is not grammars.compile(FORBIDDEN)


def test_a_guide_starts_at_the_end_of_a_resumed_answer(grammars: Grammars) -> None:
    written = TOKENS.spelled('<tool_call>{"name": "Go", "arguments": {')
    guide = grammars.compile(CALLS).guide(written)
    texts = {TOKENS.text([token]) for token in np.flatnonzero(allowed(guide)).tolist()}
    assert "}" in texts
    assert not texts & {'"', "h", END}


def test_rejected_draft_tokens_are_rewound(grammars: Grammars) -> None:
    guide = grammars.compile(CALLS).guide(TOKENS.bytes_only("<tool_call>"))
    before = allowed(guide)
    for token in TOKENS.bytes_only('\n{"name"'):
        guide.advance(token)
    assert not np.array_equal(allowed(guide), before)
    guide.rewind(8)
    assert np.array_equal(allowed(guide), before)


def test_tokens_behind_the_end_are_rewound_first(grammars: Grammars) -> None:
    guide = grammars.compile(AnswerRules(schema=TITLE)).guide(TOKENS.bytes_only('{"title": "A"'))
    before = allowed(guide)
    for token in [*TOKENS.bytes_only("}"), 0, 0, *TOKENS.bytes_only("x")]:
        guide.advance(token)
    guide.rewind(4)
    assert np.array_equal(allowed(guide), before)


def test_an_answer_truncated_within_a_call_is_not_a_failure(grammars: Grammars) -> None:
    guide = grammars.compile(CALLS).guide(TOKENS.spelled('<tool_call>{"name"'))
    guide.advance(0)
    assert guide.failure == ""


def test_a_token_against_the_grammar_ends_the_constraint_with_a_reason(grammars: Grammars) -> None:
    guide = grammars.compile(CALLS).guide(TOKENS.spelled("<tool_call>x"))
    assert guide.failure
    assert token_masks([guide], 300) is None


def test_rows_without_a_grammar_are_unconstrained_and_padding_is_never_allowed(grammars: Grammars) -> None:
    guide = grammars.compile(REQUIRED).guide()
    masks = token_masks([None, guide], 512)
    assert masks is not None
    assert masks.shape == (2, 512)
    assert masks[0].all()
    assert not masks[1, guide.vocab_size :].any()
    assert token_masks([None, None], 512) is None


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "object", "properties": {"a": {"not": {"type": "string"}}}}, "not"),
        ({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}, "uniqueItems"),
        ({"type": "object", "$ref": "#/nowhere"}, "nowhere"),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?=x)y"}}}, "regex"),
    ],
    ids=["a keyword", "a keyword of arrays", "a broken reference", "a pattern"],
)
def test_a_schema_without_a_grammar_is_relaxed_with_a_reason_and_others_are_not(
    grammars: Grammars, schema: dict[str, Any], why: str
) -> None:
    odd = ToolSchema("Odd", schema)
    compiled = grammars.compile(AnswerRules(family=HERMES, tools=(READ, odd)))
    assert compiled.relaxed.keys() == {"Odd"}
    assert why in compiled.relaxed["Odd"]
    text = '<tool_call>{"name": "Odd", "arguments": {"a": ["x", "x"]}}</tool_call>'
    if why == "uniqueItems":
        assert first_refused(compiled.guide(), TOKENS.spelled(text)) is None
    strict = TOKENS.bytes_only('<tool_call>{"name": "Read", "arguments": {}')
    assert first_refused(compiled.guide(), strict) == len(strict) - 1


PATTERNS = [
    r"^https?:\/\/",
    "^a{,3}$",
    r"\\$",
    "^$",
    "^\x00$",
    "[a-z&&]",
    "^a&&b$",
    r"^a\<b$",
    r"[^\s\S]",
    "(?=x)",
]


@pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)
def test_no_pattern_of_one_tool_disables_the_grammar_of_others(grammars: Grammars, family: Family) -> None:
    for source in PATTERNS:
        odd = ToolSchema(
            "Odd", {"type": "object", "properties": {"a": {"type": "string", "pattern": source}}}
        )
        guide = grammars.compile(AnswerRules(family=family, tools=(READ, odd))).guide()
        written = TOKENS.bytes_only(family.write([("Read", {"path": "/a"})], ToolSchemas([READ])))
        assert first_refused(guide, written) is None, source
        assert not guide.failure, source


@pytest.mark.parametrize("name", ["gemma4", "glm", "deepseek_v32"])
def test_a_tool_without_a_grammar_may_have_any_arguments(grammars: Grammars, name: str) -> None:
    never = {"type": "integer", "minimum": 2, "maximum": 1}
    properties = {"a": {"type": "string", "pattern": "^x$"}, "b": never, "c": {"type": "object"}}
    odd = ToolSchema("Odd", {"type": "object", "properties": properties, "required": ["a", "b"]})
    family = family_named(name)
    compiled = grammars.compile(AnswerRules(family=family, tools=(READ, odd)))
    assert compiled.relaxed.keys() == {"Odd"}
    written = family.write([("Odd", {"a": "y", "b": 5, "c": {"d": [1]}})], ToolSchemas([odd]))
    assert first_refused(compiled.guide(), TOKENS.bytes_only(written)) is None


def test_an_answers_own_schema_is_relaxed_in_the_same_way(grammars: Grammars) -> None:
    compiled = grammars.compile(AnswerRules(schema={"not": {"type": "string"}}))
    assert compiled.relaxed.keys() == {ANSWER}
    assert first_refused(compiled.guide(), TOKENS.spelled('{"a": 1}')) is None


def test_every_token_has_its_bytes_and_marks_are_plain_text() -> None:
    found = token_bytes(TOKENS)
    assert found[TOKENS.spelled("<tool_call>")[0]] == b"<tool_call>"
    assert {bytes([byte]) for byte in range(128)} <= set(found)


def test_a_tokenizer_without_known_bytes_is_refused_with_a_reason() -> None:
    with pytest.raises(GrammarUnavailable, match="object does not expose"):
        Grammars(object(), {0})


def test_a_model_without_an_end_token_is_refused_with_a_reason() -> None:
    with pytest.raises(GrammarUnavailable, match="no end token"):
        Grammars(TOKENS, set())


def test_the_failure_of_a_grammar_does_not_contain_generated_text(grammars: Grammars) -> None:
    guide = grammars.compile(CALLS).guide()
    for token in TOKENS.bytes_only("secret <tool_call>x"):
        guide.advance(token)
    assert guide.failure
    assert "\n" not in guide.failure
    assert "s‧e‧c" not in guide.failure
