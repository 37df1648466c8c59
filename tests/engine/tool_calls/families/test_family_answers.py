"""Answers as models really write them: marks omitted, calls truncated, text behind them, other spellings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tool_calls.families.registry import family_named
from engine.tool_calls.reading.pieces import CallEnd
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from tests.engine.tool_calls.call_making import TOOLS
from tests.engine.tool_calls.reading import read, read_by

GO: list[tuple[str, dict[str, Any]]] = [("go", {})]
LIST: list[tuple[str, dict[str, Any]]] = [("mcp__disk__list-all", {"path": "/a"})]
WRITE: list[tuple[str, dict[str, Any]]] = [("Write", {"file_path": "/a", "count": 3})]


@pytest.mark.parametrize(
    ("name", "text", "calls", "texts"),
    [
        ("qwen3_coder", "Yes.\n<function=go>\n</function>\n</tool_call>", GO, ["Yes.\n"]),
        ("qwen3_coder", "<function=go>\n</function>\nDone.", GO, ["\nDone."]),
        ("qwen3_coder", "<function=go></function><function=go></function>", GO + GO, []),
        ("qwen3_coder", "<tool_call>\n<function=go>\n</function>", GO, []),
        ("qwen3_coder", "<tool_call>\n<function=go>\n</function>\n</tool_", GO, []),
        (
            "qwen3_coder",
            "<tool_call><function=Write><parameter=file_path>/a</parameter>"
            "<parameter=count>3</parameter></function></tool_call>",
            WRITE,
            [],
        ),
        (
            "qwen3_coder",
            "<tool_call>\n<function=Write>\n<parameter=file_path>\n/a\n</parameter>\n<parameter=count>\n3\n"
            "</parameter>\n</function>\n<function=go>\n</function>\n<function=mcp__disk__list-all>\n"
            "<parameter=path>\n/a\n</parameter>\n</function>\n</tool_call>",
            WRITE + GO + LIST,
            [],
        ),
        (
            "seed_oss",
            "<seed:tool_call><function=mcp__disk__list-all><parameter=path>/a</parameter></function>"
            "<function=go></function></seed:tool_call>",
            LIST + GO,
            [],
        ),
        (
            "glm",
            r"<tool_call>Write<arg_key>tags</arg_key><arg_value>[\"a\"]</arg_value></tool_call>",
            [("Write", {"tags": r"[\"a\"]"})],
            [],
        ),
        ("glm", "<tool_call>go</tool_call>", GO, []),
        ("glm", "<tool_call>go\n", [], []),
        ("glm", "<tool_call>mcp__disk__list-all<arg_key>path</arg_key><arg_value>/a</arg_value>", LIST, []),
        (
            "minimax",
            '<minimax:tool_call>\n<invoke name="go">\n</invoke>\n<invoke name="mcp__disk__list-all">\n'
            '<parameter name="path">/a</parameter>\n</invoke>\n</minimax:tool_call>\n\nDone.',
            GO + LIST,
            ["\n\nDone."],
        ),
        ("mistral", "[TOOL_CALLS]go[ARGS]{}go[ARGS]{} and", GO + GO, [" and"]),
        ("mistral", "[TOOL_CALLS]go[CALL_ID]abcdefghi[ARGS]{}", GO, []),
        ("mistral", '[TOOL_CALLS] [{"name": "go", "arguments": {}, "id": "abcdefghi"}]', GO, []),
        ("mistral_v3", "[TOOL_CALLS]go[ARGS] {}", GO, []),
        ("function_gemma", "<start_function_call>call:go{}<end_function_call>", GO, []),
        ("gemma4", '<|tool_call>call:Write{file_path:<|"|>/a<|"|>, count: 3}', WRITE, []),
        (
            "gemma4",
            '<|tool_call>call:mcp__disk__list-all{path:<|"|>/a<|"|>}call:go{} call:Write{count:3,'
            'file_path:<|"|>/a<|"|>}<tool_call|> so',
            [*LIST, *GO, ("Write", {"count": 3, "file_path": "/a"})],
            [" so"],
        ),
        (
            "harmony",
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=functions.go<|channel|>commentary "
            "<|constrain|>json<|message|>{}<|call|>",
            GO,
            ["<|channel|>analysis<|message|>Hm.<|end|>"],
        ),
        ("harmony", "<|channel|>commentary to=functions.go code<|message|>{}", GO, []),
        ("harmony", "<|channel|>analysis to=functions.go<|message|>{}<|end|>", GO, []),
        ("harmony", " to=functions.go<|channel|>commentary<|message|>{}", GO, []),
        ("deepseek_v31", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>go<｜tool▁sep｜>{}", GO, []),
        (
            "deepseek_v31",
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>go\n```json\n{}\n```<｜tool▁call▁end｜>",
            GO,
            [],
        ),
        (
            "kimi",
            "<|tool_calls_section_begin|><|tool_call_begin|>go:0<|tool_call_argument_begin|>{}<|tool_call_end|>",
            GO,
            [],
        ),
        (
            "kimi",
            "<|tool_call_section_begin|> <|tool_call_begin|> functions.go:12 <|tool_call_argument_begin|> {} "
            "<|tool_call_end|> <|tool_call_section_end|> Done.",
            GO,
            [" Done."],
        ),
        (
            "kimi",
            "<|tool_call_begin|>functions.go:0<|tool_call_argument_begin|>{}<|tool_call_end|>"
            "<|tool_call_begin|>functions.go:1<|tool_call_argument_begin|>{}",
            GO + GO,
            [],
        ),
        ("hermes", '<tool_call>{"name": "go", "arguments": {}}', GO, []),
        ("hermes", '<tool_call>[{"name": "go", "arguments": {}}]</tool_call>', GO, []),
        ("hermes", '<tool_call>{"id": "a1", "name": "go", "parameters": {}, "index": 0}</tool_call>', GO, []),
        ("granite", '<tool_call> [{"name": "go", "arguments": {}}]', GO, []),
        ("granite", '<|tool_call|>{"name": "go", "arguments": {}} so', GO, [" so"]),
        ("cohere", '<|START_ACTION|>[{"tool_name": "go", "parameters": {}}]<|END_ACTION|>', GO, []),
        ("gigachat", '<|function_call|>{"name": "go", "arguments": {}}', GO, []),
        ("harmony", "<|channel|>commentary to=go <|constrain|>response<|message|>{}<|call|>", GO, []),
        ("internlm", '<|action_start|> <|plugin|>\n{"name": "go", "arguments": {}}<|action_end|>', GO, []),
        ("minimax_m1", '<tool_calls>{"name": "go", "arguments": {}}</tool_calls>', GO, []),
        (
            "phi4_mini",
            'functools[{"type": "function", "function": {"name": "go", "arguments": {}}}]',
            GO,
            [],
        ),
        ("lfm2", "<|tool_call_start|>[Write(file_path='/a', count=3,)]", WRITE, []),
        ("lfm2", "<|tool_call_start|>[go(), go()]<|tool_call_end|> so", GO + GO, [" so"]),
        (
            "lfm2",
            '<|tool_call_start|>[Write(content="it\'s \\"1\\"\\n\\d\\1 \\x41\\u00e9",'
            " options={'a': True, \"b\": (1, None)},"
            ' tags=[], nothing=null, file_path="""a"b""")]<|tool_call_end|>',
            [
                (
                    "Write",
                    {
                        "content": 'it\'s "1"\n\\d\\1 Aé',
                        "options": {"a": True, "b": [1, None]},
                        "tags": [],
                        "nothing": None,
                        "file_path": 'a"b',
                    },
                )
            ],
            [],
        ),
        ("olmo3", "<function_calls>go()\ngo()</function_calls>", GO + GO, []),
        (
            "minimax_m3",
            (
                '~<tool_call>~<invoke name="Write">~<tags>~<item>1~</item>~<item>~</item>~</tags>~<options>'
                "~<options>~<a>1~</a>~</options>~<b>x~</b>~</options>~<edits>~</edits>~</invoke>~</tool_call>"
            ).replace("~", "]<]minimax[>["),
            [("Write", {"tags": ["1", ""], "options": {"options": {"a": 1}, "b": "x"}, "edits": []})],
            [],
        ),
        (
            "k2_horizon",
            "<ifm|tool_calls>\n<ifm|tool_call>go\n</ifm|tool_call>\n<ifm|tool_call>Write\n<ifm|arg_key>"
            "file_path</ifm|arg_key>\n<ifm|arg_value>/a</ifm|arg_value>\n<ifm|arg_key>count</ifm|arg_key>"
            "<ifm|arg_value>3</ifm|arg_value></ifm|tool_call>\n</ifm|tool_calls>",
            GO + WRITE,
            [],
        ),
        (
            "solar_open2",
            "<|tool_call:start|>Write\n<|tool_arg:start|>file_path<|tool_arg:value|>/a<|tool_arg:end|>\n"
            "<|tool_arg:start|>count<|tool_arg:value|>3<|tool_arg:end|>\n<|tool_call:end|>"
            "<|tool_call:start|>go\n<|tool_call:end|>",
            WRITE + GO,
            [],
        ),
        (
            "gigachat35",
            '<｜GCML｜tool_calls><｜GCML｜invoke name="Write"><｜GCML｜parameter name="file_path" '
            'string="true">/a</｜GCML｜parameter>\n<｜GCML｜parameter name="count" string="false">3'
            "</｜GCML｜parameter>"
            "</｜GCML｜invoke></｜GCML｜tool_calls>",
            WRITE,
            [],
        ),
        (
            "harmony",
            " to=functions.go<|channel|> commentary <|constrain|>  json<|message|> {}<|end|>",
            GO,
            [],
        ),
        (
            "minicpm5",
            '<function name="Write"><param name="content"><![CDATA[a </param> <b>\n]]></param>'
            '<param name="count">3</param></function>',
            [("Write", {"content": "a </param> <b>\n", "count": 3})],
            [],
        ),
        (
            "kimi_k3",
            '<|open|>tools<|sep|><|open|>call tool="Write" index="1"<|sep|><|open|>argument key="content" '
            'type="string"<|sep|>5<|close|>argument<|sep|><|open|>argument key="count" type="number"<|sep|>3'
            "<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>",
            [("Write", {"content": "5", "count": 3})],
            [],
        ),
        (
            "deepseek_v32",
            '<｜DSML｜function_calls>\n<｜DSML｜invoke name="go"/>\n<｜DSML｜invoke name="Write">\n'
            '{"file_path": "/a", "count": 3}\n</｜DSML｜invoke>\n</｜DSML｜function_calls> Done.',
            GO + WRITE,
            [" Done."],
        ),
        (
            "deepseek_v4",
            '<｜DSML｜tool_calls><｜DSML｜invoke name="Write"> {"file_path": "/a", "count": 3} '
            '</｜DSML｜invoke><｜DSML｜invoke name="go" /></｜DSML｜tool_calls>',
            WRITE + GO,
            [],
        ),
    ],
)
def test_calls_are_read(name: str, text: str, calls: list[tuple[str, Any]], texts: list[str]) -> None:
    answer = read(family_named(name), text, TOOLS)
    assert answer.calls == calls
    assert answer.texts == texts
    assert read_by(1, family_named(name), text, TOOLS) == answer


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (
            "qwen3_coder",
            '<tool_call>\n{"name": "go", "arguments": {}}\n</tool_call>',
            "does not begin like a call",
        ),
        ("qwen3_coder", "<tool_call>\n<function=Write>\n<parameter=file_path>\n/a", "is truncated"),
        (
            "qwen3_coder",
            "<tool_call>\n<function=Write>\n<parameter=file_path>\n/a\n</parameter>\n",
            "is truncated",
        ),
        (
            "qwen3_coder",
            "<function=Write><parameter=count>1</parameter><parameter=count>2</parameter></function>",
            "'count' twice",
        ),
        ("qwen3_coder", "<tool_call>\n<function=go>\nnow\n</function>\n</tool_call>", "does not continue"),
        ("glm", '<tool_call>go {"a": 1}</tool_call>', "does not begin"),
        (
            "glm",
            "<tool_call>Write\n<arg_key>content</arg_key>\n<arg_value>a</arg_value>\n<arg_key>count\n"
            "<arg_value>3</arg_value>\n</tool_call>",
            "does not continue",
        ),
        ("minimax", '<minimax:tool_call>\n<invoke name="fly">\n</invoke>\n</minimax:tool_call>', "'fly'"),
        ("mistral", '[TOOL_CALLS]go[ARGS]{"a": }', "not valid JSON"),
        ("gemma4", "<|tool_call>call:Write{count:many}<tool_call|>", "'many' is not JSON"),
        ("gemma4", "<|tool_call>call:Write{count:3 more}<tool_call|>", "a value is missing"),
        ("gemma4", '<|tool_call>call:Write{file_path:<|"|>/a', "is truncated"),
        ("gemma4", "<|tool_call>call:go{} more<tool_call|>", "text follows"),
        ("harmony", "<|channel|>commentary to=functions.fly <|message|>{}<|call|>", "'fly'"),
        (
            "deepseek_v32",
            '<｜DSML｜function_calls><｜DSML｜invoke name="go"/></｜DSML｜invoke></｜DSML｜function_calls>',
            "does not continue",
        ),
        (
            "deepseek_v32",
            '<｜DSML｜function_calls><｜DSML｜invoke name="Write">{"count": }</｜DSML｜invoke>'
            "</｜DSML｜function_calls>",
            "not valid JSON",
        ),
        ("deepseek_v4", '<｜DSML｜tool_calls><｜DSML｜invoke name="Write">{"count": 3', "is truncated"),
        ("lfm2", '<|tool_call_start|>[Write("/a")]<|tool_call_end|>', "a key is missing"),
        ("lfm2", "<|tool_call_start|>[Write(count=x)]<|tool_call_end|>", "'x' is not JSON"),
        ("lfm2", '<|tool_call_start|>[Write(content="a', "is truncated"),
        ("jamba", '<tool_calls>{"name": "go", "arguments": {}}</tool_calls>', "does not begin"),
        (
            "kimi",
            "<|tool_calls_section_begin|>go<|tool_call_end|><|tool_calls_section_end|>",
            "does not begin",
        ),
    ],
)
def test_text_that_is_not_a_call_says_why_and_is_kept(name: str, text: str, why: str) -> None:
    answer = read(family_named(name), f"{text}", TOOLS)
    assert not answer.calls
    assert why in answer.broken[0].why
    assert read_by(1, family_named(name), text, TOOLS) == answer


