"""Traffic derived from recorded requests: other sessions, subagents, side requests, and cancelled requests.

Derived requests have the shape of the client's own (its hint headers name the class of a request); only words
differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.claude_request import prose
from bench.recorded_traffic import Recorded

Cancelled = Literal["", "prefill", "decode"]

_CLASS = "x-claude-code-request-class"
_PASTED_BYTES = 16_000  # a few thousand tokens, so that a cancel happens during prefill
_SUBAGENT_TOOLS = 8


@dataclass(frozen=True)
class Sent:
    """A request, and when its sender cancels it; a cancelled one is sent again by the next."""

    request: Recorded
    cancelled: Cancelled = ""


def mixed(recorded: Sequence[Recorded]) -> list[Sent]:
    """The recorded requests in order, with other traffic of the client between them.

    After every second request, unless it is a subagent's, a title is requested and a subagent runs two turns.
    One request in four is cancelled during its answer and sent again. Another one in four gets a long pasted
    text, is cancelled during prefill, is sent again, and then continues without the text.
    """
    sent: list[Sent] = []
    for number, request in enumerate(recorded):
        if number % 4 == 1:
            sent.append(Sent(request, "decode"))
        if number % 4 == 3:
            pasted = with_text(request, prose(_PASTED_BYTES, seed=number))
            sent += [Sent(pasted, "prefill"), Sent(pasted)]
        sent.append(Sent(request))
        if number % 2 and request.headers.get(_CLASS) == "main":
            sent.append(Sent(title_request(request)))
            sent += [Sent(turn) for turn in subagent_turns(request, number)]
    return sent


def sessions_of(session: Sequence[Recorded], said: str, count: int) -> list[list[Recorded]]:
    """`count` sessions that differ from a recorded one in their ids and in the user's first text."""
    return [[_as_session(request, said, number) for request in session] for number in range(count)]


def in_rotation(sessions: Sequence[Sequence[Recorded]]) -> Iterator[tuple[int, Recorded]]:
    """Turn by turn: the first turn of each session, then the second of each."""
    for turns in zip(*sessions, strict=True):
        yield from enumerate(turns)


def session_with(recorded: Sequence[Recorded], said: str) -> list[Recorded]:
    """The main requests of the first session in which the user wrote this, in order."""
    first = next(request for request in recorded if said in json.dumps(request.body["messages"][0]))
    return [
        request
        for request in recorded
        if _session(request) == _session(first) and request.headers.get(_CLASS) == "main"
    ]


def with_text(request: Recorded, text: str) -> Recorded:
    """The request with a text appended to its last message."""
    message = {"role": "user", "content": [{"type": "text", "text": text}]}
    return Recorded(request.body | {"messages": [*request.body["messages"], message]}, request.headers)


def title_request(request: Recorded) -> Recorded:
    """The side request that names a session."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    said = json.dumps(request.body["messages"][-1]["content"])[:400]
    body = request.body | {
        "system": [{"type": "text", "text": "Name this session in a few words, as JSON with a title."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": said}]}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
        "thinking": {"type": "disabled"},
    }
    return Recorded({k: v for k, v in body.items() if k != "tools"}, request.headers | {_CLASS: "auxiliary"})


def subagent_turns(request: Recorded, number: int) -> list[Recorded]:
    """Two turns of a subagent: fewer tools, another system text, its own conversation."""
    system = {"type": "text", "text": "You are an agent that counts. " + prose(2000, seed=1)}
    task: dict[str, Any] = {"role": "user", "content": f"Count the prices of shelf {number}."}
    call = {"type": "tool_use", "id": f"toolu_{number:024x}", "name": "Bash", "input": {"command": "ls"}}
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": prose(600, seed=number)}
    later = [task, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    headers = request.headers | {_CLASS: "subagent", "x-claude-code-agent-id": f"a{number:016x}"}
    tools = request.body["tools"][:_SUBAGENT_TOOLS]
    body = request.body | {"system": [system], "tools": tools}
    return [Recorded(body | {"messages": messages}, headers) for messages in ([task], later)]


def _session(request: Recorded) -> str:
    return request.headers["x-claude-code-session-id"]


def _as_session(request: Recorded, said: str, number: int) -> Recorded:
    other = f"{number:08x}-0000-4000-8000-000000000000"
    text = json.dumps(request.body).replace(said, f"{said} of shop {number}")
    body = json.loads(text.replace(_session(request), other))
    return Recorded(body, request.headers | {"x-claude-code-session-id": other})
