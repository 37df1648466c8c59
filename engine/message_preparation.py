"""Messages in the form in which a chat template takes them.

Pure, and free of mlx: messages in OpenAI's form go in and come out. What is done to a message depends on the
template's traits and on what stands before it, so that a conversation's beginning stays as it is while it
grows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.chat_wire import Message, content_text
from engine.control_tokens import OWN, well_formed
from engine.template_traits import TemplateTraits
from engine.turn_folding import SYSTEM_ROLES, fold_system_turns


@dataclass(frozen=True, slots=True)
class AnswerTurn:
    """`messages[start:stop]` of what was prepared are one whole answer, which was `message` before."""

    start: int
    stop: int
    message: Message


@dataclass(frozen=True, slots=True)
class PreparedMessages:
    """What a template gets; the answers in it that stand by themselves; notes on what was put differently."""

    messages: list[Message]
    answers: tuple[AnswerTurn, ...]
    notes: tuple[str, ...]


def prepare_messages(messages: Sequence[Message], traits: TemplateTraits) -> PreparedMessages:
    """Messages in the form that a template with these traits renders."""
    notes: list[str] = []
    prepared = list(messages)
    if not traits.system_in_place:
        prepared, notes = fold_system_turns(prepared, keep_first=traits.first_system)
    names = _call_names(prepared)
    prepared = plain = [plain_message(message, names, traits) for message in prepared]
    if not traits.tool_turns:
        prepared = [_calls_as_text(message) for message in prepared]
    if not traits.repeated_roles:
        prepared = _merge_repeated(prepared)
    whole = {id(message) for message in plain if message["role"] == "assistant"}
    answers = [AnswerTurn(at, at + 1, m) for at, m in enumerate(prepared) if id(m) in whole]
    return PreparedMessages(prepared, tuple(answers), tuple(notes))


def _call_names(messages: Sequence[Message]) -> dict[str, str]:
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    return {call.get("id") or "": call["function"]["name"] for call in calls}


def plain_message(message: Message, names: dict[str, str], traits: TemplateTraits) -> Message:
    """One message with its content as text and only the fields that templates know."""
    role = "system" if message["role"] in SYSTEM_ROLES else message["role"]
    plain: Message = {"role": role, "content": content_text(message.get("content"))}
    if role == "tool":
        call_id = message.get("tool_call_id") or ""
        name = message.get("name") or names.get(call_id)
        return plain | {"tool_call_id": _call_id(call_id, traits)} | ({"name": name} if name else {})
    if role != "assistant":
        return plain
    thinking = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thinking, str) and thinking:
        plain["reasoning_content"] = thinking
    if calls := message.get("tool_calls"):
        plain["tool_calls"] = [_plain_call(call, traits) for call in calls]
        plain["content"] = plain["content"] or traits.empty_content
    return plain


def _plain_call(call: dict[str, Any], traits: TemplateTraits) -> dict[str, Any]:
    arguments = call["function"].get("arguments")
    if not traits.text_arguments:
        arguments = _mapping(arguments)
    elif not isinstance(arguments, str):
        arguments = json.dumps(arguments or {}, ensure_ascii=False)
    function = {"name": call["function"]["name"], "arguments": arguments}
    return {"id": _call_id(call.get("id") or "", traits), "type": "function", "function": function}


def _mapping(arguments: Any) -> dict[str, Any]:
    """Arguments as a mapping, in the order in which they were written; no JSON object: kept as text."""
    if isinstance(arguments, dict):
        return arguments
    if not arguments:
        return {}
    try:
        value = json.loads(arguments)
        if "\\ud" in arguments.lower():  # half a character, escaped, is none
            value = json.loads(well_formed(json.dumps(value, ensure_ascii=False)))
    except (TypeError, ValueError):
        value = None
    return value if isinstance(value, dict) else {"text": arguments}


def _call_id(call_id: str, traits: TemplateTraits) -> str:
    if not traits.short_call_ids or (len(call_id) == 9 and call_id.isalnum()):
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]


def _calls_as_text(message: Message) -> Message:
    """Calls and results written into the text, in the form that most models were trained on."""
    if message["role"] == "tool":
        text = f"{OWN}<tool_response>\n{message['content']}\n{OWN}</tool_response>"
        return {"role": "user", "content": text}
    calls = message.get("tool_calls")
    if not calls:
        return message
    written = [json.dumps(call["function"], ensure_ascii=False) for call in calls]
    texts = [message["content"] or "", *(f"{OWN}<tool_call>\n{call}\n{OWN}</tool_call>" for call in written)]
    rest = {name: value for name, value in message.items() if name != "tool_calls"}
    return rest | {"content": "\n".join(text for text in texts if text)}


def _merge_repeated(messages: Sequence[Message]) -> list[Message]:
    """Join user turns, and assistant turns, that follow one another."""
    merged: list[Message] = []
    for message in messages:
        if merged and message["role"] == merged[-1]["role"] and message["role"] in {"user", "assistant"}:
            merged[-1] = _merged(merged[-1], message)
        else:
            merged.append(message)
    return merged


def _merged(first: Message, second: Message) -> Message:
    both = first | second
    both["content"] = "\n\n".join(text for text in (first["content"], second["content"]) if text)
    if calls := [*first.get("tool_calls", []), *second.get("tool_calls", [])]:
        both["tool_calls"] = calls
    return both
