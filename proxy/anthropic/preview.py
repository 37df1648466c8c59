"""The preview of a request, one line for lists: the user's last text, without texts that clients add."""

from __future__ import annotations

from typing import Any

PREVIEW_LENGTH = 160  # characters
_HIDDEN = ("<system-reminder>", "<command-", "<local-command-")


def preview(messages: Any) -> str:
    """The start of the user's last text in Anthropic messages, on one line; empty if there is none."""
    if not isinstance(messages, list):
        return ""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            for text in reversed(_texts(message.get("content"))):
                if text.strip() and not text.lstrip().startswith(_HIDDEN):
                    return _one_line(text)
    return ""


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
