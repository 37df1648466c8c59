"""Small conversations of every shape that clients send, each part a word that no other part has.

A word that is missing in the rendered text is lost. One that stands before an earlier one is misplaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.prompts.template_traits import PROBE_TOOL
from engine.wire.chat import Message

_TOOL_WORDS = ("probekilo", "probelima", "probeyankee")
_NUMBER = re.compile(r"(?<![\w.])\d{1,5}(?![\w.])")
_EXPRESSION = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
_MOST_CHARACTERS, _CHARACTERS = 50_000, 2000  # of a text
_MOST_ITEMS, _ITEMS = 64, 12  # turns or tools
_LINE = "some more words of a long text\n"


@dataclass(frozen=True, slots=True)
class ProofConversation:
    """Messages in OpenAI's form, and the words of their parts.

    Each of `chains` is in order: results may stand behind all calls of a turn, or each behind its own.
    """

    messages: tuple[Message, ...]
    words: tuple[str, ...]
    chains: tuple[tuple[str, ...], ...]
    tools: tuple[dict[str, Any], ...] = (PROBE_TOOL,)
    later: frozenset[str] = frozenset()  # the words within and at the end of long texts

    def missing(self, text: str) -> list[str]:
        """The words that a text lacks."""
        return [word for word in self.words if word not in text]

    def misplaced(self, text: str) -> int:
        """How many words a text has before an earlier one."""
        return sum(_misplaced(text, chain) for chain in self.chains)


class _Writer:
    def __init__(self) -> None:
        self.long = 0  # characters of each text
        self.messages: list[Message] = []
        self.words: list[str] = []
        self._later: list[str] = []
        self._ids: list[str] = []
        self._chain: list[str] = []
        self._called: dict[str, str] = {}
        self._pairs: list[list[str]] = []

    def probe(self, tools: Sequence[dict[str, Any]]) -> ProofConversation:
        chains = tuple(map(tuple, [self._chain, *self._pairs]))
        words = (*self.words, *(_TOOL_WORDS if PROBE_TOOL in tools else ()))
        return ProofConversation(tuple(self.messages), words, chains, tuple(tools), frozenset(self._later))

    def write(self, shape: str) -> None:
        for part in shape.split():
            if part in ("s", "u"):
                self.say({"s": "system", "u": "user"}[part])
            elif part in ("r", "r1"):
                self.results(1 if part == "r1" else 9)
            elif part == "o":
                orphan = "call_000000000000000000000099"
                self.messages.append({"role": "tool", "tool_call_id": orphan, "content": self.word()})
            else:
                self.answer(part)

    def say(self, role: str) -> None:
        self.messages.append({"role": role, "content": self.text()})

    def answer(self, shape: str) -> None:
        """`shape`: T thinking, t thinking of an earlier loop, x text, a letter c for each call."""
        message: Message = {"role": "assistant", "content": ""}
        if "T" in shape:
            message["reasoning_content"] = self.text()
        if "t" in shape:
            message["reasoning_content"] = "probeearlier"
        if "x" in shape:
            message["content"] = self.text()
        self._ids = []
        for number in range(shape.count("c")):
            self._ids.append(f"call_{len(self.messages):012}{number:012}")
            path = self.text()
            self._called[self._ids[-1]] = path.split("\n")[0]
            function = {"name": "probekilo", "arguments": {"path": path}}
            call = {"id": self._ids[-1], "type": "function", "function": function}
            message.setdefault("tool_calls", []).append(call)
        self.messages.append(message)

    def results(self, count: int) -> None:
        for call_id in self._ids[:count]:
            self.messages.append({"role": "tool", "tool_call_id": call_id, "content": self.text(call_id)})

    def text(self, call: str = "") -> str:
        """A text that begins with the next word; that of a result if `call` names one."""
        return self._lengthened(self.word(call))

    def text_anywhere(self) -> str:
        """A text that may stand anywhere."""
        return self._lengthened(self.new())

    def word(self, call: str = "") -> str:
        word = self.new()
        if call:
            self._pairs.append([*([self._called[call]] if call in self._called else []), word])
        else:
            for pair in self._pairs:
                if pair[-1] in self.words[-9:] and len(pair) == 2 and pair[1] not in self._chain:
                    pair.append(word)
            self._chain.append(word)
        return word

    def new(self) -> str:
        """A word that may stand anywhere."""
        self.words.append(f"probe{len(self.words):02}x")
        return self.words[-1]

    def _lengthened(self, text: str) -> str:
        """A text with a word in its middle and at its end too, if texts are long."""
        for _ in range(2 if self.long else 0):
            self._later.append(self.new())
            text += f"\n{_LINE * (self.long // 2 // len(_LINE) + 1)}{self._later[-1]}"
        return text


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
    "s s u x u",
)


def probes() -> Iterator[ProofConversation]:
    """One conversation of each shape."""
    for shape in _SHAPES:
        yield written_as(shape)
    yield written_as("u", ())


def written_as(shape: str, tools: Sequence[dict[str, Any]] = (PROBE_TOOL,)) -> ProofConversation:
    """The conversation of a shape, as in the list above."""
    writer = _Writer()
    writer.write(shape)
    return writer.probe(tools)


def long_probe(source: str) -> ProofConversation:
    """A conversation with more turns, longer texts and more tools than the template may show.

    What shortens them are numbers in its `source`.
    """
    numbers = [int(n) for part in _EXPRESSION.findall(source) for n in _NUMBER.findall(part)]
    items = _ITEMS + max((n for n in numbers if n <= _MOST_ITEMS), default=0)
    long = _CHARACTERS + max((n for n in numbers if n <= _MOST_CHARACTERS), default=0)
    writer = _Writer()
    writer.long = long
    writer.write("s u x")
    writer.long = 0
    writer.write("u x " * items + "u " + "Tc r " * items)
    writer.long = long
    writer.write("Txc r")
    tools = [PROBE_TOOL, _tool(writer)]
    writer.long = 0
    return writer.probe([*tools, *(_tool(writer) for _ in range(items))])


def _tool(writer: _Writer) -> dict[str, Any]:
    parameter = {"type": "string", "description": writer.text_anywhere()}
    parameters = {"type": "object", "properties": {"path": parameter}, "required": ["path"]}
    function = {"name": writer.new(), "description": writer.text_anywhere(), "parameters": parameters}
    return {"type": "function", "function": function}


def _misplaced(text: str, chain: Sequence[str]) -> int:
    misplaced = at = 0
    for place in filter(lambda place: place >= 0, map(text.find, chain)):
        misplaced += place < at
        at = max(at, place)
    return misplaced
