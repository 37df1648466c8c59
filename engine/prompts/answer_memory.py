"""Answers as the model generated them, so that later prompts contain the same tokens.

A chat template renders an earlier answer from what the client sends back: arguments as JSON with other
blanks, thinking left out, line breaks trimmed. Such a prompt would diverge from the cached tokens at the
first answer. So each answer is kept as it was generated. It is found by the id of its first tool call, else
by its text, and replaces the rendered answer if the prompt before it is unchanged.
`engine.prefix_cache.disk.answer_log` saves the answers on disk, like their cached tokens.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from engine.prompts.history.meaning import means_the_same
from engine.wire.chat import Message, content_text

_MAX_TOKENS = 1 << 20  # of all answers together


@dataclass(slots=True)
class KeptAnswer:
    """`tokens` are the generated tokens. `before` is the digest of the prompt's text without its generation
    prompt, which is `opening`. `sent` is what the client got of it (`engine.prompts.history.meaning`), empty
    if that is unknown. `text` is the decoded `tokens`, filled in on first use.
    """

    before: bytes
    opening: str
    tokens: tuple[int, ...]
    sent: str = ""
    text: str = field(default="", compare=False)


Save = Callable[[str, KeptAnswer], Future[None]]
"""Save an answer under its name; the future is done once it is on disk, or cannot be."""


class AnswerMemory:
    """The most recent answers; for any thread."""

    def __init__(self, most_tokens: int = _MAX_TOKENS) -> None:
        self._room = most_tokens
        self._entries: OrderedDict[tuple[str, bytes], KeptAnswer] = OrderedDict()
        self._known: Counter[str] = Counter()
        self._save: Save | None = None
        self._lock = threading.Lock()

    def fill(self, answers: Iterable[tuple[str, KeptAnswer]], save: Save) -> None:
        """Add saved answers by name, oldest first; `save` is called for each new one from now on."""
        with self._lock:
            for name, answer in answers:
                self._put(name, answer)
            self._save = save

    def entries(self) -> list[tuple[str, KeptAnswer]]:
        """All answers by name, the most recently used last."""
        with self._lock:
            return [(name, answer) for (name, _), answer in self._entries.items()]

    def keep(self, message: Message, answer: KeptAnswer) -> Future[None] | None:
        """Keep what was generated for the client's `message`; the result is as `Save` says."""
        if not (name := _name(message)):
            return None
        with self._lock:
            if self._entries.get((name, answer.before)) == answer:
                self._entries.move_to_end((name, answer.before))
                return None
            self._put(name, answer)
            return self._save(name, answer) if self._save is not None else None

    def knows(self, message: Message) -> bool:
        """Whether an answer like this message is kept, at any position."""
        with self._lock:
            return _name(message) in self._known

    def find(self, message: Message, before: bytes) -> KeptAnswer | None:
        """What was generated for a message that the client sent back, behind the text with this digest.

        None if the client changed the message.
        """
        key = _name(message), before
        with self._lock:
            found = self._entries.get(key)
            if found is None or (found.sent and not means_the_same(found.sent, message)):
                return None
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
    """The digest of a growing text."""

    def __init__(self, text: str = "") -> None:
        self._hash = hashlib.sha256(text.encode("utf-8", "surrogatepass"))

    def add(self, text: str) -> None:
        """Append `text`."""
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
