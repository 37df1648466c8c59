"""What an upstream's fault means for the client: statuses, error bodies and broken connections as errors."""

from __future__ import annotations

import errno
import math
import platform
import re
from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from engine.wire.chat import CONTEXT_LENGTH_EXCEEDED
from proxy.events.causes import cause_of
from proxy.events.errors import (
    ContextOverflow,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)

ENGINE = "the engine"  # as errors name the one of this host, in place of an address
_OVERFLOW_CODES = (CONTEXT_LENGTH_EXCEEDED, "exceed_context_size_error")
_MAX_MESSAGE = 600
_NO_ROUTE = "no route to host"
_LOCAL_NETWORK = (
    "; if the server is on your own network, your terminal may lack the permission: System Settings >"
    " Privacy & Security > Local Network"
)

# Each names the numbers `limit` and, where it has it, `prompt` (and `total` for prompt and answer together).
_OVERFLOWS = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        # vLLM: the answer's limit does not fit, or the whole request does not.
        r"maximum context length is (?P<limit>\d+) tokens.*?request has (?P<prompt>\d+) input tokens",
        r"maximum context length is (?P<limit>\d+) tokens.*?requested (?P<total>\d+) tokens"
        r" ?\((?P<prompt>\d+) in the messages",
        r"maximum context length is (?P<limit>\d+) tokens.*?contains at least (?P<prompt>\d+) input tokens",
        # OpenAI and this project's engine.
        r"maximum context length is (?P<limit>\d+) tokens.*?resulted in (?P<prompt>\d+) tokens",
        # OpenRouter.
        r"maximum context length is (?P<limit>\d+) tokens.*?requested about (?P<total>\d+) tokens"
        r" ?\((?P<prompt>\d+) of text input",
        # llama.cpp.
        r"request \((?P<prompt>\d+) tokens\) exceeds the available context size \((?P<limit>\d+) tokens\)",
        # LM Studio.
        r"first (?P<prompt>\d+) tokens when context.*?context length of only (?P<limit>\d+) tokens",
        r"maximum context length is (?P<limit>\d+) tokens",
    )
)
_OVERFLOW_WORDS = re.compile(
    r"context (length|size|window)[^.]{0,40}exceed|exceeds?[^.]{0,40}context (length|size|window)|"
    r"prompt is too long|context.{0,10}overflow",
    re.IGNORECASE,
)

_NO_THINKING_LIMIT = re.compile(r"thinking_token_budget is set but")  # vLLM without a reasoning parser
# vLLM with Mistral's tokenizer; Ollama with a model that does not think, and older than these words; OpenAI.
_NO_THINKING = re.compile(
    r"chat_template is not supported|does not support thinking|invalid (think|reasoning) value|"
    r"reasoning_effort",
    re.IGNORECASE,
)
# What servers say of a model without eyes: llama.cpp, vLLM, LM Studio, Ollama, OpenRouter, OpenAI, DeepSeek.
_NO_PICTURES = re.compile(
    r"image input is not supported|mmproj|not a multimodal model|at most 0 image|"
    r"(does not|doesn't|that) support (images?|vision)|missing data required for image|"
    r"image_url is only supported by|unknown variant `image_url`",
    re.IGNORECASE,
)


def fault_of_status(
    status: int, body: bytes, headers: Mapping[str, str], who: str, *, max_tokens: int = 0
) -> UpstreamError:
    """The error for a refused request; `max_tokens` is what was asked for, 0 if nothing was."""
    error = _error_object(body)
    message = _message_of(error, body) or f"status {status}"
    retry_after = _seconds(headers.get("retry-after"))
    if status in (400, 413, 422, 500):
        overflow = _overflow(error, message, max_tokens)
        if overflow is not None:
            return overflow
    if status in (502, 503, 504, 529):
        return UpstreamUnavailable(
            f"{who} is not ready: {message}", retry_after_s=retry_after or 2.0, cause=_cause(who, message)
        )
    if status == 429:
        return UpstreamRateLimited(f"{who}: {message}", retry_after_s=retry_after or 5.0)
    if status in (401, 403):
        return UpstreamFailed(
            f"{who} refused the proxy's key with status {status}: {message}. Check the backend's apiKey.",
            retry=False,
            cause="key refused",
        )
    if status == 404:
        return UpstreamModelMissing(f"{who}: {message}")
    if 400 <= status < 500:
        return UpstreamRejected(f"{who} rejected the request with status {status}: {message}")
    return UpstreamFailed(f"{who} failed with status {status}: {message}", cause=_failed(who))


def refused_feature(error: UpstreamError) -> str:
    """The field of `Dialect` that the upstream says it, or its model, does not take; empty for none."""
    if _NO_PICTURES.search(error.message):
        return "images"
    if _NO_THINKING_LIMIT.search(error.message):
        return "limits_thinking"
    return "thinking" if _NO_THINKING.search(error.message) else ""


