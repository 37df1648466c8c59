"""The parts of an answer's text: words, thinking, and calls, which count only if whole and at its end."""

from __future__ import annotations

import json
import random
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.tool_calls.families.registry import family_named
from engine.tool_calls.quoted.call_forms import CallForms
from engine.tool_calls.quoted.final_calls import FinalCallReader, FinalCalls, Part
from engine.tool_calls.quoted.thinking_marks import ENDS, THINKING_MARKS
from engine.tool_calls.quoted.thought_scanner import Thought, ThoughtEnd
from engine.tool_calls.reading.family import Family
from tests.engine.tool_calls.call_making import OF_EACH_KIND
from tests.engine.tool_calls.offered import FILE, FRAGMENTS, TOOLS

JSON = '{"name": "Read", "arguments": {"file_path": "/a"}}'
PARAMETERS = '{"name": "Read", "parameters": {"file_path": "/a"}}'
HERMES = f"<tool_call>\n{JSON}\n</tool_call>"
FUNCTION = "<function=Read>\n<parameter=file_path>\n/a\n</parameter>\n</function>"
LLAMA = CallForms(bare=("json",))

every_family = pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)


def read(
    text: str,
    chance: random.Random | None = None,
    *,
    forms: CallForms = CallForms(),  # noqa: B008
    thoughts: bool = True,
) -> list[Part]:
    """All parts, adjacent words and thoughts joined."""
    ending, found, at = FinalCallReader(TOOLS, forms, thoughts=thoughts), list[Part](), 0
    while at < len(text):
        length = chance.choice([1, 2, 3, 9, 40]) if chance else len(text)
        found += ending.feed(text[at : at + length])
        at += length
    joined: list[Part] = []
    for kind, parts in groupby([*found, *ending.finish()], key=type):
        if kind is str:
            joined.append("".join(str(part) for part in parts))
        elif kind is Thought:
            joined.append(Thought("".join(part.text for part in parts if isinstance(part, Thought))))
        else:
            joined += parts
    return joined


def call(raw: str, **fields: bool) -> FinalCalls:
    return FinalCalls(raw, **{"whole": True, **fields})


def however_cut(text: str, forms: CallForms = CallForms()) -> list[Part]:  # noqa: B008
    found = read(text, forms=forms)
    for seed in range(5):
        assert read(text, random.Random(seed), forms=forms) == found
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (HERMES, [call(HERMES)]),
        (f"I look. {HERMES}", ["I look. ", call(HERMES)]),
        (f"{HERMES}\n{HERMES}\n", [call(f"{HERMES}\n{HERMES}\n")]),
        (f"{HERMES}<|im_end|>\n", [call(f"{HERMES}<|im_end|>\n")]),
        (f"Well.\n{FUNCTION}\n</tool_call>", ["Well.\n", call(f"{FUNCTION}\n</tool_call>")]),
        (f"<tool_call>{JSON}", [call(f"<tool_call>{JSON}")]),
        (f"<tool_call>{JSON[:-3]}", [call(f"<tool_call>{JSON[:-3]}", whole=False)]),
        (f"an ` alone\n{HERMES}", ["an ` alone\n", call(HERMES)]),
        (f"```sh\nls\n```\n{HERMES}", ["```sh\nls\n```\n", call(HERMES)]),
        (f"{HERMES} and {HERMES}", [f"{HERMES} and ", call(HERMES)]),
        (f"> so\n\n{HERMES}", ["> so\n\n", call(HERMES)]),
        (f"I cut the <!-- in a.html.\n\n{HERMES}", ["I cut the <!-- in a.html.\n\n", call(HERMES)]),
    ],
)
def test_calls_that_a_text_ends_with_are_found(text: str, found: list[Part]) -> None:
    assert however_cut(text) == found


@every_family
def test_the_calls_of_every_family_are_found_at_the_end(family: Family) -> None:
    written = family.write([("Read", {"file_path": "/a"}), ("LS", {})], TOOLS)
    assert however_cut(f"I look.\n\n{written}") == ["I look.\n\n", call(written)]
    for text in (
        f"{written}\n\nDo not run it.",
        f"```\n{written}\n```",
        f"So:\n```\n{written}",
        f"`{written}`",
    ):
        [said] = however_cut(text)
        assert said == text


