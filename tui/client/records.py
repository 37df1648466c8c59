"""What the screen knows, as immutable records: a change is a new object, so `is` says whether to draw again.

Every text in here has been through `tui.client.wire_text`; one-line fields are one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from proxy.anthropic.compaction import OUTPUT_RESERVED, compacts_at
from proxy.events.causes import overflow_tokens
from proxy.events.totals import Totals
from tui.client.who import who_asks

if TYPE_CHECKING:
    from proxy.events.health_types import HostDisk
    from proxy.events.types import CacheVerdict, EngineState, Probe, RequestPrefill, Usage

LinkState = Literal["starting", "connecting", "live", "reconnecting", "ended"]
RequestPhase = Literal["received", "queued", "prefill", "decode", "done", "failed", "cancelled", "lost"]
RECORDED = "recorded"  # the detail of a link that lives on a recording
EARLIER = 1000  # requests that a screen begins with, from before its host's events: what a host gives at once
ACTIVE: frozenset[RequestPhase] = frozenset({"received", "queued", "prefill", "decode"})


@dataclass(frozen=True, slots=True)
class CallNote:
    """One tool call as a word or two of its request; the whole call is a `ToolRecord`."""

    id: str
    name: str
    about: str = ""  # one line: the argument that tells most; a path of the client's folder begins there
    file: str = ""  # that it names, likewise
    failed: bool | None = None  # its result; None: none has come


@dataclass(frozen=True, slots=True)
class RequestSnapshot:
    """One request, as far as it has come. Times are epoch seconds unless they end in `_s`."""

    id: str
    received: float
    updated: float
    session: str = ""
    agent: str = ""
    agent_type: str = ""
    lane: str = "main"
    model: str = ""
    backend: str = ""
    stream: bool = True
    messages: int = 0
    tools: int = 0
    body_bytes: int = 0
    preview: str = ""
    opening: str = ""  # of its conversation
    purpose: str = ""  # of a side request
    max_tokens: int = 0
    folder: str = ""  # that the client works in
    phase: RequestPhase = "received"
    position: int = 0  # requests ahead of it in the queue
    prefill: RequestPrefill | None = None  # 0 <= cached <= done <= total
    prefill_began: float = 0.0
    ttft_s: float | None = None
    usage: Usage | None = None
    cache: CacheVerdict | None = None
    output_tokens: int = 0
    tokens_per_s: float = 0.0
    ended: float | None = None
    stop_reason: str = ""
    error: str = ""  # its message
    cause: str = ""  # of the error, in a few words
    status: int = 0
    tool_calls: int = 0
    calls: tuple[CallNote, ...] = ()  # the first of them
    said: str = ""  # the end of its text so far, lines kept
    thinks: bool = False  # that text is a thought
    draft: str = ""  # the beginning of the call that is being written
    draft_tool: str = ""  # whose arguments that is; empty: its name is in it, or not known
    trace: str = ""
    retry_of: str = ""  # the failed request that this one repeats
    repeat: tuple[float, RequestPhase] | None = None  # when it was repeated, and how that stands

    @property
    def active(self) -> bool:
        """It waits, reads or writes."""
        return self.phase in ACTIVE

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, as well as they are known by now."""
        counted = self.usage.prompt_tokens if self.usage is not None else 0
        known = self.prefill.total if self.prefill is not None else 0
        counted = counted or known or (self.cache.prompt_tokens if self.cache is not None else 0)
        return counted or overflow_tokens(self.error)

    @property
    def reused_tokens(self) -> int:
        """Prompt tokens that the cache gave back."""
        if self.usage is not None and self.usage.prompt_tokens:
            return self.usage.cache_read_input_tokens
        if self.cache is not None:
            return self.cache.matched_tokens
        return self.prefill.cached if self.prefill is not None else 0

    @property
    def reports_reuse(self) -> bool:
        """Whether its server says what of the prompt was restored."""
        counted = self.backend == "mlx" and self.usage is not None and self.usage.prompt_tokens > 0
        return counted or self.cache is not None or self.prefill is not None or self.reused_tokens > 0

    @property
    def prefilled_tokens(self) -> int | None:
        """Prompt tokens that were computed so far; None: it ended before its answer, nobody knows where."""
        done = self.prompt_tokens
        if self.ttft_s is None and self.phase not in ("decode", "done"):
            if self.prefill is None and not self.active:
                return None
            done = self.prefill.done if self.prefill is not None else self.reused_tokens
        return max(0, done - self.reused_tokens)

    @property
    def kept_tokens(self) -> int:
        """Prompt tokens that were prefilled and kept for later prompts."""
        if self.usage is not None and self.usage.prompt_tokens:
            return self.usage.cache_creation_input_tokens
        return self.cache.kept_tokens if self.cache is not None else 0

    @property
    def who(self) -> str:
        """Who in its session asks."""
        return who_asks(self.lane, self.agent_type, self.purpose)

    def duration_s(self, now: float) -> float:
        """From its arrival to its end, or to `now`."""
        return max(0.0, (self.ended if self.ended is not None else now) - self.received)

    @property
    def search_text(self) -> str:
        """What the filter looks in, in lower case."""
        parts = (self.id, self.session, self.agent, self.agent_type, self.lane, self.model, self.phase)
        made = [word for call in self.calls for word in (call.name, call.about)]
        told = (self.stop_reason, self.cause, self.error, self.purpose, self.preview)
        return " ".join((*parts, *told, *made)).lower()


