"""Generated conversations in OpenAI's form, and how they grow from one turn to the next."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import strategies as st

Message = dict[str, Any]

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<>|"), max_size=12)
ARGUMENTS = st.dictionaries(
    st.text("abcz", min_size=1, max_size=3),
    TEXTS | st.integers() | st.booleans() | st.lists(TEXTS, max_size=2),
)


# Each strategy is made once: hypothesis checks and labels every new one, which takes longer than drawing.
_YES_OR_NO = st.booleans()
_CUTS = st.integers(0, 15)
_NUMBERS = st.integers(0, 10**6)
_SYSTEM_TEXTS = st.lists(TEXTS, max_size=1) | st.just([])
_ARGUMENTS_OF_CALLS = st.lists(ARGUMENTS, min_size=1, max_size=2)


def _content(draw: st.DrawFn, text: str) -> Any:
    """A text as a string, or cut into parts."""
    if draw(_YES_OR_NO):
        return text
    cut = min(draw(_CUTS), len(text))
    return [{"type": "text", "text": piece} for piece in (text[:cut], text[cut:])]


def _system_entries(draw: st.DrawFn) -> list[Message]:
    """Mostly none, as the real client has them: after a user's text or after tool results."""
    return [{"role": "system", "content": _content(draw, text)} for text in draw(_SYSTEM_TEXTS)]


def _user_turns(draw: st.DrawFn) -> list[Message]:
    return [{"role": "user", "content": _content(draw, draw(TEXTS))}, *_system_entries(draw)]


def _call_rounds(draw: st.DrawFn) -> list[Message]:
    """An assistant turn with calls, and their results."""
    prefix = f"call_{draw(_NUMBERS)}_"
    calls = [
        {
            "id": f"{prefix}{number}",
            "type": "function",
            "function": {"name": "look", "arguments": json.dumps(arguments)},
        }
        for number, arguments in enumerate(draw(_ARGUMENTS_OF_CALLS))
    ]
    turn: list[Message] = [{"role": "assistant", "content": draw(TEXTS), "tool_calls": calls}]
    for call in calls:
        turn.append({"role": "tool", "tool_call_id": call["id"], "content": _content(draw, draw(TEXTS))})
    return [*turn, *_system_entries(draw)]


@st.composite
def _rounds(draw: st.DrawFn) -> list[Message]:
    """What follows a prompt: an answer, and what the client says to it."""
    if draw(_YES_OR_NO):
        return _call_rounds(draw)
    return [{"role": "assistant", "content": draw(TEXTS)}, *_user_turns(draw)]


_ROUND = _rounds()
_SOME_ROUNDS = st.lists(_ROUND, max_size=2)


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Messages that end where an answer is wanted."""
    lead = [{"role": "system", "content": _content(draw, "You are a test.")}] if draw(_YES_OR_NO) else []
    return [*lead, *_user_turns(draw), *itertools.chain(*draw(_SOME_ROUNDS))]


@st.composite
def extended(draw: st.DrawFn, messages: list[Message]) -> list[Message]:
    """The same conversation later: with each content perhaps in its other form, and one round longer."""
    return [*(_restated(draw, message) for message in messages), *draw(_ROUND)]


def _restated(draw: st.DrawFn, message: Message) -> Message:
    content = message["content"]
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    return message | {"content": _content(draw, text)}
