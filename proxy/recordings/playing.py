"""A host's API without a host: a recording's traces answer as those of a host do, up to the moment shown."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.wire.json_text import encode_json
from proxy.api.host_routes import host_routes
from proxy.api.server import answer_faults_in_anthropics_shape
from proxy.events.errors import InvalidRequest, NotFound
from proxy.events.types import EngineState
from proxy.recordings.format import HostAnswer, Recording
from proxy.recordings.from_events import ToldRequests
from proxy.traces.analysis.facts import CALL_COLUMNS, TraceFacts
from proxy.traces.files import trace_path
from proxy.traces.index import IndexEntry, TraceIndex
from proxy.traces.listing.calls_page import CallPage
from proxy.traces.listing.histogram import Histogram
from proxy.traces.listing.list_row import list_row
from proxy.traces.marks import set_mark
from proxy.traces.reading import TraceNotFound
from proxy.traces.schema import Trace, TracePage, TraceSummary
from proxy.traces.summary import summarize

if TYPE_CHECKING:
    from proxy.api.host_routes import ObservedHost
    from proxy.events.types import HostState

NOTHING_RUNS = "this is a recording: there is no host that could do it"

NO_ANSWER = "the recording has no answer to that"
NOT_YET = "not recorded yet"
_CALL_ID, _RESULT_BYTES = CALL_COLUMNS.index("id"), CALL_COLUMNS.index("result_bytes")


class _IndexThen(TraceIndex):
    """An index in memory for which it is the `moment` that is shown: today is the day of the recording."""

    moment = 0.0

    def __init__(self) -> None:
        super().__init__(None, notice=lambda text: None)

    def page(self, **asked: Any) -> TracePage:
        return super().page(**{"now": self.moment, **asked})

    def histogram(self, **asked: Any) -> Histogram:
        return super().histogram(**{"now": self.moment, **asked})

    def calls(self, **asked: Any) -> CallPage:
        return super().calls(**{"now": self.moment, **asked})


class PlayedTraces:
    """In place of a host's trace store: the traces of a recording that have ended at the moment shown.

    `folder` is an empty folder of this player's own, for the marks. Building it takes about 2 ms a trace.
    """

    def __init__(self, recording: Recording, folder: Path) -> None:
        self.folder = folder
        self.index = _IndexThen()
        self._traces = recording.traces
        self._rows = recording.rows
        rows = {trace.id: _row(trace) for trace in recording.traces.values()} | recording.rows
        ordered = sorted(rows.values(), key=_end)
        self._ends = [_end(row) for row in ordered]
        without = {row.id: row for row in ordered if row.id not in recording.traces}
        told = ToldRequests.of(recording.moments if without else (), without)
        self._brief = {name: told.trace(row) for name, row in without.items()}
        whole = self._brief | recording.traces
        sizes = {call: result.result_bytes for call, result in told.results.items()}
        self._entries = [
            _entry(row, whole[row.id], sizes if row.id in self._brief else {}) for row in ordered
        ]
        self._listed = 0
        for row in ordered:
            if row.marked:
                _mark(folder, row.id)

    def show(self, moment: float) -> None:
        """List the traces that had ended at this moment, and no others."""
        self.index.moment = moment
        until = bisect_right(self._ends, moment)
        if until > self._listed:
            self.index.put(self._entries[self._listed : until])
        elif until < self._listed:
            self.index.remove(entry.summary.path for entry in self._entries[until : self._listed])
        self._listed = until

    def load(self, trace_id: str) -> Trace:
        """One trace, whole.

        Raises:
            TraceNotFound: the recording does not have it.
        """
        if (trace := self._traces.get(trace_id)) is not None:
            return trace
        if trace_id in self._rows:
            raise TraceNotFound(f"the recording has the figures of {trace_id} and not its texts")
        raise TraceNotFound(f"the recording has no trace {trace_id}")

    def brief(self, trace_id: str) -> Trace:
        """One trace without its texts, by what the feed told of it if it was not recorded as a whole.

        Raises:
            TraceNotFound: the recording does not have it.
        """
        return self._brief.get(trace_id) or self.load(trace_id).brief()


class PlayedHost:
    """What the routes of the host API ask of a host; what no recording can answer is said to be so."""

    def __init__(
        self,
        store: PlayedTraces,
        state: Callable[[], HostState | None],
        engine: Callable[[], EngineState | None],
        answers: Mapping[str, Sequence[tuple[float, HostAnswer]]] | None = None,
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.store = store
        self._state = state
        self._engine = engine
        self._answers = answers or {}
        self._now = now

    def state(self) -> HostState:
        """What the host said of itself last."""
        if (state := self._state()) is None:
            raise NotFound(NO_ANSWER)
        return state

    def engine_state(self) -> EngineState:
        """The engine's state at the moment shown."""
        return self._engine() or EngineState(state="stopped")

    def answer(self, path: str) -> HostAnswer | None:
        """What the host answered to this path last before the moment shown.

        Raises:
            NotFound: it was asked later for the first time.
        """
        answers = self._answers.get(path)
        if not answers:
            return None
        place = bisect_right(answers, self._now(), key=lambda one: one[0])
        if not place:
            raise NotFound(f"{NOT_YET}: the recording has it from {_clock(answers[0][0])} on")
        return answers[place - 1][1]

    def __getattr__(self, name: str) -> Any:
        raise NotFound(NO_ANSWER)


def played_api(host: PlayedHost) -> ASGIApp:
    """The host's own API as an application that only reads."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    answer_faults_in_anthropics_shape(app)
    app.include_router(host_routes(cast("ObservedHost", host)))

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            error = InvalidRequest(NOTHING_RUNS)
            told = {"type": "error", "error": {"type": error.info.type, "message": NOTHING_RUNS}}
            await JSONResponse(told, 409)(scope, receive, send)
            return
        try:
            answer = host.answer(scope["path"]) if scope["type"] == "http" else None
        except NotFound as fault:
            told = {"type": "error", "error": {"type": fault.info.type, "message": fault.info.message}}
            await JSONResponse(told, 404)(scope, receive, send)
            return
        if answer is not None:
            await Response(encode_json(answer.body), 200, media_type="application/json")(scope, receive, send)
        else:
            await app(scope, receive, send)

    return reading


def _end(row: TraceSummary) -> float:
    return row.time + (row.duration_s or 0.0)


def _row(trace: Trace) -> TraceSummary:
    return summarize(trace, trace_path(trace.backend, trace.time, trace.id), 0)


def _entry(row: TraceSummary, trace: Trace, sizes: Mapping[str, int]) -> IndexEntry:
    """The index's entry; `sizes`: the bytes of results of which a trace without texts has the beginning."""
    facts = TraceFacts.of(trace, row.path)
    calls = tuple(
        (
            *call[:_RESULT_BYTES],
            sizes.get(str(call[_CALL_ID]), call[_RESULT_BYTES]),
            *call[_RESULT_BYTES + 1 :],
        )
        for call in facts.calls
    )
    return IndexEntry(row, list_row(trace, row), replace(facts, calls=calls))


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment).strftime("%H:%M:%S")


def _mark(folder: Path, trace_id: str) -> None:
    try:
        set_mark(folder, trace_id)
    except ValueError:
        pass  # a foreign trace, which has no file name that a mark could have
