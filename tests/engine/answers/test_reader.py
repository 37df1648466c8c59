"""What a client is shown of an answer, piece by piece."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.answers.pieces import (
    AnswerStyle,
    Call,
    CallOpened,
    CallPart,
    Composing,
    Piece,
    Remark,
    Stopped,
    Text,
    Thinking,
    TruncatedCall,
)
from engine.answers.reader import AnswerText
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from tests.engine.spelling import Spelling
from tests.engine.tool_calls.call_making import OF_EACH_KIND

HERMES = family_named("hermes")
TOOLS = ToolSchemas([ToolSchema("look", {"type": "object"})])
PLAIN = AnswerStyle(think_start="<think>", think_end="</think>")
STYLE = replace(PLAIN, family=HERMES, tools=TOOLS)
BOUND = replace(STYLE, all_constrained=True)
HELD = replace(BOUND, constrained=frozenset({"look"}))
LOOK = '<tool_call>\n{"name": "look", "arguments": {"at": "it"}}\n</tool_call>'


def read(style: AnswerStyle, *texts: str, cut: bool = False) -> list[Piece]:
    reader = AnswerText(Spelling(list(texts)), style)
    pieces = [piece for token in range(len(texts)) for piece in reader.add(token)]
    return [*pieces, *reader.finish(truncated=cut)]


def shown(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Kind and text of what a client sees, neighbours of a kind joined."""
    joined: list[tuple[str, str]] = []
    for piece in pieces:
        if isinstance(piece, Call):
            joined.append(("call", f"{piece.name}{piece.arguments}"))
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
    (STYLE, f"{LOOK}\nDone", [("text", f"{LOOK}\nDone")]),
    (STYLE, f"So:\n{LOOK}\n{LOOK} not", [("text", f"So:\n{LOOK}\n{LOOK} not")]),
    (BOUND, f"{LOOK}\nDone", [("call", 'look{"at": "it"}'), ("text", "Done")]),
    (
        STYLE,
        f"{LOOK}\n<tool_call>x</tool_call>",
        [("call", 'look{"at": "it"}'), ("text", "\n<tool_call>x</tool_call>")],
    ),
    (STYLE, f"{LOOK}<think>or not?</think>", [("text", LOOK), ("thinking", "or not?")]),
    (STYLE, f"<think>so {LOOK}", [("thinking", "so"), ("text", LOOK)]),
    (STYLE, f"<think>so {LOOK} not</think>Hi", [("thinking", f"so {LOOK} not"), ("text", "Hi")]),
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
    (
        STYLE,
        '<tool_call>{"name": "fly", "arguments": {"to": 1}}</tool_call>',
        [("call", 'fly{"to": 1}')],
    ),
    (STYLE, '<tool_call>{"name": "look", "arguments": {}}</tool_call>', [("call", "look{}")]),
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
        ("<tool_call>x</tool_call>", "does not begin like a call"),
        ('<tool_call>{"name": "look", "arguments": 3}</tool_call>', "does not begin like a call"),
        ('<tool_call>{"name": "look", "arg', "it is truncated"),
    ],
)
def test_a_call_given_back_as_text_leaves_a_remark(text: str, why: str) -> None:
    remarks = [piece.text for piece in read(STYLE, *text) if isinstance(piece, Remark)]
    assert len(remarks) == 1
    assert why in remarks[0]
    assert "returned as text" in remarks[0]


def test_a_call_shows_as_it_is_composed_and_keeps_what_the_model_wrote() -> None:
    pieces = read(STYLE, *LOOK)
    composed = "".join(piece.text for piece in pieces if isinstance(piece, Composing))
    assert composed.startswith('<tool_call>\n{"name"')
    assert [piece.raw for piece in pieces if isinstance(piece, Call)] == [LOOK]


def test_calls_that_only_the_end_of_the_answer_ends_are_read_there() -> None:
    style = AnswerStyle(family=family_named("mistral"), tools=TOOLS)
    assert shown(read(style, *'ok[TOOL_CALLS]look[ARGS]{"at": 1}')) == [
        ("text", "ok"),
        ("call", 'look{"at": 1}'),
    ]
    assert shown(read(style, "[TOOL_CALLS]look[ARGS]{", cut=True)) == [("text", "[TOOL_CALLS]look[ARGS]{")]


