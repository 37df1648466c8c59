"""One answer while it is generated: steps of the model's loop in, pieces of a chat completion out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from engine.answers.pieces import Call, CallCut, Piece, Remark, Stopped, Text
from engine.answers.reader import AnswerText
from engine.answers.repetition import ENDED, LoopGuard
from engine.scheduling.requests.steps import (
    CacheStep,
    FailStep,
    FinishStep,
    Generation,
    LookupStep,
    PrefillStep,
    QueuedStep,
    Step,
    TokenStep,
    UnheldStep,
)
from engine.wire.chat import FinishReason

Shown = QueuedStep | LookupStep | PrefillStep | CacheStep | Piece


class LiveAnswer:
    """Iterate `batches` once; then `finish_reason`, `failure` or `left` tells how it ended."""

    def __init__(
        self,
        generation: Generation,
        reader: AnswerText,
        prompt_tokens: int,
        guard: LoopGuard | None = None,
    ) -> None:
        """`guard` ends an answer that repeats itself."""
        self.prompt_tokens = prompt_tokens
        self.output_tokens = 0
        self.cached_tokens = 0
        self.calls = 0
        self.tokens: list[int] = []  # as they were generated, without the end
        self.finish_reason: FinishReason | None = None
        self.stop_sequence: str | None = None
        self.unheld = ""  # why it is not held to its grammar any more
        self.failure: FailStep | None = None
        self.looped = False  # the guard ended it
        self.left = False
        self._generation = generation
        self._reader = reader
        self._guard = guard
        self._spoke = False  # some text was shown
        self._arrived: list[Step] = []
        self._wake = asyncio.Event()
        self._settled = False  # the generation gave its verdict

    @property
    def reasoning_tokens(self) -> int:
        return self._reader.reasoning_tokens

    @property
    def over(self) -> bool:
        return self.left or self.failure is not None or self.finish_reason is not None

    def leave(self) -> None:
        """The client is gone: end at once."""
        self.left = True
        self._generation.cancel()
        self._wake.set()

    def abort(self, message: str) -> None:
        """Fail at once; the client is told `message`."""
        if not self.over:
            self.failure = FailStep("overloaded", message)
            self._generation.cancel()
            self._wake.set()

    async def batches(self) -> AsyncIterator[list[Shown]]:
        """All that arrived since the last turn of the loop, again and again until the answer is over."""
        pump = asyncio.create_task(self._pump())
        ended = False
        try:
            while not ended:
                if not self.over:  # it may have been ended from outside while the last batch was out
                    await self._wake.wait()
                self._wake.clear()
                arrived, self._arrived = self._arrived, []
                shown = self._digest(arrived)
                ended = self.over
                if shown or ended:
                    yield shown
        finally:
            if not self._settled:
                self._generation.cancel()
            pump.cancel()

    async def _pump(self) -> None:
        last: Step | None = None
        try:
            async for step in self._generation:
                last = step
                self._arrived.append(step)
                self._wake.set()
        except Exception as error:
            last = FailStep("internal", f"the generation broke off: {error}")
            self._arrived.append(last)
        self._settled = isinstance(last, FinishStep | FailStep)
        if not self._settled:
            self._arrived.append(FailStep("internal", "the generation ended without a verdict"))
        self._wake.set()

    def _digest(self, steps: list[Step]) -> list[Shown]:
        shown: list[Shown] = []
        for step in steps:
            if self.over:
                break
            if isinstance(step, TokenStep):
                self.output_tokens += 1
                self.tokens.append(step.token)
                self._add(self._reader.add(step.token), shown)
                if self._loops(step.token):
                    self._end_loop(shown)
            elif isinstance(step, UnheldStep):
                self.unheld = step.why
                self._reader.let_go()
                shown.append(Remark(f"the grammar is not held to any further: {step.why}"))
            elif isinstance(step, FinishStep):
                self._add(self._reader.finish(cut=step.reason == "length"), shown)
                self.output_tokens = step.generated
                if self.finish_reason is None:
                    self._end(step.reason)
            elif isinstance(step, FailStep):
                self.failure = step
            else:
                if isinstance(step, LookupStep):
                    self.cached_tokens = step.matched_tokens
                shown.append(step)
        return shown

    def _add(self, pieces: list[Piece], shown: list[Shown]) -> None:
        for piece in pieces:
            if isinstance(piece, Stopped):
                self.stop_sequence = piece.stop
                self._end("stop")
                return
            self.calls += isinstance(piece, Call)
            self._spoke = self._spoke or isinstance(piece, Text)
            shown.append(piece)

    def _loops(self, token: int) -> bool:
        if self._guard is None or self.over:
            return False
        return self._guard.add(token, in_call=self._reader.in_call or self._reader.in_json)

    def _end_loop(self, shown: list[Shown]) -> None:
        """End an answer that repeats itself, as the model's own end with a word on it.

        Half a call that was sent already, or half of a JSON answer, must not pass for whole: it ends as at
        the limit of its length. A call of which nothing was sent becomes text.
        """
        assert self._guard is not None
        self.looped = True
        pieces = self._reader.finish(cut=True)
        self._add(pieces, shown)
        half = self._reader.answers_json or any(isinstance(piece, CallCut) for piece in pieces)
        if not self._reader.answers_json:
            shown.append(Text(f"\n\n{ENDED}" if self._spoke else ENDED))
        shown.append(Remark(self._guard.why))
        if self.finish_reason is None:
            self._end("length" if half else "stop")

    def _end(self, reason: FinishReason) -> None:
        self.finish_reason = "tool_calls" if reason == "stop" and self.calls else reason
