"""Answers as the model wrote them, so that history can be rendered from them.

A chat template renders an answer of the past from what the client sends back: arguments as JSON with blanks
of its own choosing, thinking left out, line breaks trimmed. The next prompt then leaves the tokens in the
cache at the first answer. Each answer is therefore kept as it was generated, found again by the id of its
first tool call, else by its text, and put in its place, if all that stands before it is what stood there
then.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.chat_wire import Message, content_text

_MOST_TOKENS = 1 << 20  # of all answers together


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """`tokens` are what the model generated, `text` what they spell; `before` is the digest of the prompt's
    text up to where the answer's turn opens, and `opening` what the prompt had behind that."""

    before: bytes
    opening: str
    text: str
    tokens: tuple[int, ...]


class AnswerMemory:
    """The newest answers; may be used from any thread."""

    def __init__(self, most_tokens: int = _MOST_TOKENS) -> None:
        self._room = most_tokens
        self._held: OrderedDict[tuple[str, bytes], KeptAnswer] = OrderedDict()
        self._known: Counter[str] = Counter()
        self._lock = threading.Lock()

    def keep(self, message: Message, answer: KeptAnswer) -> None:
        """Remember what was generated where the client got `message`."""
        if not (name := _name(message)):
            return
        with self._lock:
            self._forget((name, answer.before))
            self._held[name, answer.before] = answer
            self._known[name] += 1
            self._room -= len(answer.tokens)
            while self._room < 0:
                self._forget(next(iter(self._held)))

    def knows(self, message: Message) -> bool:
        """Whether an answer like this message was kept, wherever it stood."""
        with self._lock:
            return _name(message) in self._known

    def find(self, message: Message, before: bytes) -> KeptAnswer | None:
        """What was generated for a message that a client sent back, behind the text with this digest."""
        key = _name(message), before
        with self._lock:
            if (found := self._held.get(key)) is not None:
                self._held.move_to_end(key)
            return found

    def _forget(self, key: tuple[str, bytes]) -> None:
        if (old := self._held.pop(key, None)) is not None:
            self._room += len(old.tokens)
            self._known -= Counter([key[0]])


class TextDigest:
    """The digest of a text that grows."""

    def __init__(self, text: str = "") -> None:
        self._hash = hashlib.sha256(text.encode("utf-8", "surrogatepass"))

    def add(self, text: str) -> None:
        """Put `text` behind what is there."""
        self._hash.update(text.encode("utf-8", "surrogatepass"))

    def value(self) -> bytes:
        """The digest of all text so far."""
        return self._hash.copy().digest()


def _name(message: Message) -> str:
    calls: Sequence[Any] = message.get("tool_calls") or ()
    if calls and calls[0].get("id"):
        return f"call {calls[0]['id']}"
    text = content_text(message.get("content")).strip()
    return f"text {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}" if text else ""
