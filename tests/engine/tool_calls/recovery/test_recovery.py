"""Broken calls: repaired where the meaning is certain, else returned as text."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.tool_calls.families.registry import FAMILIES, family_named
from engine.tool_calls.reading.json_extent import JsonExtent
from engine.tool_calls.recovery import call_tags
from engine.tool_calls.recovery.call_tags import tagged_call
from engine.tool_calls.recovery.recovery import RecoveredCall, Unrecovered, recover_arguments, recover_text
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from tests.engine.tool_calls import breaking
from tests.engine.tool_calls.breaking import WAYS, Breaking
from tests.engine.tool_calls.offered import CALLS, FILE, TEXTS, TOOLS

HERMES = family_named("hermes")
LS = {"command": "ls"}


def bash(arguments: str) -> RecoveredCall | Unrecovered:
    return recover_arguments("Bash", arguments, TOOLS)


def said(outcome: tuple[RecoveredCall, ...] | RecoveredCall | Unrecovered) -> list[tuple[str, Any]]:
    assert not isinstance(outcome, Unrecovered), outcome
    calls = outcome if isinstance(outcome, tuple) else (outcome,)
    for call in calls:
        assert call.verdict.usable
        assert call.verdict.input == json.loads(call.arguments)
    return [(call.name, json.loads(call.arguments)) for call in calls]


TEN_WAYS: list[tuple[str, str, dict[str, Any], str]] = [
    ("trailing comma", '{"command": "ls",}', LS, "left out a trailing comma"),
    ("single quotes", "{'command': 'ls'}", LS, "put double quotes in place of other ones"),
    (
        "Python's words",
        '{"command": "ls", "background": True}',
        {**LS, "background": True},
        "read True as true",
    ),
    ("a missing brace", '{"command": "ls"', LS, "closed 1 open bracket"),
    (
        "raw line ends",
        '{"command": "a\nb\tc"}',
        {"command": "a\nb\tc"},
        "escaped control characters inside of a string",
    ),
    (
        "bare quotes",
        '{"command": "echo "hi"", "description": "x"}',
        {"command": 'echo "hi"', "description": "x"},
        "escaped quotes inside of a string",
    ),
    ("a code fence", '```json\n{"command": "ls"}\n```', LS, "took it out of a code fence"),
    ("encoded twice", '"{\\"command\\": \\"ls\\"}"', LS, "decoded JSON that was encoded twice"),
    ("bare keys", '{command: "ls"}', LS, "quoted the key 'command'"),
    (
        "types as text",
        '{"command": "ls", "timeout": "5"}',
        {**LS, "timeout": 5},
        "read 'timeout' as a number",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "meant", "repair"), [row[1:] for row in TEN_WAYS], ids=[r[0] for r in TEN_WAYS]
)
def test_the_ten_common_errors_are_repaired(arguments: str, meant: Any, repair: str) -> None:
    outcome = bash(arguments)
    assert said(outcome) == [("Bash", meant)]
    assert isinstance(outcome, RecoveredCall)
    assert outcome.repairs == (repair,)


@pytest.mark.parametrize(
    ("arguments", "meant", "repairs"),
    [
        ('{"command": "ls"}}', LS, ["left out 1 closing bracket too many"]),
        ('{"command": "ls"}]}', LS, ["left out 2 closing brackets too many"]),
        ('{"command": "ls" "timeout": 5}', {**LS, "timeout": 5}, ["added a comma"]),
        ('{"command": "ls", // list\n"timeout": 5}', {**LS, "timeout": 5}, ["left out a comment"]),
        ('{"command": "ls", # list\n}', LS, ["left out a comment", "left out a trailing comma"]),
        ('{}{"command": "ls"}', LS, ["left out an empty object before the arguments"]),
        ('{"command": "ls"}{"command": "ls"}', LS, ["removed a second copy of the arguments"]),
        (r"{\"command\": \"ls\"}", LS, ["removed one layer of backslashes"]),
        ("{“command”: “ls”}", LS, ["put double quotes in place of other ones"]),
        ('"command": "ls"}', LS, ["opened 1 bracket"]),
        ('{command": "ls"}', LS, ["quoted the key 'command'"]),
        ('{"command: "ls"}', LS, ["quoted the key 'command'"]),
        ('{"command": ls}', LS, ["quoted 'ls'"]),
        ('{"timeout": 5, "command": ls"}', {"timeout": 5, **LS}, ["quoted 'ls'"]),
        (
            r'{"command": "grep \d+"}',
            {"command": r"grep \d+"},
            ["escaped lone backslashes inside of a string"],
        ),
        (r'{"command": "don\'t"}', {"command": "don't"}, ["took a backslash from before a single quote"]),
        (r"{'command': 'it\'s'}", {"command": "it's"}, ["put double quotes in place of other ones"]),
        ('Here you are: {"command": "ls"}', LS, ["left out the text before the JSON"]),
        ('{"command": "ls", "timeout": +5}', {**LS, "timeout": 5}, ["read +5 as 5"]),
        ('[{"command": "ls"}]', LS, ["took the arguments out of an array"]),
        ('{"arguments": {"command": "ls"}}', LS, ["took the arguments out of an object around them"]),
        (
            '{"name": "Bash", "arguments": {"command": "ls"}}',
            LS,
            ["took the arguments out of an object around them"],
        ),
        ('{"Command": "ls"}', LS, ["took 'Command' for 'command'"]),
        ('{"command": "ls", "timeout": null}', LS, ["left out 'timeout', which was null"]),
        ('{"command": "ls", "timeout": ""}', LS, ["left out 'timeout', which was \"\""]),
        ('{"command": 1.10}', {"command": "1.10"}, ["read 'command' as a string"]),
    ],
)
def test_each_repair_is_described(arguments: str, meant: Any, repairs: list[str]) -> None:
    outcome = bash(arguments)
    assert said(outcome) == [("Bash", meant)]
    assert isinstance(outcome, RecoveredCall)
    assert list(outcome.repairs) == repairs


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ('{"command": "ls', "ends within a string"),
        ('{"command": "int main() {}', "ends within a string"),
        ('{"command": "ls", ', "is truncated"),
        ('{"command": "ls", "timeout": 12', "is truncated"),
        ('{"command": "ls", "timeout', "ends within a string"),
        ('{"command": "ls", "timeout":', "is truncated"),
        ("{", "is truncated"),
        ("hello world", "no JSON"),
        ("[1, 2", "is truncated"),
        ("7", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{}", "'command' is a required property"),
        ("", "'command' is a required property"),
        ('{"command": "ls", "why": "so"}', "'why' was unexpected"),
        ('{"command": "a"}{"command": "b"}', "more follows"),
        ('{"command": "a" "description": "b"}', "more than one way"),
        ('{"command": "a, "description": "b"}', "more than one way"),
        ('{"command": "a", "description": "b" "c": 1}', "'c' was unexpected"),
        ('{"command": NaN}', "'NaN' stands where"),
        ('{"command": "a\nb\\nc"}', "both raw and escaped"),
        (r'{"command": "\d\n"}', "both alone and as escapes"),
        (r"""{"command": "echo 'a'\''b'"}""", "both alone and as escapes"),
        ('{"timeout": "soon", "command": "ls"}', "timeout"),
        ("{" * 5000, "nested too deeply"),
        ("[" * 100_000, ""),
        ("\x00\ufeff}{][\"'", ""),
    ],
)
def test_an_ambiguous_call_is_not_recovered(arguments: str, why: str) -> None:
    outcome = bash(arguments)
    assert isinstance(outcome, Unrecovered), outcome
    if why != "nested too deeply":
        assert why in outcome.why


@pytest.mark.parametrize(
    "arguments",
    [
        '{"command": "rm -r build", "description" "clean"}',
        '{"command": "rm -r build", "description"= "clean"}',
        '{"command": "rm -r build", "description"="clean"}',
        '{"command": "rm -r build", description "clean"}',
        '{"command": "rm -r build" description "clean"}',
        '{"command": "rm -r build", description = "clean"}',
        '{"command": "rm -r "build"", "description" "clean"}',
        '{"command": "rm -r "build"", "other" "x"}',
        '{"command": "ls", "other" "x"}',
        '{"command": "ls" "other" "x"}',
        '{"command": "ls""other""x"}',
        '{"command": "ls""description""x"}',
        '{"command": "ls", other "x"}',
        '{"command": "ls", "timeout" 5, "background" "x"}',
        '{"command": "ls""}',
        '{"command": ""ls"}',
        '{"command": ""ls""}',
        '{"command": """ls"""}',
        '{"command": "ls"""}',
        '{"command": "ls -l "a"}',
        '{"command": "ls"", "description": "x""}',
    ],
)
def test_quotes_that_may_be_delimiters_are_not_content(arguments: str) -> None:
    assert isinstance(bash(arguments), Unrecovered)