def test_an_end_within_content_is_content_if_another_end_follows() -> None:
    end = "\n</parameter>\n</function>\n</tool_call>"
    text = f"<tool_call>\n<function=Write>\n<parameter=content>\na{end}\nb{end}\n c{end}"
    answer = read_by(1, family_named("qwen3_coder"), text, TOOLS)
    assert answer.calls == [("Write", {"content": f"a{end}\nb{end}\n c"})]


@pytest.mark.parametrize(
    ("written", "value"),
    [("\na\n", "a"), ("\na", "\na"), ("a\n", "a\n"), ("\n", "\n"), ("\n\n", ""), ("\n\na\n\n", "\na\n")],
)
def test_line_breaks_at_both_ends_of_a_value_are_layout(written: str, value: str) -> None:
    family = family_named("seed_oss")
    text = family.write([("Write", {"content": "MARK"})], TOOLS).replace("MARK", written)
    answer = read(family, text, TOOLS)
    assert answer.calls == [("Write", {"content": value})]
    assert read_by(1, family, text, TOOLS) == answer


def test_line_breaks_that_the_schema_wants_are_no_layout() -> None:
    tools = ToolSchemas([ToolSchema("put", {"properties": {"text": {"type": "string", "minLength": 3}}})])
    family = family_named("seed_oss")
    text = family.write([("put", {"text": "MARK"})], tools).replace("MARK", "\na\n")
    assert read(family, text, tools).calls == [("put", {"text": "\na\n"})]


