"""Earlier answers in a prompt, token for token as they were generated.

What a chat template writes for one answer is found with a sample: the answer between neighbours of the same
kind whose contents are marker words, rendered like the conversation. The sample shows the exact text of the
answer and what the template writes behind it. An answer is replaced only if the prompt contains that text,
the text before it is the one that the answer was generated behind, and the text behind it is as in the
sample. So everything else in the prompt is what the template made of the whole conversation. An answer whose
text cannot be determined stays as the template renders it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from engine.prompts.answer_memory import AnswerMemory, KeptAnswer, TextDigest
from engine.prompts.history.samples import (
    ANSWER,
    BEHIND,
    SampleOptions,
    Samples,
    said_by,
    shared_length,
    sketch,
    turns_before,
)
from engine.prompts.message_preparation import AnswerTurn, PreparedMessages
from engine.prompts.template_traits import Render
from engine.wire.chat import Message

_MAX_PLACES = 256  # positions in a prompt tried for one answer
_TAIL = 8  # last generated characters that mark the end if no end-of-turn token does
_LAST_TOKENS = 64  # of an answer: enough for these characters and the blanks behind them


@dataclass(frozen=True, slots=True)
class PromptPiece:
    """A part of a prompt; if it has `tokens`, they are used instead of tokenizing `text`."""

    text: str
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RecalledAnswer:
    """`text[start:end]` of a prompt is an answer as generated, where the template would write `spelled`."""

    start: int
    end: int
    spelled: str


@dataclass(frozen=True, slots=True)
class RecalledPrompt:
    """A prompt in pieces, its recalled answers, and the number of answers that could not be placed."""

    pieces: list[PromptPiece]
    answers: tuple[RecalledAnswer, ...]
    unplaced: int


@dataclass(frozen=True, slots=True)
class AnswerStart:
    """The start of the next answer: the digest of the text before it, and the generation prompt."""

    before: bytes
    opening: str


@dataclass(frozen=True, slots=True)
class AnswerExtent:
    """`whole` is what the template writes for an answer, up to the content of the next turn.

    The answer ends at `end` of it; if the sample does not show the end, at `least` or later. Its first `lead`
    characters are the template's.
    """

    whole: str
    lead: int
    end: int | None
    least: int
    has_calls: bool

    def end_of(self, generated: str, marks: tuple[str, ...]) -> int | None:
        """The end in `whole` of the answer that was generated as `generated`; None if it is unknown.

        If no token that ends answers shows it, the end is where `whole` has the last generated characters
        next to one of the tokenizer's `marks`. In `generated` only tokens spell marks: text that spells one
        ends nothing.
        """
        if self.end is not None:
            return self.end
        said = generated.rstrip()
        for end in range(len(self.whole), self.least, -1):
            at_mark = self.whole.endswith(marks, 0, end) or self.whole.startswith(marks, end)
            if at_mark and said.endswith(self.whole[self._tail(end, marks) : end]):
                return end
        return None if self.has_calls else self.least

    def _tail(self, end: int, marks: tuple[str, ...]) -> int:
        """The start of the last characters before `end`, extended to a whole mark."""
        tail = max(0, end - _TAIL)
        starts = (self.whole.find(mark, max(0, tail - len(mark) + 1), tail + len(mark) - 1) for mark in marks)
        return min((start for start in starts if 0 <= start < tail), default=tail)


class RecalledHistory:
    """Puts kept answers into the prompts of one chat template; for one thread at a time."""

    def __init__(
        self,
        render: Render,
        decode: Callable[[Sequence[int]], str],
        marks: Collection[str],
        ends: Collection[str],
        spell: Callable[[Sequence[int]], str],
    ) -> None:
        """`marks` are the texts of all added tokens, `ends` those of the tokens that end an answer.

        `spell` decodes tokens, with stand-ins where ordinary tokens spell a control token.
        """
        self._decode = decode
        self._marks = tuple(mark for mark in marks if mark)
        self._ends = tuple(end for end in ends if end)
        self._spell = spell
        self._samples = Samples(render)

    def recall(
        self,
        masked: str,
        text: str,
        prepared: PreparedMessages,
        tools: list[dict[str, Any]] | None,
        kwargs: dict[str, Any],
        answers: AnswerMemory,
    ) -> RecalledPrompt:
        """The rendered `prepared` messages, with the kept `answers` in place.

        `masked` is `text` for the tokenizer, of the same length: with stand-ins where a client's text spells
        a control token. Samples are compared with `text`, since masking can differ between prompt and sample.
        """
        pieces: list[PromptPiece] = []
        recalled: list[RecalledAnswer] = []
        so_far = TextDigest()
        at = length = unplaced = 0

        def add(piece: PromptPiece, shown: str | None = None) -> None:
            nonlocal length
            if piece.text:
                pieces.append(piece)
                so_far.add(piece.text if shown is None else shown)
                length += len(piece.text)

        sampling = SampleOptions(tools, kwargs)
        conversation = _Conversation(prepared.messages)
        for turn in prepared.answers:
            if turn.stop == len(prepared.messages) or not answers.knows(turn.message):
                continue  # the end of an answer is not certain if nothing follows it
            extent = self._extent(conversation, turn, sampling)
            if extent is None:
                unplaced += 1
                continue
            start = text.find(extent.whole, at)
            unplaced += start < 0
            for _ in range(_MAX_PLACES):
                if start < 0:
                    break
                add(PromptPiece(masked[at:start]), text[at:start])
                at = start
                # A turn spelled in a client's text is not a turn of the template.
                written = masked.startswith(extent.whole[: extent.lead], start)
                kept = answers.find(turn.message, so_far.value()) if written else None
                end = None if kept is None else self._end(extent, kept)
                if kept is not None and end is None:
                    unplaced += 1
                    break
                if kept is not None and end is not None:
                    begin = length
                    add(PromptPiece(kept.opening))
                    add(PromptPiece(kept.text, kept.tokens))
                    recalled.append(RecalledAnswer(begin, length, text[start : start + end]))
                    at = start + end
                    break
                start = text.find(extent.whole, start + 1)
        add(PromptPiece(masked[at:]), text[at:])
        return RecalledPrompt(joined_pieces(pieces), tuple(recalled), unplaced)

    def answer_start(
        self,
        text: str,
        messages: Sequence[Message],
        tools: list[dict[str, Any]] | None,
        kwargs: dict[str, Any],
    ) -> AnswerStart | None:
        """The start of the answer to a prompt; None if the template opens it in an unknown way."""
        before = turns_before(messages, len(messages))
        sampling = SampleOptions(tools, kwargs)
        start = self._samples.start(before, sampling)
        if start is None or not text.endswith(start.opening):
            return None
        digest = TextDigest(text[: len(text) - len(start.opening)])
        return AnswerStart(digest.value(), start.opening)

    def _end(self, extent: AnswerExtent, kept: KeptAnswer) -> int | None:
        if not kept.text:
            kept.text = self._decode(kept.tokens)
        last = "" if extent.end is not None else self._spell(kept.tokens[-_LAST_TOKENS:])
        return extent.end_of(last, self._marks)

    def _extent(
        self, conversation: _Conversation, turn: AnswerTurn, sampling: SampleOptions
    ) -> AnswerExtent | None:
        """What the template writes for one answer of a conversation; None if it cannot be determined."""
        messages = conversation.messages
        before, behind = turns_before(messages, turn.start), conversation.behind(turn.stop)
        own = messages[turn.start : turn.stop]
        said = self._samples.sample([*before, *own, *behind], sampling)
        marked = self._samples.sample([*before, *(sketch(m, ANSWER) for m in own), *behind], sampling)
        if (start := self._samples.start(before, sampling)) is None or said is None or marked is None:
            return None
        if not (said := start.behind(said)) or not (marked := start.behind(marked)):
            return None
        if said.count(BEHIND) != marked.count(BEHIND) or ANSWER not in marked:
            return None
        answer, shown, _ = marked.partition(BEHIND)
        if not shown or marked.rindex(ANSWER) > len(answer):
            return None  # a part of the answer is behind the text that follows it
        rest = answer[answer.rindex(ANSWER) + len(ANSWER) :]
        whole = said.partition(BEHIND)[0]
        ends = [place for end in self._ends if (place := rest.find(end)) >= 0]
        has_calls = any(message.get("tool_calls") for message in own)
        close = rest[min(ends) :] if ends else rest
        if (ends or not has_calls) and not whole.endswith(close):
            return None
        end = len(whole) - len(close) if ends else None
        lead = min(answer.index(ANSWER), shared_length(whole, answer))
        return AnswerExtent(whole, lead, end, max(0, len(whole) - len(rest)), has_calls) if whole else None


class _Conversation:
    """A conversation, and marker words for the messages behind a position in it."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self._last_question = self._last_text = -1
        for at, message in enumerate(messages):
            if message["role"] == "user":
                self._last_question = at
            elif message["role"] == "assistant" and not message.get("tool_calls"):
                self._last_text = at

    def behind(self, at: int) -> list[Message]:
        """The messages from `at` to the next answer, that answer, and the kinds of turns behind it."""
        messages, stop = self.messages, at
        while stop < len(messages) and messages[stop]["role"] != "assistant":
            stop += 1
        stop += stop < len(messages)
        while stop < len(messages) and messages[stop]["role"] == "tool":
            stop += 1
        behind = [sketch(message, BEHIND) for message in messages[at:stop]]
        if self._last_text >= stop and not (behind and behind[-1]["role"] == "assistant"):
            behind.append(said_by("assistant", BEHIND))
        return [*behind, said_by("user", BEHIND)] if self._last_question >= stop else behind


def joined_pieces(pieces: Sequence[PromptPiece]) -> list[PromptPiece]:
    """The pieces, with adjacent text joined so that it is tokenized as one."""
    joined: list[PromptPiece] = []
    for piece in pieces:
        if joined and not piece.tokens and not joined[-1].tokens:
            joined[-1] = PromptPiece(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined
