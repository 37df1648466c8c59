"""System entries in the middle of a conversation, for chat templates that allow one only at its start.

Pure, and free of mlx: messages in OpenAI's form go in and come out. An entry is folded, marked, into the
turn that stands at the same spot, so that what the model reads keeps its order, and the text of what came
before never changes when a conversation grows by an answer and what follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.wire.chat import Message, content_text

SYSTEM_ROLES = frozenset({"system", "developer"})


def marked(text: str) -> str:
    """The text of a system entry as it stands inside another turn."""
    return f"<system-message>\n{text.strip()}\n</system-message>"


def fold_system_turns(
    messages: Sequence[Message], *, keep_first: bool = True
) -> tuple[list[Message], list[str]]:
    """Fold every system entry but a leading one into a neighbouring turn.

    It joins the user or tool turn directly before it. Inside of a block of tool results it joins the last
    one, so that nothing stands between a call and its results. Otherwise it joins the user turn directly
    after it, and becomes a user turn of its own where there is none. With `keep_first` false a leading
    entry is folded too. The messages that came in are not changed.

    Returns:
        The messages, and one note for people about each entry that was folded.
    """
    folded: list[Message] = []
    notes: list[str] = []
    waiting: list[str] = []
    for position, message in enumerate(messages):
        if message.get("role") not in SYSTEM_ROLES or (position == 0 and keep_first):
            if waiting and not _waits_for_results(folded, message):
                message = _place(folded, waiting, message)
                waiting = []
            folded.append(dict(message))
            continue
        text = content_text(message.get("content"))
        if not text.strip():
            continue
        notes.append(f"system message {position} of {len(messages)} was folded into the turn at its place")
        waiting.append(marked(text))
    if waiting:
        _place_at_end(folded, waiting)
    return folded, notes


def _waits_for_results(folded: list[Message], following: Message) -> bool:
    """Whether a place after `folded` is inside of a block of tool results."""
    return (
        following.get("role") == "tool" and bool(folded) and folded[-1].get("role") in {"tool", "assistant"}
    )


def _place(folded: list[Message], texts: list[str], following: Message) -> Message:
    """Give the texts a place before `following`; returns it, perhaps with the texts in front."""
    if _takes_suffix(folded):
        _place_at_end(folded, texts)
        return following
    if following.get("role") == "user":
        return _with_prefix(following, texts)
    _place_at_end(folded, texts)
    return following


def _place_at_end(folded: list[Message], texts: list[str]) -> None:
    if _takes_suffix(folded):
        folded[-1] = _with_suffix(folded[-1], texts)
    else:
        folded.append({"role": "user", "content": "\n\n".join(texts)})


def _takes_suffix(folded: list[Message]) -> bool:
    return bool(folded) and folded[-1].get("role") in {"user", "tool"}


def _with_suffix(message: Message, texts: list[str]) -> Message:
    return message | {"content": _joined([_pieces(message), *([text] for text in texts)])}


def _with_prefix(message: Message, texts: list[str]) -> Message:
    return message | {"content": _joined([*([text] for text in texts), _pieces(message)])}


def _pieces(message: Message) -> list[Any]:
    content = message.get("content")
    return list(content) if isinstance(content, list) else [content_text(content)]


def _joined(groups: list[list[Any]]) -> str | list[Any]:
    """Content whose text is that of the groups with an empty line between; a string where it can be one."""
    filled = [group for group in groups if content_text(group)]
    if all(isinstance(piece, str) for group in filled for piece in group):
        return "\n\n".join(content_text(group) for group in filled)
    parts: list[Any] = []
    for number, group in enumerate(filled):
        if number:
            parts.append({"type": "text", "text": "\n\n"})
        parts += [{"type": "text", "text": piece} if isinstance(piece, str) else piece for piece in group]
    return parts
