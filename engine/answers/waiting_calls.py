"""Unconstrained calls of an answer: they count if no text follows them."""

from __future__ import annotations

from dataclasses import replace

from engine.answers.pieces import AnswerStyle, Call, Text


class WaitingCalls:
    """The calls of an answer, until its end or until text follows.

    Beside them, texts that were meant as calls: such a text between calls takes none of them back.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Call | Text, str]] = []  # each with the white space before it

    def add(self, call: Call | Text, before: str) -> None:
        """One more; `before` is the white space between it and what stands before."""
        self.calls.append((call, before))

    def behind(self, style: AnswerStyle) -> AnswerStyle:
        """The style of further calls: behind calls that wait they wait too, so that their order is kept."""
        return replace(style, constrained=frozenset()) if self.calls else style

    def take(self) -> list[Call | Text]:
        """The answer ends with them."""
        calls, self.calls = self.calls, []
        return [Text(before + call.text) if isinstance(call, Text) else call for call, before in calls]

    def as_text(self) -> str:
        """Words follow: what the model wrote, each text once, however many calls it is."""
        calls, self.calls = self.calls, []
        texts: list[str] = []
        last = ""
        for call, before in calls:
            raw = call.text if isinstance(call, Text) else call.raw
            if raw != last or before:
                texts.append(before + raw)
            last = raw
        return "".join(texts)
