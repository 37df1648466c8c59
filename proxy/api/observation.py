"""What an upstream's steps mean for the record of their request; runs after the client has been served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from proxy.backends.upstream import (
    CacheChange,
    Lookup,
    PartTokens,
    PhaseTimes,
    PrefillProgress,
    Progress,
    Queued,
    Resumed,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallOpen,
    UpstreamEvent,
)
from proxy.events.types import CacheVerdict
from proxy.translate.response import Answer

if TYPE_CHECKING:
    from proxy.record.recorder import RequestRecord


class Observation:
    """Puts each batch of steps, and what the answer made of them, on record."""

    def __init__(self, record: RequestRecord, answer: Answer) -> None:
        self._record = record
        self._answer = answer
        self._token_seen = False
        self._composing_seen = False
        self._tool = ""  # whose call is being written

    def take(self, steps: list[UpstreamEvent]) -> None:
        """Record steps that the answer has been fed with; their text goes as one delta of each kind."""
        texts: dict[tuple[Literal["text", "thinking", "tool"], str], list[str]] = {}
        for step in steps:
            match step:
                case TextDelta():
                    texts.setdefault(("text", ""), []).append(step.text)
                case ThinkingDelta():
                    texts.setdefault(("thinking", ""), []).append(step.text)
                case ToolCallDelta():
                    self._tool = step.name or self._tool
                    if not self._composing_seen:  # else its text was recorded while it was composed
                        texts.setdefault(("tool", self._tool), []).append(step.arguments)
                case ToolCallOpen():
                    self._composing_seen = False  # this one is recorded by its pieces
                case Progress():
                    self._composing_seen = self._composing_seen or bool(step.text)
                    texts.setdefault(("tool", ""), []).append(step.text)
                case Queued():
                    self._record.queued(step.position, step.waiting_s)
                case PrefillProgress():
                    self._record.prefill(step)
                case Lookup():
                    self._record.lookup(CacheVerdict.model_validate(step, from_attributes=True))
                case PartTokens(names, tokens):
                    self._record.prompt_parts(names, tokens)
                case PhaseTimes():
                    self._record.engine_times(step)
                case Resumed(tokens):
                    self._record.resumed(tokens)
                case CacheChange():
                    self._record.cache_changed(step)
        answer = self._answer
        if answer.produced and not self._token_seen:
            self._token_seen = True
            self._record.first_token(answer.usage)
        for (kind, tool), pieces in texts.items():
            self._record.delta(kind, "".join(pieces), answer.output_tokens, tool)
        while answer.calls:
            self._record.tool_call(answer.calls.pop(0))
        while answer.notes:
            self._record.note(answer.notes.pop(0))