@pytest.mark.parametrize("paths", ['["a""]', '["a" "b"]', '["a, "b"]', '["a ", "b" c", "d"]'])
def test_quotes_that_may_be_delimiters_are_not_content_in_a_list(paths: str) -> None:
    assert isinstance(recover_arguments("Glob", f'{{"paths": {paths}}}', TOOLS), Unrecovered)


CODE = [
    'print("hi")',
    'with open("a", "w") as file:\n    file.write("b")\n',
    '"""What it does."""\n\nNAME = ""\n',
    'cp "$a" "$b" # "so"',
    'x = {"a": "b"}\n',
    "print('hi')",
]


@pytest.mark.parametrize("content", CODE)
@pytest.mark.parametrize("order", [1, -1])
def test_code_with_unescaped_quotes_is_repaired(content: str, order: int) -> None:
    value = dict([("file_path", "/a"), ("content", content)][::order])
    outcome = recover_arguments("Write", json.dumps(value).replace('\\"', '"'), TOOLS)
    assert said(outcome) == [("Write", value)]


# The text between two strings of an object, with an error in it.
BORDERS = st.sampled_from([", ", " ", ",", " , ", "\n", ",\n  ", ""])
NO_COLONS = st.sampled_from([" ", "=", " = ", "\t", ""])


