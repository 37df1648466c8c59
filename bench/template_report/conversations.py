"""Conversations of every shape that Claude Code sends, with a word in each part that no other part has.

A part that is missing from a prompt is lost; one that stands before an earlier one is misplaced.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.wire.chat import Message

_LETTERS = "bcdfghklmnprstvw"
_LINES = "and more words of a long text\n" * 80


def words() -> Iterator[str]:
    """Words that nothing else contains."""
    for letters in itertools.product(_LETTERS, repeat=3):
        yield "zq" + "o".join(letters) + "q"


@dataclass(frozen=True, slots=True)
class Conversation:
    """`parts` are the words in their order, each with what it stands for; tools may stand anywhere.

    A result stands behind its call, and perhaps before the next call of the same turn.
    """

    name: str
    messages: list[Message]
    tools: list[dict[str, Any]] | None
    parts: list[tuple[str, str]]
    anywhere: list[tuple[str, str]] = field(default_factory=list)
    results_of: dict[str, str] = field(default_factory=dict)

    def chains(self) -> Iterator[list[tuple[str, str]]]:
        """Parts that stand in this order."""
        yield [part for part in self.parts if part[1] != "result"]
        yield [part for part in self.parts if part[1] == "result"]
        named = dict(self.parts)
        for place, (word, what) in enumerate(self.parts):
            if what == "result" and word in self.results_of:
                behind = next((p for p in self.parts[place:] if p[1] != "result"), None)
                call = self.results_of[word]
                yield [(call, named[call]), (word, what), *([behind] if behind else [])]


class Writer:
    """Writes one conversation and notes its words."""

    def __init__(self, name: str, *, tools: bool = True, system: bool = True) -> None:
        self._words = words()
        self._name = name
        self._calls = 0
        self._long = False
        self._words_of: dict[str, str] = {}
        self._results_of: dict[str, str] = {}
        self.messages: list[Message] = []
        self.parts: list[tuple[str, str]] = []
        self.anywhere: list[tuple[str, str]] = []
        self.tools = [self._tool(name) for name in ("Look", "Write", "Ask")] if tools else None
        if system:
            self.system()

    def done(self) -> Conversation:
        return Conversation(
            self._name, self.messages, self.tools, self.parts, self.anywhere, self._results_of
        )

    def word(self, what: str) -> str:
        word = next(self._words)
        self.parts.append((word, what))
        return word

    def lengthen(self) -> None:
        """All texts are long from here on, with words in the middle and at the end."""
        self._long = True

    def text(self, what: str) -> str:
        words = [self.word(what) for _ in range(3 if self._long else 1)]
        return f"\n{_LINES}".join(words)

    def system(self) -> None:
        self.messages.append({"role": "system", "content": f"Rules: {self.text('system text')}\n\nBe brief."})

    def user(self, *, parts: bool = False) -> None:
        text = f"Please {self.text('text of the user')}."
        content: Any = [{"type": "text", "text": text}] if parts else text
        self.messages.append({"role": "user", "content": content})

    def answer(
        self,
        *,
        text: bool = False,
        calls: Sequence[Any] = (),
        thinking: bool = False,
        running: bool = True,
    ) -> list[str]:
        """An answer; `calls` are arguments, True for usual ones. `running`: its loop goes on to the end."""
        message: Message = {"role": "assistant", "content": ""}
        if thinking:
            thought = self.text("thinking") if running else "zqold"
            message["reasoning_content"] = f"I think of {thought}."
        if text:
            beside = "text beside a call" if calls else "text of an answer"
            message["content"] = f"I say {self.text(beside)}."
        ids = []
        for given in calls:
            self._calls += 1
            ids.append(f"toolu_{self._calls:024d}")
            if given is True:
                given = {"path": self.text("argument"), "limit": 5, "all": False}
                self._words_of[ids[-1]] = given["path"].split("\n")[0]
            arguments = given if isinstance(given, str) else json.dumps(given)
            function = {"name": ("Look", "Write", "Ask")[self._calls % 3], "arguments": arguments}
            call = {"id": ids[-1], "type": "function", "function": function}
            message.setdefault("tool_calls", []).append(call)
        self.messages.append(message)
        return ids

    def results(self, ids: Sequence[str], *, empty: bool = False) -> None:
        for call_id in ids:
            text = "" if empty else self.text("result")
            if text and call_id in self._words_of:
                self._results_of[text.split("\n")[0]] = self._words_of[call_id]
            text = f"Seen: {text}" if text else ""
            self.messages.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def _tool(self, name: str) -> dict[str, Any]:
        spoken, described = next(self._words), next(self._words)
        self.anywhere += [(spoken, "description of a tool"), (described, "description of a parameter")]
        properties: dict[str, Any] = {
            "path": {"type": "string", "description": f"where {described}"},
            "limit": {"type": "integer", "minimum": 0},
            "all": {"type": "boolean", "default": False},
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "todos": {
                "type": "array",
                "items": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            },
        }
        parameters = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": ["path"],
            "additionalProperties": False,
        }
        function = {"name": name, "description": f"{name}s at {spoken}.", "parameters": parameters}
        return {"type": "function", "function": function}


def conversations() -> list[Conversation]:
    """One of each shape."""
    return [make(Writer(make.__name__.strip("_").replace("_", " "))) for make in _SHAPES] + [
        _bare(Writer("without system and tools", tools=False, system=False)),
        _untold(Writer("without system", system=False)),
        _simple(Writer("without tools", tools=False)),
    ]


def _bare(one: Writer) -> Conversation:
    one.user()
    return one.done()


def _untold(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(calls=[True]))
    return one.done()


def _simple(one: Writer) -> Conversation:
    one.user()
    one.answer(text=True, thinking=True, running=False)
    one.user()
    return one.done()


def _first_question(one: Writer) -> Conversation:
    one.user(parts=True)
    return one.done()


def _a_call_alone(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(calls=[True]))
    return one.done()


def _text_and_a_call(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(text=True, calls=[True]))
    return one.done()


def _thinking_and_a_call(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(thinking=True, calls=[True]))
    return one.done()


def _thinking_text_and_a_call(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(thinking=True, text=True, calls=[True]))
    one.results(one.answer(thinking=True, text=True, calls=[True]))
    return one.done()


def _parallel_calls(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(thinking=True, text=True, calls=[True, True, True], running=False))
    one.answer(text=True)
    one.user()
    return one.done()


def _parallel_calls_running(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(thinking=True, text=True, calls=[True, True, True]))
    return one.done()


def _text_behind_a_result(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(text=True, calls=[True]))
    one.user()
    one.answer(text=True)
    one.user()
    return one.done()


def _an_empty_answer(one: Writer) -> Conversation:
    one.user()
    one.answer()
    one.user()
    return one.done()


def _thinking_only(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(calls=[True]))
    one.answer(thinking=True, running=False)
    one.user()
    return one.done()


def _two_questions(one: Writer) -> Conversation:
    one.user()
    one.user()
    one.answer(text=True)
    one.answer(text=True)
    one.user()
    return one.done()


def _system_entries(one: Writer) -> Conversation:
    one.user()
    one.system()
    one.results(one.answer(calls=[True]))
    one.system()
    one.answer(text=True)
    one.user()
    one.system()
    return one.done()


def _an_interrupted_call(one: Writer) -> Conversation:
    one.user()
    ids = one.answer(text=True, calls=[True, True])
    one.results(ids[:1])
    one.user()
    return one.done()


def _a_result_alone(one: Writer) -> Conversation:
    one.user()
    one.results(["toolu_000000000000000000000099"])
    one.answer(text=True)
    one.user()
    return one.done()


def _an_answer_first(one: Writer) -> Conversation:
    one.answer(text=True)
    one.user()
    return one.done()


def _arguments_of_all_kinds(one: Writer) -> Conversation:
    one.user()
    deep = {"path": one.word("argument"), "todos": [{"text": one.word("nested argument")}], "either": None}
    plain = {"path": one.word("argument") + " \"x\" <b> 'y' \\ é\n\n", "limit": 1.5, "all": True}
    one.results(one.answer(calls=[deep, plain]))
    one.results(one.answer(calls=[{}]), empty=True)
    one.results(one.answer(calls=["not an object"]))
    return one.done()


def _a_second_loop(one: Writer) -> Conversation:
    one.user()
    one.results(one.answer(thinking=True, calls=[True], running=False))
    one.answer(text=True)
    one.user()
    one.results(one.answer(thinking=True, calls=[True]))
    one.results(one.answer(thinking=True, text=True, calls=[True, True]))
    return one.done()


def _a_long_session(one: Writer) -> Conversation:
    one.lengthen()
    one.system()
    for _ in range(3):
        one.user()
        one.answer(text=True)
    one.user()
    for _ in range(12):
        one.results(one.answer(thinking=True, calls=[True]))
    return one.done()


_SHAPES = (
    _first_question,
    _a_call_alone,
    _text_and_a_call,
    _thinking_and_a_call,
    _thinking_text_and_a_call,
    _parallel_calls,
    _parallel_calls_running,
    _text_behind_a_result,
    _an_empty_answer,
    _thinking_only,
    _two_questions,
    _system_entries,
    _an_interrupted_call,
    _a_result_alone,
    _an_answer_first,
    _arguments_of_all_kinds,
    _a_second_loop,
    _a_long_session,
)
