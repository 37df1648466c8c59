"""The registry: families by name, and found from a model's template or tokens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from mlx_lm.tokenizer_utils import _infer_tool_parser

from engine.tool_calls.families.registry import (
    FAMILIES,
    UnknownFamily,
    family_named,
    family_of,
    matching_family,
)
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

PARSERS = {
    "minimax_m2": ["minimax"],
    "gemma4": ["gemma4"],
    "function_gemma": ["function_gemma"],
    "glm47": ["glm"],
    "qwen3_coder": ["qwen3_coder"],
    "kimi_k2": ["kimi"],
    "mistral": ["mistral", "mistral_v3"],
    "json_tools": ["hermes"],
}
"""What mlx-lm calls the families that both know."""

TEMPLATES = [
    ("{{ '<minimax:tool_call>\\n' }}{{ '<invoke name=\"' + tool_call.name + '\">' }}", "minimax"),
    ("{{- '<|tool_call>call:' + function['name'] + '{' -}}{{- '}<tool_call|>' -}}", "gemma4"),
    ("{{ '<start_function_call>call:' + name }}{{ '<end_function_call>' }}", "function_gemma"),
    ("{{ '\\n<tool_call>' + tc.name }}\n<arg_key>{{ k }}</arg_key>\n<arg_value>{{ v }}</arg_value>", "glm"),
    (
        "{{ '<tool_call>\\n<function=' + tool_call.name + '>\\n' }}{{ '<parameter=' + k + '>\\n' }}",
        "qwen3_coder",
    ),
    ('{"name": "x", "arguments": {}} {{ \'<tool_call>\\n<function=\' }}{{ "<parameter=" }}', "qwen3_coder"),
    ("<|tool_calls_section_begin|><|tool_call_begin|>{{ tool_call.id }}", "kimi"),
    ("{{ '[TOOL_CALLS]' + name + '[ARGS]' + arguments }}", "mistral"),
    ("{{ '[TOOL_CALLS] [' }}{{ '{\"name\": ' }}", "mistral_v3"),
    ('{{ \'<tool_call>\\n{"name": "\' }}{{ tool_call.name }}{{ \'", "arguments": \' }}', "hermes"),
    ("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>\\n```json\\n", "deepseek_v3"),
    ("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>{{ name }}<｜tool▁sep｜>{{ arguments }}", "deepseek_v31"),
    ("{% set dsml = '｜DSML｜' %}{{ '<' + dsml + 'function_calls>' }}", "deepseek_v32"),
    ("{% set dsml = '｜DSML｜' %}{{ '<' + dsml + 'tool_calls>' }}", "deepseek_v4"),
    ("{{ ' to=functions.' + tool_call.name }}{{ '<|channel|>commentary json<|message|>' }}", "harmony"),
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: str(family.name))
def test_a_text_determines_the_family_that_reads_it(family: Family) -> None:
    tools = ToolSchemas([ToolSchema("Look", {"type": "object", "properties": {"at": {"type": "string"}}})])
    found = matching_family(family.write([("Look", {"at": "it"})], tools), tools)
    assert found is not None
    assert found.openings == family.openings  # families of one vendor read each other's calls
    assert matching_family("Look at it", tools) is None
    assert matching_family(f"{family.openings[0]} nonsense", tools) is None


@pytest.mark.parametrize(("template", "name"), TEMPLATES, ids=[name for _, name in TEMPLATES])
def test_a_template_determines_the_family(template: str, name: str) -> None:
    found = family_of(template, ())
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(("template", "name"), TEMPLATES, ids=[name for _, name in TEMPLATES])
def test_the_families_that_mlx_lm_finds_are_found(template: str, name: str) -> None:
    parser = _infer_tool_parser(SimpleNamespace(chat_template=template, get_vocab=dict))
    assert parser is None or name in PARSERS[parser]


@pytest.mark.parametrize(
    ("tokens", "name"),
    [
        (["<｜tool▁calls▁begin｜>", "｜DSML｜"], "deepseek_v32"),
        (["[TOOL_CALLS]"], "mistral_v3"),
        (["[TOOL_CALLS]", "[ARGS]"], "mistral"),
        (["<|constrain|>", "<|call|>"], "harmony"),
        (["<tool_call>", "<arg_key>"], "glm"),
    ],
)
def test_without_a_template_the_tokens_determine_the_family(tokens: list[str], name: str) -> None:
    found = family_of("{{ messages }}", tokens)
    assert found is not None
    assert found.name == name


def test_a_model_without_calls_has_no_family() -> None:
    assert family_of("{{ messages }}", ["<tool_call>", "<think>"]) is None
    assert family_of("", ()) is None


def test_each_family_has_its_own_name() -> None:
    assert [family_named(family.name) for family in FAMILIES] == list(FAMILIES)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownFamily, match=r"no tool format 'quen'; known are deepseek_v3, .*qwen3_coder"):
        family_named("quen")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_call_begins_with_an_opening_mark(family) -> None:  # type: ignore[no-untyped-def]
    assert family.openings
    assert all(family.openings)
