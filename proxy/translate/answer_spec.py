"""What a request fixes about its answer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.tool_calls.quoted.call_forms import CallForms, forms_of
from proxy.backends.upstream import Dialect
from proxy.translate.request import TranslatedRequest
from proxy.translate.thinking import ThinkingMode
from proxy.translate.tools import ToolSet


@dataclass(frozen=True, slots=True)
class AnswerSpec:
    """What the request fixes about its answer; `used_ids` are the tool call ids of its history.

    `streamed`: the client reads events, not one message. `most_calls`: as many as the client takes, None for
    any number. `call_forms`: the ways in which calls may stand at the end of the text; None: in none.
    `mixed_thinking`: marks of thinking may stand in the text and around thinking, and calls in the thinking.
    `applied_edits`: what was cleared of the context before, as the API reports it.
    `prompt_only`: the request has `max_tokens` 0: the prompt is computed for the cache, and nothing is said.
    """

    message_id: str
    model: str  # as the client asked for it
    tools: ToolSet
    thinking: ThinkingMode
    used_ids: frozenset[str] = frozenset()
    streamed: bool = True
    most_calls: int | None = None
    call_forms: CallForms | None = None
    mixed_thinking: bool = False
    applied_edits: list[dict[str, Any]] = field(default_factory=list)
    prompt_only: bool = False


def answer_spec(
    body: Mapping[str, Any], translated: TranslatedRequest, dialect: Dialect, model: str
) -> AnswerSpec:
    """The answer that a body asks for, once it is translated; `model` is the upstream's."""
    return AnswerSpec(
        message_id=f"msg_{uuid.uuid4().hex[:24]}",
        model=body["model"],
        tools=translated.tools,
        thinking=translated.thinking,
        used_ids=_call_ids(body),
        streamed=bool(body.get("stream")),
        most_calls=translated.most_calls,
        call_forms=_call_forms(translated, dialect, model),
        mixed_thinking=dialect.mixed_thinking,
        prompt_only=body["max_tokens"] == 0,
    )


def _call_ids(body: Mapping[str, Any]) -> frozenset[str]:
    """The ids of all calls in the request's history."""
    return frozenset(
        block["id"]
        for message in body["messages"]
        if message["role"] == "assistant" and isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == "tool_use"
    )


def _call_forms(translated: TranslatedRequest, dialect: Dialect, model: str) -> CallForms | None:
    """The ways in which calls may stand at the end of the answer's text."""
    if translated.most_calls == 0 or dialect.structured_calls:
        return None
    forms = forms_of(model, dialect.tool_format)
    return (
        replace(forms, bare=tuple(kind for kind in forms.bare if kind != "json"))
        if translated.wants_json
        else forms
    )
