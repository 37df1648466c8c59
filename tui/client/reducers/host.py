"""What the screen knows of the host besides requests: engine, probes, memory, notices, cache misses."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from proxy.timeline.health_history import UP
from tui.client.event_text import cleaned
from tui.client.figures import clock
from tui.client.records import LogLine, MissRecord, RequestSnapshot
from tui.client.who import who_asks
from tui.client.why_text import eviction_words
from tui.client.wire_text import line_text

if TYPE_CHECKING:
    from proxy.events.health_types import HostDisk
    from proxy.events.types import EngineState, Event, HostState, Probe

NOTICES, MISSES, PROBES, MEMORY = 100, 300, 400, 900


class HostReducer:
    """Bounded histories, newest last, each given out as a tuple that stays the same while nothing changed."""

    def __init__(self) -> None:
        self.engine: EngineState | None = None
        self.restart_limit = 5
        self.disk: HostDisk | None = None
        self.stopping = False
        self.cache_acts = 0  # what persons did to the prefix cache, from wherever
        self.model = ""  # the engine's that was up last
        self.model_since = 0.0  # when it took the place of another one; 0: it is the first that is known
        self.largest_window = 0
        self._histories: dict[str, deque[Any]] = {
            "notices": deque(maxlen=NOTICES),
            "misses": deque(maxlen=MISSES),
            "probes": deque(maxlen=PROBES),
            "memory": deque(maxlen=MEMORY),
        }
        self._snapshots: dict[str, tuple[Any, ...]] = {}

    def history(self, name: str) -> tuple[Any, ...]:
        """`notices`, `misses`, `probes` or `memory`."""
        if name not in self._snapshots:
            self._snapshots[name] = tuple(self._histories[name])
        return self._snapshots[name]

    def begin(self, state: HostState) -> None:
        """Take the host's own account of its engine."""
        self.engine = state.engine.model_validate(cleaned(state.engine.model_dump()))
        if self.engine.state in UP:
            self.largest_window = max(self.largest_window, self.engine.context_tokens)
        self.disk = state.disk
        self.stopping = state.stopping
        self._replace(
            "probes",
            ((time, probe.model_validate(cleaned(probe.model_dump()))) for time, probe in state.probes),
        )

    def apply(self, event: Event, data: Any, fresh: bool, request: RequestSnapshot | None) -> None:
        """Take one event; what is not `fresh` is in the host's own account already."""
        match event.type:
            case "engine.state":
                self._engine_state(event, data, fresh)
            case "engine.restart":
                self.restart_limit = max(1, data.of)
                when = f"in {data.delay_s:.0f} s" if data.delay_s else "now"
                text = f"engine restart {data.attempt} of {data.of} {when}: {data.reason}"
                self._add("notices", LogLine(event.time, line_text(text), "warning"))
            case "upstream.probe" if fresh:
                self._add("probes", (event.time, data))
            case "host.disk":
                self.disk = data
            case "host.notice":
                self.stopping = self.stopping or data.stopping
                self._add("notices", LogLine(event.time, line_text(data.text), data.level))
            case "cache.pinned" | "cache.unpinned" | "cache.dropped" | "cache.flushed":
                self.cache_acts += 1
            case "cache.missed":
                self._add("misses", _miss(event, data, request))

    def _engine_state(self, event: Event, data: Any, fresh: bool) -> None:
        if data.memory_bytes > 0:
            self._add("memory", (event.time, data.memory_bytes))
        if data.state in UP:
            self.largest_window = max(self.largest_window, data.context_tokens)
        if data.state in UP and data.model:
            if self.model not in ("", data.model):
                self.model_since = event.time
            self.model = data.model
        if fresh:
            self.engine = data
            if data.probe is not None:
                self._add("probes", (event.time, data.probe))

    def _add(self, name: str, item: LogLine | MissRecord | tuple[float, Probe] | tuple[float, int]) -> None:
        self._histories[name].append(item)
        self._snapshots.pop(name, None)

    def _replace(self, name: str, items: Any) -> None:
        self._histories[name] = deque(items, maxlen=self._histories[name].maxlen)
        self._snapshots.pop(name, None)


def _in_short(miss: Any) -> str:
    """Why a miss was evicted, in few words: when, and for whom."""
    if not miss.evicted_at:
        return ""
    name = f"{line_text(miss.evicted_session)[:6]} {who_asks(line_text(miss.evicted_lane))}".strip()
    causes = {"dropped": "dropped by you", "flushed": "flushed by you", "memory": "evicted for memory"}
    word = causes.get(miss.evicted_cause, "evicted")
    return f"{word} {clock(miss.evicted_at)}" + (
        f" for {name}" if name and word.startswith("evicted") else ""
    )


def _miss(event: Event, data: Any, request: RequestSnapshot | None) -> MissRecord:
    return MissRecord(
        time=request.received if request else event.time,  # as the request has it in all lists
        request=request.id if request else line_text(event.request or "", 80),
        session=request.session if request else "",
        lane=request.lane if request else "main",
        who=request.who if request else "main",
        prompt_tokens=(request.prompt_tokens if request else 0)
        or (data.tokens and data.miss.position + data.tokens),
        reason=data.miss.reason,
        position=data.miss.position,
        before=data.miss.before,
        now=data.miss.now,
        segment=data.miss.segment,
        lost_tokens=data.miss.lost_tokens,
        eviction=eviction_words(data.miss),
        evicted=_in_short(data.miss),
    )
