"""Chat completion chunks as typed steps: what all OpenAI-compatible servers send, with their variations.

Seen in the wild and taken: calls without index or id (`proxy.backends.call_numbers`), arguments as an object,
whole calls in one piece, the old `function_call`, `reasoning` as well as `reasoning_content`, usage in any
chunk or none, llama.cpp's `prompt_progress` and `timings`, errors inside the stream, a whole completion
instead of a stream, an end without `[DONE]`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self

import orjson

from engine.wire.json_text import encode_json
from proxy.backends.answer_ends import fault_of_end, is_known_fault, is_unset, reason_of
from proxy.backends.call_numbers import CallNumbers
from proxy.backends.faults import broken_off, error_in_stream, is_error
from proxy.backends.upstream import (
    Broken,
    Finish,
    FinishReason,
    OutputCount,
    PrefillProgress,
    PromptCount,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UpstreamEvent,
)
from proxy.events.errors import UpstreamError, UpstreamUnavailable

_MOST_TOKENS = 2**48


class ChatStreamReader:
    """Reads the events of one answer; `who` names the upstream in errors.

    `max_tokens` distinguishes an answer that the request's own limit truncated from one that filled the
    window, `stops` a stop sequence of the request's from a mark of the model's own.
    """

    def __init__(self, who: str, *, max_tokens: int = 0, stops: Collection[str] = ()) -> None:
        self.done = False  # `[DONE]` was seen, or a fault
        self.ended = False  # the last step was taken
        self._who = who
        self._max_tokens = max_tokens
        self._stops = stops
        self._reason: FinishReason | None = None
        self._fault: UpstreamError | None = None
        self._stop_sequence: str | None = None
        self._usage: dict[str, Any] = {}
        self._counted = False  # the prompt's tokens were reported
        self._numbers = CallNumbers()

    @classmethod
    def of_request(cls, who: str, body: Mapping[str, Any]) -> Self:
        """The reader of the answer to a chat completion request."""
        return cls(who, max_tokens=body.get("max_tokens") or 0, stops=body.get("stop") or ())

    def take(self, events: Iterable[bytes], *, last: bool = False) -> list[UpstreamEvent]:
        """The steps of events that arrived together, with the end if it is among them.

        Nothing follows the `last` events; without an end among them the answer is `Broken`.
        """
        steps: list[UpstreamEvent] = []
        try:
            for data in events:
                steps += self.read(data)
                if self.done:
                    break
            if self.done or last:
                self.ended = True
                steps.append(self.finish())
        except UpstreamError as error:
            self.ended = True
            steps.append(Broken(error))
        return steps

    def read(self, data: bytes) -> list[UpstreamEvent]:
        """The steps of one event; where it is an error, `finish` raises it.

        Raises:
            UpstreamUnavailable: the event is no JSON object.
        """
        if data == b"[DONE]":
            self.done = True
            return []
        return self.read_chunk(parse_json(data, self._who))

    def read_chunk(self, chunk: dict[str, Any]) -> list[UpstreamEvent]:
        """The steps of one chunk or one whole completion."""
        if is_error(chunk):
            self._break_off(error_in_stream(chunk, self._who, self._max_tokens))
        usage = _object(chunk.get("usage"))
        self._usage = usage or self._usage
        steps = self._prompt_count(chunk) if usage and not self._counted else []
        steps += self._prompt_progress(_object(chunk.get("prompt_progress")))
        for choice in _objects(chunk.get("choices")):
            if choice.get("index"):  # one answer was asked for; more are not ours
                continue
            self._read_delta(_object(choice.get("delta")) or _object(choice.get("message")), steps)
            if choice.get("error"):
                self._break_off(error_in_stream(choice, self._who, self._max_tokens))
            elif not is_unset(choice.get("finish_reason")):
                self._read_finish(choice["finish_reason"], choice)
        output = usage.get("completion_tokens") or _object(chunk.get("timings")).get("predicted_n")
        if steps and self._reason is None and (count := _tokens(output)):
            steps.append(OutputCount(count))
        return steps

    def finish(self) -> Finish:
        """The last step, once the stream has ended.

        Raises:
            UpstreamError: it ended with an error, or with none of the ends that are known to be good.
        """
        if self._fault is not None:
            raise self._fault
        if self._reason is None and not self.done:
            raise UpstreamUnavailable(
                f"{self._who} broke off in the middle of its answer; please retry",
                cause=broken_off(self._who),
            )
        output = _tokens(self._usage.get("completion_tokens"))
        reason: FinishReason = self._reason or "unreported"
        if reason == "length" and 0 < (output or 0) < self._max_tokens:
            reason = "context_length"
        if self._stop_sequence is not None:
            reason = "stop_sequence"
        return Finish(
            reason,
            stop_sequence=self._stop_sequence,
            prompt_tokens=_tokens(self._usage.get("prompt_tokens")),
            cached_tokens=self._cached_tokens,
            output_tokens=output,
        )

    @property
    def _cached_tokens(self) -> int | None:
        cached = _object(self._usage.get("prompt_tokens_details")).get("cached_tokens")
        return _tokens(cached or self._usage.get("prompt_cache_hit_tokens"))

    def _prompt_count(self, chunk: Mapping[str, Any]) -> list[UpstreamEvent]:
        """The prompt's count, of servers that report usage before the end."""
        prompt = _tokens(self._usage.get("prompt_tokens"))
        goes_on = any(
            "delta" in choice and is_unset(choice.get("finish_reason"))
            for choice in _objects(chunk.get("choices"))
        )
        if not (prompt and goes_on):
            return []
        self._counted = True
        return [PromptCount(prompt, self._cached_tokens or 0)]

    def _prompt_progress(self, progress: dict[str, Any]) -> list[UpstreamEvent]:
        """How much of the prompt llama.cpp has processed, from its look into the cache on."""
        total = _tokens(progress.get("total"))
        if not total:
            return []
        done, cached = (min(_tokens(progress.get(name)) or 0, total) for name in ("processed", "cache"))
        counted: list[UpstreamEvent] = [] if self._counted else [PromptCount(total, cached)]
        self._counted = True
        return [*counted, PrefillProgress(done, total, cached)]

    def _read_delta(self, delta: dict[str, Any], steps: list[UpstreamEvent]) -> None:
        text = delta.get("content")
        if text and isinstance(text, str):
            steps.append(TextDelta(text))
        elif text:
            steps.extend(_part_steps(text))
        thinking = delta.get("reasoning_content") or delta.get("reasoning")
        if thinking and isinstance(thinking, str):
            # A whole message has both; a model thinks before it speaks.
            steps.insert(0, ThinkingDelta(thinking))
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            steps.append(TextDelta(refusal))
        for at, call in enumerate(_objects(delta.get("tool_calls"))):
            steps.append(self._call_piece(call, beside=at > 0))
        legacy = _object(delta.get("function_call"))
        if legacy:
            steps.append(self._call_piece({"index": 0, "function": legacy}))

    def _call_piece(self, call: dict[str, Any], *, beside: bool = False) -> ToolCallDelta:
        function = _object(call.get("function"))
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            arguments = encode_json(arguments).decode()
        call_id, name = str(call.get("id") or ""), str(function.get("name") or "")
        number = self._numbers.number(_count(call.get("index")), call_id, name, arguments, beside=beside)
        return ToolCallDelta(number, arguments, id=call_id, name=name)

    def _break_off(self, fault: UpstreamError) -> None:
        """What has arrived with it is taken, nothing of what follows."""
        self._fault = self._fault or fault
        self.done = True

    def _read_finish(self, word: Any, choice: dict[str, Any]) -> None:
        self._reason = reason_of(word)
        if self._reason is None:
            self._break_off(fault_of_end(word, self._who))
            return
        # A gateway may call an end good that its own upstream does not.
        more = _object(choice.get("provider_specific_fields"))
        for native in (choice.get("native_finish_reason"), more.get("native_finish_reason")):
            if is_known_fault(native):
                self._break_off(fault_of_end(native, self._who))
                return
        for field in ("stop_sequence", "stop_reason", "matched_stop"):
            stopped = choice.get(field)
            if self._reason == "stop" and isinstance(stopped, str) and stopped in self._stops:
                self._stop_sequence = stopped
                return


