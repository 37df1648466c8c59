"""The segments of a prompt: their names for people, and where the client's reminders end."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence

from engine.wire.chat import Message

_SPEAKERS = {"assistant": "assistant", "tool": "tool result", "system": "system entry"}
_REMINDERS = re.compile(r"(?:<system-reminder>.*?</system-reminder>\n?)+", re.DOTALL)


def reminders_end(text: str, messages: Sequence[Message]) -> int:
    """The end of the reminders at the start of the first user turn; 0 if it has none."""
    said = next((message["content"] for message in messages if message["role"] == "user"), "")
    found = _REMINDERS.match(said)
    at = text.find(found[0]) if found else -1
    return at + len(found[0]) if found and at >= 0 else 0


def with_boundary(
    boundaries: tuple[int, ...], segments: tuple[str, ...], boundary: int
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """`boundaries` with one more at the end of the reminders; names are kept if each segment has one."""
    place = bisect.bisect_left(boundaries, boundary)
    if boundaries[place : place + 1] == (boundary,):
        return boundaries, segments
    if len(segments) == len(boundaries):
        segments = (*segments[:place], "reminders of message 1 (user)", *segments[place:])
    return (*boundaries[:place], boundary, *boundaries[place:]), segments


def segment_names(messages: Sequence[Message], tools: bool) -> tuple[str, ...]:
    """Names of a prompt's segments, for people: the shared prefix, then each message with its number."""
    leading = has_shared_prefix(messages, False)
    shared = " and ".join(name for name, there in (("system", leading), ("tools", tools)) if there)
    turns = enumerate(messages[1:] if leading else messages, 1)
    named = [f"message {number} ({_SPEAKERS.get(turn['role'], 'user')})" for number, turn in turns]
    return (shared, *named) if shared else tuple(named)


def shared_boundaries(messages: Sequence[Message]) -> int:
    """How many of a prompt's first boundaries end what other sessions may begin with too.

    These are system and tools, a second system turn, which is the project's, and the client's reminders.
    """
    return 3 if [message["role"] for message in messages[:2]] == ["system", "system"] else 2


def has_shared_prefix(messages: Sequence[Message], tools: bool) -> bool:
    """Whether system or tools come before the first message of the conversation."""
    return tools or (bool(messages) and messages[0]["role"] == "system")
