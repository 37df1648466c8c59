"""What happened to a host over a week: figures, changes of the engine or upstream, times of requests.

The host keeps one, gives it to screens that attach, and writes it to disk for its next start; a screen feeds
its own from there on. Free of pydantic, which the screen's first frame does not wait for.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from proxy.events.causes import RESTART_REQUESTED
from proxy.timeline.buckets import HealthSample, HealthSamples

if TYPE_CHECKING:
    from proxy.events.types import EngineState

WEEK_S = 7 * 86_400.0
KEPT_MARKS, KEPT_SPANS = 400, 3000
# Of spans older than so many seconds, those of a session are one if they are no further apart.
_THINNING = ((86_400.0, 900.0), (3600.0, 45.0), (0.0, 1.0))
_TEXT = 400  # characters of a mark
_LATEST = 1e12
UP = frozenset({"ready", "busy"})
UNCLOSED = "killed, or this machine went off"  # detail of an `off` whose host could not say when that was


@dataclass(frozen=True, slots=True)
class StateMark:
    """The engine, or the upstream, was in another state from here on.

    `ready` and `busy` are one. Of an upstream there are `connects` and `refused`; `host` is the host's start,
    `off` its end: with `UNCLOSED` the last that is known of it.
    """

    time: float
    state: str
    detail: str = ""
    by_you: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Time in which requests of one session ran, without a pause that would be seen."""

    start: float
    end: float
    session: str
    requests: int = 1
    failed: int = 0
    request: str = ""  # the last one
    tokens: int = 0  # of the answers


@dataclass(slots=True)
class _Running:
    start: float
    session: str
    tokens: int = 0
    counted: float = 0.0  # when tokens of it were counted last


