"""When each part of an answer was written: its thoughts, its text, each of its calls."""

from __future__ import annotations

from proxy.traces.schema import WrittenKind, WrittenPart

MOST = 200  # parts of one answer; what comes behind them counts as the last one


class WrittenParts:
    """Takes the deltas of one answer in their order. A part begins where the one before it ended."""

    def __init__(self) -> None:
        self.parts: list[WrittenPart] = []
        self._closed = True  # the next delta begins a part
        self._tokens_before = 0  # of the parts before the last one

    def add(self, kind: WrittenKind, at: float, output_tokens: int, *, first_token: float | None) -> None:
        """A delta arrived `at` this moment, with which the answer has so many tokens."""
        last = self.parts[-1] if self.parts else None
        if last is None or ((self._closed or last.kind != kind) and len(self.parts) < MOST):
            self._tokens_before += last.tokens if last is not None else 0
            start = last.end if last is not None else at if first_token is None else first_token
            last = WrittenPart(kind=kind, start=start, end=at)
            self.parts.append(last)
        self._closed = False
        last.end = max(last.start, at)
        last.tokens = max(last.tokens, output_tokens - self._tokens_before)

    def call_ended(self, call: str) -> None:
        """The tool call with this id is whole: another one is another part."""
        if self.parts and self.parts[-1].kind == "tool" and not self._closed:
            self.parts[-1].call = call
        self._closed = True
