"""The segments of a prompt: their names for people, and where the client's reminders end."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence

from engine.wire.chat import Message, content_text

_SPEAKERS = {"assistant": "assistant", "tool": "tool result", "system": "system entry"}
_HEAD = 40  # characters that a message is found by
_REMINDERS = re.compile(r"(?:<system-reminder>.*?</system-reminder>\n?)+", re.DOTALL)


def reminders_end(text: str, messages: Sequence[Message]) -> int:
    """The end of the reminders at the start of the first user turn; 0 if it has none."""
    said = next((message["content"] for message in messages if message["role"] == "user"), "")
    found = _REMINDERS.match(said)
    at = text.find(found[0]) if found else -1
    return at + len(found[0]) if found and at >= 0 else 0


def with_boundary(boundaries: tuple[int, ...], boundary: int) -> tuple[int, ...]:
    """`boundaries` with one more at the end of the reminders."""
    place = bisect.bisect_left(boundaries, boundary)
    if boundaries[place : place + 1] == (boundary,):
        return boundaries
    return (*boundaries[:place], boundary, *boundaries[place:])


def with_reminders(names: tuple[str, ...], place: int) -> tuple[str, ...]:
    """The names of segments with that of the reminders, which end at the boundary with this number."""
    return (*names[:place], "reminders of message 1 (user)", *names[place:])


def segment_names(messages: Sequence[Message], tools: bool) -> tuple[str, ...]:
    """Names of a prompt's segments, for people: the shared prefix, then each message with its number."""
    leading = _leading(messages)
    shared = " and ".join(name for name, there in (("system", bool(leading)), ("tools", tools)) if there)
    turns = enumerate(messages[leading:], 1)
    named = [f"message {number} ({_SPEAKERS.get(turn['role'], 'user')})" for number, turn in turns]
    return (*([shared] if shared else []), *(["system"] if leading > 1 else []), *named)


def _leading(messages: Sequence[Message]) -> int:
    """How many system turns stand before the first message: a second one is the project's."""
    if not has_shared_prefix(messages, False):
        return 0
    return 2 if shared_boundaries(messages) == 3 else 1


def shared_boundaries(messages: Sequence[Message]) -> int:
    """How many of a prompt's first boundaries end what other sessions may begin with too.

    These are system and tools, a second system turn, which is the project's, and the client's reminders.
    """
    return 3 if [message["role"] for message in messages[:2]] == ["system", "system"] else 2


def has_shared_prefix(messages: Sequence[Message], tools: bool) -> bool:
    """Whether system or tools come before the first message of the conversation."""
    return tools or (bool(messages) and messages[0]["role"] == "system")


def aligned_names(segments: Sequence[str], messages: Sequence[Message], tools: bool) -> tuple[str, ...]:
    """Names of segments, by the texts of the messages that they show: a template may show some in part only.

    `segments` are all texts of a prompt up to its end; the last one has no name. A message without a text,
    such as a call, is in the segment between those of its neighbours; a call for which there is none begins
    that of the message behind it.
    """
    leading = _leading(messages)
    held: list[list[str]] = [[] for _ in segments]
    begin, skipped = 0, list[tuple[str, bool]]()
    for number, message in enumerate(messages, 1 - leading):
        said = content_text(message.get("content"))
        heads = {text.strip()[:_HEAD] for text in (said, said.rpartition("</system-reminder>")[2])} - {""}
        place = next(
            (at for at in range(begin, len(segments)) if any(head in segments[at] for head in heads)), None
        )
        name = f"message {number} ({_SPEAKERS.get(message['role'], 'user')})" if number > 0 else "system"
        if place is None:
            skipped.append((name, bool(message.get("tool_calls"))))
            continue
        between = range(begin + 1, place)
        for at, (unseen, _) in zip(between, skipped, strict=False):
            held[at].append(unseen)
        held[place] += [unseen for unseen, calls in skipped[len(between) :] if calls]
        held[place].append(name)
        begin, skipped = place, []
    if tools and not held[0]:
        held[0].append("tools")
    names = [
        " to ".join(dict.fromkeys((those[0], those[-1]))) if those else "the template's text"
        for those in held
    ]
    if tools and names[0] == "system":
        names[0] = "system and tools"
    return tuple(names[:-1])
