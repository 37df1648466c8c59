"""Thinking that a client sends back inside of an answer's text.

OpenAI's API has no field for thinking, so clients keep an answer with its thought at the front, between the
model's marks. The marks of such a thought are no text: it is put where the template has its place for
thinking, and the template writes the marks. Marks elsewhere in an answer are text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.wire.chat import Message, content_text


class InlineThoughts:
    """Finds thoughts at the front of answers, if the template of a model takes both forms for the same."""

    def __init__(self, start: str, end: str, fill: Callable[..., str]) -> None:
        """`start` and `end` are the marks of the model's thinking, empty if it has none; `fill` renders
        messages as they are."""
        self._start, self._end = start, end
        self._known = bool(start and end) and self._are_one(fill)

    def extracted(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with each such thought in the field for thinking."""
        return [self._extracted(message) for message in messages] if self._known else list(messages)

    def _extracted(self, message: Message) -> Message:
        if message.get("role") != "assistant" or message.get("reasoning_content") or message.get("reasoning"):
            return message
        text = content_text(message.get("content"))
        thought, found, answer = text.lstrip().removeprefix(self._start).partition(self._end)
        if not found or not text.lstrip().startswith(self._start):
            return message
        return message | {"content": answer.strip("\n"), "reasoning_content": thought.strip("\n")}

    def _are_one(self, fill: Callable[..., str]) -> bool:
        inline = f"{self._start}\nprobealpha\n{self._end}\n\nprobebravo"
        asked, more = {"role": "user", "content": "probecharlie"}, {"role": "user", "content": "probedelta"}
        answer: Message = {"role": "assistant", "content": inline}
        try:
            one, other = (
                fill([asked, turn, more], None).split() for turn in (answer, self._extracted(answer))
            )
        except Exception:  # a template may raise anything; then nothing is known of it
            return False
        return one == other
