"""Answers as the model wrote them, so that history can be rendered from them.

A chat template renders an answer of the past from what the client sends back: arguments as JSON with blanks
of its own choosing, thinking left out, line breaks trimmed. The next prompt then leaves the tokens in the
cache at the first answer. Each answer is therefore kept as it was generated, found again by the id of its
first tool call, else by its text, and put in its place, if all that stands before it is what stood there
then. `engine.prefix_cache.disk.answer_log` lets the answers outlive the engine, as what is cached of them
does.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from engine.wire.chat import Message, content_text

_MOST_TOKENS = 1 << 20  # of all answers together


@dataclass(slots=True)
class KeptAnswer:
    """`tokens` are what the model generated; `before` is the digest of the prompt's text up to its generation
    prompt, which is `opening`. `text` is what the tokens spell, once
    somebody has asked."""

    before: bytes
    opening: str
    tokens: tuple[int, ...]
    text: str = field(default="", compare=False)


Save = Callable[[str, KeptAnswer], Future[None]]
"""Save an answer under its name; done once it outlives the process, or cannot."""


class AnswerMemory:
    """The newest answers; may be used from any thread."""

    def __init__(self, most_tokens: int = _MOST_TOKENS) -> None:
        self._room = most_tokens
        self._entries: OrderedDict[tuple[str, bytes], KeptAnswer] = OrderedDict()
        self._known: Counter[str] = Counter()
        self._save: Save | None = None
        self._lock = threading.Lock()

    def fill(self, answers: Iterable[tuple[str, KeptAnswer]], save: Save) -> None:
        """Know answers that were saved, by their names, oldest first; save what is kept from here on."""
        with self._lock:
            for name, answer in answers:
                self._put(name, answer)
            self._save = save

    def entries(self) -> list[tuple[str, KeptAnswer]]:
        """All answers by their names, the one that was of use last at the end."""
        with self._lock:
            return [(name, answer) for (name, _), answer in self._entries.items()]

    def keep(self, message: Message, answer: KeptAnswer) -> Future[None] | None:
        """Remember what was generated where the client got `message`; see `Save` for what is returned."""
        if not (name := _name(message)):
            return None
        with self._lock:
            if self._entries.get((name, answer.before)) == answer:
                self._entries.move_to_end((name, answer.before))
                return None
            self._put(name, answer)
            return self._save(name, answer) if self._save is not None else None

    def knows(self, message: Message) -> bool:
        """Whether an answer like this message was kept, wherever it stood."""
        with self._lock:
            return _name(message) in self._known

    def find(self, message: Message, before: bytes) -> KeptAnswer | None:
        """What was generated for a message that a client sent back, behind the text with this digest."""
        key = _name(message), before
        with self._lock:
            if (found := self._entries.get(key)) is not None:
                self._entries.move_to_end(key)
            return found

    def _put(self, name: str, answer: KeptAnswer) -> None:
        self._forget((name, answer.before))
        self._entries[name, answer.before] = answer
        self._known[name] += 1
        self._room -= len(answer.tokens)
        while self._room < 0:
            self._forget(next(iter(self._entries)))

    def _forget(self, key: tuple[str, bytes]) -> None:
        if (old := self._entries.pop(key, None)) is not None:
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