@dataclass(frozen=True, slots=True)
class AgentSnapshot:
    """The requests of one agent of a session, or its side requests of one purpose; there is at least one."""

    key: str  # no other of its session has it
    name: str  # main, the type of a subagent, compaction, what side requests are for
    lane: str
    requests: tuple[RequestSnapshot, ...]  # in the order of arrival

    @property
    def current(self) -> RequestSnapshot:
        """The newest request that runs or waits, else the newest."""
        return next((record for record in reversed(self.requests) if record.active), self.requests[-1])


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """The requests of one conversation, and of the agents and side requests that it began."""

    id: str  # empty: of clients that told none
    name: str  # the title that the client asked for, else the first question
    requests: tuple[RequestSnapshot, ...]  # in the order of arrival
    agents: tuple[AgentSnapshot, ...]  # main first, then in the order of arrival
    active: tuple[RequestSnapshot, ...] = ()
    updated: float = 0.0  # when something of it came last
    folder: str = ""  # the last part of the one that its client works in
    model: str = ""  # that the conversation itself asks for
    growth: int | None = None  # tokens a turn, as `proxy.anthropic.compaction` has it

    @property
    def started(self) -> float:
        """When its first request came that is known."""
        return self.requests[0].received

    @property
    def counted(self) -> RequestSnapshot | None:
        """The last request of the conversation itself whose prompt was counted."""
        main = self.agents[0]
        whole = (record for record in reversed(main.requests) if record.prompt_tokens)
        return next(whole, None) if main.lane == "main" else None

    @property
    def context_tokens(self) -> int:
        """What prompt and answer of its last turn take of the context window; 0: not known."""
        record = self.counted
        return record.prompt_tokens + record.output_tokens if record is not None else 0

    def was_counted_since(self, moment: float) -> bool:
        """Whether the model that was loaded at this moment has counted its context."""
        record = self.counted
        return record is not None and record.received >= moment

    def turns_left(self, window: int) -> int | None:
        """Turns until the client compacts in a window of so many tokens; None: nothing tells."""
        record = self.counted
        if record is None or not self.growth or window <= 0:
            return None
        limit = compacts_at(window, record.max_tokens or OUTPUT_RESERVED)
        return max(0, limit - record.prompt_tokens) // self.growth


@dataclass(frozen=True, slots=True)
class ToolRecord:
    """One tool call and, once the client has sent it, its result."""

    id: str
    time: float
    request: str = ""
    session: str = ""
    lane: str = "main"
    who: str = "main"  # that made it: the lane, or more exactly
    name: str = ""
    arguments: str = ""  # one line: what matters most
    more: str = ""  # one line: the other arguments
    input: Mapping[str, Any] | None = None
    raw: str = ""
    raw_tokens: int = 0
    family: str = ""
    constrained: bool | None = None
    relaxed: str = ""
    repairs: tuple[str, ...] = ()
    repaired: bool = False  # it is usable, and was not before its repairs
    verdict: str = "unchecked"
    detail: str = ""
    answered: float | None = None
    is_error: bool = False
    duration_s: float | None = None
    result_bytes: int = 0
    result: str = ""  # head of the result, lines kept

    @property
    def search_text(self) -> str:
        """What the filter looks in, in lower case."""
        outcome = "error" if self.is_error else "waiting" if self.answered is None else "ok"
        held = "relaxed" if self.relaxed else "grammar" if self.constrained else ""
        parts = (self.id, self.request, self.session, self.lane, self.name, self.verdict, outcome)
        made = (self.family, held, "repaired" if self.repaired else "", *self.repairs)
        return " ".join((*parts, *made, self.arguments, self.more, self.detail, self.result)).lower()


