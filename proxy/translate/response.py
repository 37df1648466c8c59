"""An upstream's steps as an Anthropic message: its events, and the message that they add up to. Pure.

Events follow Anthropic's order: message_start, ping, the blocks one after the other, message_delta,
message_stop. message_start waits for the upstream's `Lookup`, so that its usage is real; an upstream that
has none starts with its first output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from proxy.backends.upstream import (
    Finish,
    Lookup,
    Note,
    Progress,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UpstreamEvent,
)
from proxy.events import CacheVerdict, RequestToolCall, Usage
from proxy.translate.content_blocks import ContentBlocks
from proxy.translate.event_bytes import MESSAGE_STOP, PING, event, usage_fields
from proxy.translate.pending_calls import PendingCall, PendingCalls
from proxy.translate.thinking import ThinkingMode
from proxy.translate.tools import ToolSet

_STOP_REASONS = {
    "stop": "end_turn",
    "tool_calls": "end_turn",  # overruled where a call was sent
    "length": "max_tokens",
    "content_filter": "refusal",
    "stop_sequence": "stop_sequence",
    "context_length": "model_context_window_exceeded",
}


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What the request fixes about its answer; `used_ids` are the tool call ids of its history."""

    message_id: str
    model: str  # as the client asked for it
    tools: ToolSet
    thinking: ThinkingMode
    used_ids: frozenset[str] = frozenset()


class Answer:
    """One answer under way: `feed` it steps, `take` the events to send."""

    def __init__(self, head: AnswerHead) -> None:
        self.calls: list[RequestToolCall] = []  # each call as soon as it is judged
        self.notes: list[str] = []
        self.usage = Usage()
        self.stop_reason = ""
        self.stop_sequence: str | None = None
        self.output_tokens = 0  # so far; the upstream's own count once it tells
        self.produced = False  # the model has begun to answer
        self._head = head
        self._out: list[bytes] = []
        self._blocks = ContentBlocks(self._out)
        self._pending = PendingCalls(head.used_ids)
        self._started = False
        self._cache: CacheVerdict | None = None
        self._hidden_characters = 0
        self._sent_calls = 0
        self._steps: dict[type, Callable[[Any], None]] = {
            Lookup: self._lookup,
            TextDelta: self._text,
            ThinkingDelta: self._thinking,
            ToolCallDelta: self._tool_piece,
            Progress: self._progress,
            Note: self._note,
            Finish: self._finish,
        }

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
        if self._pending:
            self._settle(self._pending.take_complete())
        self._blocks.text(step.text)

    def _thinking(self, step: ThinkingDelta) -> None:
        if not step.text:
            return
        self._begin_output()
        self.output_tokens += 1
        if not self._head.thinking.enabled:
            self._hidden_characters += len(step.text)
            return
        if self._pending:
            self._settle(self._pending.take_complete())
        self._blocks.thinking(step.text, shown=self._head.thinking.shown)

    def _tool_piece(self, step: ToolCallDelta) -> None:
        self._begin_output()
        if step.arguments:
            self.output_tokens += 1
        if self._pending.add(step):
            self._settle(self._pending.take_complete(but=step.index))

    def _progress(self, step: Progress) -> None:
        self._begin_output()
        self.output_tokens = max(self.output_tokens, step.output_tokens)

    def _note(self, step: Note) -> None:
        self.notes.append(step.text)

    def _finish(self, step: Finish) -> None:
        self._start()
        self._settle(self._pending.take_all())
        self._blocks.close()
        self._count(step)
        self.stop_reason = _STOP_REASONS[step.reason]
        self.stop_sequence = step.stop_sequence if step.reason == "stop_sequence" else None
        if self._sent_calls and step.reason in ("stop", "tool_calls", "stop_sequence"):
            self.stop_reason, self.stop_sequence = "tool_use", None
        if self._hidden_characters:
            self.notes.append(
                f"left out {self._hidden_characters} characters of thinking: the request does not enable it"
            )

    def _settle(self, calls: Iterable[PendingCall]) -> None:
        """Send each call that fits its schema; give back as text what does not."""
        for call in calls:
            arguments = call.arguments
            verdict = self._head.tools.judge(call.name, arguments)
            raw = call.raw or call.as_text()
            if verdict.usable and verdict.input is not None:
                self._blocks.tool_use(call.id, call.name, verdict.input)
                self._sent_calls += 1
            else:
                self._blocks.text(raw)
                self.notes.append(f"a call of {call.name!r} was given back as text: {verdict.detail}")
            self.calls.append(
                RequestToolCall(
                    tool_use_id=call.id,
                    name=call.name,
                    input=verdict.input,
                    raw=raw,
                    verdict=verdict.verdict,
                    detail=verdict.detail,
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