@given(st.text("\na", max_size=6))
def test_a_value_that_was_written_is_read_with_its_line_breaks(value: str) -> None:
    family = family_named("seed_oss")
    text = family.write([("Write", {"content": value})], TOOLS)
    assert read(family, text, TOOLS).calls == [("Write", {"content": value})]


def test_text_behind_a_call_is_buffered_until_the_next_call() -> None:
    family = family_named("qwen3_coder")
    text = family.write([("Write", {"content": "a"})], TOOLS)
    reader = family.reader("<tool_call>", TOOLS)
    pieces = reader.feed(text.removeprefix("<tool_call>") + " Then:\n")
    assert not any(isinstance(piece, CallEnd) for piece in pieces)
    assert isinstance(reader.feed("<tool_call>\n<function=go>")[-1], CallEnd)
    assert reader.over
    assert reader.rest == " Then:\n<tool_call>\n<function=go>"


def test_a_call_that_does_not_end_with_free_text_ends_at_once() -> None:
    family = family_named("qwen3_coder")
    text = family.write([("Write", {"count": 3})], TOOLS)
    reader = family.reader("<tool_call>", TOOLS)
    assert isinstance(reader.feed(text.removeprefix("<tool_call>"))[-1], CallEnd)
    assert reader.over


def test_a_call_truncated_within_its_content_gives_no_call() -> None:
    family = family_named("deepseek_v31")
    inner = family.write(GO, TOOLS).replace('"', "'")
    text = family.write([("Write", {"content": f"{inner} more"})], TOOLS).partition(" more")[0]
    answer = read_by(1, family, text, TOOLS)
    assert not answer.calls
    assert [broken.raw for broken in answer.broken] == [text]
