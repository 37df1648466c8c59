"""Calls that come as text: found while they come, with all other text passed on at once."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.tool_calls.families import FAMILIES, family_named
from engine.tool_calls.hermes import Hermes
from engine.tool_calls.stray_calls import Found, StrayCall, StrayCalls
from tests.engine.tool_calls.offered import FILE, FRAGMENTS, TOOLS

JSON = '{"name": "Read", "arguments": {"file_path": "/a"}}'
HERMES = f"<tool_call>\n{JSON}\n</tool_call>"
FUNCTION = "<function=Read>\n<parameter=file_path>\n/a\n</parameter>\n</function>"
INVOKE = '<invoke name="Read">\n<parameter name="file_path">/a</parameter>\n</invoke>'


def stream() -> StrayCalls:
    return StrayCalls(TOOLS, (Hermes(),))


def joined(found: list[Found]) -> list[Found]:
    out: list[Found] = []
    for each in found:
        if isinstance(each, str) and out and isinstance(out[-1], str):
            out[-1] += each
        else:
            out.append(each)
    return out


def read(text: str, chance: random.Random | None = None) -> list[Found]:
    stray, found, at = stream(), [], 0
    while at < len(text):
        length = chance.choice([1, 2, 3, 9, 40]) if chance else len(text)
        found += stray.feed(text[at : at + length])
        at += length
    return joined([*found, *stray.finish()])


def call(raw: str) -> StrayCall:
    return StrayCall(raw)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"hi {HERMES} there", ["hi ", call(HERMES), " there"]),
        (HERMES + HERMES, [call(HERMES), call(HERMES)]),
        (JSON, [call(JSON)]),
        (f"Sure:\n{JSON}\nDone.", ["Sure:\n", call(JSON), "\nDone."]),
        (f"  {JSON}", ["  ", call(JSON)]),
        (f"[{JSON}, {JSON}] x", [call(f"[{JSON}, {JSON}]"), " x"]),
        (f"{JSON[:-1]}\n\nI wait.", [call(f"{JSON[:-1]}\n"), "\nI wait."]),
        (JSON[:-8], [call(JSON[:-8])]),
        (JSON.replace('"', "'"), [call(JSON.replace('"', "'"))]),
        (f"```json\n{JSON}\n```\nend", [call(f"```json\n{JSON}\n```"), "\nend"]),
        (f"```json\n{JSON}\n{JSON}\n```", [call(f"```json\n{JSON}\n{JSON}\n```")]),
        (f"```json\n{JSON}\nbut", [call(f"```json\n{JSON}"), "\nbut"]),
        (f"```\n{HERMES}\n```", [call(f"```\n{HERMES}\n```")]),
        (f"```xml\n{INVOKE}\n```", [call(f"```xml\n{INVOKE}\n```")]),
        (f"a{FUNCTION}b", ["a", call(FUNCTION), "b"]),
        (f"<tool_call>\n{FUNCTION}\n</tool_call> x", [call(f"<tool_call>\n{FUNCTION}\n</tool_call>"), " x"]),
        (f"{FUNCTION}\n</tool_call> x", [call(f"{FUNCTION}\n</tool_call>"), " x"]),
        (f"{INVOKE} x", [call(INVOKE), " x"]),
        (
            f"<function_calls>\n{INVOKE}\n{INVOKE}\n</function_calls>!",
            [call(f"<function_calls>\n{INVOKE}\n{INVOKE}\n</function_calls>"), "!"],
        ),
        (
            "<function=Bash><parameter=command>a </function> b</parameter></function>.",
            [call("<function=Bash><parameter=command>a </function> b</parameter></function>"), "."],
        ),
        ('<Read>{"file_path": "/a"}</Read> k', [call('<Read>{"file_path": "/a"}</Read>'), " k"]),
        ("<Bash>\n<command>ls</command>\n</Bash>", [call("<Bash>\n<command>ls</command>\n</Bash>")]),
        ("<LS></LS>.", [call("<LS></LS>"), "."]),
        ("Read(file_path='/a')\n", [call("Read(file_path='/a')"), "\n"]),
        ("[Read(file_path='/a'), LS()]", [call("[Read(file_path='/a'), LS()]")]),
        (
            '{"tool_calls": [{"id": "x", "type": "function", "function": {"name": "Read"}}]} k',
            [call('{"tool_calls": [{"id": "x", "type": "function", "function": {"name": "Read"}}]}'), " k"],
        ),
        (f"```python\n{JSON}\n```\n{JSON}", [f"```python\n{JSON}\n```\n", call(JSON)]),
        (f"<tool_call>{JSON}", [call(f"<tool_call>{JSON}")]),
        (f"a `b` {HERMES}", ["a `b` ", call(HERMES)]),
        (f"a ``b ` c`` {HERMES}", ["a ``b ` c`` ", call(HERMES)]),
        (f"```a```\n{JSON}", ["```a```\n", call(JSON)]),
        (f"an ` alone\n{HERMES}", ["an ` alone\n", call(HERMES)]),
        (f"~~~\na\n~~~\n{JSON}", ["~~~\na\n~~~\n", call(JSON)]),
        (f"````\n```\na\n```\n````\n{JSON}", ["````\n```\na\n```\n````\n", call(JSON)]),
        (f"```sh\nls\n```{HERMES}{JSON}", ["```sh\nls\n```", call(HERMES), call(JSON)]),
        (f"~~a~~ {HERMES}", ["~~a~~ ", call(HERMES)]),
        (f"\n\n    {JSON}", ["\n\n    ", call(JSON)]),
        (f"Sure:\n    {JSON}", ["Sure:\n    ", call(JSON)]),
        (f"Sure:\n\n   {JSON}", ["Sure:\n\n   ", call(JSON)]),
        (f"{JSON}\n    {JSON}", [call(JSON), "\n    ", call(JSON)]),
        (f"a\n\n    b\nc\n    {JSON}", ["a\n\n    b\nc\n    ", call(JSON)]),
        (f"<!-- a\nb -->\n{JSON}", ["<!-- a\nb -->\n", call(JSON)]),
        (f"`<!--` {HERMES}", ["`<!--` ", call(HERMES)]),
        (f"a --> {HERMES}", ["a --> ", call(HERMES)]),
    ],
)
def test_calls_are_found_in_text(text: str, found: list[Found]) -> None:
    assert read(text) == found
    for seed in range(5):
        assert read(text, random.Random(seed)) == found


@pytest.mark.parametrize(
    "text",
    [
        "Use `<tool_call>` and `</tool_call>` around it.",
        "The <Read> tool and the <Bash> one; <invoke name= is not closed.",
        "Read(file_path='/a') is how one reads.",
        "Read(file_path=",
        f"as in {JSON}",
        '{"name": "Fly", "arguments": {}}',
        '[1, 2]\n{"foo": 1}\n{"id": 1, "title": "x"}',
        '```json\n{"name": "anyclaude", "version": "1"}\n```\n',
        f"```python\nprint(1)\n{JSON}\n{FUNCTION}\n{HERMES}\n```\n",
        "```\n$ ls\n```\n`code` and ``more``",
        "a < b and [link](x) {y}",
        f"Models write `<tool_call>{JSON}</tool_call>` to call.",
        f"Models write `{FUNCTION.replace(chr(10), '')}` or ``a ` {HERMES.replace(chr(10), '')}``.",
        f"One `that is not closed: <tool_call>{JSON}</tool_call>",
        f"`{JSON}`",
        f"Thus:\n~~~json\n{JSON}\n~~~\nend",
        f"Thus:\n~~~~\n~~~\n{HERMES}\n```\n{JSON}\n~~~~\nend",
        f"````md\n```json\n{JSON}\n```\n\n{JSON}\n````",
        f"```\n```json\n{JSON}\n``` x\n{JSON}\n```",
        f"Thus:\n\n    {JSON}\n    {JSON}\n\n    {JSON}\n\nend",
        f"Thus:\n  \t\n\t{JSON}\n \t{HERMES.replace(chr(10), '')}\nend",
        f"<!--\n{JSON}\n-->",
        f"<!-- {HERMES}\n```\n{JSON}",
    ],
)
def test_other_text_is_passed_on_unchanged(text: str) -> None:
    assert read(text) == [text]
    assert read(text, random.Random(1)) == [text]


@pytest.mark.parametrize(
    ("fed", "passed"),
    [
        ("Hello", "Hello"),
        ("a <", "a "),
        ("a <b", "a <b"),
        ("a <tool_call> x", "a <tool_call> x"),
        ('{"foo"', '{"foo"'),
        ('{"name": "X', '{"name": "X'),
        ('{"name": "Re', ""),
        ('{"id": 7, "title"', '{"id": 7, "title"'),
        ("```jsx", "```jsx"),
        ("```python\n", "```python\n"),
        ('```json\n{"a', '```json\n{"a'),
        ("```json\n{", ""),
        ("Reading", "Reading"),
        ("Read(", ""),
        ("<Re", ""),
        ("<Rex", "<Rex"),
        ("<Read> x", "<Read> x"),
    ],
)
def test_nothing_is_held_back_longer_than_it_may_become_a_call(fed: str, passed: str) -> None:
    stray = stream()
    assert "".join(each for letter in fed for each in stray.feed(letter) if isinstance(each, str)) == passed
    assert joined(stray.feed("")) == []


PIECES = st.sampled_from(
    [
        *(*FRAGMENTS, HERMES, JSON, JSON[:-1], FUNCTION, INVOKE, "<tool_call>", "</tool_call>", "\n", "\n\n"),
        *("\n```\n", "```json\n", "```python\n", "Read(", "LS()", "<Read>", '{"name": "Re', '{"tool": "LS"}'),
        *("``", "\n````\n", "~", "\n~~~\n", "~~~json\n", "    ", "\t", "\n\n    ", "<!--", "-->", "<!", "--"),
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=9).map("".join), st.randoms(use_true_random=False))
def test_what_is_found_is_all_of_the_text_however_it_is_cut(text: str, chance: random.Random) -> None:
    found = read(text)
    assert "".join(each.raw if isinstance(each, StrayCall) else each for each in found) == text
    assert read(text, chance) == found


# Each line of what a text shows, in every way to show it.
SHOWN = st.lists(st.sampled_from([JSON, HERMES, FUNCTION, INVOKE, "ls", "", "a `b`"]), min_size=1, max_size=4)


@given(SHOWN, st.sampled_from(["```python", "```sh x", "````", "~~~", "~~~json", "~~~~"]))
def test_nothing_in_a_fence_that_shows_things_is_a_call(lines: list[str], opening: str) -> None:
    letters = opening[: opening.rindex(opening[0]) + 1]
    text = "\n".join(["So:", opening, *lines, letters, "end"])
    assert read(text) == [text]
    assert read(f"{text}\n{JSON}") == [f"{text}\n", call(JSON)]


@given(SHOWN, st.sampled_from(["    ", "\t", "  \t", "        "]))
def test_nothing_in_indented_code_is_a_call(lines: list[str], indent: str) -> None:
    code = "\n".join(indent + line for part in lines for line in part.split("\n"))
    text = f"So:\n\n{code}\n\nend"
    assert read(text) == [text]
    assert read(f"{text}\n{JSON}") == [f"{text}\n", call(JSON)]


@given(SHOWN)
def test_nothing_in_a_comment_is_a_call(lines: list[str]) -> None:
    text = "\n".join(["So:", "<!--", *lines, "-->", "end"])
    assert read(text) == [text]
    assert read(f"{text}\n{JSON}") == [f"{text}\n", call(JSON)]


@pytest.mark.parametrize("around", ["```\n{}\n```\n", "~~~\n{}\n~~~\n", "a\n\n    {}\n", "<!-- {} -->"])
def test_marks_that_no_text_shows_count_wherever_they_stand(around: str) -> None:
    tokens = family_named("deepseek_v31").write([("Read", {"file_path": "/a"})], TOOLS)
    stray = StrayCalls(TOOLS, FAMILIES)
    found = joined([*stray.feed(around.replace("{}", tokens)), *stray.finish()])
    assert any(isinstance(part, StrayCall) for part in found)


def test_without_tools_all_is_text() -> None:
    stray = StrayCalls(type(TOOLS)([]), (Hermes(),))
    assert [*stray.feed(HERMES), *stray.finish()] == [HERMES]


@pytest.mark.parametrize("pattern", ["<tool_call>{}</tool_call>", "{}", "{} <a href='x'>[y]</a>\n"])
@pytest.mark.timeout(60)  # it takes a tenth of a second; a cost that grows faster than the text takes minutes
def test_a_long_call_is_watched_to_its_end(pattern: str) -> None:
    written = json.dumps({"name": "Write", "arguments": {"file_path": "/a", "content": FILE}})
    text = pattern.replace("{}", written)
    stray = stream()
    found = [part for at in range(0, len(text), 4) for part in stray.feed(text[at : at + 4])]
    found += stray.finish()
    assert "".join(part if isinstance(part, str) else part.raw for part in found) == text
