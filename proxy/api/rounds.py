"""The rounds of one answer: the first request to the upstream, and one more behind calls the proxy ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.anthropic.lanes import RequestOrigin
from proxy.api.context_editing import EditedRequest
from proxy.backends.upstream import Dialect, UpstreamRequest
from proxy.record.structured_calls import StructuredCalls
from proxy.record.tool_history import ToolHistory
from proxy.translate.answer_spec import answer_spec
from proxy.translate.late_tools.places import conversation_key
from proxy.translate.request import translate_request
from proxy.translate.response import Answer
from proxy.translate.turns import TurnReading, assistant_messages

MOST_ROUNDS = 10  # of one answer, as the vendor's server has it


@dataclass(frozen=True, slots=True)
class Round:
    """One request to the upstream, the answer that its steps go to, and notes for people that are new."""

    request: UpstreamRequest
    answer: Answer
    notes: list[str]


@dataclass(slots=True)
class Rounds:
    """Makes the rounds of one answer; `number` is that of the next, and `earlier` the answer before it.

    `details`: why calls that the proxy ran have no result, by their ids.
    """

    edited: EditedRequest
    caller: RequestOrigin
    model: str
    request_id: str
    structured_calls: StructuredCalls
    tool_history: ToolHistory
    details: Mapping[str, str] = field(default_factory=dict)
    number: int = 1
    earlier: Answer | None = None
    noted: set[str] = field(default_factory=set)

    def follow(self, answer: Answer) -> None:
        """The next round goes on from this answer, which has the results of its calls."""
        self.earlier = answer
        self.number += 1

    def prepare(self, dialect: Dialect) -> Round:
        """The round that is next, for an upstream that speaks `dialect`."""
        body, earlier, last = self.edited.body, self.earlier, self.number > MOST_ROUNDS
        key = conversation_key(body)
        translated = translate_request(body, dialect, self.tool_history.of(key))
        if translated.shown is not None:
            self.tool_history.keep(key, translated.shown)
        chat = {"model": self.model, **translated.body}
        spec = replace(answer_spec(body, translated, dialect, self.model), applied_edits=self.edited.applied)
        if self.structured_calls.knows(self.caller.session, spec.used_ids):
            spec = replace(spec, call_forms=None)
        if earlier is not None:
            spec = replace(spec, message_id=earlier.message_id)
            content = earlier.message()["content"]
            turn = assistant_messages(content, TurnReading(dialect, translated.notes), self.details)
            chat = _with_results(chat, turn, earlier.output_tokens)
        if last:
            chat["tool_choice"] = "none"
            spec = replace(spec, most_calls=0)
        # What a request without an answer computes is for the cache, which keeps of the lane auxiliary only
        # what comes again.
        lane = self.caller.lane if body["max_tokens"] or self.caller.lane != "auxiliary" else "main"
        request = UpstreamRequest(chat, self.request_id, lane=lane, session=self.caller.session)
        notes = [note for note in translated.notes if note not in self.noted]
        self.noted.update(notes)
        return Round(request, Answer(spec, earlier), notes)


def _with_results(chat: dict[str, Any], turn: Iterable[dict[str, Any]], output_tokens: int) -> dict[str, Any]:
    """The request that goes on behind `turn`, of which `output_tokens` are the model's."""
    messages, turn = list(chat["messages"]), list(turn)
    begun = messages[-1]
    both = begun["role"] == turn[0]["role"] == "assistant"
    if both and not begun.get("tool_calls"):  # the client has begun the turn
        messages.pop()
        turn[0] = {**turn[0], "content": f"{begun['content']}{turn[0]['content']}"}
    # Only the first call was forced, and what the client has begun is no longer the end.
    dropped = ("tool_choice", "continue_final_message", "add_generation_prompt")
    choice = chat.get("tool_choice")
    chat = {name: value for name, value in chat.items() if name not in dropped}
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":  # others may not be called any more
        chat["tool_choice"] = choice | {"allowed_tools": choice["allowed_tools"] | {"mode": "auto"}}
    chat["messages"] = [*messages, *turn]
    if "max_tokens" in chat:
        chat["max_tokens"] = max(1, chat["max_tokens"] - output_tokens)
    return chat