@settings(max_examples=300)
@given(
    st.sampled_from(["ls", "rm -r build", 'echo "hi"', 'cat "a" "b c"']),
    BORDERS,
    st.sampled_from(["description", "other", "note-1"]),
    NO_COLONS,
    st.sampled_from(["clean", "clean up", "x", "1"]),
)
def test_a_key_without_its_colon_is_not_part_of_the_text_before_it(
    command: str, border: str, key: str, no_colon: str, value: str
) -> None:
    outcome = bash(f'{{"command": "{command}"{border}"{key}"{no_colon}"{value}"}}')
    if isinstance(outcome, RecoveredCall):
        assert json.loads(outcome.arguments)["command"] == command


@pytest.mark.parametrize("name", ["</invoke>", "</function>", "</Write>"])
def test_each_end_tag_in_a_string_is_searched_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[int] = []

    class Counting(JsonExtent):
        def feed(self, text: str) -> int:
            fed.append(len(text))
            return super().feed(text)

    monkeypatch.setattr(call_tags, "JsonExtent", Counting)
    opening = {"</invoke>": '<invoke name="Write">', "</function>": "<function=Write>", "</Write>": "<Write>"}
    text = opening[name] + '{"file_path": "' + name * 1000
    assert tagged_call(text, 0, TOOLS) is None
    assert 0 < sum(fed) <= len(text)
    whole = text + '", "content": ""}' + name
    found = tagged_call(whole, 0, TOOLS)
    assert found is not None
    assert (json.loads(found.arguments)["file_path"], found.end) == (name * 1000, len(whole))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Bash", "Bash"),
        ("bash", "Bash"),
        ("functions.Bash", "Bash"),
        ("functions.Bash:3", "Bash"),
        ("tools.bash", "Bash"),
        (" Bash ", "Bash"),
        ("todo_write", "TodoWrite"),
        ("mcp__git__log", "mcp__git__log"),
        ("mcp_git_log", "mcp__git__log"),
        ("Run", None),
        ("", None),
    ],
)
def test_a_tool_is_matched_by_its_name_or_a_similar_one(name: str, meant: str | None) -> None:
    inputs = {"Bash": '{"command": "ls"}', "TodoWrite": '{"todos": []}', "mcp__git__log": "{}"}
    outcome = recover_arguments(name, inputs.get(meant or "", "{}"), TOOLS)
    if meant is None:
        assert isinstance(outcome, Unrecovered)
        assert "offers no tool" in outcome.why
    else:
        assert isinstance(outcome, RecoveredCall)
        assert outcome.name == meant
        assert outcome.repairs == (() if name == meant else (f"took the tool {meant!r} for {name!r}",))


