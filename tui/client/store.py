"""The one store of the screen: events in, immutable snapshots out. It knows no Textual and does no I/O."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from proxy.events.totals import Totals
from proxy.timeline.health_history import HealthHistory
from tui.client.event_text import cleaned
from tui.client.inbox import Arrived, Damaged, Past
from tui.client.records import HostFacts, Link, RequestSnapshot, Snapshot, ToolRecord
from tui.client.reducers.health import HealthReducer
from tui.client.reducers.history import Buckets
from tui.client.reducers.host import HostReducer
from tui.client.reducers.prefill_savings import PrefillSavings
from tui.client.reducers.requests import RequestReducer
from tui.client.reducers.tools import ToolReducer, call_note
from tui.client.reducers.transcript import Transcript
from tui.client.wire_text import line_text

if TYPE_CHECKING:
    from proxy.events.types import Event, HostState

LOST_AFTER_S = 30.0


class Store:
    """Everything the screen shows. `apply` never raises; what cannot be read is counted as damaged."""

    def __init__(self) -> None:
        self._version = 0
        self._snapshot = Snapshot()
        self._link = Link()
        self._forget()

    def clear(self, kept: bytes = b"") -> None:
        """Forget everything, or all but what `keep` has given."""
        version = self._version
        if kept:
            self.__dict__.update(pickle.loads(kept))
        else:
            self._forget()
            self._link = Link()
        self._version = version + 1

    def keep(self) -> bytes:
        """All that is known, for `clear`."""
        return pickle.dumps(self.__dict__)

    def _forget(self) -> None:
        self._host: HostFacts | None = None
        self._requests = RequestReducer()
        self._tools = ToolReducer()
        self._rest = HostReducer()
        self._health = HealthReducer()
        self._totals = Totals()
        self._savings = PrefillSavings()
        self._lost = self._damaged = 0
        self._seq = 0  # of the newest event seen
        self._covered = 0  # the host's own account covers events up to this one
        self._lost_at = 0.0
        self._gap_told = True  # before the first event there is nothing to miss
        self._wants_state = False
        self._earlier = 0

    # -- in -----------------------------------------------------------------------------------------------

    def begin(self, state: HostState) -> None:
        """Take the host's own account; a host that is another process than before starts an empty store."""
        if self._host is None or (self._host.pid, self._host.started) != (state.pid, state.started):
            self._forget()
        self._host = HostFacts(
            version=line_text(state.version),
            pid=state.pid,
            started=state.started,
            url=line_text(state.url),
            backend=line_text(state.backend),
            model=line_text(state.model),
            home=line_text(state.home),
            destination=line_text(state.destination),
            runs_engine=state.runs_engine,
        )
        self._totals = replace(state.counters)
        self._covered = max(self._covered, state.seq)
        self._rest.begin(state)
        self._health.begin(state)
        self._wants_state = False
        self._version += 1

    def apply(self, event: Event) -> None:
        """Take one event. One that was seen before, or of an unknown type, changes nothing."""
        if not self._in_order(event):
            return
        self._version += 1
        try:
            data = event.model_copy(update={"data": cleaned(event.data)}).payload()
        except ValueError:  # pydantic's ValidationError is one
            self.damage()
            return
        if data is not None:
            self._route(event, data, fresh=event.seq > self._covered)

    def recall(self, events: Sequence[Event]) -> None:
        """Take what happened before the feed of this host: it is listed, and in no total of this host's."""
        self._version += 1
        for event in events:
            try:
                data = event.model_copy(update={"data": cleaned(event.data)}).payload()
            except ValueError:
                self.damage()
                continue
            if data is not None:
                self._route(event, data, fresh=False)
        self._requests.forget_texts()  # of the answers only the calls are known
        self._earlier = len(self._requests.records())

    def _in_order(self, event: Event) -> bool:
        """False for what was seen before; a gap in the numbers that nobody announced counts as lost."""
        if event.type == "host.lost":
            self._gap_told = True
            self._seq = max(self._seq, event.seq)
            return True
        if event.seq <= self._seq:
            return False
        if not self._gap_told:
            self.lose(event.seq - self._seq - 1, event.time)
        self._gap_told = False
        self._seq = event.seq
        return True

    def _route(self, event: Event, data: Any, fresh: bool) -> None:
        try:
            self._health.apply(event, data, fresh=fresh)
        except ValueError:  # a history that no version of it has made
            self.damage()
        if fresh:
            self._totals.observe(event.type, event.request, data)
        if event.type in ("request.finished", "request.failed"):
            request, model = self._requests.get(event.request), self._rest.model
            self._savings.note(request, data, of_this_host=event.seq > 0, engine_model=model)
        if event.type == "host.lost":
            self.lose(data.count, event.time)
        elif event.type == "request.tool_call":
            self._tools.call(event, data, self._requests.note_call(event, call_note(data)))
        elif event.type == "request.tool_result":
            self._tools.result(event, data, self._requests.get(event.request))
            call = self._tools.get(line_text(data.tool_use_id, 80))
            if call is not None:
                self._requests.note_result(call.request, call.id, call.is_error)
        elif event.type.startswith("request."):
            self._requests.apply(event, data)
        else:
            self._rest.apply(event, data, fresh, self._requests.get(event.request))

    def take(self, item: Arrived) -> None:
        """Take one arrival of the feed, whatever it is."""
        if isinstance(item, Link):
            self.set_link(item)
        elif isinstance(item, Damaged):
            self.damage()
        elif isinstance(item, Past):
            self.recall(item.events)
        elif hasattr(item, "counters"):
            self.begin(cast("HostState", item))
        else:
            self.apply(item)

    def lose(self, count: int, moment: float) -> None:
        """Note that `count` events never came, or had to be dropped on this side."""
        if count > 0:
            self._lost += count
            self._lost_at = max(self._lost_at, moment)
            self._wants_state = True
            self._version += 1

    def damage(self) -> None:
        """Note one event that could not be read."""
        self._damaged += 1
        self._version += 1

    def set_link(self, link: Link) -> None:
        """Note how the connection to the host stands; with the host's end all its requests have ended."""
        since = self._link.since if link.gone and self._link.gone else link.since
        link = replace(link, detail=line_text(link.detail), since=since)
        if link != self._link:
            self._link = link
            self._version += 1
        if link.state == "ended":
            self._requests.give_up(since, since)

    def expire(self, now: float) -> None:
        """After events were lost, stop waiting for requests without events for a while."""
        if self._lost_at and self._requests.give_up(self._lost_at, now - LOST_AFTER_S):
            self._version += 1

    # -- out ----------------------------------------------------------------------------------------------

    @property
    def wants_state(self) -> bool:
        """Events were lost, so the host should be asked for its account again."""
        return self._wants_state

    @property
    def output_rate(self) -> Buckets:
        """Output tokens of all requests over time."""
        return self._requests.output_rate

    @property
    def health(self) -> HealthHistory:
        """What the health of the host was over time; another object once there is another host."""
        return self._health.history

    def transcript(self, request: str) -> Transcript | None:
        """The text of a request's answer, if it is still held."""
        return self._requests.transcript(request)

    def tool_call(self, key: str) -> ToolRecord | None:
        """A tool call by its id, if it is still held."""
        return self._tools.get(key)

    def snapshot(self) -> Snapshot:
        """The picture of this moment; the same object as long as nothing changed."""
        if self._version != self._snapshot.version:
            self._snapshot = self._draw()
        return self._snapshot

    def _draw(self) -> Snapshot:
        requests, rest = self._requests.records(), self._rest
        active = tuple(record for record in requests if record.active)
        totals = _with_running(self._totals, active)
        return Snapshot(
            version=self._version,
            link=self._link,
            host=self._host,
            requests=requests,
            active=active,
            sessions=self._requests.sessions(),
            tools=self._tools.records(),
            tool_stats=self._tools.stats(),
            misses=rest.history("misses"),
            engine=rest.engine,
            model_since=rest.model_since,
            largest_window=rest.largest_window,
            restart_limit=rest.restart_limit,
            probes=rest.history("probes"),
            memory=rest.history("memory"),
            log=self._health.lines(),
            disk=rest.disk,
            cache_acts=rest.cache_acts,
            stopping=rest.stopping,
            notices=rest.history("notices"),
            totals=totals,
            prefill_speed=self._savings.speed(rest.model),
            saved_s=self._savings.seconds(totals.cache_read_input_tokens),
            lost=self._lost,
            damaged=self._damaged,
            seq=self._seq,
            traced=self._requests.traced,
            earlier=self._earlier,
        )


def _with_running(totals: Totals, active: tuple[RequestSnapshot, ...]) -> Totals:
    """The totals with what the requests that run have restored, prefilled and written so far."""
    whole = replace(totals)
    for record in active:
        whole.output_tokens += record.output_tokens
        if record.usage is not None:
            whole.input_tokens += record.usage.input_tokens
            whole.cache_creation_input_tokens += record.usage.cache_creation_input_tokens
            whole.cache_read_input_tokens += record.usage.cache_read_input_tokens
        elif record.prefill is not None:
            whole.cache_read_input_tokens += record.prefill.cached
            whole.cache_creation_input_tokens += record.prefill.done - record.prefill.cached
    return whole
