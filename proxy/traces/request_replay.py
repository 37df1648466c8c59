"""A stored request to be asked again, and its two answers beside each other. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from engine.wire.json_text import encode_json
from proxy.events.types import Usage
from proxy.traces.redaction.secret_shapes import REDACTED
from proxy.traces.schema import Trace

PATH = "/v1/messages"


@dataclass(frozen=True, slots=True)
class ReplayedAnswer:
    """One answer: what a client saw of it. `parts` are its texts, thoughts and calls, in order."""

    status: int
    model: str
    stop_reason: str
    error: str
    parts: tuple[str, ...]
    usage: Usage
    ttft_s: float | None
    duration_s: float | None
    reports_reuse: bool = False  # its server says what of the prompt was restored


class NoReplay(ValueError):
    """Raised when a trace holds no request that could be asked again; the message is for people."""


def replay_body(trace: Trace) -> dict[str, Any]:
    """The request as the client sent it, for one answer in one piece, and apart from its session.

    Raises:
        NoReplay: it was no request for an answer.
    """
    body = trace.request.body
    if trace.request.path != PATH or not isinstance(body, dict) or not body.get("messages"):
        raise NoReplay(
            f"{trace.id} asked for no answer ({trace.request.path}), so there is none to ask for again"
        )
    return {name: value for name, value in body.items() if name != "metadata"} | {"stream": False}


def redacted_places(body: dict[str, Any]) -> int:
    """How many secrets are missing in a stored body: the model is asked without them."""
    return encode_json(body).decode().count(REDACTED)


def stored_answer(trace: Trace) -> ReplayedAnswer:
    """The answer of then."""
    got, times = trace.response, trace.timings
    message = got.message or {}
    return ReplayedAnswer(
        status=got.status,
        model=trace.upstream_model or trace.model,
        stop_reason=str(message.get("stop_reason") or ""),
        error=f"{got.error.type}: {got.error.message}" if got.error else "",
        parts=_parts(message),
        usage=trace.usage,
        ttft_s=times.first_token,
        duration_s=times.done,
        reports_reuse=trace.cache is not None or trace.usage.cache_read_input_tokens > 0,
    )


def new_answer(status: int, message: Any, *, model: str, duration_s: float) -> ReplayedAnswer:
    """The answer of now, from the body that the proxy sent; it came in one piece, so without a TTFT."""
    body = message if isinstance(message, dict) else {}
    fault, given = body.get("error"), body.get("usage")
    error = f"HTTP {status}" if status >= 400 else ""
    if isinstance(fault, dict):
        error = f"{fault.get('type')}: {fault.get('message')}"
    counts = {name: given.get(name) for name in Usage.model_fields} if isinstance(given, dict) else {}
    return ReplayedAnswer(
        status=status,
        model=model,
        stop_reason=str(body.get("stop_reason") or ""),
        error=error,
        parts=_parts(body),
        usage=Usage(**{name: value for name, value in counts.items() if isinstance(value, int)}),
        ttft_s=None,
        duration_s=duration_s,
        reports_reuse=bool(counts.get("cache_read_input_tokens")),
    )


def compared(then: ReplayedAnswer, now: ReplayedAnswer) -> tuple[bool, str]:
    """Whether both came out alike, and that as a sentence. Two that failed have no answers to be the same."""
    match bool(then.error), bool(now.error):
        case True, True:
            alike = then.error == now.error
            return alike, "Both failed, " + ("with the same error." if alike else "with different errors.")
        case True, False:
            return False, "Then it did not come to its end, now it did."
        case False, True:
            return False, "Then it was answered, now it failed."
    if then.parts == now.parts:
        return True, "Both answers are the same."
    old, new = "\n".join(then.parts).split("\n"), "\n".join(now.parts).split("\n")
    place = next((number for number, (a, b) in enumerate(zip_longest(old, new), 1) if a != b), 1)
    return False, f"The answers differ from line {place:,} on."


def _parts(message: dict[str, Any]) -> tuple[str, ...]:
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return tuple(_part(block) for block in blocks if isinstance(block, dict))


def _part(block: dict[str, Any]) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "thinking", "thinking": str(text)}:
            return f"[thinking] {text}"
        case {"type": "tool_use", "name": name, "input": given}:
            return f"[call] {name} {encode_json(given).decode()}"
        case _:
            return f"[{block.get('type')}]"