def test_a_bracket_is_not_closed_where_another_place_is_as_likely() -> None:
    cut = '{"todos": [], "options": {"deep": true, "todos": []}'
    outcome = recover_arguments("TodoWrite", cut, TOOLS)
    assert isinstance(outcome, Unrecovered)
    assert "which object" in outcome.why


READ = {"file_path": "/a"}
JSON = '{"name": "Read", "arguments": {"file_path": "/a"}}'


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        (f"<tool_call>\n{JSON}\n</tool_call>", [("Read", READ)]),
        (f"<tool_call>{JSON}", [("Read", READ)]),
        (f"<tool_call>{JSON}</tool_call><tool_call>{JSON}</tool_call>", [("Read", READ)] * 2),
        (f"<tool_call>{JSON.replace('Read', 'functions.read')}</tool_call>", [("Read", READ)]),
        (f"<tool_call>{JSON[:-1]}</tool_call>", [("Read", READ)]),
        (f"{JSON}</tool_call>", [("Read", READ)]),
        (f"<|tool_call|>{JSON}<|/tool_call|>", [("Read", READ)]),
        (JSON, [("Read", READ)]),
        (JSON[:-1], [("Read", READ)]),
        (JSON.replace('"', "'"), [("Read", READ)]),
        (f"[{JSON}, {JSON}]", [("Read", READ)] * 2),
        (f"<tool_call>{JSON}</tool_call>\n<tool_call>{JSON[:-2]},}}}}</tool_call>", [("Read", READ)] * 2),
        (f"```json\n{JSON}\n```", [("Read", READ)]),
        (f"```tool_call\n<tool_call>{JSON}</tool_call>\n```", [("Read", READ)]),
        ('{"tool": "read", "filePath": "/a"}', [("Read", READ)]),
        ('{"tool_name": "Read", "parameters": {"file_path": "/a"}}', [("Read", READ)]),
        ('{"recipient_name": "functions.Read", "parameters": {"file_path": "/a"}}', [("Read", READ)]),
        ('{"function": "Read", "args": {"file_path": "/a"}}', [("Read", READ)]),
        ('{"name": "Read", "arguments": "{\\"file_path\\": \\"/a\\"}"}', [("Read", READ)]),
        ('{"type": "tool_use", "id": "x", "name": "Read", "input": {"file_path": "/a"}}', [("Read", READ)]),
        (
            '{"tool_calls": [{"id": "x", "type": "function", "function": {"name": "Read", "arguments": '
            '"{\\"file_path\\": \\"/a\\"}"}}]}',
            [("Read", READ)],
        ),
        ('{"name": "LS"}', [("LS", {})]),
        ('{"name": "LS", "arguments": null}', [("LS", {})]),
        (
            '{"name": "Bash", "arguments": {"command": "echo "hi"", "timeout": 5}}',
            [("Bash", {"command": 'echo "hi"', "timeout": 5})],
        ),
        (
            '<tool_call>{"name": "Read", "arguments": {"file_path": "/a", "limit": 5</tool_call>',
            [("Read", {**READ, "limit": 5})],
        ),
        ('Read(file_path="/a", limit=5)', [("Read", {**READ, "limit": 5})]),
        ('[Read(file_path="/a"), LS()]', [("Read", READ), ("LS", {})]),
        ('print(default_api.Read(file_path="/a"))', [("Read", READ)]),
        ('Read({"file_path": "/a", "limit": null})', [("Read", READ)]),
        ('Bash(command="ls", background=True)', [("Bash", {**LS, "background": True})]),
        ('Read{"file_path": "/a"}', [("Read", READ)]),
        ('Read<|sep|>{"file_path": "/a"}<|end|>', [("Read", READ)]),
        (
            '<function_calls>\n<invoke name="Read">\n<parameter name="file_path">/a</parameter>\n'
            '<parameter name="limit">5</parameter>\n</invoke>\n</function_calls>',
            [("Read", {**READ, "limit": 5})],
        ),
        (
            '<invoke name="Bash"><parameter name="command"> a </parameter> b </parameter></invoke>',
            [("Bash", {"command": " a </parameter> b "})],
        ),
        (
            '<invoke name="Glob"><parameter name="paths">["a", "b"]</parameter></invoke>',
            [("Glob", {"paths": ["a", "b"]})],
        ),
        (
            "<tool_call>\n<function=Bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>",
            [("Bash", LS)],
        ),
        ("<function=Bash><parameter=command>ls</parameter>", [("Bash", LS)]),
        ('<Read>{"file_path": "/a",}</Read>', [("Read", READ)]),
        ("<Read>\n<file_path>/a</file_path>\n<limit>5</limit>\n</Read>", [("Read", {**READ, "limit": 5})]),
        ("<LS></LS>", [("LS", {})]),
    ],
)
def test_calls_in_text_are_recovered(raw: str, meant: list[tuple[str, Any]]) -> None:
    assert said(recover_text(raw, TOOLS)) == meant


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("I will read it.", "no JSON"),
        (JSON.replace("Read", "Fly"), "names no offered tool"),
        (JSON[:-5], "ends within a string"),
        ("<tool_call>" + JSON[:-4], "ends within a string"),
        (f"[{JSON}, {{}}]", "names no offered tool"),
        (f'[{JSON}, {{"name": "Read", "arguments": {{}}}}]', "call 2 of 2"),
        (JSON[:-1] + ', "note": "mine"}', "contains more than a call"),
        ('Read("/a")', ""),
        ('Read(file_path=f"{a}")', ""),
        (r'Bash(command="\d")', ""),
        ("Read(file_path=open('/a'))", ""),
        ("<function=Bash><parameter=command>ls", ""),
        (
            "<function=Bash><parameter=command>a</parameter><parameter=command>b</parameter></function>",
            "",
        ),
        ("<Read><file_path>/a</file_path></Read> and so on", ""),
        ('<invoke name="Read"></invoke>', "'file_path' is a required property"),
        ('Read{"path": "/a"}', "'file_path' is a required property"),
    ],
)
def test_the_whole_text_is_returned_as_text_if_a_part_is_not_a_call(raw: str, why: str) -> None:
    outcome = recover_text(raw, TOOLS)
    assert isinstance(outcome, Unrecovered), outcome
    assert why in outcome.why


