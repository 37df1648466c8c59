"""An upstream's steps as an Anthropic message: its events, and the message that they add up to. Pure.

Events follow Anthropic's order: message_start, ping, the blocks one after the other, message_delta,
message_stop. message_start waits for the upstream's `Lookup`, so that its usage is real; an upstream that
has none starts with its first output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from engine.tool_calls.families import FAMILIES
from engine.tool_calls.stray_calls import MOST_FAILURES, StrayCall, StrayCalls
from proxy.backends.upstream import (
    Broken,
    Finish,
    Lookup,
    Note,
    Progress,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallOpen,
    ToolCallRaw,
    UpstreamEvent,
)
from proxy.errors import UpstreamError, UpstreamUnavailable
from proxy.events import CacheVerdict, Usage
from proxy.traces.schema import TraceToolCall
from proxy.translate.answer_calls import AnswerCalls
from proxy.translate.content_blocks import ContentBlocks
from proxy.translate.event_bytes import MESSAGE_STOP, PING, event, usage_fields
from proxy.translate.thinking import ThinkingMode
from proxy.translate.tools import ToolSet

_STOP_REASONS = {
    "stop": "end_turn",
    "tool_calls": "end_turn",  # overruled where a call was sent
    "length": "max_tokens",
    "content_filter": "refusal",
    "stop_sequence": "stop_sequence",
    "context_length": "model_context_window_exceeded",
    "repetition": "end_turn",
    "unsaid": "end_turn",
}
_BY_ITSELF = ("stop", "tool_calls")  # reasons of a model that has said all it wanted to
_AFTER_CALLS = (
    "stop",
    "tool_calls",
    "stop_sequence",
    "repetition",
    "unsaid",
)  # what was called is carried out


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What the request fixes about its answer; `used_ids` are the tool call ids of its history.

    `streamed`: the client reads events, not one message. `most_calls`: as many as the client takes, None for
    any number. `stray_calls`: calls may stand in the text. `json_answer`: JSON was asked for, so that JSON in
    the text is no call.
    """

    message_id: str
    model: str  # as the client asked for it
    tools: ToolSet
    thinking: ThinkingMode
    used_ids: frozenset[str] = frozenset()
    streamed: bool = True
    most_calls: int | None = None
    stray_calls: bool = False
    json_answer: bool = False


