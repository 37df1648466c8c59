"""A trace that is being read: its texts made safe to draw, the bodies only once somebody looks at them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from engine.wire.json_text import encode_json
from tui.client.event_text import cleaned
from tui.client.wire_text import block_text

if TYPE_CHECKING:
    from proxy.traces.analysis.why_facts import Why
    from proxy.traces.listing.turns import SessionTurns
    from proxy.traces.schema import Trace


class OpenedTrace:
    """A trace, and what else the host has told about it.

    `raw` is as the host sent it, for copies of it elsewhere. `trace` is safe to draw and lacks the three
    bodies, which may have megabytes: `body`, `upstream` and `message` make them safe when they are read.
    """

    def __init__(self, raw: Trace, why: Why | None = None, turns: SessionTurns | None = None) -> None:
        self.raw = raw
        self.why = why
        self.turns = turns
        small = raw.model_copy(
            update={
                "request": raw.request.model_copy(update={"body": None}),
                "upstream": None,
                "response": raw.response.model_copy(update={"message": None}),
            }
        )
        self.trace: Trace = type(raw).model_validate(cleaned(small.model_dump()))

    @cached_property
    def body(self) -> dict[str, Any]:
        """What the client sent; empty where it was no object."""
        return _object(cleaned(self.raw.request.body))

    @cached_property
    def upstream(self) -> dict[str, Any]:
        """What was sent upstream; empty where that was no object."""
        return _object(cleaned(self.raw.upstream))

    @cached_property
    def message(self) -> dict[str, Any]:
        """The answer, as far as it came."""
        return _object(cleaned(self.raw.response.message))

    @property
    def seen(self) -> dict[str, Any]:
        """The prompt as the model saw it: what was sent upstream, if that is known."""
        return self.upstream if self.upstream.get("messages") else self.body

    @property
    def stop_reason(self) -> str:
        """Why the answer ended, in the wire's word."""
        message = self.raw.response.message
        return str((message if isinstance(message, dict) else {}).get("stop_reason") or "")

    @cached_property
    def tokens_a_character(self) -> float:
        """What a character of the prompt counts, on the average; 0 where nothing was counted."""
        body = _object(self.raw.request.body)
        texts = {name: body.get(name) for name in ("system", "messages")}
        size = characters(texts) + json_size(body.get("tools"))
        return self.raw.usage.prompt_tokens / size if size else 0.0


def characters(value: Any, depth: int = 40) -> int:
    """The characters of all texts in a JSON value."""
    if isinstance(value, str):
        return len(value)
    if depth <= 0 or not isinstance(value, dict | list):
        return 0
    values = value.values() if isinstance(value, dict) else value
    return sum(characters(item, depth - 1) for item in values)


def json_size(value: Any) -> int:
    """The bytes of a value as compact JSON; 0 for none."""
    return len(encode_json(value)) if value else 0


def pretty(value: Any) -> str:
    """JSON for people: indented, characters as they are, safe to draw."""
    return block_text(indented(value))


def indented(value: Any) -> str:
    """JSON for people, for a file; never raises."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:
        return encode_json(value).decode()


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