def test_a_call_that_its_grammar_guarantees_is_shown_while_it_is_written() -> None:
    pieces = read(HELD, *f"I look.\n{LOOK}\nDone")
    kinds = [type(piece) for piece in pieces]
    opened = kinds.index(CallOpened)
    assert pieces[opened] == CallOpened("look")
    parts = [piece.arguments for piece in pieces if isinstance(piece, CallPart)]
    assert len(parts) > 10
    assert "".join(parts) == '{"at": "it"}'
    assert Call not in kinds[:opened]
    [call] = [piece for piece in pieces if isinstance(piece, Call)]
    assert (call.name, call.arguments, call.raw, call.opened) == ("look", '{"at": "it"}', LOOK, True)


def test_a_call_without_that_guarantee_is_held_until_it_is_whole() -> None:
    pieces = read(STYLE, *LOOK)
    assert not any(isinstance(piece, CallOpened | CallPart) for piece in pieces)
    assert [piece.opened for piece in pieces if isinstance(piece, Call)] == [False]


@pytest.mark.parametrize("letters", range(len(LOOK) - len("\n</tool_call>") - 2))
def test_a_call_that_the_limit_cuts_is_never_made_whole(letters: int) -> None:
    text = LOOK[: letters + 1]
    held = read(HELD, *text, cut=True)
    assert not any(isinstance(piece, Call) for piece in held)
    if any(isinstance(piece, CallOpened) for piece in held):
        assert held[-1] == TruncatedCall(text, tuple(range(len(text))))
    else:
        assert shown(held) == [("text", text)]
    assert shown(read(STYLE, *text, cut=True)) == [("text", text)]


TEXT = {"type": "string"}
RUN = ToolSchema(
    "run",
    {
        "type": "object",
        "properties": {"command": TEXT, "limit": {"type": "integer"}, "folder": TEXT, "more": TEXT},
        "required": ["command"],
    },
)
RUNS: list[tuple[str, Any]] = [
    ("run", {"command": "rm -rf *", "limit": 12, "folder": "/a\n"}),
    ("run", {"command": "ls"}),
]


@pytest.mark.parametrize("held", [False, True], ids=["", "held"])
@pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)
def test_no_family_makes_a_call_whole_that_the_limit_cuts(family: Family, held: bool) -> None:
    tools = ToolSchemas([RUN])
    guaranteed = frozenset({"run"} if held else ())
    style = AnswerStyle(
        family=family, tools=tools, drop=family.layout, constrained=guaranteed, all_constrained=held
    )
    text = family.write(RUNS, tools)
    found = 0
    for letters in range(len(text) + 1):
        pieces = read(style, *text[:letters], cut=True)
        calls = [(piece.name, json.loads(piece.arguments)) for piece in pieces if isinstance(piece, Call)]
        assert calls == RUNS[: len(calls)], text[:letters]
        assert len(calls) >= found or not held  # what is no call yet follows one that nothing has bound
        found = len(calls)
    assert found == len(RUNS)


def test_a_cut_behind_an_argument_gives_the_client_no_mark() -> None:
    tools = ToolSchemas([RUN])
    style = AnswerStyle(family=family_named("glm"), tools=tools, constrained=frozenset({"run"}))
    text = "<tool_call>run\n<arg_key>command</arg_key>\n<arg_value>ls</arg_value>\n"
    pieces = read(style, *text, cut=True)
    parts = [piece.arguments for piece in pieces if isinstance(piece, CallPart)]
    assert "".join(parts) == '{"command": "ls'
    assert pieces[-1] == TruncatedCall(text, tuple(range(len(text))))
    assert shown(read(style, *text)) == [("call", 'run{"command": "ls"}')]


def test_a_call_whose_end_mark_alone_is_cut_is_whole() -> None:
    assert shown(read(HELD, *LOOK[:-3], cut=True)) == [("call", 'look{"at": "it"}')]


