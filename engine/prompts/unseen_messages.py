"""Whether a prompt contains everything that was sent: chat templates drop content silently."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from engine.wire.chat import Message, content_text

_MAX_WORDS = 24  # searched, of a text that is not found literally
_MAX_NAMED = 5


def unseen_note(messages: Sequence[Message], text: str) -> list[str]:
    """A note on the messages whose text or calls the prompt lacks; thinking does not count."""
    looked = _Looked(text)
    unseen = [
        f"{at} ({m['role']})" for at, m in enumerate(messages, 1) if not all(map(looked.has, _parts(m)))
    ]
    if not unseen:
        return []
    more = f" and {len(unseen) - _MAX_NAMED} more" if len(unseen) > _MAX_NAMED else ""
    return [
        f"the model's chat template does not show all of message {', '.join(unseen[:_MAX_NAMED])}{more} of"
        f" {len(messages)}"
    ]


def _parts(message: Message) -> Iterator[str]:
    yield content_text(message.get("content")).strip()
    for call in message.get("tool_calls") or []:
        yield str(call["function"]["name"])
        yield from _strings(_value(call["function"].get("arguments")))


def _value(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.strip()
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


class _Looked:
    """A prompt in which texts are searched, mostly in the order in which they occur."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def has(self, part: str) -> bool:
        """Whether the prompt contains a text literally, escaped, or at least samples of its words."""
        found = self._text.find(part, self._at)
        if found >= 0:
            self._at = found
            return True
        if part in self._text or any(
            json.dumps(part, ensure_ascii=a)[1:-1] in self._text for a in (False, True)
        ):
            return True
        words = part.split()
        return all(word in self._text for word in words[:: max(1, len(words) // _MAX_WORDS)])