def test_a_call_in_its_familys_form_needs_no_repair() -> None:
    outcome = recover_text(f"<tool_call>\n{JSON}\n</tool_call>", TOOLS, HERMES)
    assert said(outcome) == [("Read", READ)]
    assert not isinstance(outcome, Unrecovered)
    assert outcome[0].repairs == ()
    assert outcome[0].arguments == '{"file_path": "/a"}'


def test_a_tool_that_is_named_like_a_part_of_a_mark_is_not_found_in_it() -> None:
    tools = ToolSchemas([ToolSchema("func", {"type": "object"})])
    raw = '<tool_call>{"name": "func", "arguments": "no object"}</tool_call>'
    assert isinstance(recover_text(raw, tools), Unrecovered)


def test_nothing_is_recovered_for_a_request_without_tools() -> None:
    assert isinstance(recover_text(JSON, type(TOOLS)([])), Unrecovered)


@given(call=CALLS, chance=st.randoms(use_true_random=False))
def test_a_valid_call_is_unchanged(call: tuple[str, dict[str, Any]], chance: random.Random) -> None:
    name, value = call
    text = breaking.spelled(value, chance)
    outcome = recover_arguments(name, text, TOOLS)
    assert isinstance(outcome, RecoveredCall)
    assert (outcome.name, outcome.arguments, outcome.repairs) == (name, text, ())


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
@settings(max_examples=150)
@given(call=CALLS, chance=st.randoms(use_true_random=False))
def test_a_broken_call_is_recovered_as_intended_or_not_at_all(
    way: Breaking, call: tuple[str, dict[str, Any]], chance: random.Random
) -> None:
    name, value = call
    text = way(value, chance)
    # A text that fits means what it says: breaking can turn one call into another.
    assume(not TOOLS.judge(name, text).usable or json.loads(text) == value)
    outcome = recover_arguments(name, text, TOOLS)
    assert isinstance(outcome, Unrecovered) or said(outcome) == [(name, value)]