def parse_json(data: bytes, who: str) -> dict[str, Any]:
    """One JSON object of the upstream's.

    Raises:
        UpstreamUnavailable: it is none.
    """
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        # The halves of a surrogate pair in two deltas are JSON to the standard library alone.
        try:
            parsed = json.loads(data)
        except (ValueError, RecursionError):
            raise UpstreamUnavailable(f"{who} sent what is no JSON: {data[:80]!r}") from None
    if not isinstance(parsed, dict):
        raise UpstreamUnavailable(f"{who} sent {type(parsed).__name__} instead of an object: {data[:80]!r}")
    return parsed


def _object(value: Any) -> dict[str, Any]:
    """An object of the upstream's; anything else in its place counts as none."""
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, or one that stands for a list of its own."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _count(value: Any) -> int | None:
    """A number of something, written as a number or as text."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _tokens(value: Any) -> int | None:
    """A number of tokens. Some servers count from -1, without its sign 2**64 - 1: then none is known."""
    count = _count(value)
    return count if count is not None and 0 <= count < _MOST_TOKENS else None


def _part_steps(parts: Any) -> list[UpstreamEvent]:
    """Content that comes as a list of parts."""
    return [
        ThinkingDelta(part["thinking"]) if isinstance(part.get("thinking"), str) else TextDelta(part["text"])
        for part in _objects(parts)
        if isinstance(part.get("text"), str) or isinstance(part.get("thinking"), str)
    ]