class HealthHistory:
    """Fed with the events of one host in order; `observe` costs microseconds."""

    def __init__(self) -> None:
        self.samples = HealthSamples()
        self.marks: deque[StateMark] = deque(maxlen=KEPT_MARKS)
        self.spans: deque[Span] = deque()
        self.version = 0
        self._running: dict[str, _Running] = {}

    @property
    def running(self) -> list[Span]:
        """The requests that run, each up to the last sign of it."""
        return [
            Span(one.start, max(one.start, one.counted), one.session, request=request, tokens=one.tokens)
            for request, one in self._running.items()
        ]

    def begin(self, moment: float) -> None:
        """The host starts: what was before is known from an earlier one, if at all."""
        self._mark(StateMark(moment, "host"))

    def observe(self, moment: float, type: str, request: str | None, data: Any) -> None:
        """Take one event of this moment (epoch seconds)."""
        if not 0 < moment <= _LATEST:
            return
        match type:
            case "engine.state":
                self._engine(moment, data)
            case "upstream.probe":
                self._probe(moment, data)
                self._mark(StateMark(moment, "connects" if data.ok else "refused", data.detail[:_TEXT]))
            case "request.received":
                self._running[request or ""] = _Running(moment, data.session, counted=moment)
                while len(self._running) > KEPT_SPANS:  # their ends were lost
                    del self._running[next(iter(self._running))]
            case "request.queued" | "request.prefill":  # not with its arrival: it may be refused at once
                self.samples.add(moment, HealthSample(busy=1))
            case "request.delta":
                self._tokens(moment, request or "", data.output_tokens)
            case "request.finished" | "request.failed":
                self._ended(moment, request or "", data)
            case _:
                return
        self.version += 1

    def note(self, moment: float, type: str, request: str | None, data: Any) -> None:
        """Take one event that is in what was loaded already: what still runs goes on from there."""
        name = request or ""
        if type == "request.received":
            self._running[name] = _Running(moment, data.session, counted=moment)
        elif type == "request.delta" and name in self._running:
            running = self._running[name]
            running.tokens, running.counted = max(running.tokens, data.output_tokens), moment
        elif type in ("request.finished", "request.failed"):
            self._running.pop(name, None)

    def _engine(self, moment: float, engine: EngineState) -> None:
        if engine.probe is not None:
            self._probe(moment, engine.probe)
        limit = engine.memory.limit_bytes if engine.memory is not None else 0
        busy = int(engine.state == "busy" or engine.running > 0)
        self.samples.add(
            moment,
            HealthSample(memory_bytes=max(0, engine.memory_bytes), limit_bytes=max(0, limit), busy=busy),
        )
        state = "ready" if engine.state in UP else engine.state
        by_you = engine.state == "restarting" and engine.last_exit == RESTART_REQUESTED
        detail = engine.detail or (engine.last_exit if engine.state in ("exited", "failed") else "")
        self._mark(StateMark(moment, state, "" if state == "ready" else detail[:_TEXT], by_you))

    def _probe(self, moment: float, probe: Any) -> None:
        latency = probe.latency_s if probe.ok and math.isfinite(probe.latency_s) else 0.0
        self.samples.add(
            moment, HealthSample(probes=1, failed=int(not probe.ok), latency_s=max(0.0, latency))
        )

    def _mark(self, mark: StateMark) -> None:
        """Add a mark; one of the same state says only more of it."""
        if self.marks and self.marks[-1].state == mark.state and mark.state != "host":
            last = self.marks[-1]
            if mark.state in ("exited", "failed") and mark.detail and mark.detail != last.detail:
                self.marks[-1] = replace(last, detail=mark.detail)
            return
        self.marks.append(mark)

    def _tokens(self, moment: float, request: str, tokens: int) -> None:
        running = self._running.get(request)
        if running is None or not 0 <= tokens <= 1e9:
            return
        if tokens > running.tokens:
            self.samples.add(moment, HealthSample(tokens=tokens - running.tokens, busy=1))
            running.tokens = tokens
        running.counted = moment

    def _ended(self, moment: float, request: str, data: Any) -> None:
        running = self._running.pop(request, None)
        if running is None:
            return
        timings, tokens = data.timings, data.usage.output_tokens
        done = timings.done
        end = moment if done is None or not 0 <= done <= WEEK_S else min(moment, running.start + done)
        if 0 <= tokens - running.tokens <= 1e9:
            first = timings.first_token
            began = running.start + first if first is not None and 0 <= first <= WEEK_S else running.start
            since = max(running.counted, min(began, end)) if running.tokens else min(began, end)
            self.samples.add_tokens(min(since, end), end, tokens - running.tokens)
        failed = int(hasattr(data, "error") and not data.cancelled)
        self.add_span(
            Span(running.start, max(running.start, end), running.session, 1, failed, request, max(0, tokens))
        )

    def add_span(self, span: Span) -> None:
        """Add the time of a request that has ended."""
        self.spans.append(span)
        self.version += 1
        if len(self.spans) > KEPT_SPANS:
            self._thin(span.end)

    def _thin(self, now: float) -> None:
        """Join what would be one at any scale that reaches so far back; after that forget the oldest."""
        last: dict[str, int] = {}
        thin: list[Span] = []
        for span in sorted(self.spans, key=lambda one: one.start):
            before = thin[last[span.session]] if span.session in last else None
            gap = next(gap for age, gap in _THINNING if now - span.end >= age or age == 0)
            if (
                before is not None
                and span.start - before.end <= gap
                and bool(before.failed) == bool(span.failed)
            ):
                thin[last[span.session]] = Span(
                    before.start,
                    max(before.end, span.end),
                    span.session,
                    before.requests + span.requests,
                    before.failed + span.failed,
                    span.request,
                    before.tokens + span.tokens,
                )
            else:
                last[span.session] = len(thin)
                thin.append(span)
        kept = [span for span in thin if now - span.end <= WEEK_S]
        self.spans = deque(kept[-KEPT_SPANS * 3 // 4 :])

    # -- to the wire and to disk --------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """All as lists, for `HostHistory` and for a file."""
        return {
            "samples": self.samples.rows(),
            "marks": [[mark.time, mark.state, mark.detail, mark.by_you] for mark in self.marks],
            "spans": [
                [one.start, one.end, one.session, one.requests, one.failed, one.request, one.tokens]
                for one in self.spans
            ],
        }

    def load(
        self,
        samples: Iterable[Iterable[Sequence[float]]],
        marks: Iterable[Sequence[Any]],
        spans: Iterable[Sequence[Any]],
    ) -> None:
        """Take what `dump` gave; it comes before what this one has seen. Raises ValueError: it is no such."""
        try:
            known = [
                StateMark(epoch_seconds(mark[0]), str(mark[1])[:20], str(mark[2])[:_TEXT], bool(mark[3]))
                for mark in marks
            ]
            times = [
                Span(
                    epoch_seconds(span[0]),
                    epoch_seconds(span[1]),
                    str(span[2])[:80],
                    max(1, int(span[3])),
                    max(0, int(span[4])),
                    str(span[5])[:80],
                    max(0, int(span[6])),
                )
                for span in spans
            ]
            self.samples.load(samples)
        except (TypeError, IndexError, OverflowError) as error:
            raise ValueError(f"no history of a host: {error}") from None
        self.marks = deque([*known, *self.marks], maxlen=KEPT_MARKS)
        self.spans = deque([*times[-KEPT_SPANS:], *self.spans])
        self.version += 1


def epoch_seconds(value: Any) -> float:
    """A moment of a file or of a feed. Raises ValueError or TypeError: it is none that a calendar has."""
    moment = float(value)
    if not 0 <= moment <= _LATEST:
        raise ValueError("no moment")
    return moment