@pytest.mark.parametrize(
    "text",
    [
        f"{HERMES} is a call.",
        f"A call looks like this:\n{JSON}\nDo not run it.",
        JSON,
        f"[{JSON}]",
        f"```json\n{JSON}\n```",
        f"```json\n{JSON}\n```\n\nShall I?",
        f"```xml\n{HERMES}\n```\n",
        f"~~~\n{HERMES}",
        f"Thus:\n\n    {JSON}\n    {HERMES.replace(chr(10), '')}",
        f"<!-- {HERMES}",
        f"<!--\n\n{HERMES}",
        f"Thus: <!-- {HERMES} -->",
        f"Thus: <!-- so\n{HERMES}",
        f"> {HERMES.replace(chr(10), chr(10) + '> ')}",
        f"`{HERMES.replace(chr(10), ' ')}`",
        f"Qwen writes {FUNCTION}",
        "Read(file_path='/a')",
        "[Read(file_path='/a')]",
        "<LS></LS>",
        '<Read>{"file_path": "/a"}</Read>',
        '<function_calls>\n<invoke name="Read">\n<parameter name="file_path">/a</parameter>\n</invoke>\n'
        "</function_calls>",
        'Action: Read\nAction Input: {"file_path": "/a"}',
        f"1. {JSON}\n2. stop",
        "Use <tool_call> around it",
        "what is a <tool_ca",
    ],
)
def test_a_quoted_call_is_text(text: str) -> None:
    assert however_cut(text) == [text]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (PARAMETERS, [call(PARAMETERS)]),
        (f"\n{PARAMETERS}\n", [call(f"{PARAMETERS}\n")]),
        (f"{PARAMETERS}; {JSON}", [call(f"{PARAMETERS}; {JSON}")]),
        (f"{PARAMETERS}<|eom_id|>", [call(f"{PARAMETERS}<|eom_id|>")]),
        (f"So: {PARAMETERS}", [f"So: {PARAMETERS}"]),
        (f"So:\n{PARAMETERS}", [f"So:\n{PARAMETERS}"]),
        (f"{PARAMETERS}\nDo not run it.", [f"{PARAMETERS}\nDo not run it."]),
        (f"```json\n{PARAMETERS}\n```", [f"```json\n{PARAMETERS}\n```"]),
        ('{"name": "Fly", "parameters": {}}', ['{"name": "Fly", "parameters": {}}']),
    ],
)
def test_bare_json_is_a_call_if_it_is_the_whole_answer_of_a_model_that_writes_it(
    text: str, found: list[Part]
) -> None:
    assert however_cut(text, LLAMA) == found


def test_calls_of_other_families_are_text() -> None:
    written = family_named("kimi").write([("LS", {})], TOOLS)
    assert however_cut(written, CallForms((family_named("hermes"),))) == [written]


@pytest.mark.parametrize(("start", "ends"), THINKING_MARKS.items())
def test_thinking_is_separated_and_a_call_in_it_does_not_count(start: str, ends: tuple[str, ...]) -> None:
    for end in ends:
        thought = f"maybe {HERMES} but no."
        text = f"\n{start}\n{thought}\n{end}\n\nI ask first."
        assert however_cut(text) == [Thought(thought), "I ask first."]
        assert however_cut(f"{start}hm{end}{HERMES}") == [Thought("hm"), call(HERMES)]
        shown = [Thought("maybe "), call(HERMES, in_thought=True)]
        for ended in ("", end, f"{end}\n\n"):
            assert however_cut(f"{start}maybe {HERMES}{ended}") == shown


