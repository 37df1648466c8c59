"""An upstream's steps as an Anthropic message: its events, and the message that they add up to. Pure.

Events follow Anthropic's order: message_start, ping, the blocks one after the other, message_delta,
message_stop. message_start waits for the upstream's `Lookup`, so that its usage is real; an upstream that
has none starts with its first output, and with the usage that it has reported until then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from engine.tool_calls.quoted.final_calls import QUOTED_CALL, FinalCalls, Part, quotes_call
from engine.tool_calls.quoted.thought_scanner import Thought, ThoughtEnd
from proxy.backends.upstream import (
    Broken,
    Finish,
    Lookup,
    Note,
    OutputCount,
    Progress,
    PromptCount,
    TextDelta,
    ThinkingDelta,
    TokenEstimates,
    ToolCallDelta,
    ToolCallOpen,
    ToolCallRaw,
    UpstreamEvent,
)
from proxy.events.errors import UpstreamError, UpstreamUnavailable
from proxy.events.tool_call import ToolCall
from proxy.events.types import Usage
from proxy.translate.answer_spec import AnswerSpec
from proxy.translate.content_blocks import ContentBlocks
from proxy.translate.event_bytes import MESSAGE_STOP, PING, event, usage_fields
from proxy.translate.server_tools import sources_of
from proxy.translate.thinking_splitter import ThinkingSplitter
from proxy.translate.tool_call_writer import ToolCallWriter
from proxy.translate.usage_count import UsageCount

_STOP_REASONS = {
    "stop": "end_turn",
    "tool_calls": "end_turn",  # overruled where a call was sent
    "length": "max_tokens",
    "content_filter": "refusal",
    "stop_sequence": "stop_sequence",
    "context_length": "model_context_window_exceeded",
    "repetition": "end_turn",
    "unreported": "end_turn",
}
_SAID = (TextDelta, ThinkingDelta, ToolCallDelta, ToolCallOpen, ToolCallRaw, Progress, OutputCount)
_BY_ITSELF = ("stop", "tool_calls")  # reasons of a model that has said all it wanted to
# Claude Code goes on after these where it can answer a call, be it half of one.
_ANSWERABLE = (*_BY_ITSELF, "length", "context_length")
_AFTER_CALLS = (
    "stop",
    "tool_calls",
    "stop_sequence",
    "repetition",
    "unreported",
)  # what was called is carried out


class Answer:
    """One answer under way: `feed` it steps, `take` the events to send."""

    def __init__(self, spec: AnswerSpec, earlier: Answer | None = None) -> None:
        self.fault: UpstreamError | None = None  # why there is no stop reason at the end
        self._count = UsageCount(earlier.usage if earlier is not None else Usage())
        self.stop_reason = ""
        self.stop_sequence: str | None = None
        self.produced = False  # the model has begun to answer in this round
        self.safeguards: dict[str, Any] = {}  # field of the message: auto mode's verdicts on the calls
        self._follows = earlier is not None
        self._spec = spec
        self._out: list[bytes] = earlier._out if earlier is not None else []
        self._blocks: ContentBlocks = (
            earlier._blocks
            if earlier is not None
            else ContentBlocks(self._out, spec.tools.block_names, spec.tools.served)
        )
        self.server_uses: Counter[str] = earlier.server_uses if earlier is not None else Counter()
        """Calls that the proxy has run, by the names of their tools."""
        self._calls = ToolCallWriter(
            spec.tools, self._blocks, spec.used_ids, streamed=spec.streamed, most=spec.most_calls
        )
        looked_through = spec.call_forms is not None or spec.mixed_thinking
        self._words = ThinkingSplitter(spec.tools.schemas, spec.call_forms) if looked_through else None
        self._ending: list[FinalCalls] = []  # calls as text, until all else of the answer is known
        self._started = earlier is not None
        self._hidden_characters = 0
        self._retracted = ""  # text that was thinking after all
        self.calls = self._calls.judged  # each as soon as it is judged, until it is taken out
        self.notes = self._calls.notes  # for people, until they are taken out
        self.structured_ids = self._calls.structured_ids  # of the calls that the upstream sent apart

    def feed(self, step: UpstreamEvent) -> None:
        """Take one step of the upstream."""
        if self._spec.prompt_only and isinstance(step, _SAID):
            return
        match step:
            case TextDelta():
                self._take_text(step.text)
            case ThinkingDelta():
                self._take_thinking(step.text)
            case ToolCallDelta():
                self._take_call_piece(step)
            case ToolCallOpen():
                self._begin_output()
                self._end_words()
                self._calls.open(step)
            case ToolCallRaw():
                self._calls.take_raw(step)
            case Progress(output_tokens):
                self._begin_output()
                self._count.output(output_tokens)
            case Lookup():
                self._count.lookup(step)
                self._start()
            case TokenEstimates():
                self._count.estimates(step)
            case OutputCount(output_tokens):
                self._count.output(output_tokens)
            case PromptCount(prompt, cached):
                self._count.prompt(prompt, cached)
            case Note(text):
                self.notes.append(text)
            case Finish():
                self._finish(step)
            case Broken(error):
                self._break_off(error)

    def take(self) -> bytes:
        """The events since the last call, without the closing ones."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def closing(self) -> bytes:
        """message_delta and message_stop: what to send once the answer is on record."""
        delta = {"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence, **self.safeguards}
        usage = usage_fields(self.usage, self.server_uses)
        data = {"delta": delta, "usage": usage, **self._context_management()}
        return event("message_delta", data) + MESSAGE_STOP

    # -- rounds: calls that the proxy runs within the answer -----------------------------------------------

    @property
    def message_id(self) -> str:
        return self._spec.message_id

    @property
    def begun(self) -> bool:
        """Whether the message has something: of this round, or of one before."""
        return self.produced or self._follows

    @property
    def served_calls(self) -> list[ToolCall]:
        """The calls of this round that the proxy is to run; an answer that was truncated has none."""
        whole = self.fault is None and self.stop_reason in ("end_turn", "tool_use")
        return self._calls.served if whole else []

    def call(self, call: ToolCall) -> None:
        """Add a call of the proxy's own tools that needs no model."""
        self._start()
        self._blocks.tool_use(call.id, call.name, call.input or {})
        self.calls.append(call)

    def add_result(self, block: dict[str, Any]) -> None:
        """Add the result of a call that the proxy has run."""
        self._blocks.whole(block)
        self._blocks.sources += sources_of(block)

    def end(self, text: str) -> None:
        """End the answer with a text of the proxy's own."""
        self._start()
        self._blocks.text(text)
        self._blocks.close()
        self.stop_reason = "end_turn"

    def message(self) -> dict[str, Any]:
        """The message as far as it has come."""
        return {
            "id": self._spec.message_id,
            "type": "message",
            "role": "assistant",
            "model": self._spec.model,
            "content": self._blocks.snapshot(),
            "stop_reason": self.stop_reason or None,
            "stop_sequence": self.stop_sequence,
            "usage": usage_fields(self.usage_so_far(), self.server_uses),
            **self.safeguards,
            **self._context_management(),
        }

    def _context_management(self) -> dict[str, Any]:
        edits = self._spec.applied_edits
        return {"context_management": {"applied_edits": edits}} if edits else {}

    @property
    def usage(self) -> Usage:
        """The tokens of the prompt, and at the end of the answer."""
        return self._count.usage

    @property
    def output_tokens(self) -> int:
        """So far; the upstream's own count once it reports it."""
        return self._count.output_tokens

    def usage_so_far(self) -> Usage:
        """The usage with the output counted up to now."""
        return self._count.so_far

    def interrupted_usage(self, *, cancelled: bool) -> tuple[Usage, str]:
        """The usage of an answer without its end, and how it was counted if not by the upstream alone.

        An upstream that has sent nothing has refused the request, unless it was `cancelled` first.
        """
        return self._count.interrupted(began=self.produced or cancelled)

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        self._out.append(event("message_start", {"message": self.message()}))
        self._out.append(PING)

    def _begin_output(self) -> None:
        self._start()
        self.produced = True

    def _take_text(self, text: str) -> None:
        if not text:
            return
        if not self.produced:
            self._begin_output()
        self._count.piece(text)
        if self._words is None:
            self._say(text)
        else:
            self._take_words(self._words.text(text))

    def _say(self, text: str) -> None:
        self._calls.flush_complete()
        if self._ending and text.strip():
            self._take_ending(followed=True)
        self._blocks.text(text)

    def _take_words(self, parts: Iterable[Part]) -> None:
        """Text and thinking that were split; calls wait for the end of the answer."""
        for part in parts:
            if isinstance(part, Thought):
                self._think(part.text)
            elif isinstance(part, FinalCalls):
                self._ending.append(part)
            elif isinstance(part, ThoughtEnd):
                self._text_was_thinking()
            else:
                self._say(part)
        if self._words is not None:
            self.notes.extend(self._words.take_notes())

    def _text_was_thinking(self) -> None:
        """A thought has ended that no mark had opened: what was sent of it stays text."""
        if self._spec.streamed:
            return
        self._retracted = self._blocks.take_text()
        if self._retracted:
            self._think(self._retracted)

    def _end_words(self, *, final: bool = False) -> None:
        """Send the words that were buffered because they might have become a call, or a mark."""
        if self._words is not None:
            self._take_words(self._words.end(final=final))

    def _take_thinking(self, text: str) -> None:
        if not text:
            return
        if not self.produced:
            self._begin_output()
        self._count.piece(text)
        if self._words is None:
            self._think(text)
        else:
            self._take_words(self._words.thinking(text))

    def _think(self, text: str) -> None:
        if not self._spec.thinking.enabled:
            self._hidden_characters += len(text)
            return
        self._calls.flush_complete()
        self._blocks.thinking(text, shown=self._spec.thinking.shown)

    def _take_call_piece(self, step: ToolCallDelta) -> None:
        if not self.produced:
            self._begin_output()
        if step.arguments:
            self._count.piece(step.arguments)
        if step.name:
            self._end_words()
        self._calls.add(step)

    def _break_off(self, error: UpstreamError) -> None:
        """No end will come: no buffered call is sent, and no open block is ended."""
        self.fault = error
        self._calls.break_off()
        self._end_words(final=True)
        self._take_ending(truncated=True)

    def _finish(self, step: Finish) -> None:
        if self._spec.prompt_only:
            self._start()
            self._take_counts(step)
            self.stop_reason = "max_tokens"
            return
        if step.reason == "unreported":
            self._take_unreported()
            if self.fault is not None:
                self._take_counts(step)
                return
        self._start()
        truncated, answerable = step.reason not in _BY_ITSELF, step.reason in _ANSWERABLE
        self._end_words(final=True)
        self._calls.finish(truncated=truncated, answerable=answerable)
        if not truncated:
            self._show_hidden_thought()
        self._take_ending(truncated=truncated, unreported=step.reason == "unreported", answerable=answerable)
        self._blocks.close()
        self._note_what_is_shown()
        self._take_counts(step)
        if self._calls.fault:
            self.fault = UpstreamUnavailable(f"{self._calls.fault}; please retry")
            return
        self.stop_reason = _STOP_REASONS[step.reason]
        self.stop_sequence = step.stop_sequence if step.reason == "stop_sequence" else None
        if self._calls.sent > len(self._calls.served) and step.reason in _AFTER_CALLS:
            self.stop_reason, self.stop_sequence = "tool_use", None
        if self._hidden_characters:
            self.notes.append(
                f"left out {self._hidden_characters} characters of thinking: the request does not enable it"
            )

    def _take_ending(self, **known: bool) -> None:
        """The calls that the text ends with, now that all else of the answer, or what follows, is known."""
        ending, self._ending = self._ending, []
        for calls in ending:
            self._calls.take_text(calls, **known)

    def _take_unreported(self) -> None:
        """Judge an end without a finish_reason: some servers never send one.

        The stream was closed in order, so what is whole is taken. A call without its end is not, whatever it
        may be repaired into, nor is an answer that says nothing.
        """
        unfinished = self._calls.unfinished
        if not unfinished:
            self._end_words(final=True)
        if unfinished:
            what = "within a call, which was not sent"
        elif not (self._ending or self._calls.has_unsent or self._blocks.says_something):
            what = "before it said anything"
        else:
            self.notes.append("the upstream closed its answer without a finish_reason: taken as a whole one")
            return
        self._break_off(
            UpstreamUnavailable(
                f"the upstream closed its answer without a finish_reason, {what}; please retry"
            )
        )

    def _show_hidden_thought(self) -> None:
        """A thought in the text that never ended may be the answer, and the client is shown no thinking.

        So may text be that turned out to be one, where nothing stands behind its end.
        """
        if self._words is None or self._spec.thinking.enabled or self._ending:
            return
        thought, why = self._words.unended, "that never ended"
        if not (thought or self._blocks.says_something):
            thought, why = self._retracted, "that nothing follows"
        if thought:
            self._hidden_characters -= len(thought)
            self._say(thought)
            self.notes.append(f"a thought in the text {why} was sent as text")

    def _note_what_is_shown(self) -> None:
        """Somebody may wonder why a text that shows a call was not carried out."""
        tools = self._spec.tools.schemas
        if self._words is None or self._calls.sent or not tools:
            return
        if quotes_call("\n".join(block.get("text", "") for block in self._blocks.content), tools):
            self.notes.append(QUOTED_CALL)

    def _take_counts(self, step: Finish) -> None:
        if note := self._count.finish(step, says_nothing=self._spec.prompt_only):
            self.notes.append(note)
