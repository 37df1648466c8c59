"""Whether a client sent an answer back as it got it: by its meaning, not by its bytes.

Clients write tool inputs anew: with the keys in another order, with a default that was left out, without the
blanks at the ends of lines, a whole number without its fraction. Such an answer is rendered as it was
generated. One that a client or its user changed is rendered as it was sent.
"""

from __future__ import annotations

import json
from typing import Any

from engine.wire.chat import Message, content_text


def meaning_of(message: Message) -> str:
    """Text and calls of an answer, for `means_the_same`."""
    return json.dumps([content_text(message.get("content")), _calls(message)], ensure_ascii=False)


def means_the_same(kept: str, message: Message) -> bool:
    """Whether a message has the text and the calls that `meaning_of` wrote."""
    try:
        text, calls = json.loads(kept)
    except ValueError:
        return False
    sent = _calls(message)
    return (
        text.strip() == content_text(message.get("content")).strip()
        and [name for name, _ in calls] == [name for name, _ in sent]
        and all(_same(ours, theirs) for (_, ours), (_, theirs) in zip(calls, sent, strict=True))
    )


def _calls(message: Message) -> list[list[Any]]:
    functions = (call["function"] for call in message.get("tool_calls") or [])
    return [[function["name"], _value(function.get("arguments"))] for function in functions]


def _value(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments or {}
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        # A key that only one of them has is a default, which clients add or leave out.
        return all(_same(one.get(key), other.get(key)) for key in one.keys() | other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _lines(one) == _lines(other)
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return (False if one is None else one) is (False if other is None else other)
    return bool(one == other)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().split("\n")]
