"""Thinking that a client sends back within an answer's text.

OpenAI's API has no field for thinking, so clients send an answer with its thinking in front, between the
model's marks. That thinking is moved to the field for it, and the template writes the marks. Marks elsewhere
in an answer are text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.wire.chat import Message, content_text


class InlineThoughts:
    """Extracts thinking from the front of answers, if the model's template renders both forms alike."""

    def __init__(self, start: str, end: str, fill: Callable[..., str]) -> None:
        """`start` and `end` are the thinking marks, empty for none; `fill` renders messages unmasked."""
        self._start, self._end = start, end
        self._is_equivalent = bool(start and end) and self._renders_alike(fill)

    def extracted(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with such thinking moved to its own field."""
        return [self._extracted(message) for message in messages] if self._is_equivalent else list(messages)

    def _extracted(self, message: Message) -> Message:
        if message.get("role") != "assistant" or message.get("reasoning_content") or message.get("reasoning"):
            return message
        text = content_text(message.get("content"))
        thought, found, answer = text.lstrip().removeprefix(self._start).partition(self._end)
        if not found or not text.lstrip().startswith(self._start):
            return message
        return message | {"content": answer.strip("\n"), "reasoning_content": thought.strip("\n")}

    def _renders_alike(self, fill: Callable[..., str]) -> bool:
        inline = f"{self._start}\nprobealpha\n{self._end}\n\nprobebravo"
        asked, more = {"role": "user", "content": "probecharlie"}, {"role": "user", "content": "probedelta"}
        answer: Message = {"role": "assistant", "content": inline}
        try:
            one, other = (
                fill([asked, turn, more], None).split() for turn in (answer, self._extracted(answer))
            )
        except Exception:  # a template may raise anything; then the forms are not known to be alike
            return False
        return one == other