def is_error(chunk: Mapping[str, Any]) -> bool:
    """Whether an object of a 200 answer is an error, in OpenAI's form or in that of a gateway."""
    if chunk.get("error") or chunk.get("object") == "error":
        return True
    if "choices" in chunk or not _message_of(chunk, b""):
        return False
    code = chunk.get("code", chunk.get("error_code"))
    failed = chunk.get("success") is False or chunk.get("status") in ("failed", "error") or "detail" in chunk
    return failed or (code is not None and str(code) not in ("0", "200"))


def error_in_stream(chunk: Mapping[str, Any], who: str, max_tokens: int = 0) -> UpstreamError:
    """The error for an error object in the middle of a stream."""
    inner = chunk.get("error")
    error = inner if isinstance(inner, dict) else dict(chunk)
    message = inner if isinstance(inner, str) else _message_of(error, b"") or "no reason given"
    overflow = _overflow(error, message, max_tokens)
    if overflow is not None:
        return overflow
    code = str(error.get("code") or error.get("error_code") or "")  # a status, or a word
    kind = f"{error.get('type') or ''} {code}".lower()
    if code == "429" or "rate_limit" in kind:
        return UpstreamRateLimited(f"{who}: {message}")
    if code in ("502", "503", "529") or "overload" in kind or "unavailable" in kind:
        named = message if message.startswith(who) else f"{who}: {message}"
        return UpstreamUnavailable(named, cause=_cause(who, message))
    if code == "400" or "invalid_request" in kind or "invalidparameter" in kind:
        return UpstreamRejected(f"{who} rejected the request: {message}")
    return UpstreamFailed(f"{who} failed in the middle of its answer: {message}", cause=_failed(who))


def fault_of_connection(error: httpx.HTTPError, who: str, *, system: str = "") -> UpstreamError:
    """The error for a connection that could not be made, or was lost; `system` is as `platform` names it."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        hint = _permission_hint(error, system or platform.system())
        return UpstreamUnavailable(
            f"{who} cannot be reached ({_reason(error)}); please retry{hint}",
            cause="engine unreachable" if who == ENGINE else "no upstream",
        )
    if isinstance(error, httpx.TimeoutException):
        return UpstreamUnavailable(
            f"{who} has been silent for too long ({_reason(error)}); please retry",
            cause="engine silent" if who == ENGINE else "upstream silent",
        )
    return UpstreamUnavailable(
        f"the connection to {who} was lost ({_reason(error)}); please retry", cause=broken_off(who)
    )


def fault_of_page(raw: bytes, who: str) -> UpstreamError:
    """The error for a web page with status 200: another program listens there, or a gateway's sign-in."""
    found = re.search(rb"<title[^>]*>([^<]{1,200})", raw[:20_000], re.IGNORECASE)
    title = " ".join(found[1].decode("utf-8", "replace").split()) if found else ""
    named = f' ("{title}")' if title else ""
    return UpstreamFailed(
        f"{who} answered with a web page{named}, not as a model's server. Check the backend's baseUrl.",
        retry=False,
        cause="no model there",
    )


def broken_off(who: str) -> str:
    """The cause of an answer that ended without a word."""
    return "engine died" if who == ENGINE else "connection lost"


def _failed(who: str) -> str:
    return "engine fault" if who == ENGINE else "upstream failed"


def _cause(who: str, message: str) -> str:
    named = cause_of("", message)
    return named or ("engine not ready" if who == ENGINE else "upstream not ready")


def _overflow(error: Mapping[str, Any], message: str, max_tokens: int) -> ContextOverflow | None:
    known = error.get("code") in _OVERFLOW_CODES or error.get("type") in _OVERFLOW_CODES
    prompt, limit = error.get("n_prompt_tokens"), error.get("n_ctx")
    if isinstance(prompt, int) and isinstance(limit, int):  # llama.cpp
        return ContextOverflow(prompt, limit)
    for pattern in _OVERFLOWS:
        found = pattern.search(message)
        if found:
            numbers = {name: int(value) for name, value in found.groupdict().items() if value}
            limit = numbers["limit"]
            return ContextOverflow(numbers.get("prompt", limit + 1), limit, max_tokens=max_tokens)
    if known or _OVERFLOW_WORDS.search(message):
        return ContextOverflow()
    return None


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(parsed, dict):
        return {}
    inner = parsed.get("error")
    return inner if isinstance(inner, dict) else parsed


def _message_of(error: Mapping[str, Any], body: bytes) -> str:
    for field in ("message", "error", "detail", "msg", "error_msg"):
        value = error.get(field)
        if isinstance(value, str) and value:
            return value[:_MAX_MESSAGE]
        if value and field == "detail":
            return str(value)[:_MAX_MESSAGE]
    return body[:_MAX_MESSAGE].decode("utf-8", "replace").strip()


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value) if value else None
    except ValueError:  # an HTTP date
        return None
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None


def _permission_hint(error: BaseException, system: str) -> str:
    """What else "no route to host" may mean since macOS 15, where a refused permission looks the same."""
    if system != "Darwin":
        return ""
    seen: BaseException | None = error
    while seen is not None:
        if (isinstance(seen, OSError) and seen.errno == errno.EHOSTUNREACH) or _NO_ROUTE in str(seen).lower():
            return _LOCAL_NETWORK
        seen = seen.__cause__ or seen.__context__
    return ""


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
