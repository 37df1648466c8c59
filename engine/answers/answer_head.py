"""A text at the beginning of an answer that is not part of it: functionary's words are addressed to `all`."""

from __future__ import annotations


class AnswerHead:
    """Takes a text off the beginning of an answer, in pieces of any size."""

    def __init__(self, head: str) -> None:
        self._head = head
        self._text = ""

    def without(self, text: str, *, final: bool = False) -> str:
        """The text behind the head; what may become the head is kept until that is known."""
        if not self._head:
            return text
        self._text += text
        if not final and len(self._text) < len(self._head) and self._head.startswith(self._text):
            return ""
        head, self._head = self._head, ""
        return self._text.removeprefix(head)
