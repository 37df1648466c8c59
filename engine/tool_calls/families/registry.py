"""The known families, by name, by a call's text, and by the tokens of a model."""

from __future__ import annotations

from collections.abc import Collection

from engine.tool_calls.families.bare_families import BARE_FAMILIES
from engine.tool_calls.families.json_families import JSON_FAMILIES
from engine.tool_calls.families.names import OTHER_NAMES
from engine.tool_calls.families.notation_families import GEMMA_FAMILIES, PYTHONIC_FAMILIES
from engine.tool_calls.families.tagged_families import TAGGED_FAMILIES
from engine.tool_calls.reading.family import Family
from engine.tool_calls.reading.pieces import CallBroken
from engine.tool_calls.schemas.tools import ToolSchemas

FAMILIES: tuple[Family, ...] = (
    *TAGGED_FAMILIES,
    *GEMMA_FAMILIES,
    *PYTHONIC_FAMILIES,
    *JSON_FAMILIES,
)
"""Those with opening marks; where two have the same mark, the first whose reader finds a call is taken."""

ALL_FAMILIES: tuple[Family, ...] = (*FAMILIES, *BARE_FAMILIES)

_TOKENS: tuple[tuple[str, str], ...] = (
    ("<minimax:tool_call>", "minimax"),
    ("<longcat_tool_call>", "longcat"),
    ("<seed:tool_call>", "seed_oss"),
    ("<arg_key>", "glm"),
    ("｜DSML｜", "deepseek_v32"),
    ("<｜tool▁calls▁begin｜>", "deepseek_v31"),
    ("<｜tool_calls_begin｜>", "step3"),
    ("<|tool_calls_section_begin|>", "kimi"),
    ("<|constrain|>", "harmony"),
    ("<|tool_call>", "gemma4"),
    ("<start_function_call>", "function_gemma"),
    ("<|tool_call_start|>", "lfm2"),
    ("<|START_ACTION|>", "cohere"),
    ("<|tools_prefix|>", "apertus"),
    ("<|tool_call:begin|>", "solar_open"),
    ("<|content_invoke_tool_json|>", "inkling"),
    ("<ifm|tool_calls>", "k2_horizon"),
    ("<iquestcoder_tool_call>", "iquest_coder"),
    ("｜GCML｜", "gigachat35"),
    ("<dots_function_call>", "dots"),
    ("<|tool_arg:start|>", "solar_open2"),
    ("[ARGS]", "mistral"),
    ("[TOOL_CALLS]", "mistral_v3"),
)
"""Tokens that only one family has, for models whose template writes no calls or is missing."""


class UnknownFamily(ValueError):
    """No tool format has that name; raised by `family_named`. The message lists the known ones."""


def family_named(name: str) -> Family:
    """The family that `--tool-format` names.

    Raises:
        UnknownFamily: no family has that name.
    """
    for family in ALL_FAMILIES:
        if family.name == OTHER_NAMES.get(name, name):
            return family
    known = ", ".join(sorted(family.name for family in ALL_FAMILIES))
    raise UnknownFamily(f"there is no tool format {name!r}; known are {known}")


def matching_family(raw: str, tools: ToolSchemas, *, truncated: bool = False) -> Family | None:
    """The family whose reader finds only complete calls of these tools in `raw`.

    `truncated`: the answer ended at its limit, so that a call may lack arguments.
    """
    text = raw.lstrip()
    for family in FAMILIES:
        opening = next((mark for mark in family.openings if text.startswith(mark)), None)
        if opening is None:
            continue
        reader = family.reader(opening, tools)
        pieces = reader.feed(text[len(opening) :])
        if not reader.over:
            pieces += reader.close(truncated=truncated)
        if pieces and not any(isinstance(piece, CallBroken) for piece in pieces):
            return family
    return None


def family_of_tokens(vocabulary: Collection[str]) -> Family | None:
    """The family of a model whose template shows no call, by its tokens; None if they do not decide."""
    if "<|open|>" in vocabulary and "<|sep|>" in vocabulary and "<|close|>" in vocabulary:
        return family_named("kimi_k3")
    return next((family_named(name) for token, name in _TOKENS if token in vocabulary), None)