@pytest.mark.parametrize("end", ENDS)
def test_an_end_mark_without_an_opening_mark_makes_the_text_before_it_a_thought(end: str) -> None:
    thought = f"maybe {HERMES} but no."
    assert however_cut(f"{thought}{end}\n\nHi") == [thought, ThoughtEnd(True), "Hi"]
    assert however_cut(f"maybe {HERMES}{end}") == [f"maybe {HERMES}", ThoughtEnd(True)]
    assert however_cut(f"{end}\n\nHi") == ["Hi"]
    found = however_cut(f"I look.{end}\n\n{HERMES}")
    assert found == ["I look.", ThoughtEnd(True), call(HERMES)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Put `<think>` before it.", ["Put `<think>` before it."]),
        ("```\n<think>\n```\nso", ["```\n<think>\n```\nso"]),
        ("The <think> tag, and </think> ends it.", ["The <think> tag, and </think> ends it."]),
        ("It ends with </think>, always.", ["It ends with </think>, always."]),
        ("I look.</think> Well.", ["I look.", ThoughtEnd(True), "Well."]),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Hi",
            [Thought("hm"), "Hi"],
        ),
        (f"The <think> tag.\n\n{HERMES}", ["The <think> tag.\n\n", call(HERMES)]),
        (f"So: <think>maybe {HERMES}", [f"So: <think>maybe {HERMES}"]),
        ("Well. <think>\nhm</think>Hi", ["Well. ", Thought("hm"), "Hi"]),
        ("<think>a</think>b\n<think>c</think>d", [Thought("a"), "b\n", Thought("c"), "d"]),
        ("<think>a</think>\n</think>b", [Thought("a"), "b"]),
        ("<think>a</think>b </think> c", [Thought("a"), "b </think> c"]),
        ("<th", ["<th"]),
        (f"{HERMES}<think>", [HERMES]),
        (f"{HERMES}<tool_call><|end|>", [call(f"{HERMES}<tool_call><|end|>", whole=False)]),
        (f"{HERMES}\n<think>\n</think>", [f"{HERMES}\n"]),
        (
            "<tool_call>\n<function=Bash>\n<parameter=command>\n<think>\n</think>\n</parameter>\n</function>",
            [
                call(
                    "<tool_call>\n<function=Bash>\n<parameter=command>\n<think>\n</think>\n"
                    "</parameter>\n</function>"
                )
            ],
        ),
    ],
)
def test_mentioned_thinking_marks_are_text(text: str, found: list[Part]) -> None:
    assert however_cut(text) == found


@pytest.mark.parametrize(
    ("fed", "passed"),
    [("Hello", "Hello"), ("a <", "a "), ("a <b", "a <b"), ("a <tool_call> x", "a <tool_call> x"), ("{", "{")],
)
def test_text_is_buffered_only_while_it_may_become_a_call(fed: str, passed: str) -> None:
    ending = FinalCallReader(TOOLS, CallForms(), thoughts=True)
    assert "".join(part for letter in fed for part in ending.feed(letter) if isinstance(part, str)) == passed


def test_a_call_before_more_text_is_returned_as_text_with_a_note() -> None:
    ending = FinalCallReader(TOOLS, CallForms())
    assert ending.feed(HERMES) == []
    assert ending.feed("\n\n") == []
    assert ending.feed("Do") == [f"{HERMES}\n\nDo"]
    assert ending.notes == ["what looks like a tool call was returned as text: more follows it"]
    assert ending.feed(" not.") == [" not."]


PIECES = st.sampled_from(
    [
        *(*FRAGMENTS, HERMES, JSON, FUNCTION, "<tool_call>", "</tool_call>", "\n", "\n\n", " ", "a", "> "),
        *("\n```\n", "```json\n", "`", "<think>", "</think>", "[THINK]", "[/THINK]", "<|think|>", "<|end|>"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=9).map("".join), st.randoms(use_true_random=False), st.booleans())
def test_the_split_of_a_text_changes_nothing(text: str, chance: random.Random, bare: bool) -> None:
    forms = CallForms(bare=("json",) if bare else ())
    assert read(text, chance, forms=forms) == read(text, forms=forms)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=9).map("".join))
def test_without_thinking_the_whole_text_is_returned(text: str) -> None:
    found = read(text, thoughts=False)
    assert "".join(part.raw if isinstance(part, FinalCalls) else str(part) for part in found) == text
    assert sum(isinstance(part, FinalCalls) for part in found[:-1]) == 0


@pytest.mark.parametrize("pattern", ["<tool_call>{}</tool_call>", "{}", "{} <a href='x'>[y]</a>\n"])
@pytest.mark.timeout(60)  # takes a tenth of a second; with a superlinear cost it takes minutes
def test_a_long_call_is_matched_to_its_end(pattern: str) -> None:
    written = json.dumps({"name": "Write", "arguments": {"file_path": "/a", "content": FILE}})
    text = pattern.replace("{}", written)
    ending = FinalCallReader(TOOLS, LLAMA, thoughts=True)
    found = [part for at in range(0, len(text), 4) for part in ending.feed(text[at : at + 4])]
    found += ending.finish()
    assert "".join(part.raw if isinstance(part, FinalCalls) else str(part) for part in found) == text
