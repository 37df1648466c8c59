"""What an upstream's steps mean for the record of their request; runs after the client has been served."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from proxy.backends.upstream import (
    CacheChanged,
    Lookup,
    Prefill,
    Progress,
    Queued,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallOpen,
    UpstreamEvent,
)
from proxy.translate.response import Answer

if TYPE_CHECKING:
    from proxy.record.recorder import RequestRecord


class Observation:
    """Tells `record` of each batch of steps, and of what the answer made of them."""

    def __init__(self, record: RequestRecord, answer: Answer) -> None:
        self._record = record
        self._answer = answer
        self._token_seen = False
        self._composing_seen = False
        self._texts: dict[Literal["text", "thinking", "tool"], list[str]] = {}
        self._tell: dict[type, Callable[[Any], None]] = {
            TextDelta: self._text,
            ThinkingDelta: self._thinking,
            Progress: self._progress,
            ToolCallOpen: self._tool_open,
            ToolCallDelta: self._tool_piece,
            Queued: lambda step: record.queued(step.position, step.waiting_s),
            Prefill: lambda step: record.prefill(step.done, step.total, step.cached),
            Lookup: lambda step: record.lookup(step.cache),
            CacheChanged: lambda step: record.cache_changed(step.type, step.change),
        }

    def take(self, steps: list[UpstreamEvent]) -> None:
        """Record steps that the answer has been fed with; their text goes as one delta of each kind."""
        for step in steps:
            tell = self._tell.get(type(step))
            if tell is not None:
                tell(step)
        answer = self._answer
        if answer.produced and not self._token_seen:
            self._token_seen = True
            self._record.first_token(answer.usage)
        if self._texts:
            for kind, pieces in self._texts.items():
                self._record.delta(kind, "".join(pieces), answer.output_tokens)
            self._texts = {}
        while answer.calls:
            self._record.tool_call(answer.calls.pop(0))
        while answer.notes:
            self._record.note(answer.notes.pop(0))

    def _text(self, step: TextDelta) -> None:
        self._texts.setdefault("text", []).append(step.text)

    def _thinking(self, step: ThinkingDelta) -> None:
        self._texts.setdefault("thinking", []).append(step.text)

    def _progress(self, step: Progress) -> None:
        self._composing_seen = self._composing_seen or bool(step.text)
        self._texts.setdefault("tool", []).append(step.text)

    def _tool_open(self, step: ToolCallOpen) -> None:
        self._composing_seen = False  # this one is told by its pieces

    def _tool_piece(self, step: ToolCallDelta) -> None:
        if not self._composing_seen:  # else its text has been told while it was composed
            self._texts.setdefault("tool", []).append(step.arguments)
