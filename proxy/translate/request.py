"""A Messages request as an OpenAI chat completion request. Pure: body in, body and notes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.wire.turn_folding import fold_system_turns
from proxy.backends.upstream import Dialect
from proxy.events.errors import InvalidRequest
from proxy.translate.late_tools.shown_tools import ShownTools
from proxy.translate.late_tools.tool_fields import tool_fields
from proxy.translate.late_tools.tool_notes import change_text
from proxy.translate.late_tools.tool_offer import ToolOffer, tool_offer
from proxy.translate.thinking import ThinkingMode, thinking_fields, thinking_mode
from proxy.translate.tools import ToolSet, tool_choice
from proxy.translate.turns import TurnReading, chat_messages

_READ_FIELDS = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "top_k"}
    | {"stop_sequences", "stream", "metadata", "thinking", "output_config", "output_format"}
    | {"context_management", "safeguards"}
)


@dataclass(frozen=True, slots=True)
class TranslatedRequest:
    """`body` lacks only `model`, which is the backend's to name."""

    body: dict[str, Any]
    tools: ToolSet
    thinking: ThinkingMode
    notes: list[str]
    shown: ShownTools | None = None  # of tools; to be kept for the conversation's next request

    @property
    def most_calls(self) -> int | None:
        """How many calls the answer may hold; None: any number."""
        if not self.tools.functions or self.body.get("tool_choice") == "none":
            return 0
        return 1 if self.body.get("parallel_tool_calls") is False else None

    @property
    def wants_json(self) -> bool:
        """Whether the answer itself is to be JSON."""
        return "response_format" in self.body


def translate_request(
    body: dict[str, Any], dialect: Dialect, earlier: Sequence[ShownTools] = ()
) -> TranslatedRequest:
    """Translate a checked body (`proxy.anthropic.messages`) for an upstream that speaks `dialect`.

    `earlier`: what prompts of conversations that began as this one show of tools.

    Raises:
        InvalidRequest: blocks lie within blocks, hundreds deep.
    """
    notes: list[str] = []
    offer = _offer(body, earlier)
    notes.extend(offer.tools.notes)
    thinking = thinking_mode(body)
    chat: dict[str, Any] = {"messages": _messages(body, dialect, notes, offer)}
    chat |= tool_fields(
        offer, _usable_choice(body.get("tool_choice"), offer.tools, notes), dialect.late_tools
    )
    if "max_tokens" in body:
        chat["max_tokens"] = body["max_tokens"] or 1  # chat completions have at least one
    chat |= _sampling(body, dialect, notes)
    chat |= _output_format(body)
    is_begun = _is_begun(chat["messages"])
    if is_begun and dialect.continues_answers:
        chat |= {"continue_final_message": True, "add_generation_prompt": False}
    effort = _output_config(body).get("effort")
    chat |= thinking_fields(
        thinking,
        effort if isinstance(effort, str) else "",
        dialect.thinking,
        limit=body.get("max_tokens") or 0,
        is_begun=is_begun,
        limits=dialect.limits_thinking,
    )
    if thinking.budget and not dialect.thinking:
        notes.append("left out the budget of thinking: no field of this upstream for it is known")
    left_out = sorted(body.keys() - _READ_FIELDS)
    if left_out:
        notes.append(f"left out fields that mean nothing to this model: {', '.join(left_out)}")
    return TranslatedRequest(chat, offer.tools, thinking, list(dict.fromkeys(notes)), offer.shown)


_TOO_DEEP = "messages: the content blocks are nested too deeply"


def _offer(body: dict[str, Any], earlier: Sequence[ShownTools]) -> ToolOffer:
    try:
        return tool_offer(body, earlier)
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None


def _messages(
    body: dict[str, Any], dialect: Dialect, notes: list[str], offer: ToolOffer
) -> list[dict[str, Any]]:
    defined = dialect.late_tools != "listed"
    changes = {place: change_text(change, defined=defined) for place, change in offer.changes.items()}
    reading = TurnReading(dialect, notes, offer.definitions if defined else None, changes)
    try:
        messages = chat_messages(body, reading)
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
    if dialect.system_turns:
        return messages
    folded, fold_notes = fold_system_turns(messages)
    notes.extend(fold_notes)
    return folded


def _is_begun(messages: list[dict[str, Any]]) -> bool:
    """Whether the client has begun the answer: its text is the last message, and is to be continued."""
    last = messages[-1]
    return last["role"] == "assistant" and bool(last.get("content")) and not last.get("tool_calls")


def _usable_choice(choice: dict[str, Any] | None, tools: ToolSet, notes: list[str]) -> dict[str, Any]:
    """The choice as far as the model can follow it: tools that the vendor runs are not among its own."""
    if not choice:
        return {}
    fields = tool_choice(choice)
    if choice["type"] == "tool" and choice["name"] not in tools:
        notes.append(f"left out tool_choice: the tool {choice['name']} is not run here")
        del fields["tool_choice"]
    if choice["type"] == "any" and not tools.functions:
        notes.append("left out tool_choice: none of the request's tools is run here")
    return fields if tools.functions else {}


def _sampling(body: dict[str, Any], dialect: Dialect, notes: list[str]) -> dict[str, Any]:
    fields = {name: body[name] for name in ("temperature", "top_p") if body.get(name) is not None}
    if body.get("top_k"):
        if dialect.top_k:
            fields["top_k"] = body["top_k"]
        else:
            notes.append("left out top_k: OpenAI's API does not have it")
    if body.get("stop_sequences"):
        fields["stop"] = body["stop_sequences"]
    return fields


def _output_format(body: dict[str, Any]) -> dict[str, Any]:
    wanted = _output_config(body).get("format") or body.get("output_format")
    if not isinstance(wanted, dict) or not isinstance(wanted.get("schema"), dict):
        return {}
    schema = {"name": "answer", "schema": wanted["schema"], "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _output_config(body: dict[str, Any]) -> dict[str, Any]:
    """The request's options for its answer; system messages among the turns may change them."""
    configs = [body.get("output_config")]
    configs += [turn.get("output_config") for turn in body["messages"] if turn["role"] == "system"]
    merged: dict[str, Any] = {}
    for config in configs:
        merged |= config if isinstance(config, dict) else {}
    return merged
