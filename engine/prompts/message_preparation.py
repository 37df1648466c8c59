"""Messages in the form that a chat template accepts.

Pure, and free of mlx: input and output are messages in OpenAI's form. A message changes only by the
template's traits and by what comes before it, so that the beginning of a conversation stays the same while it
grows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.prompts.template_traits import TemplateTraits
from engine.prompts.tool_texts import ToolTexts
from engine.prompts.turn_arrangement import Turn, arrange_turns, joined_paragraphs, result_as_text
from engine.wire.chat import Message, content_text
from engine.wire.json_text import well_formed
from engine.wire.turn_folding import SYSTEM_ROLES, fold_system_turns


@dataclass(frozen=True, slots=True)
class AnswerTurn:
    """`messages[start:stop]` of the prepared messages are one whole answer: `message` before preparation."""

    start: int
    stop: int
    message: Message


@dataclass(frozen=True, slots=True)
class PreparedMessages:
    """The messages for a template; the answers among them; notes on what was changed."""

    messages: list[Message]
    answers: tuple[AnswerTurn, ...]
    notes: tuple[str, ...]


def prepare_messages(
    messages: Sequence[Message], traits: TemplateTraits, texts: ToolTexts | None = None
) -> PreparedMessages:
    """Messages in the form that a template with these traits accepts; `texts` writes calls as text."""
    notes: list[str] = []
    prepared = list(messages)
    if not traits.system_in_place:
        prepared, notes = fold_system_turns(prepared, keep_first=traits.first_system)
    turns, more = arrange_turns(plain_messages(prepared, traits), traits)
    if not traits.tool_turns:
        texts = texts or ToolTexts()
        turns = [Turn(tuple(_as_text(m, texts) for m in turn.messages), turn.answer) for turn in turns]
    if not traits.repeated_roles:
        turns = _merge_repeated(turns, apart=traits.call_text == "before")
    flat: list[Message] = []
    answers: list[AnswerTurn] = []
    for turn in turns:
        if turn.answer is not None:
            answers.append(AnswerTurn(len(flat), len(flat) + len(turn.messages), turn.answer))
        flat += turn.messages
    if traits.named_call_ids:
        flat = _with_named_ids(flat)
    return PreparedMessages(flat, tuple(answers), (*notes, *more))


def _with_named_ids(messages: Sequence[Message]) -> list[Message]:
    """Calls and results with ids that carry the name of the tool and the number of the call (Kimi)."""
    named: dict[str, str] = {}
    numbered: list[Message] = []
    for message in messages:
        if calls := message.get("tool_calls"):
            for call in calls:
                named[call["id"]] = f"functions.{call['function']['name']}:{len(named)}"
            message = message | {"tool_calls": [call | {"id": named[call["id"]]} for call in calls]}
        elif message["role"] == "tool":
            message = message | {"tool_call_id": named.get(message["tool_call_id"], message["tool_call_id"])}
        numbered.append(message)
    return numbered


def plain_messages(messages: Sequence[Message], traits: TemplateTraits) -> list[Message]:
    """Messages with content as text, calls as the template takes them, and only the fields that it uses."""
    names = _call_names(messages)
    return [plain_message(message, names, traits) for message in messages]


def _call_names(messages: Sequence[Message]) -> dict[str, str]:
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    return {call.get("id") or "": call["function"]["name"] for call in calls}


def plain_message(message: Message, names: dict[str, str], traits: TemplateTraits) -> Message:
    """One message with its content as text and only the fields that templates use."""
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
    """Arguments as a mapping, in their written order; text that is not a JSON object is kept as text."""
    if isinstance(arguments, dict):
        return arguments
    if not arguments:
        return {}
    try:
        value = json.loads(arguments)
        if "\\ud" in arguments.lower():  # an escaped unpaired surrogate is not a character
            value = json.loads(well_formed(json.dumps(value, ensure_ascii=False)))
    except (TypeError, ValueError):
        value = None
    return value if isinstance(value, dict) else {"text": arguments}


def _call_id(call_id: str, traits: TemplateTraits) -> str:
    if not traits.short_call_ids or (len(call_id) == 9 and call_id.isalnum()):
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]


def _as_text(message: Message, texts: ToolTexts) -> Message:
    if message["role"] == "tool":
        return result_as_text(message)
    calls = message.get("tool_calls")
    if not calls:
        return message
    written = [message["content"] or "", texts.calls(calls)]
    rest = {name: value for name, value in message.items() if name != "tool_calls"}
    return rest | {"content": "\n".join(text for text in written if text)}


def _merge_repeated(turns: Sequence[Turn], *, apart: bool) -> list[Turn]:
    """Join consecutive user turns, and consecutive assistant turns.

    With `apart` an assistant's text stays before the calls that follow it.
    """
    merged: list[Turn] = []
    for turn in turns:
        last, first = (merged[-1].messages[-1] if merged else None), turn.messages[0]
        joins = last is not None and first["role"] == last["role"] and first["role"] in {"user", "assistant"}
        calls_behind_text = last is not None and "tool_calls" in first and "tool_calls" not in last
        if last is None or not joins or (apart and calls_behind_text):
            merged.append(turn)
        else:
            merged[-1] = Turn((*merged[-1].messages[:-1], _merged(last, first), *turn.messages[1:]))
    return merged


def _merged(first: Message, second: Message) -> Message:
    both = first | second
    both["content"] = joined_paragraphs(first["content"], second["content"])
    if calls := [*first.get("tool_calls", []), *second.get("tool_calls", [])]:
        both["tool_calls"] = calls
    if thoughts := [m["reasoning_content"] for m in (first, second) if "reasoning_content" in m]:
        both["reasoning_content"] = "\n\n".join(thoughts)
    return both
