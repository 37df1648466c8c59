"""A trace without its texts: shape, sizes, names and figures stay."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

from proxy.events.tool_call import ToolCall
from proxy.events.types import ErrorInfo
from proxy.traces.schema import Trace

# Fields whose texts are the format's own words, names and ids.
_KEPT = frozenset(
    ("type", "role", "name", "model", "stop_reason", "id", "tool_use_id", "tool_call_id", "finish_reason")
)
_WRITTEN = frozenset(("input", "arguments", "metadata"))  # values below these are texts
_KEPT_HEADERS = frozenset(("accept", "content-type", "user-agent", "anthropic-version", "anthropic-beta"))
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]{0,63}")
_DEEPEST = 200


def without_contents(trace: Trace) -> Trace:
    """A copy in which each text that a person, a model or a tool wrote is `[N characters]`."""
    sent, got, cache = trace.request, trace.response, trace.cache
    headers = {
        name: value if name.lower() in _KEPT_HEADERS else blank(value) for name, value in sent.headers.items()
    }
    names = ("session", "agent", "agent_type", "prompt_id", "retry_of")
    named = {name: word(getattr(trace, name)) for name in names}
    request = {"headers": headers, "query": blank(sent.query), "body": _emptied(sent.body)}
    error = got.error and ErrorInfo(type=word(got.error.type), message=blank(got.error.message))
    if cache and (miss := cache.miss):
        texts = {
            "before": blank(miss.before),
            "now": blank(miss.now),
            "segment": _without_names(miss.segment),
        }
        cache = cache.model_copy(update={"miss": miss.model_copy(update=texts)})
    return trace.model_copy(
        update={
            "request": sent.model_copy(update=request),
            "upstream": _emptied(trace.upstream),
            "response": got.model_copy(update={"message": _emptied(got.message), "error": error}),
            "cache": cache,
            "prompt_parts": [
                part.model_copy(update={"name": _without_names(part.name)}) for part in trace.prompt_parts
            ],
            "tool_calls": [_emptied_call(call) for call in trace.tool_calls],
            "notes": [blank(note) for note in trace.notes],
            "written": [part.model_copy(update={"call": word(part.call)}) for part in trace.written],
            **named,
            "model": PurePath(trace.model).name,  # not where it lies
            "upstream_model": PurePath(trace.upstream_model).name,
        }
    )


def _without_names(part: str) -> str:
    """The name of a prompt's part without the heading or file in it, and without a tool's name."""
    kind, _, name = part.partition(", ")[0].partition(" ")
    return f"{kind} {word(name)}" if kind == "tool" else f"{kind} {name}".strip()


def _emptied_call(call: ToolCall) -> ToolCall:
    return call.model_copy(
        update={
            "id": word(call.id),
            "name": word(call.name),
            "raw": blank(call.raw),
            "tokens": [],
            "relaxed": blank(call.relaxed),
            "input": _emptied(call.input, written=True),
            "repairs": [blank(repair) for repair in call.repairs],
            "detail": blank(call.detail),
            "result": None if call.result is None else blank(call.result),
        }
    )


def _emptied(value: Any, depth: int = 0, *, written: bool = False) -> Any:
    if isinstance(value, str) or depth > _DEEPEST:
        return blank(str(value))
    if isinstance(value, dict):
        return {
            _name(key, place): _field(key, item, depth + 1, written)
            for place, (key, item) in enumerate(value.items(), 1)
        }
    if isinstance(value, list):
        return [_emptied(item, depth + 1, written=written) for item in value]
    return value


def _name(key: str, place: int) -> str:
    """A field's name as it is, if it looks like one: models write maps of paths and sentences as well."""
    return key if _NAME.fullmatch(key) else f"[field {place}, {len(key)} characters]"


def _field(key: str, value: Any, depth: int, written: bool) -> Any:
    if key in _KEPT and isinstance(value, str) and not written:
        return word(value)
    return _emptied(value, depth, written=written or key in _WRITTEN)


def word(text: str) -> str:
    """A name or an id as it is; one with white space, or a path, or of another script, is text."""
    plain = len(text) <= 80 and text.isascii() and not any(char.isspace() or char in "/\\" for char in text)
    return text if plain else blank(text)


def blank(text: str) -> str:
    """How long a text was, in its place."""
    return f"[{len(text)} characters]" if text else ""
