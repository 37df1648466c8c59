"""The form in which a chat template is given the messages of a conversation.

Most templates take a conversation as clients send it. Some read thinking from another field or content from a
list of parts. Some show only a part of what they are given: the last turns, or the beginning of a text. They
are given one turn at a time, or words in place of texts, and so show all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.prompts.template_traits import Render, TemplateTraits
from engine.wire.chat import Message

THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking", "part")
"""Where templates read an answer's thinking: a field of the message, or a part of its content."""

_LEAST_PLACED = 24  # characters; templates test what a text begins with, and such texts are mostly short
_PLACE = "\ud8fe{}\ud8fe"  # no client can send it, since valid text has no unpaired surrogate
_PLACED = re.compile("\ud8fe(\\d+)\ud8fe")
_WORD = "probebravo"


@dataclass(frozen=True, slots=True)
class MessageForm:
    """The form of messages that a template reads; the fields are those of `TemplateTraits`."""

    content_parts: bool = False
    thinking_field: str = THINKING_FIELDS[0]
    texts_placed: bool = False
    turns_alone: Literal["", "own", "plain"] = ""
    fields_set: bool = False

    @classmethod
    def of_traits(cls, traits: TemplateTraits) -> MessageForm:
        """The form for a template with these traits."""
        return cls(**{name: getattr(traits, name) for name in cls.__slots__})

    def of(self, message: Message) -> Message:
        """A message with text content and `reasoning_content` in this form."""
        formed = dict(message)
        if self.thinking_field != THINKING_FIELDS[0] and "reasoning_content" in formed:
            thinking = formed.pop("reasoning_content")
            if self.thinking_field == "part":
                said = formed.get("content") or ""
                parts: list[dict[str, Any]] = [{"type": "thinking", "thinking": thinking}]
                formed["content"] = [*parts, {"type": "text", "text": said}] if said else parts
            else:
                formed[self.thinking_field] = thinking
        if self.content_parts and isinstance(formed.get("content"), str):
            formed["content"] = [{"type": "text", "text": formed["content"]}]
        return formed


def with_texts_placed(render: Render) -> Render:
    """`render` for a template that shortens texts: it is given words in their place.

    Only the text of messages: arguments are written in forms of their own, as JSON.
    """

    def placed(messages: Sequence[Message], tools: Any, **options: Any) -> str:
        texts: list[str] = []

        def word(text: Any) -> Any:
            if not isinstance(text, str) or len(text) < _LEAST_PLACED:
                return text
            texts.append(text)
            return _PLACE.format(len(texts) - 1)

        given = [
            message
            | {name: word(message[name]) for name in ("content", "reasoning_content") if name in message}
            for message in messages
        ]
        return _PLACED.sub(lambda found: texts[int(found[1])], render(given, tools, **options))

    return placed


class TurnsAlone:
    """Renders each turn by itself, for a template that shows only the last ones, and puts them together.

    The first turn is rendered with the system text and the tools. The others are rendered without what the
    template writes before a first turn.
    """

    def __init__(self, render: Render, marks: Callable[[str], Iterator[str]], begin: str, end: str) -> None:
        """`marks` finds the control tokens in a text; `begin` and `end` are those of texts and answers."""
        self._render = render
        self._marks = marks
        self._begin = begin
        self._end = end

    def render(
        self,
        plain: bool,
        messages: Sequence[Message],
        tools: Any,
        add_generation_prompt: bool = True,
        **options: Any,
    ) -> str:
        """The text of a conversation. With `plain`, answers stand behind the generation prompt as they are,
        for a template that shows none.

        Raises:
            ValueError: the template writes answers as questions, so that only `plain` tells them apart.
        """
        lead, close, told_apart = self._frame(options)
        if not plain and not told_apart:
            raise ValueError("the chat template writes answers as questions")
        head = 2 if len(messages) > 1 and messages[0]["role"] == "system" else 1
        text = ""
        for at in (0, *range(head, len(messages))):
            turns = messages[:head] if at == 0 else messages[at : at + 1]
            if plain and turns[-1]["role"] == "assistant":
                text += (turns[-1].get("content") or "") + close
                continue
            behind = messages[at + len(turns) :]
            asks = (
                behind[0]["role"] == "assistant" if behind and plain else add_generation_prompt and not behind
            )
            shown = self._render(turns, None if at else tools, add_generation_prompt=asks, **options)
            text += shown.removeprefix(lead) if at else shown
        return text

    def _frame(self, options: dict[str, Any]) -> tuple[str, str, bool]:
        """What stands before a first turn, what closes an answer, and whether answers are told apart."""
        asked = [{"role": "user", "content": _WORD}]
        shown, prompt = (
            self._render(asked, None, add_generation_prompt=asks, **options) for asks in (False, True)
        )
        before, _, behind = shown.partition(_WORD)
        opening = prompt.removeprefix(shown) if prompt != shown else ""
        mark = next(self._marks(opening), "")
        lead = before[: before.rindex(mark)] if mark and mark in before else ""
        if not lead and before.startswith(self._begin):
            lead = self._begin
        close = behind if behind.startswith(self._end) else self._end
        return lead, close, self._told_apart(shown, options)

    def _told_apart(self, question: str, options: dict[str, Any]) -> bool:
        answer = [{"role": "assistant", "content": _WORD}]
        try:
            return self._render(answer, None, add_generation_prompt=False, **options) != question
        except Exception:  # a template may raise anything about its input
            return False
