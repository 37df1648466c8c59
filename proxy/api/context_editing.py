"""Applies a request's context edits, which need the upstream's count of tokens to know when and how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.wire.json_text import encode_json
from proxy.anthropic.context_edits import (
    CLEAR_THINKING,
    CLEAR_TOOL_USES,
    ToolUseEdit,
    clear_thinking,
    edits_of,
)
from proxy.backends.upstream import Backend, Dialect, UpstreamRequest
from proxy.events.errors import ProxyError
from proxy.translate.late_tools.shown_tools import ShownTools
from proxy.translate.request import translate_request

_BYTES_PER_TOKEN = 4  # where the upstream counts none


@dataclass(slots=True)
class EditedRequest:
    """A body after its edits: those that changed it, as the API reports them, and notes for people.

    `original_tokens`: the prompt before all edits; None if nobody had to know.
    """

    body: dict[str, Any]
    applied: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    original_tokens: int | None = None


async def edit_context(
    body: dict[str, Any],
    backend: Backend,
    dialect: Dialect,
    model: str,
    request_id: str,
    earlier: Sequence[ShownTools] = (),
) -> EditedRequest:
    """The body with its edits applied, in their order; the very same body if nothing is cleared."""
    edited = EditedRequest(body)
    counter = _Counter(backend, dialect, model, request_id, edited, earlier)
    for edit in edits_of(body):
        kind = edit.get("type")
        if kind == CLEAR_THINKING:
            cleared = clear_thinking(edited.body["messages"], edit)
            if cleared.count:
                before = await counter.count()
                edited.body = edited.body | {"messages": cleared.messages}
                freed = max(0, before - await counter.count())
                edited.applied.append(
                    {"type": kind, "cleared_thinking_turns": cleared.count, "cleared_input_tokens": freed}
                )
        elif kind == CLEAR_TOOL_USES:
            await _clear_tool_uses(ToolUseEdit.of(edit), edited, counter)
        else:
            edited.notes.append(f"left out the context edit {kind}: not done here")
    return edited


async def _clear_tool_uses(edit: ToolUseEdit, edited: EditedRequest, counter: _Counter) -> None:
    messages = edited.body["messages"]
    cleared = edit.apply(messages)
    if not cleared.count or (edit.counts_uses and edit.uses_in(messages) <= edit.trigger_uses):
        return
    before = await counter.count()
    if not edit.counts_uses and before <= edit.trigger_tokens:
        return
    whole = edited.body
    edited.body = whole | {"messages": cleared.messages}
    freed = max(0, before - await counter.count())
    if freed < edit.at_least_tokens:
        edited.body = whole
        return
    edited.applied.append(
        {"type": CLEAR_TOOL_USES, "cleared_tool_uses": cleared.count, "cleared_input_tokens": freed}
    )


class _Counter:
    """Counts the tokens of the request as it is edited so far."""

    def __init__(
        self,
        backend: Backend,
        dialect: Dialect,
        model: str,
        request_id: str,
        edited: EditedRequest,
        earlier: Sequence[ShownTools],
    ) -> None:
        self._backend = backend
        self._dialect = dialect
        self._model = model
        self._id = request_id
        self._edited = edited
        self._earlier = earlier

    async def count(self) -> int:
        chat = translate_request(self._edited.body, self._dialect, self._earlier).body
        chat.pop("max_tokens", None)
        try:
            tokens = await self._backend.count_tokens(
                UpstreamRequest({"model": self._model, **chat}, self._id)
            )
        except ProxyError as error:
            tokens = len(encode_json(chat)) // _BYTES_PER_TOKEN
            note = f"the tokens for context edits are estimated from bytes: {error.message}"
            if note not in self._edited.notes:
                self._edited.notes.append(note)
        if self._edited.original_tokens is None:
            self._edited.original_tokens = tokens
        return tokens
