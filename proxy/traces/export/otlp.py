"""OpenTelemetry spans by the GenAI conventions, in OTLP's JSON form.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids in hex, 64-bit numbers as text, enums as
numbers. https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/: names of attributes. A session is
one trace of spans, a request a span in it, a tool call a span below its request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from engine.wire.json_text import encode_json
from proxy.events.tool_call import ToolCall
from proxy.traces.export.genai_messages import input_messages, output_messages, parts
from proxy.traces.schema import Trace

_INTERNAL, _SERVER = 1, 2  # kinds of spans
_ERROR = 2  # of a status
_LATEST = 2**64 / 1e9  # seconds that a time may hold
_PROVIDERS = {"claude": "anthropic"}  # of the conventions' own names; others go by the backend's


def resource(version: str) -> dict[str, Any]:
    """Who made the spans."""
    return {"attributes": list(_attributes({"service.name": "anyclaude-tui", "service.version": version}))}


def spans(trace: Trace) -> Iterator[dict[str, Any]]:
    """The spans of one request: its own, then one a tool call."""
    ids = {"traceId": _hex(trace.session or trace.id, 32), "spanId": _hex(trace.id, 16)}
    times, usage, body = trace.timings, trace.usage, trace.request.body
    asked = body if isinstance(body, dict) else {}
    got = trace.response
    done = times.done if times.done is not None else 0.0
    reason = (got.message or {}).get("stop_reason")
    span: dict[str, Any] = {
        **ids,
        "name": f"chat {trace.model}",
        "kind": _SERVER,
        "startTimeUnixNano": _nanoseconds(trace.time),
        "endTimeUnixNano": _nanoseconds(trace.time + done),
        "attributes": list(
            _attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": _PROVIDERS.get(trace.backend, trace.backend),
                    "gen_ai.request.model": trace.model,
                    "gen_ai.response.model": trace.upstream_model,
                    "gen_ai.response.id": (got.message or {}).get("id"),
                    "gen_ai.conversation.id": trace.session,
                    "gen_ai.request.max_tokens": _number(asked.get("max_tokens"), int),
                    "gen_ai.request.temperature": _number(asked.get("temperature"), float),
                    "gen_ai.response.finish_reasons": [reason] if isinstance(reason, str) else None,
                    # By the conventions it includes what was read from the cache.
                    "gen_ai.usage.input_tokens": usage.prompt_tokens,
                    "gen_ai.usage.output_tokens": usage.output_tokens,
                    "gen_ai.usage.cache_read.input_tokens": usage.cache_read_input_tokens,
                    "gen_ai.usage.cache_creation.input_tokens": usage.cache_creation_input_tokens,
                    "http.response.status_code": got.status,
                    "error.type": got.error.type if got.error else None,
                    "gen_ai.system_instructions": _text(parts(asked.get("system")) or None),
                    "gen_ai.input.messages": _text(input_messages(asked.get("messages"))),
                    "gen_ai.output.messages": _text(output_messages(got.message)),
                    "anyclaude.request.id": trace.id,
                    "anyclaude.lane": trace.lane,
                    "anyclaude.agent.id": trace.agent,
                }
            )
        ),
        "events": [
            {"timeUnixNano": _nanoseconds(trace.time + at), "name": name, "attributes": []}
            for name in ("queued", "prefill_start", "first_byte", "first_token", "last_token")
            if (at := getattr(times, name)) is not None
        ],
        "status": {"code": _ERROR, "message": got.error.message} if got.error else {},
    }
    yield span
    for number, call in enumerate(trace.tool_calls, 1):
        yield _call_span(trace, call, number, ids, trace.time + done)


def _call_span(trace: Trace, call: ToolCall, number: int, ids: dict[str, str], at: float) -> dict[str, Any]:
    """The client runs the tool once the answer is there; how long it took is what it said."""
    return {
        "traceId": ids["traceId"],
        "spanId": _hex(f"{trace.id} {number} {call.id}", 16),
        "parentSpanId": ids["spanId"],
        "name": f"execute_tool {call.name}",
        "kind": _INTERNAL,
        "startTimeUnixNano": _nanoseconds(at),
        "endTimeUnixNano": _nanoseconds(at + (call.duration_s or 0.0)),
        "attributes": list(
            _attributes(
                {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": call.name,
                    "gen_ai.tool.call.id": call.id,
                    "gen_ai.tool.call.arguments": _text(call.input),
                    "gen_ai.tool.call.result": call.result,
                    "anyclaude.tool.verdict": call.verdict,
                    "anyclaude.tool.repairs": call.repairs or None,
                    "error.type": "tool_error" if call.is_error else None,
                }
            )
        ),
        "status": {"code": _ERROR} if call.is_error else {},
    }


def _attributes(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key, value in values.items():
        if value is not None and value != "":
            yield {"key": key, "value": _value(value)}


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"stringValue": value}


def _text(value: Any) -> str | None:
    return None if value is None else encode_json(value).decode()


def _number(value: Any, kind: type[int] | type[float]) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= 2**63:
        return None
    return kind(value)


def _hex(text: str, digits: int) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:digits]


def _nanoseconds(at: float) -> str:
    return str(round(at * 1e9) if 0.0 <= at < _LATEST else 0)  # a NaN is not either


def all_spans(traces: Iterable[Trace]) -> Iterator[dict[str, Any]]:
    """The spans of all these traces."""
    for trace in traces:
        yield from spans(trace)
