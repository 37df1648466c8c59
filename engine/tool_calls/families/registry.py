"""The families that are known, by name and by chat template."""

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
"""The more specific before those whose marks are parts of theirs."""

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
"""Tokens that no other family has, for models whose template does not show calls or is missing."""


class UnknownFamily(ValueError):
    """There is no tool format of that name; raised by `family_named`. The message lists those there are."""


def family_named(name: str) -> Family:
    """The family that `--tool-format` names.

    Raises:
        UnknownFamily: there is none.
    """
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(sorted(family.name for family in FAMILIES))
    raise UnknownFamily(f"there is no tool format {name!r}; known are {known}")


def matching_family(raw: str, tools: ToolSchemas, *, truncated: bool = False) -> Family | None:
    """The family whose reader finds whole calls of these tools in `raw`, and nothing that is broken.

    With `cut` more might have come, which a call must not lack.
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
    """The family of a model, by its chat template, else by its tokens; None if neither tells."""
    for family in FAMILIES:
        if family.writes(template):
            return family
    for token, name in _TOKENS:
        if token in vocabulary:
            return family_named(name)
    return None
