"""What of a host may be written into a recording: without secrets, and if so wished without any text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import PurePath
from typing import Any

from proxy.configuration.destination import without_password
from proxy.events.types import Event, HostState
from proxy.recordings.format import Contents, HostAnswer
from proxy.traces.export.without_contents import blank, without_contents, word
from proxy.traces.redaction.redact import Redactor, redacted_trace
from proxy.traces.schema import Trace, TraceSummary

MOST_HELD = 256 * 1024  # characters of one block of an answer; a longer one is redacted in parts

# Fields of events whose values are names, ids and words of the protocol. All other texts count as contents.
_NAMES = frozenset(
    ("session", "sessions", "agent", "agent_type", "prompt_id", "lane", "model", "backend", "method", "path",
     "retry_of", "id", "parent", "used_by", "stored_by", "tool_use_id", "call_request", "evicted_session",
     "evicted_lane", "evicted_request", "evicted_cause", "name", "tool", "family", "verdict", "stop_reason",
     "type", "reason", "cause", "purpose", "tier", "kind", "state", "level", "trace", "pressure",
     "accelerated", "last_exit")
)  # fmt: skip
_PATHS = frozenset(("path", "trace"))  # of the API, and of a file below the traces folder
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._:/-]{0,200}")
_ENDS_A_BLOCK = ("request.tool_call", "request.finished", "request.failed")  # as another kind of piece does
_FILLER = "······· " * 32


@dataclass(slots=True)
class _Held:
    kind: str
    events: list[Event] = field(default_factory=list)
    characters: int = 0


class RecordedFacts:
    """Takes what must not be recorded out of all that a host says.

    An answer comes in deltas, and a secret may lie across several: they are held until their block is at its
    end, so events leave here in another order than their numbers.
    """

    def __init__(self, redactor: Redactor, contents: Contents = "redacted") -> None:
        self._redactor = redactor
        self._contents = contents
        self._held: dict[str, _Held] = {}

    def event(self, event: Event) -> Iterator[Event]:
        """What may be written down now that `event` has come."""
        request = event.request or ""
        kind = str(event.data.get("kind", "text")) if event.type == "request.delta" else ""
        held = self._held.get(request)
        # What the cache or the host has to say of a request comes between the pieces of a block as well.
        over = held is not None and held.kind != kind if kind else event.type in _ENDS_A_BLOCK
        if held is not None and (over or held.characters > MOST_HELD):
            yield from self._released(request)
        if kind:
            held = self._held.setdefault(request, _Held(kind))
            held.events.append(event)
            held.characters += len(str(event.data.get("text", "")))
        else:
            yield self.single(event)

    def rest(self) -> Iterator[Event]:
        """What is still held, at the end."""
        for request in list(self._held):
            yield from self._released(request)

    def single(self, event: Event) -> Event:
        """One event that is no part of a longer text."""
        data = self._redactor.value(event.data)
        if self._contents == "none":
            data = _emptied(data)
        request = self._redactor.text(event.request) if event.request else event.request
        return event.model_copy(update={"data": data, "request": request})

    def state(self, state: HostState) -> HostState:
        """The host's account of itself."""
        fields = self._redactor.value(state.model_dump())
        fields["url"] = without_password(fields["url"])
        if self._contents == "none":
            fields |= {
                "model": PurePath(state.model).name,
                "home": "",
                "loads": [],
                "destination": blank(state.destination),
                "engine": _emptied(fields["engine"]),
                "engine_log": [blank(line) for line in state.engine_log],
            }
            fields["probes"] = [(at, _emptied(probe)) for at, probe in fields["probes"]]
        return HostState.model_validate(fields)

    def row(self, row: TraceSummary) -> TraceSummary:
        """A row of the list of traces."""
        fields = self._redactor.value(row.model_dump())
        if self._contents == "none":
            kept = ("id", "backend", "own_command")
            named = {name: fields[name] for name in kept}
            fields = _emptied(fields) | named | {"model": PurePath(row.model).name}
        return TraceSummary.model_validate(fields)

    def answer(self, path: str, body: dict[str, Any]) -> HostAnswer:
        """What the host API answered to a path."""
        redacted = self._redactor.value(body)
        return HostAnswer(path=path, body=_emptied(redacted) if self._contents == "none" else redacted)

    def trace(self, trace: Trace) -> Trace:
        """A whole trace."""
        redacted = redacted_trace(trace, self._redactor)
        return without_contents(redacted) if self._contents == "none" else redacted

    def _released(self, request: str) -> Iterator[Event]:
        held = self._held.pop(request)
        texts = [str(event.data.get("text", "")) for event in held.events]
        whole = "".join(texts)
        clean = self._redactor.text(whole)
        if clean != whole:
            texts = _spread(clean, [len(text) for text in texts])
        for event, text in zip(held.events, texts, strict=True):
            if self._contents == "none":
                text = (_FILLER * (1 + len(text) // len(_FILLER)))[: len(text)]
            single = self.single(event)
            yield single.model_copy(update={"data": single.data | {"text": text}})


def _spread(text: str, lengths: Iterable[int]) -> list[str]:
    """`text` in as many parts as there are `lengths`, each about as long in relation."""
    ends = list(accumulate(lengths, initial=0))
    places = [round(end / ends[-1] * len(text)) for end in ends]
    return [text[begin:end] for begin, end in pairwise(places)]


def _emptied(value: Any, name: str = "") -> Any:
    """A JSON value with `[N characters]` for each text that is no name of the protocol."""
    if isinstance(value, str):
        if name == "model":
            return PurePath(value).name
        if name in _PATHS:
            return value if _PLAIN_PATH.fullmatch(value) else blank(value)
        return word(value) if name in _NAMES else blank(value)
    if isinstance(value, list):
        return [_emptied(item, name) for item in value]
    if isinstance(value, dict):
        # What a model wrote as a call's input has names of its own making.
        return {
            key: {} if key == "input" and item else _emptied(item, key)
            for key, item in value.items()
            if isinstance(key, str)
        }
    return value