class Answer:
    """One answer under way: `feed` it steps, `take` the events to send."""

    def __init__(self, head: AnswerHead) -> None:
        self.fault: UpstreamError | None = None  # why there is no stop reason at the end
        self.usage = Usage()
        self.stop_reason = ""
        self.stop_sequence: str | None = None
        self.output_tokens = 0  # so far; the upstream's own count once it tells
        self.produced = False  # the model has begun to answer
        self._head = head
        self._out: list[bytes] = []
        self._blocks = ContentBlocks(self._out)
        self._calls = AnswerCalls(
            head.tools, self._blocks, head.used_ids, streamed=head.streamed, most=head.most_calls
        )
        self._stray = self._new_stray() if head.stray_calls else None
        self._no_calls = 0  # texts that looked like calls and were none
        self._text_open = False  # it may hold back text
        self._started = False
        self._cache: CacheVerdict | None = None
        self._hidden_characters = 0
        self._steps: dict[type, Callable[[Any], None]] = {
            Lookup: self._lookup,
            TextDelta: self._text,
            ThinkingDelta: self._thinking,
            ToolCallOpen: self._tool_open,
            ToolCallDelta: self._tool_piece,
            ToolCallRaw: self._calls.tell,
            Progress: self._progress,
            Note: self._note,
            Finish: self._finish,
            Broken: lambda step: self._break_off(step.error),
        }

    @property
    def calls(self) -> list[TraceToolCall]:
        """Each call as soon as it is judged, until somebody takes it out."""
        return self._calls.judged

    @property
    def notes(self) -> list[str]:
        """Remarks for people, until somebody takes them out."""
        return self._calls.notes

    def feed(self, step: UpstreamEvent) -> None:
        """Take one step of the upstream."""
        handle = self._steps.get(type(step))
        if handle is not None:
            handle(step)

    def take(self) -> bytes:
        """The events since the last call, without the closing ones."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def closing(self) -> bytes:
        """message_delta and message_stop: what to send once the answer is on record."""
        delta = {"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence}
        return event("message_delta", {"delta": delta, "usage": usage_fields(self.usage)}) + MESSAGE_STOP

    def message(self) -> dict[str, Any]:
        """The message as far as it has come."""
        return {
            "id": self._head.message_id,
            "type": "message",
            "role": "assistant",
            "model": self._head.model,
            "content": self._blocks.snapshot(),
            "stop_reason": self.stop_reason or None,
            "stop_sequence": self.stop_sequence,
            "usage": usage_fields(self.usage_so_far()),
        }

    def usage_so_far(self) -> Usage:
        """The usage with the output counted up to now."""
        return self.usage.model_copy(update={"output_tokens": self.output_tokens})

    def _lookup(self, step: Lookup) -> None:
        self._cache = step.cache
        self.usage = _usage_of(step.cache)
        self._start()

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        self._out.append(event("message_start", {"message": self.message()}))
        self._out.append(PING)

    def _begin_output(self) -> None:
        self._start()
        self.produced = True

    def _text(self, step: TextDelta) -> None:
        if not step.text:
            return
        self._begin_output()
        self.output_tokens += 1
        if self._stray is None:
            self._say(step.text)
        else:
            self._text_open = True
            self._say_all(self._stray.feed(step.text))

    def _say(self, text: str) -> None:
        self._calls.give_way()
        self._blocks.text(text)

    def _say_all(self, pieces: Iterable[str | StrayCall], *, cut: bool = False) -> None:
        for piece in pieces:
            if isinstance(piece, str):
                if piece:
                    self._say(piece)
            elif self._no_calls >= MOST_FAILURES:
                self._say(piece.raw)
            elif not self._calls.take_stray(piece, cut=cut):
                self._no_calls += 1

    def _end_text(self, *, cut: bool = False) -> None:
        """Give out the text that was held back because it might have become a call."""
        if self._stray is not None and self._text_open:
            self._text_open = False
            self._say_all(self._stray.finish(), cut=cut)
            self._stray = self._new_stray()

    def _new_stray(self) -> StrayCalls:
        return StrayCalls(self._head.tools.schemas, FAMILIES, json_answer=self._head.json_answer)

    def _thinking(self, step: ThinkingDelta) -> None:
        if not step.text:
            return
        self._begin_output()
        self.output_tokens += 1
        if not self._head.thinking.enabled:
            self._hidden_characters += len(step.text)
            return
        self._end_text()
        self._calls.give_way()
        self._blocks.thinking(step.text, shown=self._head.thinking.shown)

    def _tool_open(self, step: ToolCallOpen) -> None:
        self._begin_output()
        self._end_text()
        self._calls.open(step)

    def _tool_piece(self, step: ToolCallDelta) -> None:
        self._begin_output()
        if step.arguments:
            self.output_tokens += 1
        if step.name:
            self._end_text()
        self._calls.add(step)

    def _progress(self, step: Progress) -> None:
        self._begin_output()
        self.output_tokens = max(self.output_tokens, step.output_tokens)

    def _note(self, step: Note) -> None:
        self.notes.append(step.text)

    def _break_off(self, error: UpstreamError) -> None:
        """No end will come: nothing that is held is sent as a call, and no block that is open is ended."""
        self.fault = error
        self._calls.break_off()
        self._end_text(cut=True)

    def _finish(self, step: Finish) -> None:
        if step.reason == "unsaid":
            self._take_unsaid()
            if self.fault is not None:
                self._count(step)
                return
        self._start()
        cut = step.reason not in _BY_ITSELF
        self._end_text(cut=cut)
        self._calls.finish(cut=cut)
        self._blocks.close()
        self._count(step)
        if self._calls.fault:
            self.fault = UpstreamUnavailable(f"{self._calls.fault}; please retry")
            return
        self.stop_reason = _STOP_REASONS[step.reason]
        self.stop_sequence = step.stop_sequence if step.reason == "stop_sequence" else None
        if self._calls.sent and step.reason in _AFTER_CALLS:
            self.stop_reason, self.stop_sequence = "tool_use", None
        if self._hidden_characters:
            self.notes.append(
                f"left out {self._hidden_characters} characters of thinking: the request does not enable it"
            )

    def _take_unsaid(self) -> None:
        """Judge an end of which nobody said what it is: some servers never say it.

        The stream was closed in order, so what is whole is taken. A call without its end is not, whatever it
        may be mended into, nor is an answer that says nothing.
        """
        if self._calls.unfinished:
            what = "within a call, which was not sent"
        elif not (self._text_open or self._calls.held or self._blocks.says_something):
            what = "before it said anything"
        else:
            self.notes.append("the upstream closed its answer without a finish_reason: taken as a whole one")
            return
        self._break_off(
            UpstreamUnavailable(
                f"the upstream closed its answer without a finish_reason, {what}; please retry"
            )
        )

    def _count(self, step: Finish) -> None:
        if step.output_tokens is not None:
            self.output_tokens = step.output_tokens
        else:
            self.notes.append("the upstream told no usage: output tokens are the pieces that it sent")
        if self._cache is None and step.prompt_tokens is not None:
            cached = min(step.cached_tokens or 0, step.prompt_tokens)
            self.usage = Usage(input_tokens=step.prompt_tokens - cached, cache_read_input_tokens=cached)
        self.usage = self.usage_so_far()


def _usage_of(cache: CacheVerdict) -> Usage:
    """Usage of the prompt: restored, newly kept, and computed for this request only."""
    rest = cache.prompt_tokens - cache.matched_tokens - cache.kept_tokens
    return Usage(
        input_tokens=max(0, rest),
        cache_creation_input_tokens=cache.kept_tokens,
        cache_read_input_tokens=cache.matched_tokens,
    )
