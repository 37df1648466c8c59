"""The known families, by name and by chat template."""

from __future__ import annotations

from collections.abc import Collection

from engine.tool_calls.families.deepseek import DeepSeek
from engine.tool_calls.families.deepseek_dsml import DeepSeekDsml
from engine.tool_calls.families.gemma import FUNCTION_GEMMA, GEMMA_4
from engine.tool_calls.families.glm import Glm
from engine.tool_calls.families.harmony import Harmony
from engine.tool_calls.families.hermes import Hermes
from engine.tool_calls.families.kimi import Kimi
from engine.tool_calls.families.minimax import MiniMax
from engine.tool_calls.families.mistral import Mistral
from engine.tool_calls.families.qwen3_coder import Qwen3Coder
from engine.tool_calls.reading.family import Family
from engine.tool_calls.reading.pieces import CallBroken
from engine.tool_calls.schemas.tools import ToolSchemas

FAMILIES: tuple[Family, ...] = (
    MiniMax(),
    GEMMA_4,
    FUNCTION_GEMMA,
    Glm(),
    DeepSeekDsml("deepseek_v32", "function_calls"),
    DeepSeekDsml("deepseek_v4", "tool_calls"),
    DeepSeek("deepseek_v3", fenced=True),
    DeepSeek("deepseek_v31", fenced=False),
    Kimi(),
    Harmony(),
    Mistral("mistral", listed=False),
    Mistral("mistral_v3", listed=True),
    Qwen3Coder(),
    Hermes(),
)
"""In order of detection: a family comes before one whose marks are parts of its own."""

_TOKENS: tuple[tuple[str, str], ...] = (
    ("<minimax:tool_call>", "minimax"),
    ("<arg_key>", "glm"),
    ("｜DSML｜", "deepseek_v32"),
    ("<｜tool▁calls▁begin｜>", "deepseek_v31"),
    ("<|tool_calls_section_begin|>", "kimi"),
    ("<|constrain|>", "harmony"),
    ("<|tool_call>", "gemma4"),
    ("<start_function_call>", "function_gemma"),
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
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(sorted(family.name for family in FAMILIES))
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


def family_of(template: str, vocabulary: Collection[str]) -> Family | None:
    """The family of a model, by its chat template, else by its tokens; None if neither decides."""
    for family in FAMILIES:
        if family.writes(template):
            return family
    for token, name in _TOKENS:
        if token in vocabulary:
            return family_named(name)
    return None
