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


def text_content(text: str) -> st.SearchStrategy[Any]:
    """A text as a string, or cut into parts."""

    def parts(cut: int) -> list[dict[str, str]]:
        return [{"type": "text", "text": piece} for piece in (text[:cut], text[cut:])]

    return st.just(text) | st.integers(0, len(text)).map(parts)


@st.composite
def system_entries(draw: st.DrawFn) -> list[Message]:
    """Mostly none, as the real client has them: after a user's text or after tool results."""
    texts = draw(st.lists(TEXTS, max_size=1) | st.just([]))
    return [{"role": "system", "content": draw(text_content(text))} for text in texts]


@st.composite
def user_turns(draw: st.DrawFn) -> list[Message]:
    return [{"role": "user", "content": draw(text_content(draw(TEXTS)))}, *draw(system_entries())]


@st.composite
def call_rounds(draw: st.DrawFn) -> list[Message]:
    """An assistant turn with calls, and their results."""
    prefix = f"call_{draw(st.integers(0, 10**6))}_"
    calls = [
        {
            "id": f"{prefix}{number}",
            "type": "function",
            "function": {"name": "look", "arguments": json.dumps(arguments)},
        }
        for number, arguments in enumerate(draw(st.lists(ARGUMENTS, min_size=1, max_size=2)))
    ]
    turn: list[Message] = [{"role": "assistant", "content": draw(TEXTS), "tool_calls": calls}]
    for call in calls:
        content = draw(text_content(draw(TEXTS)))
        turn.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    return [*turn, *draw(system_entries())]


@st.composite
def rounds(draw: st.DrawFn) -> list[Message]:
    """What follows a prompt: an answer, and what the client says to it."""
    if draw(st.booleans()):
        return draw(call_rounds())
    return [{"role": "assistant", "content": draw(TEXTS)}, *draw(user_turns())]


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Messages that end where an answer is wanted."""
    lead = (
        [{"role": "system", "content": draw(text_content("You are a test."))}] if draw(st.booleans()) else []
    )
    return [*lead, *draw(user_turns()), *itertools.chain(*draw(st.lists(rounds(), max_size=2)))]


def extended(messages: list[Message]) -> st.SearchStrategy[list[Message]]:
    """The same conversation later: with each content perhaps in its other form, and one round longer."""
    return st.builds(
        lambda again, more: [*again, *more],
        st.tuples(*(_restated(message) for message in messages)),
        rounds(),
    )


def _restated(message: Message) -> st.SearchStrategy[Message]:
    content = message["content"]
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    return text_content(text).map(lambda content: message | {"content": content})
