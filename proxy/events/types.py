"""What happened, one typed event at each step: all that traces, counters and screens learn.

An event on the wire (`GET /anyclaude/events`, server-sent events) is one JSON object::

    {"seq": 17, "time": 1790000000.123, "type": "request.delta", "request": "req_01...", "data": {...}}

`seq` grows by one with each event of a host and is the SSE `id`, so `Last-Event-ID` resumes. `time` is in
seconds since the epoch, every `*_s` field in seconds, every `bytes` field in bytes, every token count in
tokens of the upstream model. `data` is one of the models below, chosen by `type`. Readers must ignore
fields and types that they do not know.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.wire.chat import Lane as Lane
from engine.wire.feed import PhaseTimes
from proxy.events.cache_events import CacheActed as CacheActed
from proxy.events.cache_events import CacheChanged as CacheChanged
from proxy.events.cache_events import CacheEvicted as CacheEvicted
from proxy.events.cache_events import CacheMiss as CacheMiss
from proxy.events.cache_events import CacheMissed as CacheMissed
from proxy.events.event_data import EventData as EventData
from proxy.events.health_types import HostDisk, HostHistory, HostLogLine, LogEntry, LogLevel
from proxy.events.totals import Totals

EngineStatus = Literal[
    "stopped", "starting", "loading", "ready", "busy", "stalled", "exited", "restarting", "failed"
]
# Of `engine.tool_calls.schemas.tools`, and "cut": the answer ended within the call.
ToolVerdict = Literal["valid", "invalid", "unparsed", "unknown_tool", "unchecked", "cut"]


class Usage(EventData):
    """Token counts with Anthropic's meaning: the three input counts are disjoint and sum to the prompt."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0

    @classmethod
    def of_prompt(cls, tokens: int, restored: int, kept: int) -> Usage:
        """Usage of a prompt: `restored`, newly `kept`, and the rest, computed for this request only."""
        return cls(
            input_tokens=max(0, tokens - restored - kept),
            cache_creation_input_tokens=kept,
            cache_read_input_tokens=restored,
        )

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, however they were obtained."""
        return self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens

    def plus(self, other: Usage) -> Usage:
        """The sum of both."""
        added = other.model_dump()
        return Usage(**{name: count + added[name] for name, count in self.model_dump().items()})


class Timings(EventData):
    """Moments of one request in seconds after `received`; None where it did not come to that."""

    received: float = 0.0  # seconds since the epoch; all others are relative to it
    queued: float | None = None  # the upstream accepted the request
    first_byte: float | None = None  # the first byte went to the client
    prefill_start: float | None = None
    first_token: float | None = None  # TTFT
    last_token: float | None = None
    done: float | None = None
    engine: PhaseTimes | None = None  # None: another upstream, or an engine that does not report them
    resumed_tokens: int = 0  # of the answer, from one that was broken off; they came with the first token


class CacheVerdict(EventData):
    """What the prefix cache did for one prompt."""

    prompt_tokens: int = 0
    matched_tokens: int = 0  # restored instead of prefilled
    kept_tokens: int = 0  # prefilled now and kept for later prompts
    tier: Literal["memory", "disk", "none", "unknown"] = "unknown"
    restore_s: float = 0.0  # finding and restoring, reading from disk included
    reached_tokens: int | None = None  # restored or prefilled by its end before an answer; null: all
    miss: CacheMiss | None = None


class ErrorInfo(EventData):
    """An error as it was sent to the client: Anthropic's error type and a message for people.

    `cause` is not sent to it: what went wrong in a few words; empty where the message is all that is known.
    """

    type: str
    message: str
    cause: str = ""


class RequestReceived(EventData):
    session: str = ""
    agent: str = ""  # agent id of a subagent, else empty
    agent_type: str = ""
    prompt_id: str = ""  # groups all requests of one user prompt
    lane: Lane = "main"
    model: str = ""  # as the client asked for it
    backend: str = ""
    method: str = "POST"
    path: str = ""
    stream: bool = True
    messages: int = 0
    tools: int = 0
    body_bytes: int = 0
    preview: str = ""  # head of the last user text
    opening: str = ""  # head of the conversation's first user text
    purpose: str = ""  # of a side request: title, check, hook, search, probe; empty: not known
    max_tokens: int = 0  # of the answer; 0: not told
    folder: str = ""  # that the client works in
    retry_of: str = ""  # the failed request whose messages the client sends again


class RequestQueued(EventData):
    position: int = 0  # requests ahead of this one
    waiting_s: float = 0.0


class RequestPrefill(EventData):
    done: int = 0  # prompt tokens processed so far, restored ones included
    total: int = 0
    cached: int = 0


class RequestFirstToken(EventData):
    ttft_s: float
    usage: Usage = Usage()
    cache: CacheVerdict | None = None
    engine: PhaseTimes | None = None


class RequestDelta(EventData):
    """Text that arrived since the last delta event; gathered at 20 Hz."""

    kind: Literal["text", "thinking", "tool"] = "text"
    text: str = ""
    tool: str = ""  # whose arguments `text` is a piece of; empty: its name is in the text, or not known
    output_tokens: int = 0  # so far
    tokens_per_s: float = 0.0


class RequestToolCall(EventData):
    tool_use_id: str
    name: str
    input: dict[str, Any] | None = None  # None when it could not be parsed
    raw: str = ""  # as the model wrote it
    raw_tokens: int = 0  # of `raw`, where the upstream reports it; the trace has their ids
    family: str = ""  # whose way of writing calls it was read by; empty where the upstream read it
    constrained: bool | None = None  # a grammar constrained it to its tool; None: not reported
    relaxed: str = ""  # why that grammar does not say all that the tool's schema does
    repairs: list[str] = Field(default_factory=list)  # what was repaired, or tried, for people
    verdict: ToolVerdict = "unchecked"
    detail: str = ""  # what is wrong with it, for people
    session: str = ""

    @property
    def repaired(self) -> bool:
        """Whether it became usable only by its repairs."""
        return bool(self.repairs) and self.verdict in ("valid", "unchecked")


class RequestToolResult(EventData):
    """The client's result for an earlier call; `request` is the request that carried it."""

    tool_use_id: str
    name: str = ""
    call_request: str = ""  # the request whose answer made the call, if this host saw it
    is_error: bool = False
    duration_s: float | None = None
    result_bytes: int = 0
    preview: str = ""
    session: str = ""


