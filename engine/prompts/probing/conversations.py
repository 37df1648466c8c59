"""Small conversations of every shape that clients send, each part a word that no other part has.

A word that is missing in the rendered text is lost. One that stands before an earlier one is misplaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.wire.chat import Message

TOOL_WORDS = ("probekilo", "probelima", "probeyankee")


@dataclass(frozen=True, slots=True)
class ProofConversation:
    """Messages in OpenAI's form, and the words of their parts.

    Each of `chains` is in order: results may stand behind all calls of a turn, or each behind its own.
    """

    messages: tuple[Message, ...]
    words: tuple[str, ...]
    chains: tuple[tuple[str, ...], ...]

    def losses(self, text: str) -> tuple[int, int]:
        """How many words a text lacks, and how many it has before an earlier one."""
        missing = sum(word not in text for word in self.words)
        return missing, sum(_misplaced(text, chain) for chain in self.chains)


class _Writer:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.words: list[str] = []
        self._ids: list[str] = []
        self._chain: list[str] = []
        self._called: dict[str, str] = {}
        self._pairs: list[list[str]] = []

    def probe(self) -> ProofConversation:
        chains = [self._chain, *self._pairs]
        return ProofConversation(tuple(self.messages), tuple(self.words), tuple(map(tuple, chains)))

    def word(self, call: str = "") -> str:
        """The next word; that of a result if `call` names one."""
        word = f"probe{len(self.words):02}x"
        self.words.append(word)
        if call:
            self._pairs.append([*([self._called[call]] if call in self._called else []), word])
        else:
            for pair in self._pairs:
                if pair[-1] in self.words[-9:] and len(pair) == 2 and pair[1] not in self._chain:
                    pair.append(word)
            self._chain.append(word)
        return word

    def say(self, role: str) -> None:
        self.messages.append({"role": role, "content": self.word()})

    def answer(self, shape: str) -> None:
        """`shape`: T thinking, t thinking of an earlier loop, x text, a letter c for each call."""
        message: Message = {"role": "assistant", "content": ""}
        if "T" in shape:
            message["reasoning_content"] = self.word()
        if "t" in shape:
            message["reasoning_content"] = "probeearlier"
        if "x" in shape:
            message["content"] = self.word()
        self._ids = []
        for number in range(shape.count("c")):
            self._ids.append(f"call_{len(self.messages):012}{number:012}")
            self._called[self._ids[-1]] = self.word()
            function = {"name": "probekilo", "arguments": {"path": self.words[-1]}}
            call = {"id": self._ids[-1], "type": "function", "function": function}
            message.setdefault("tool_calls", []).append(call)
        self.messages.append(message)

    def results(self, count: int = 9) -> None:
        for call_id in self._ids[:count]:
            self.messages.append({"role": "tool", "tool_call_id": call_id, "content": self.word(call_id)})


_SHAPES = (
    # s system, u user, r the results, r1 the first result only, o a result without a call; else an answer
    "s u Tc r Txc r",
    "s u xccc r x u",
    "u Txcc r",
    "s u xc r u x u",
    "s u t u - u tx u",
    "u u x x u",
    "s u s c r s x u s",
    "u xcc r1 u",
    "u o x u",
    "s x u",
    "x u",
    "s u tc r x u Tc r Txcc r",
)


def probes() -> Iterator[ProofConversation]:
    """One conversation of each shape."""
    for shape in _SHAPES:
        yield written_as(shape)


def written_as(shape: str) -> ProofConversation:
    """The conversation of a shape, as in the list above."""
    writer = _Writer()
    for part in shape.split():
        if part in ("s", "u"):
            writer.say({"s": "system", "u": "user"}[part])
        elif part in ("r", "r1"):
            writer.results(1 if part == "r1" else 9)
        elif part == "o":
            writer.messages.append(
                {"role": "tool", "tool_call_id": "call_000000000000000000000099", "content": writer.word()}
            )
        else:
            writer.answer(part)
    return writer.probe()


def _misplaced(text: str, chain: Sequence[str]) -> int:
    misplaced = at = 0
    for place in filter(lambda place: place >= 0, map(text.find, chain)):
        misplaced += place < at
        at = max(at, place)
    return misplaced
