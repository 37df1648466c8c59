"""The host's state as it was before the events that are recorded: a host tells only its state of now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from proxy.events.totals import Totals
from proxy.events.types import EngineState, Event, HostState

_LEVELS = ("cache_entries", "cache_bytes", "cache_budget_bytes")  # of totals; all others are counts


def state_before(state: HostState, events: Sequence[Event]) -> HostState:
    """`state` without what `events` (those up to its `seq`, oldest first) have changed since."""
    if not events:
        return state
    begin = events[0].time
    logged = list(zip(state.engine_log_times, state.engine_log, strict=False))
    if len(state.engine_log_times) != len(state.engine_log):
        logged = []
    earlier = [(at, line) for at, line in logged if at < begin]
    return state.model_copy(
        update={
            "seq": events[0].seq - 1,
            "first_seq": events[0].seq,
            "counters": _counts_before(state.counters, events),
            "engine": _engine_before(state.engine, events),
            "probes": [(at, probe) for at, probe in state.probes if at < begin],
            "engine_log": [line for _, line in earlier],
            "engine_log_times": [at for at, _ in earlier],
            "tokens_per_s": 0.0,
            "stopping": False,
        }
    )


def _counts_before(counters: Totals, events: Sequence[Event]) -> Totals:
    counted = Totals()
    for event in events:
        payload = _payload(event)
        if payload is not None:
            counted.observe(event.type, event.request, payload)
    after, within = asdict(counters), asdict(counted)
    return Totals(
        **{name: after[name] if name in _LEVELS else max(0, after[name] - within[name]) for name in after}
    )


def _engine_before(engine: EngineState, events: Sequence[Event]) -> EngineState:
    """The oldest state that the events tell: the one before it was reported with the probe before."""
    for event in events:
        payload = _payload(event) if event.type == "engine.state" else None
        if isinstance(payload, EngineState):
            return payload.model_copy(update={"probe": None})
    return engine


def _payload(event: Event) -> object:
    try:
        return event.payload()
    except ValueError:  # of another version
        return None