@settings(max_examples=300)
@given(call=CALLS, chance=st.randoms(use_true_random=False))
def test_a_truncated_call_gets_no_invented_content(
    call: tuple[str, dict[str, Any]], chance: random.Random
) -> None:
    name, value = call
    text = breaking.spelled(value, chance)
    outcome = recover_arguments(name, text[: chance.randrange(len(text))], TOOLS)
    if isinstance(outcome, RecoveredCall):
        # Truncated between two values, it equals a call with forgotten brackets.
        assert is_beginning(json.loads(outcome.arguments), value)


def is_beginning(part: Any, whole: Any) -> bool:
    """Whether a value is a prefix of the other one, with each contained value whole."""
    if isinstance(part, dict) and isinstance(whole, dict):
        pairs = zip(part.items(), whole.items(), strict=False)
        return len(part) <= len(whole) and all(k == m and is_beginning(a, b) for (k, a), (m, b) in pairs)
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(map(is_beginning, part, whole))
    return bool(part == whole)


@given(TEXTS)
def test_any_text_has_an_outcome(text: str) -> None:
    for outcome in (bash(text), recover_text(text, TOOLS)):
        if not isinstance(outcome, Unrecovered):
            said(outcome)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
def test_a_file_of_100_kb_is_recovered_or_returned_as_text(way: Breaking) -> None:
    value = {"file_path": "/a", "content": FILE}
    text = way(value, random.Random(0))
    outcome = recover_arguments("Write", text, TOOLS)
    if way in (breaking.missing_comma, breaking.missing_quote):
        assert isinstance(outcome, Unrecovered)
    else:
        assert said(outcome) == [("Write", value)]


def test_a_huge_text_is_not_repaired() -> None:
    outcome = bash('{"command": "' + "x" * (1 << 20) + '",}')
    assert isinstance(outcome, Unrecovered)
    assert "too long" in outcome.why


def test_a_familys_own_fence_is_not_part_of_broken_arguments() -> None:
    tools = ToolSchemas([ToolSchema("Tag", {"type": "object", "properties": {"of": {"type": "array"}}})])
    family = family_named("deepseek_v3")
    raw = family.write([("Tag", {"of": ["a"]})], tools).replace('"a"]', '"a",]')
    found = recover_text(raw, tools, family)
    assert said(found) == [("Tag", {"of": ["a"]})]
    assert isinstance(found, tuple)
    assert found[0].repairs == ("left out a trailing comma",)


@pytest.mark.parametrize("mark", sorted({mark for family in FAMILIES for mark in family.openings}))
@pytest.mark.parametrize("times", [1, 2])
def test_marks_alone_are_not_a_call(mark: str, times: int) -> None:
    assert isinstance(recover_text(mark * times, TOOLS), Unrecovered)


@pytest.mark.parametrize("mark", ["<tool_call>", "[TOOL_CALLS]Read", " to=functions.Read"])
@pytest.mark.timeout(30)
def test_repeated_marks_are_not_a_call(mark: str) -> None:
    assert isinstance(recover_text(mark * 20_000, TOOLS), Unrecovered)