def test_a_call_keeps_the_tokens_that_spelled_it() -> None:
    texts = ["Well", " <tool", "_call>\n", '{"name": "look", ', '"arguments": {}}', "\n</tool_", "call> so"]
    for style in (BOUND, HELD):
        [call] = [piece for piece in read(style, *texts) if isinstance(piece, Call)]
        assert call.tokens == (1, 2, 3, 4, 5, 6)


BROKEN = [
    ('<tool_call>\n{"name": "look", "arguments": {"at": "it",}}\n</tool_call>', {"at": "it"}),
    ("<tool_call>{'name': 'look', 'arguments': {'at': 'it'}}</tool_call>", {"at": "it"}),
    ('<tool_call>{"name": "LOOK", "arguments": {"at": "it"}}</tool_call>', {"at": "it"}),
    ('<tool_call>{"name": "look", "arguments": {"at": "it"', {"at": "it"}),
]


@pytest.mark.parametrize(("text", "found"), BROKEN)
def test_a_broken_call_is_repaired_and_tells_how(text: str, found: dict[str, Any]) -> None:
    [call] = [piece for piece in read(STYLE, *text) if isinstance(piece, Call)]
    assert (call.name, json.loads(call.arguments), call.raw) == ("look", found, text)
    assert call.repairs


@pytest.mark.parametrize(
    ("text", "bare_json"),
    [
        ('{"name": "look", "arguments": {"at": "it"}}', True),
        (LOOK, False),
        ("<function=look>\n<parameter=at>\nit\n</parameter>\n</function>", False),
    ],
)
def test_a_model_whose_way_is_not_known_has_its_calls_found_at_the_end(text: str, bare_json: bool) -> None:
    style = AnswerStyle(tools=TOOLS, bare=("json",) if bare_json else ())
    for pieces in (read(style, text), read(style, *text)):
        assert [(kind, said) for kind, said in shown(pieces) if said.strip()] == [
            ("call", 'look{"at": "it"}')
        ]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "look", "arguments": {"at": "it"}}',
        '```json\n{"name": "look", "arguments": {"at": "it"}}\n```',
        f"{LOOK} is how it looks.",
        f"> {LOOK}",
        'look(at="it")',
    ],
)
def test_text_that_shows_a_call_is_text(text: str) -> None:
    style = AnswerStyle(tools=TOOLS)
    assert shown(read(style, *text)) == shown(read(style, text)) == [("text", text)]


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize(
    ("behind", "calls"),
    [('[look(at="it")]', 1), ('[look(at="that")]', 2), ('[look(at="it"), look(at="that")]', 2)],
)
def test_a_call_that_is_repeated_without_its_marks_is_one(constrained: bool, behind: str, calls: int) -> None:
    style = AnswerStyle(family=family_named("lfm2"), tools=TOOLS, all_constrained=constrained)
    text = f'<|tool_call_start|>[look(at="it")]<|tool_call_end|>{behind}'
    for pieces in (read(style, text), read(style, *text)):
        found = [said for kind, said in shown(pieces) if kind == "call"]
        assert found == ['look{"at": "it"}', 'look{"at": "that"}'][:calls]


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("", []),
        ("<|content_thinking|>hm<|end_message|><|message_model|>", []),
        ("<|content_text|>I look.<|end_message|><|message_model|>", ["I look."]),
    ],
)
def test_the_name_before_inklings_mark_is_no_text(before: str, words: list[str]) -> None:
    inkling = family_named("inkling")
    start, end = inkling.thinking or ("", "")
    style = AnswerStyle(family=inkling, tools=TOOLS, drop=inkling.layout, think_start=start, think_end=end)
    call = 'look<|content_invoke_tool_json|>{"name": "look", "args": {"at": "it"}}<|end_message|>'
    text = f"{before}{call}<|message_model|>{call}"
    for pieces in (read(style, text), read(style, *text)):
        found = shown(pieces)
        assert [said for kind, said in found if kind == "call"] == 2 * ['look{"at": "it"}']
        assert [said for kind, said in found if kind == "text"] == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all\nI look.", [("text", "I look.")]),
        ("all of it", [("text", "all of it")]),
        ("all", [("text", "all")]),
        ('all\nI look.>>>look\n{"at": "it"}', [("text", "I look."), ("call", 'look{"at": "it"}')]),
        (
            'look\n{"at": "it"}>>>look\n{"at": "that"}',
            [("call", 'look{"at": "it"}'), ("call", 'look{"at": "that"}')],
        ),
        ("all\n>>> look\n>>>look\nme", [("text", ">>> look\n>>>look\nme")]),
        ("all\n```\n>>>look\n{}\n```", [("text", "```\n>>>look\n{}\n```")]),
    ],
)
def test_functionarys_words_are_for_all_and_a_name_behind_its_mark_is_a_calls(
    text: str, expected: list[tuple[str, str]]
) -> None:
    functionary = family_named("functionary")
    constrained = frozenset({"look"})
    style = AnswerStyle(family=functionary, tools=TOOLS, drop=functionary.layout, constrained=constrained)
    assert shown(read(style, *text)) == shown(read(style, text)) == expected