class RequestFinished(EventData):
    status: int = 200
    stop_reason: str = ""
    usage: Usage = Usage()
    timings: Timings = Timings()
    cache: CacheVerdict | None = None
    tokens_per_s: float = 0.0  # decode speed: output tokens after the first, over their time
    trace: str = ""  # trace file, relative to the traces folder; empty when tracing is off
    title: str = ""  # of its session, which the client had asked for


class RequestFailed(EventData):
    status: int = 500
    error: ErrorInfo
    usage: Usage = Usage()
    timings: Timings = Timings()
    trace: str = ""
    cancelled: bool = False  # the client left, or a person cancelled it: the cause of `error` says so
    reached_tokens: int | None = None  # of the prompt, restored or prefilled; None: all, or not known


class Probe(EventData):
    """One health probe of the engine."""

    ok: bool
    latency_s: float = 0.0
    detail: str = ""


class EngineCache(EventData):
    """What the engine's prefix cache holds, under the engine's own names; a disk budget of 0: no disk."""

    entries: int = 0
    bytes: int = 0
    budget_bytes: int = 0
    disk_entries: int = 0
    disk_bytes: int = 0
    disk_budget_bytes: int = 0
    disk_written_today_bytes: int = 0
    disk_daily_budget_bytes: int = 0  # most that may be written in a day (UTC)
    disk_loaded_tokens: int = 0  # since the engine started, as the two below
    disk_skipped: int = 0  # spans that were not saved
    disk_set_aside: int = 0  # files that could not be used
    disk_paused: bool = False  # the disk would not take the last file
    pinned_bytes: int = 0  # in memory, kept from eviction
    evictions: int = 0  # since the engine started, as the two below
    wanted: int = 0  # prompts that wanted what had been evicted
    wanted_tokens: int = 0  # that they would have restored


class EngineMemory(EventData):
    """What the engine holds of memory, in bytes; `limit_bytes` 0: nothing is limited."""

    limit_bytes: int = 0
    limit_reason: str = ""
    weights_bytes: int = 0
    prefix_cache_bytes: int = 0
    requests_bytes: int = 0  # set apart for those that run
    draft_bytes: int = 0
    write_queue_bytes: int = 0
    buffer_cache_bytes: int = 0
    active_bytes: int = 0
    peak_bytes: int = 0
    buffers: int = 0
    buffers_limit: int = 0  # 0: there is none
    window_tokens: int = 0
    pressure: str = "normal"  # or "warning", "critical": the machine is short of memory