WRITE = '{"file_path": "/a", "content": "'
COSTLY = [
    '<invoke name="Write">{"a": "' + "</invoke>" * 100_000,
    "</tool_call>" * 80_000,
    "```json\n{" + "```" * 300_000,
    "```json\n{" + " " * 900_000 + "```",
    '["' * 16_000,
    '{"' * 16_000,
    WRITE + "z" * 500_000 + 'f("x"},"y") ' * 40_000 + '"}',
]


@pytest.mark.parametrize("text", COSTLY, ids=lambda text: str(text[:24]))
@pytest.mark.timeout(60)  # takes seconds at most; with a quadratic cost it takes minutes
def test_the_cost_does_not_grow_with_the_square_of_the_length(text: str) -> None:
    for outcome in (recover_arguments("Write", text, TOOLS), recover_text(text, TOOLS)):
        assert isinstance(outcome, Unrecovered)


def test_integers_of_any_size_are_kept() -> None:
    tools = ToolSchemas([ToolSchema("Pick", {"type": "object", "properties": {"id": {"type": "integer"}}})])
    assert tools.judge("Pick", '{"id": 12345678901234567890123}').input == {"id": 12345678901234567890123}
    assert tools.judge("Pick", '{"id": -1e999}').input == {"id": -1.7976931348623157e308}


def test_an_argument_whose_closing_tag_is_missing_ends_where_a_required_one_begins() -> None:
    text = (
        "<tool_call>\n<function=Write>\n<parameter=file_path>\n/a\n<parameter=content>\nx\n</parameter>\n"
        "</function>"
    )
    outcome = recover_text(text, TOOLS)
    assert not isinstance(outcome, Unrecovered)
    assert outcome[0].verdict.input == {"file_path": "/a", "content": "x"}
    assert "closed the argument 'file_path'" in outcome[0].repairs
    optional = text.replace("Write", "Read").replace("content", "limit")  # nothing says that it is meant
    outcome = recover_text(optional, TOOLS)
    assert not isinstance(outcome, Unrecovered)
    assert outcome[0].verdict.input == {"file_path": "/a\n<parameter=limit>\nx"}


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "LS", "parameters": {}}; {"name": "Read", "parameters": {"file_path": "/a"}}',
        'LS\n{}\nRead\n{"file_path": "/a"}',
        'LS\n{}>>>Read\n{"file_path": "/a"}',
        '[LS(), Read(file_path="/a")]',
    ],
)
def test_calls_without_marks_may_follow_each_other(text: str) -> None:
    outcome = recover_text(text, TOOLS)
    assert not isinstance(outcome, Unrecovered)
    assert [(call.name, call.verdict.input) for call in outcome] == [
        ("LS", {}),
        ("Read", {"file_path": "/a"}),
    ]


def test_arguments_within_an_object_are_taken_out_of_it_even_where_any_names_are_allowed() -> None:
    lax = ToolSchemas([ToolSchema("Look", {"type": "object", "properties": {"at": {"type": "string"}}})])
    outcome = recover_arguments("Look", '{"arguments": {"at": "x"}}', lax)
    assert not isinstance(outcome, Unrecovered)
    assert outcome.verdict.input == {"at": "x"}
    for kept in ('{"arguments": {"by": "x"}}', '{"arguments": {"at": "x"}, "at": "y"}', '{"other": 1}'):
        outcome = recover_arguments("Look", kept, lax)
        assert not isinstance(outcome, Unrecovered)
        assert outcome.arguments == kept


def test_pythons_calls_may_name_tools_that_python_does_not_read() -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    tools = ToolSchemas([ToolSchema("mcp__my-x.y__do-it", schema), ToolSchema("Look", schema)])
    outcome = recover_text('[mcp__my-x.y__do-it(q="mcp__my-x.y__do-it(1)"), Look(q="2")]', tools)
    assert not isinstance(outcome, Unrecovered)
    assert [(call.name, call.verdict.input) for call in outcome] == [
        ("mcp__my-x.y__do-it", {"q": "mcp__my-x.y__do-it(1)"}),
        ("Look", {"q": "2"}),
    ]
