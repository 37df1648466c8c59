"""The registry: families by name, by a call's text, and by a model's tokens."""

from __future__ import annotations

import pytest

from engine.tool_calls.families.names import FAMILY_NAMES, OTHER_NAMES
from engine.tool_calls.families.registry import (
    ALL_FAMILIES,
    FAMILIES,
    UnknownFamily,
    family_named,
    family_of_tokens,
    matching_family,
)
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: str(family.name))
def test_a_text_determines_the_family_that_reads_it(family: Family) -> None:
    tools = ToolSchemas([ToolSchema("Look", {"type": "object", "properties": {"at": {"type": "string"}}})])
    found = matching_family(family.write([("Look", {"at": "it"})], tools), tools)
    assert found is not None
    assert set(found.openings) & set(family.openings)  # families with one mark read each other's calls
    assert matching_family("Look at it", tools) is None
    assert matching_family(f"{family.openings[0]} nonsense", tools) is None


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
    found = family_of_tokens(tokens)
    assert found is not None
    assert found.name == name


def test_a_model_without_calls_has_no_family() -> None:
    assert family_of_tokens(["<tool_call>", "<think>"]) is None
    assert family_of_tokens(()) is None


def test_each_family_has_its_own_name() -> None:
    assert [family_named(family.name) for family in ALL_FAMILIES] == list(ALL_FAMILIES)
    assert sorted(family.name for family in ALL_FAMILIES) == sorted(FAMILY_NAMES)


def test_other_names_are_those_of_families() -> None:
    for other, name in OTHER_NAMES.items():
        assert other not in FAMILY_NAMES
        assert family_named(other).name == name


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownFamily, match=r"no tool format 'quen'; known are apertus, .*qwen3_coder"):
        family_named("quen")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_call_begins_with_an_opening_mark(family) -> None:  # type: ignore[no-untyped-def]
    assert family.openings
    assert all(family.openings)
