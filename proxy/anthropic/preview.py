"""What lists show of a conversation: the user's last or first text, its length; without what clients add."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PREVIEW_LENGTH = 160  # characters
_HIDDEN = ("<system-reminder>", "<command-", "<local-command-")
_CONTINUED = "This session is being continued from a previous conversation"  # above a summary


def preview(messages: Any) -> str:
    """The start of the user's last text in Anthropic messages, on one line; empty if there is none."""
    if not isinstance(messages, list):
        return ""
    return _first_shown(text for message in reversed(messages) for text in reversed(_texts_of_user(message)))


def opening(messages: Any) -> str:
    """The start of the user's first text in Anthropic messages, on one line; empty if there is none."""
    if not isinstance(messages, list):
        return ""
    return _first_shown(
        text
        for message in messages
        for text in _texts_of_user(message)
        if not text.lstrip().startswith(_CONTINUED)
    )


def turns(messages: Any) -> int:
    """How many messages are the user's or the model's: Claude Code puts some of the role `system` between."""
    if not isinstance(messages, list):
        return 0
    return sum(not (isinstance(message, dict) and message.get("role") == "system") for message in messages)


def _first_shown(texts: Iterable[str]) -> str:
    shown = (text for text in texts if text.strip() and not text.lstrip().startswith(_HIDDEN))
    return _one_line(next(shown, ""))


def _texts_of_user(message: Any) -> list[str]:
    is_user = isinstance(message, dict) and message.get("role") == "user"
    return _texts(message.get("content")) if is_user else []


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    texts = [
        block.get("text") for block in content if isinstance(block, dict) and block.get("type") == "text"
    ]
    return [text for text in texts if isinstance(text, str)]


def _one_line(text: str) -> str:
    line = " ".join(text[: 4 * PREVIEW_LENGTH].split())
    return line if len(line) <= PREVIEW_LENGTH else line[: PREVIEW_LENGTH - 1] + "…"