class EngineState(EventData):
    """The engine as the supervisor sees it: sent on every change, and with each probe."""

    state: EngineStatus
    pid: int | None = None
    since: float = 0.0  # epoch seconds at which this state began
    started: float | None = None  # epoch seconds at which the process started
    detail: str = ""  # what is going on, for people
    progress: float | None = None  # 0 to 1 while loading
    model: str = ""
    url: str = ""
    memory_bytes: int = 0
    restarts: int = 0
    last_exit: str = ""
    probe: Probe | None = None
    queue: int = 0
    running: int = 0
    accelerated: str = ""  # "metal (Apple M4 Max)", "openblas (…)" ...; "": not known yet
    context_tokens: int = 0  # what prompt and answer share; 0: not known yet
    notes: list[str] = Field(default_factory=list)  # of how the model was loaded and is run, for people
    cache: EngineCache | None = None  # None: not known
    memory: EngineMemory | None = None  # None: not known

    @property
    def is_gone(self) -> bool:
        """Whether no process is there yet, or any more, that holds something."""
        return self.state in ("stopped", "starting", "exited", "restarting", "failed")


class EngineLogLine(EventData):
    line: str
    level: LogLevel | None = None  # None: a host of an earlier version does not say


class EngineRestart(EventData):
    attempt: int
    of: int
    delay_s: float
    reason: str


class HostNotice(EventData):
    level: Literal["info", "warning", "error"] = "info"
    text: str
    stopping: bool = False  # from here on the host takes no new requests, and ends after those that run


class Lost(EventData):
    """`host.lost`: this reader fell behind and `count` events before this one were dropped for it."""

    count: int


PAYLOADS: dict[str, type[EventData]] = {
    "request.received": RequestReceived,
    "request.queued": RequestQueued,
    "request.prefill": RequestPrefill,
    "request.first_token": RequestFirstToken,
    "request.delta": RequestDelta,
    "request.tool_call": RequestToolCall,
    "request.tool_result": RequestToolResult,
    "request.finished": RequestFinished,
    "request.failed": RequestFailed,
    "cache.inserted": CacheChanged,
    "cache.evicted": CacheEvicted,
    "cache.restored": CacheChanged,
    "cache.saved": CacheChanged,
    "cache.loaded": CacheChanged,
    "cache.set_aside": CacheChanged,
    "cache.missed": CacheMissed,
    "cache.pinned": CacheActed,
    "cache.unpinned": CacheActed,
    "cache.dropped": CacheActed,
    "cache.flushed": CacheActed,
    "engine.state": EngineState,
    "engine.log": EngineLogLine,
    "engine.restart": EngineRestart,
    "upstream.probe": Probe,
    "host.notice": HostNotice,
    "host.log": HostLogLine,
    "host.disk": HostDisk,
    "host.history": HostHistory,
    "host.lost": Lost,
}


class Event(BaseModel):
    """One step of one request, or one change of the host, in the order in which the host saw it."""

    model_config = ConfigDict(frozen=True)

    seq: int
    time: float
    type: str
    request: str | None = None
    data: dict[str, Any]

    def payload(self) -> EventData | None:
        """The typed payload, or None for a type that this version does not know.

        Raises:
            pydantic.ValidationError: the data does not fit its type.
        """
        model = PAYLOADS.get(self.type)
        return model.model_validate(self.data) if model is not None else None


class HostState(BaseModel):
    """`GET /anyclaude/state`: the host and its state, for a screen that attaches."""

    model_config = ConfigDict(extra="ignore")

    version: str
    pid: int
    started: float
    url: str
    backend: str
    model: str
    home: str
    seq: int  # of the newest event; follow the feed from here, or replay from 0
    first_seq: int  # of the oldest event that the host still holds
    counters: Totals
    engine: EngineState
    probes: list[tuple[float, Probe]] = []  # newest last, with their times
    engine_log: list[str] = []  # last lines, newest last
    engine_log_times: list[float] = []  # when they came, in epoch seconds; empty: not known
    log: list[LogEntry] = []  # of engine, host and upstream, newest last; the engine's lines are above too
    disk: HostDisk | None = None
    destination: str = ""  # where requests go and who says so; empty: to the host's own engine
    code: str = ""  # `engine.process.program_code.code_hash` when the host started; "": not known
    libraries: dict[str, str] = {}  # versions of mlx and mlx-lm then
    sleep: str = ""  # whether the machine's sleep is held off now, for people; "": not known
    tokens_per_s: float = 0.0  # decode speed of the newest answer; 0: none yet
    auto_mode: str = ""  # who checks calls in Claude Code's auto mode; "": nobody
    stopping: bool = False  # it takes no new requests, and ends after those that run
    loads: list[str] = []  # folders and ids of the engine's models and adapter, as it is given them
    runs_engine: bool = (
        True  # off where it starts none and restarts none: somebody else does, or it is elsewhere
    )
