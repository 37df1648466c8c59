"""One answer while it is generated: steps of the model's loop in, pieces of a chat completion out."""

from __future__ import annotations

import logging

from engine.answers.pieces import Call, Piece, Remark, Stopped, Text, TruncatedCall
from engine.answers.reader import AnswerText
from engine.answers.repetition import ENDED, LoopGuard
from engine.scheduling.requests.steps import (
    FailStep,
    FinishStep,
    Generation,
    ReportStep,
    ResumedStep,
    Step,
    ThinkingCappedStep,
    TokenStep,
    UnconstrainedStep,
)
from engine.wire.chat import FinishReason
from engine.wire.feed import Lookup, Resumed

log = logging.getLogger(__name__)

Shown = ReportStep | Piece


class RunningAnswer:
    """Call `more` until it is `over`; then `finish_reason`, `failure` or `left` says how it ended."""

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
        self.unconstrained = ""  # why its grammar does not constrain it any more
        self.failure: FailStep | None = None
        self.looped = False  # the guard ended it
        self.left = False
        self.over = False
        self._generation = generation
        self._reader = reader
        self._guard = guard
        self._spoke = False  # some text was sent

    @property
    def reasoning_tokens(self) -> int:
        return self._reader.reasoning_tokens

    def leave(self) -> None:
        """The client is gone: end at once."""
        self.left = self.over = True
        self._generation.abandon()

    def abort(self, message: str) -> None:
        """Fail at once; the client gets `message`, or the failure that has just ended the generation."""
        if not self.over:
            self._fail(self._generation.untaken_failure or FailStep("overloaded", message))
            self._generation.cancel()

    def close(self) -> None:
        """Nobody takes more of it: end the generation if it still runs."""
        self._generation.cancel()

    async def more(self) -> list[Shown]:
        """All that arrived since the last call, once there is something to show or the answer is over."""
        shown: list[Shown] = []
        while not (shown or self.over):
            try:
                steps = await self._generation.take()
            except Exception as error:
                steps = [FailStep("internal", f"the generation broke off: {error}")]
            if not (steps or self.over):
                steps = [FailStep("internal", "the generation ended without a verdict")]
            for step in steps:
                try:
                    self._digest(step, shown)
                except (
                    Exception
                ) as error:  # of a reader: the client has to hear of it, not lose its connection
                    log.exception("an answer cannot be read")
                    self._fail(FailStep("internal", f"the answer cannot be read: {error!r}"))
                if self.over:
                    self._generation.cancel()
                    break
        return shown

    def _digest(self, step: Step, shown: list[Shown]) -> None:
        match step:
            case TokenStep():
                self.output_tokens += 1
                self.tokens.append(step.token)
                self._add(self._reader.add(step.token), shown)
                if self._guard is None or self.over:
                    return
                if self._guard.add(step.token, in_call=self._reader.in_data):
                    self._end_loop(self._guard.why, shown)
            case ResumedStep(tokens):
                shown.append(Resumed(tokens))
                shown.append(
                    Remark(f"{tokens} tokens are of an answer to the same request that was broken off")
                )
            case UnconstrainedStep(why):
                self.unconstrained = why
                self._reader.lift_constraints()
                shown.append(Remark(f"the grammar does not constrain the rest: {why}"))
            case ThinkingCappedStep(tokens):
                shown.append(Remark(f"the thinking was ended after {tokens} tokens, its budget"))
            case FinishStep(reason, generated):
                self._add(self._reader.finish(truncated=reason == "length"), shown)
                self.output_tokens = generated
                if not self.over:
                    self._end(reason)
            case FailStep():
                self._fail(step)
            case Lookup():
                self.cached_tokens = step.matched_tokens
                shown.append(step)
            case _:
                shown.append(step)

    def _add(self, pieces: list[Piece], shown: list[Shown]) -> None:
        for piece in pieces:
            if isinstance(piece, Stopped):
                self.stop_sequence = piece.stop
                self._end("stop")
                return
            self.calls += isinstance(piece, Call)
            self._spoke = self._spoke or isinstance(piece, Text)
            shown.append(piece)

    def _end_loop(self, why: str, shown: list[Shown]) -> None:
        """End an answer that repeats itself, as the model's own end with a word on it.

        Half a call that was sent already, or half of a JSON answer, must not pass for whole: it ends as at
        the limit of its length. A call of which nothing was sent becomes text.
        """
        self.looped = True
        pieces = self._reader.finish(truncated=True)
        self._add(pieces, shown)
        half = self._reader.answers_json or any(isinstance(piece, TruncatedCall) for piece in pieces)
        if not self._reader.answers_json:
            shown.append(Text(f"\n\n{ENDED}" if self._spoke else ENDED))
        shown.append(Remark(why))
        if not self.over:
            self._end("length" if half else "stop")

    def _end(self, reason: FinishReason) -> None:
        self.finish_reason = "tool_calls" if reason == "stop" and self.calls else reason
        self.over = True

    def _fail(self, failure: FailStep) -> None:
        self.failure = failure
        self.over = True
