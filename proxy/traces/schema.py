"""One trace: the record of one request, as stored on disk.

A trace is one JSON file `traces/<backend>/<UTC time>-<id>.json`. The schema version grows when a field
changes its meaning; readers ignore fields that they do not know.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict

from proxy.events.tool_call import ToolCall
from proxy.events.types import CacheVerdict, ErrorInfo, Lane, Timings, Usage

SCHEMA_VERSION = 1
OWN_AGENT = "anyclaude-tui-"  # how the user agent of this program's own requests begins; its command follows

_OWN_AGENT = re.compile(rf"{OWN_AGENT}([a-z]{{1,20}})\b")
_NO_ID = re.compile(r"[^A-Za-z0-9_-]")
_LATEST = 253_370_764_800.0  # the year 9999, the last that dates go to


def _possible(at: float) -> float:
    return at if 0.0 <= at < _LATEST else 0.0  # a NaN is not either


def plain_id(trace_id: str) -> str:
    """An id of those characters that ids of ours may have."""
    return _NO_ID.sub("-", trace_id)[:80]  # behind a _ no key would be known as one


class TraceModel(BaseModel):
    model_config = ConfigDict(extra="ignore")


class TraceRequest(TraceModel):
    """What the client sent, redacted."""

    method: str = "POST"
    path: str = "/v1/messages"
    query: str = ""
    headers: dict[str, str] = {}
    body: Any = None


class TraceResponse(TraceModel):
    """What the client got: the assembled message, or the error and how far the answer had come."""

    status: int = 0
    message: dict[str, Any] | None = None  # an Anthropic message; partial when `error` is set
    error: ErrorInfo | None = None
    cancelled: bool = False


class CountedPart(TraceModel):
    """A part of the prompt as the engine rendered it; a name may come again."""

    name: str  # "system", "tools", "tool Read", "reminders of message 1 (user)", "message 3 (tool result)"
    tokens: int


WrittenKind = Literal["text", "thinking", "tool"]


class WrittenPart(TraceModel):
    """A part of the answer, and when it was written, in seconds after the request was received."""

    kind: WrittenKind
    start: float  # the end of the part before it, or the first token
    end: float
    tokens: int = 0
    call: str = ""  # id of the tool call that it is


class Trace(TraceModel):
    """The record of one request."""

    schema_version: int = SCHEMA_VERSION
    id: Annotated[str, AfterValidator(plain_id)]  # a foreign file may say anything
    time: Annotated[float, AfterValidator(_possible)]  # epoch seconds at which the request was received
    session: str = ""
    agent: str = ""
    agent_type: str = ""
    prompt_id: str = ""
    lane: Lane = "main"
    retry_of: str = ""  # id of the failed request that this one repeats
    backend: str = ""
    model: str = ""
    upstream_model: str = ""
    request: TraceRequest
    upstream: Any = None  # the body that was sent upstream, redacted
    response: TraceResponse = TraceResponse()
    timings: Timings = Timings()
    written: list[WrittenPart] = []  # in order; empty in files of earlier versions
    usage: Usage = Usage()
    usage_estimated: bool = False  # not all of it is the upstream's own count: the notes say how it was made
    cache: CacheVerdict | None = None
    prompt_parts: list[CountedPart] = []  # in their order, together the prompt; empty: not known
    tool_calls: list[ToolCall] = []
    notes: list[str] = []  # what translation folded, dropped or gave back as text, for people

    @property
    def own_command(self) -> str:
        """The command of this program that asked, such as "verify"; empty for all other clients."""
        agent = self.request.headers.get("user-agent", "")
        return found[1] if (found := _OWN_AGENT.match(agent)) else ""

    def brief(self) -> Self:
        """Itself without the bodies of the request and the ids of tokens, which are most of a trace."""
        calls = [call.model_copy(update={"tokens": []}) for call in self.tool_calls]
        request = self.request.model_copy(update={"body": None})
        return self.model_copy(update={"request": request, "upstream": None, "tool_calls": calls})


class CallSummary(TraceModel):
    """One call of an answer, as lists show it."""

    name: str
    about: str = ""  # one line: the file's name, the command, what was looked for
    is_error: bool | None = None  # None: without a result yet


class TraceSummary(TraceModel):
    """One row of the trace list: what the index knows without opening the file."""

    id: str
    time: float
    session: str = ""
    agent: str = ""
    agent_type: str = ""
    lane: Lane = "main"
    purpose: str = ""  # of a side request: title, check, hook, search, probe; empty: not known
    backend: str = ""
    model: str = ""
    status: int = 0
    stop_reason: str = ""
    error: str = ""
    cause: str = ""  # of the error, in a few words
    retry_of: str = ""
    stream: bool = True
    messages: int = 0
    tools: int = 0
    usage: Usage = Usage()
    ttft_s: float | None = None
    duration_s: float | None = None
    tool_calls: int = 0
    tool_errors: int = 0
    preview: str = ""
    did: list[CallSummary] = []  # the first calls of the answer
    said: str = ""  # how its text begins, of an answer without a call
    path: str = ""  # relative to the traces folder
    bytes: int = 0
    marked: bool = False  # as a host lists it; marks are no part of the index
    own_command: str = ""  # of this program, that asked; empty: another client


class TracePage(TraceModel):
    """Rows of the trace list in its order, and how many traces match in all."""

    traces: list[TraceSummary]
    total: int
    offset: int = 0  # of the first row
    place: int | None = None  # of the row that was asked for, if there is one
