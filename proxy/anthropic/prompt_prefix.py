"""Canonical texts for content, so that the prompt of turn N is a prefix of the prompt of turn N+1.

Claude Code sends the same content in different forms: first a list of text blocks, later one string joined
with line feeds; `cache_control` marks that move with each turn; a first system block with a version suffix
that differs between conversations. The functions here are pure and depend on one piece of content only, not
on its neighbours or the turn, so that history always renders the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

BILLING_MARK = "x-anthropic-billing-header:"
SUBAGENT_MARK = "cc_is_subagent=true"


def joined_text(texts: Iterable[str]) -> str:
    """Text blocks as one string: the client joins the same blocks with a line feed when it resends them."""
    return "\n".join(texts)


def system_text(system: Any) -> str:
    """The canonical text of a `system` field, without its billing block."""
    return joined_text(system_texts(system))


def system_texts(system: Any) -> list[str]:
    """The texts of a `system` field's blocks, without its billing block."""
    if system is None:
        return []
    if isinstance(system, str):
        return [_without_billing_line(system)]
    return [
        block["text"]
        for block in system
        if isinstance(block.get("text"), str) and not block["text"].startswith(BILLING_MARK)
    ]


def billing_text(system: Any) -> str:
    """The billing block of a `system` field, or an empty string."""
    if isinstance(system, str):
        return system.split("\n", 1)[0] if system.startswith(BILLING_MARK) else ""
    for block in system if isinstance(system, list) else ():
        text = block.get("text") if isinstance(block, dict) else None
        if isinstance(text, str) and text.startswith(BILLING_MARK):
            return text
    return ""


def is_subagent(system: Any) -> bool:
    """Whether the billing block says that a subagent sent this."""
    return SUBAGENT_MARK in billing_text(system).replace(" ", "")


def is_prefix(
    earlier: Sequence[dict[str, Any]], later: Sequence[dict[str, Any]], *, ignore_last: int = 0
) -> bool:
    """Whether `later` begins with the messages of `earlier`, without its last `ignore_last` entries."""
    return first_difference(earlier[: len(earlier) - ignore_last], later) is None


def first_difference(earlier: Sequence[dict[str, Any]], later: Sequence[dict[str, Any]]) -> int | None:
    """Index of the first message of `earlier` that differs in `later` in any byte; None if none does."""
    for i, message in enumerate(earlier):
        if i >= len(later) or repr(message) != repr(later[i]):
            return i
    return None


def _without_billing_line(text: str) -> str:
    if not text.startswith(BILLING_MARK):
        return text
    return text.split("\n", 1)[1] if "\n" in text else ""
