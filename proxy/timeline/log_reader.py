"""Which events are lines of the log, in words for people, of which source and level.

A host keeps these lines for screens that attach later, and a screen makes them of the events that it gets.
Free of pydantic, which the screen's first frame does not wait for.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from proxy.configuration.known_backends import backend_kind
from proxy.events.causes import UPSTREAM_FAULTS, cause_of, end_of_cancelled, is_engine_fault, with_cause
from proxy.timeline.log_levels import Level, level_of, without_level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.events.types import EngineMemory, EngineState, Probe
    from proxy.timeline.health_history import StateMark

Source = Literal["engine", "host", "upstream"]
_UP = ("ready", "busy")
_COMING = ("starting", "loading")
_KEPT_REQUESTS = 1000


class LogFact(NamedTuple):
    """One line of the log; `request` is the id of the request that it is about."""

    source: Source
    level: Level
    text: str
    request: str = ""


class LogReader:
    """Reads the events of one host in order; what an event says depends on those before it."""

    def __init__(self) -> None:
        self._state = ""  # of the engine
        self._pressure = "normal"
        self._paused = False
        self._probe_ok = True
        self._upstream: bool | None = None
        self._last_exit = ""
        # Session, the request that it repeats, backend.
        self._requests: OrderedDict[str, tuple[str, str, str]] = OrderedDict()

    def read(self, type: str, request: str | None, data: Any) -> list[LogFact]:
        """The lines that one event is, oldest first; most are none."""
        match type:
            case "engine.log":
                level = data.level or level_of(data.line)
                return [LogFact("engine", level, without_level(data.line))]
            case "host.log":
                return [LogFact("host", data.level, data.line)]
            case "host.notice":
                return [LogFact("host", data.level, data.text)]
            case "host.lost":
                return [LogFact("host", "warning", f"{data.count:,} events were lost on the way to here")]
            case "engine.restart":
                return [self._restart(data)]
            case "engine.state":
                return self._engine(data)
            case "upstream.probe":
                return self._upstream_probe(data)
            case "request.received" | "request.finished" | "request.failed":
                return self._request(type, request or "", data)
        return []

    def _restart(self, data: Any) -> LogFact:
        when = f"in {data.delay_s:g} s" if data.delay_s else "now"
        why = "" if data.reason == self._last_exit else f": {data.reason}"
        return LogFact("host", "warning", f"restart {data.attempt} of {data.of} {when}{why}")

    def _engine(self, engine: EngineState) -> list[LogFact]:
        before, self._state = self._state, engine.state
        facts = [*self._memory(engine.memory), *self._disk(engine), *self._probe(engine.probe)]
        if before and before != engine.state:
            facts += self._changed(before, engine)
        return facts

    def _changed(self, before: str, engine: EngineState) -> list[LogFact]:
        detail = engine.detail or engine.last_exit
        match engine.state:
            case "exited":
                self._last_exit = detail
                return [LogFact("host", "error", detail or "the engine ended")]
            case "failed":
                return [LogFact("host", "error", f"the engine failed: {detail}" if detail else "it failed")]
            case "stalled":
                why = f": {detail}" if detail else ""
                return [LogFact("host", "error", f"the engine stalled{why}")]
            case "starting":
                return [LogFact("host", "info", "the engine starts")]
            case "stopped":
                return [LogFact("host", "info", "the engine was stopped")]
            case "ready" | "busy" if before in _COMING:
                took = engine.since - (engine.started or engine.since)
                after = f" {took:.1f} s after its start" if took > 0 else ""
                window = f", window {engine.context_tokens:,} tokens" if engine.context_tokens else ""
                return [LogFact("host", "info", f"the engine is ready{after}{window}")]
            case "ready" | "busy" if before not in _UP:
                return [LogFact("host", "info", "the engine makes progress again")]
        return []

    def _memory(self, memory: EngineMemory | None) -> list[LogFact]:
        if memory is None or memory.pressure == self._pressure:
            return []
        self._pressure = memory.pressure
        if memory.pressure == "normal":
            return [LogFact("host", "info", "this machine has memory to spare again")]
        level: Level = "error" if memory.pressure == "critical" else "warning"
        return [LogFact("host", level, f"this machine is short of memory ({memory.pressure})")]

    def _disk(self, engine: EngineState) -> list[LogFact]:
        paused = engine.cache is not None and engine.cache.disk_paused
        if paused == self._paused:
            return []
        self._paused = paused
        if not paused:
            return [LogFact("host", "info", "the disk takes files of the prefix cache again")]
        text = "the disk refused a file of the prefix cache (full?); what is in memory stays"
        return [LogFact("host", "warning", text)]

    def _probe(self, probe: Probe | None) -> list[LogFact]:
        if probe is None or probe.ok == self._probe_ok:
            return []
        self._probe_ok = probe.ok
        if probe.ok:
            return [LogFact("host", "info", f"the engine answers its probes again, in {_ms(probe)}")]
        return [LogFact("host", "warning", f"a probe of the engine failed: {probe.detail}")]

    def _upstream_probe(self, probe: Probe) -> list[LogFact]:
        before, self._upstream = self._upstream, probe.ok
        if before == probe.ok:
            return []
        if not probe.ok:
            return [LogFact("upstream", "error", f"it does not accept connections: {probe.detail}")]
        again = "again " if before is False else ""
        return [LogFact("upstream", "info", f"it accepts connections {again}({_ms(probe)})")]

    def _request(self, type: str, request: str, data: Any) -> list[LogFact]:
        if type == "request.received":
            self._requests[request] = (data.session, data.retry_of, data.backend)
            if len(self._requests) > _KEPT_REQUESTS:
                self._requests.popitem(last=False)
            if data.retry_of:
                return [LogFact("host", "info", f"{_who(data.session)}repeats its failed request", request)]
            return []
        session, retry_of, backend = self._requests.pop(request, ("", "", ""))
        who = _who(session)
        if type == "request.finished":
            if not retry_of:
                return []
            usage = data.usage
            restored, prompt = usage.cache_read_input_tokens, usage.prompt_tokens
            reused = f": {restored:,} of {prompt:,} tokens were restored" if restored else ""
            return [LogFact("host", "info", f"{who}its repeat was answered{reused}", request)]
        error = data.error
        if data.cancelled:
            return [LogFact("host", "info", f"{who}{end_of_cancelled(error.cause)}", request)]
        cause = error.cause or cause_of(error.type, error.message)
        # By the request where it says so: of one from before this host no state of an engine is known.
        engine = backend_kind(backend) == "mlx" if backend else self._state not in ("", "stopped")
        source: Source = "upstream" if not engine and cause in UPSTREAM_FAULTS else "host"
        # The engine's end is the error; the client repeats what broke with it.
        level: Level = "warning" if engine and data.status == 529 and is_engine_fault(cause) else "error"
        return [LogFact(source, level, f"{who}{with_cause(cause, error.message)}", request)]


def lines_of_earlier_hosts(marks: Iterable[StateMark]) -> Iterator[tuple[float, LogFact]]:
    """The log of earlier hosts and the start of the last one, as their history tells it: times and lines."""
    marks = list(marks)
    starts = [place for place, mark in enumerate(marks) if mark.state == "host"]
    before = ""
    for mark in marks[: starts[-1] + 1] if starts and starts[-1] else ():
        if fact := _earlier_line(mark, before):
            yield mark.time, fact
        before = mark.state


def _earlier_line(mark: StateMark, before: str) -> LogFact | None:
    because = f": {mark.detail}" if mark.detail else ""
    match mark.state:
        case "host":
            return LogFact("host", "info", "the host started")
        case "off" if mark.detail:
            return LogFact("host", "warning", f"the host was last seen here; it did not close{because}")
        case "off":
            return LogFact("host", "info", "the host ended")
        case "exited":
            return LogFact("host", "error", mark.detail or "the engine ended")
        case "failed":
            return LogFact("host", "error", f"the engine failed{because}")
        case "stalled":
            return LogFact("host", "error", f"the engine stalled{because}")
        case "restarting":
            # Its detail begins with the end that the line before tells of.
            _, _, last = mark.detail.rpartition("; ")
            what = "you restarted the engine" if mark.by_you else last or "the engine is restarted"
            return LogFact("host", "info" if mark.by_you else "warning", what)
        case "ready":
            return LogFact("host", "info", "the engine is ready")
        case "refused":
            return LogFact("upstream", "error", f"it does not accept connections{because}")
        case "connects" if before == "refused":
            return LogFact("upstream", "info", "it accepts connections again")
    return None


def _who(session: str) -> str:
    return f"{session[:6]}: " if session else ""


def _ms(probe: Probe) -> str:
    return f"{probe.latency_s * 1000:.1f} ms"