BARE = "<function=look>\n<parameter=at>\nit\n</parameter>\n</function>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BARE, [("call", 'look{"at": "it"}')]),
        (f"I look.\n{BARE}", [("text", "I look."), ("call", 'look{"at": "it"}')]),
        (f"Tags such as {BARE} are text.", [("text", f"Tags such as {BARE} are text.")]),
        ("Write <function=look> first", [("text", "Write <function=look> first")]),
    ],
)
def test_a_mark_that_people_write_too_opens_a_call_at_the_beginning_of_a_line_only(
    text: str, expected: list[tuple[str, str]]
) -> None:
    style = AnswerStyle(family=family_named("qwen3_coder"), tools=TOOLS, constrained=frozenset({"look"}))
    assert shown(read(style, *text)) == shown(read(style, text)) == expected


def test_its_other_text_passes_and_a_stop_still_stops() -> None:
    style = AnswerStyle(tools=TOOLS, stops=("END",))
    assert shown(read(style, *'Say {"a": 1} and <b> END x')) == [
        ("text", 'Say {"a": 1} and <b> '),
        ("stopped", "END"),
    ]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("between", "shown_as"),
    [("\n\n    ", "    "), (" ", ""), ("\n", ""), ("  \n \n\t", "\t"), ("", "")],
)
def test_an_answers_indentation_behind_its_thinking_is_kept(size: int, between: str, shown_as: str) -> None:
    text = f"<think>so</think>{between}return x\n"
    pieces = read(STYLE, *(text[at : at + size] for at in range(0, len(text), size)))
    assert shown(pieces) == [("thinking", "so"), ("text", f"{shown_as}return x\n")]


def test_white_space_alone_behind_thinking_is_no_answer() -> None:
    assert shown(read(STYLE, "<think>so</think>", "\n\n   ")) == [("thinking", "so")]


def test_thinking_is_counted() -> None:
    reader = AnswerText(Spelling(["<think>", "a", "b", "</think>", "c"]), STYLE)
    for token in range(5):
        reader.add(token)
    assert reader.reasoning_tokens == 3  # a, b and the mark that ends it


LETTERS = st.characters(codec="utf-8", exclude_characters="<")


@given(st.text(LETTERS, max_size=20))
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


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_marks_in_a_json_answer_are_text(size: int) -> None:
    answer = f'{{"t": "a <think> b </think> {LOOK} <end>"}}'
    style = replace(HELD, answers_json=True, drop=("<end>",))
    text = f"<end><think>so</think>\n{answer}"
    pieces = read(style, *(text[at : at + size] for at in range(0, len(text), size)))
    assert shown(pieces) == [("thinking", "so"), ("text", answer)]


def test_text_behind_a_call_is_no_json_answer() -> None:
    pieces = read(replace(HELD, answers_json=True), f"{LOOK} and {LOOK}")
    assert [kind for kind, _ in shown(pieces)] == ["call", "text", "call"]


def test_a_mark_that_is_left_out_is_no_beginning_of_a_line() -> None:
    style = replace(HELD, family=family_named("qwen3_coder"), drop=("<end>",))
    pieces = read(style, "so\n<end><function=look>\n</function>\n</tool_call>")
    assert [kind for kind, _ in shown(pieces)] == ["text"]