@dataclass(frozen=True, slots=True)
class ToolStats:
    """How one tool has fared since the screen follows."""

    name: str
    calls: int = 0
    invalid: int = 0
    repaired: int = 0
    results: int = 0
    errors: int = 0
    last_s: float | None = None  # what the newest result that was timed took
    p50_s: float | None = None  # of the durations that are known; None: not counted, or none is known
    p95_s: float | None = None


@dataclass(frozen=True, slots=True)
class MissRecord:
    """Why one prompt could not reuse more."""

    time: float
    request: str
    session: str
    lane: str
    prompt_tokens: int
    reason: str
    position: int
    before: str
    now: str
    segment: str = ""
    lost_tokens: int = 0  # that what was evicted would have restored
    eviction: str = ""  # when that was, and who needed the room, in words
    evicted: str = ""  # the same in short
    who: str = "main"  # whose prompt it is: the lane, or more exactly


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log: of the engine, of the host, or about the upstream; time 0: not known."""

    time: float
    text: str
    level: Literal["debug", "info", "warning", "error"] = "info"
    source: Literal["engine", "host", "upstream"] = "engine"
    request: str = ""  # that it is about


@dataclass(frozen=True, slots=True)
class Link:
    """The link of the screen to its host."""

    state: LinkState = "connecting"
    detail: str = ""
    since: float = 0.0  # epoch seconds; of the first break, while attempts are in vain
    attempt: int = 0

    @property
    def recorded(self) -> bool:
        """There is no host: what it said is played from a recording."""
        return self.detail == RECORDED and not self.gone

    @property
    def gone(self) -> bool:
        """The host is out of reach or has ended: all that is known of it is from before `since`."""
        return self.state in ("reconnecting", "ended")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Who the host is."""

    version: str = ""
    pid: int = 0
    started: float = 0.0
    url: str = ""
    backend: str = ""
    model: str = ""
    home: str = ""
    destination: str = ""  # where it sends requests, and who says so
    runs_engine: bool = True  # off where it has none of its own to restart


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent picture of the store. Parts that did not change are the same objects as before."""

    version: int = 0
    link: Link = Link()
    host: HostFacts | None = None
    requests: tuple[RequestSnapshot, ...] = ()  # in the order of arrival
    active: tuple[RequestSnapshot, ...] = ()
    sessions: tuple[SessionSnapshot, ...] = ()  # in the order of their first requests
    tools: tuple[ToolRecord, ...] = ()
    tool_stats: tuple[ToolStats, ...] = ()  # most used first
    misses: tuple[MissRecord, ...] = ()
    engine: EngineState | None = None
    model_since: float = 0.0  # when another model was loaded: what was counted before counts by that one
    largest_window: int = 0  # tokens, of the engines so far: a client is told that of its beginning
    restart_limit: int = 5
    probes: tuple[tuple[float, Probe], ...] = ()
    memory: tuple[tuple[float, int], ...] = ()
    log: tuple[LogLine, ...] = ()
    disk: HostDisk | None = None  # None: not known
    cache_acts: int = 0  # pins, unpins, drops and flushes by persons, from wherever
    stopping: bool = False  # the host takes no new requests, and ends after those that run
    notices: tuple[LogLine, ...] = ()
    totals: Totals = field(default_factory=Totals)
    prefill_speed: float = 0.0  # tokens a second in the model's long prefills; 0: none was measured
    saved_s: float | None = None  # prefill that restored tokens saved, estimated; None: not known
    lost: int = 0  # events that the host or this screen had to drop
    damaged: int = 0  # events that could not be read
    seq: int = 0
    traced: int = 0  # grows when a trace was written
    earlier: int = 0  # of the first `requests`: from before the events of this host, by their traces

    def as_of(self, now: float) -> float:
        """The moment that this picture shows: `now`, or the break with a host that is gone."""
        return min(now, self.link.since) if self.link.gone and self.link.since else now


@dataclass(frozen=True, slots=True)
class ModelFit:
    """The model suggested for this machine, and the command that gets it, or runs it where it is here."""

    model: str
    weights_gb: float
    memory_gb: int  # of this machine
    command: str
    here: bool  # it is downloaded
