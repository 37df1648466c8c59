"""State is never wrong: what the bars, the title, Health with timeline and log, and Cache say of a fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy.events.health_types import HostDisk
from proxy.events.totals import Totals
from proxy.events.types import PAYLOADS, EngineCache, EngineState, Event, Probe
from tests.tui.screen.widgets.test_vital_signs import signs_close
from tui.client.records import HostFacts, Link, LinkState, RequestPhase, RequestSnapshot, Snapshot
from tui.client.reducers.health import HealthReducer
from tui.client.reducers.history import Buckets
from tui.client.timeline.happened import happened
from tui.client.timeline.view import TimelineView
from tui.screen.engine_label import engine_label
from tui.screen.health.engine_lines import engine_lines, fact_lines
from tui.screen.health.timeline_rows import LABEL, VALUE, timeline_lines
from tui.screen.keymap import with_keys
from tui.screen.panes.cache_parts.misses import no_misses
from tui.screen.styled_line import plain_text
from tui.screen.widgets.key_bar import link_words
from tui.screen.widgets.vital_signs import title_text, vital_line, vital_signs

NOW = 10_000.0
BROKE = 9_000.0  # 02:30:00


@dataclass(frozen=True)
class Fault:
    """A state of the world, and what must be seen and must not be seen of it."""

    label: tuple[str, str]
    health: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    vitals: str = "▶0 ◌0 │"
    link: tuple[LinkState, str] = ("live", "")
    engine: dict[str, Any] | None = field(default_factory=lambda: {"state": "ready"})
    backend: str = "mlx"
    results: tuple[tuple[RequestPhase, str], ...] = ()
    lost: int = 0
    footer: str = "live"
    alert: str = ""  # the one that it raises
    glyph: str = ""  # of the engine or upstream, at the end of what the timeline knows
    log: tuple[str, ...] = ()  # the level and the words of the lines that it makes
    told: tuple[str, ...] = ()  # what `enter` says of now
    probe: dict[str, Any] | None = None  # of the upstream, the newest
    disk: dict[str, Any] = field(default_factory=dict)


FAULTS = {
    "no host answers yet": Fault(
        ("starting", "muted"), ("No host answers: nothing listens there",), ("READY",),
        "no contact", ("reconnecting", "nothing listens there"), None, footer="reconnecting",
        told=("Nothing is known of this time",),
    ),
    "the host starts": Fault(
        ("starting", "muted"), ("Waiting for the host",), (), "waiting for the host",
        ("starting", ""), None, footer="starting",
        told=("Nothing is known of this time",),
    ),
    "contact lost, the engine was ready": Fault(
        ("no contact", "warn"), ("NO CONTACT", "was ready, host gone since 02:30:00", "asked again"),
        ("READY", "for 16m"), "no contact with the host since 02:30:00",
        ("reconnecting", "the connection broke"), footer="reconnecting: the connection broke",
        glyph="▄", told=("The engine was up",),
    ),
    "contact lost while busy": Fault(
        ("no contact", "warn"), ("was busy",), ("BUSY",), "no contact",
        ("reconnecting", "no answer in time"), {"state": "busy", "running": 2}, footer="no answer in time",
        glyph="█",
    ),
    "the host was killed": Fault(
        ("host ended", "bad"), ("HOST ENDED", "host gone since 02:30:00", "r starts the host again"),
        ("READY",), "no contact", ("ended", "the host ended (signal 9); 4 r starts it again"),
        footer="signal 9",
        glyph="▄",
    ),
    "the host ended, another backend": Fault(
        ("host ended", "bad"), ("HOST ENDED",), ("was stopped", "answered"), "no contact",
        ("ended", "the host ended"), backend="openai", results=(("done", ""),), footer="the host ended",
        told=("Nothing is known of this time",),
    ),
    "the engine loads": Fault(
        ("loading 40%", "warn"), ("LOADING", "40%"), ("READY",), engine={"state": "loading", "progress": 0.4},
        glyph="▒", told=("The model was loading",),
    ),
    "the engine stalls": Fault(
        ("stalled", "bad"), ("STALLED", "no progress"), alert="engine stalled", engine={"state": "stalled"},
        glyph="▓", log=("error the engine stalled",), told=("made no progress from", "not come back yet"),
    ),
    "the engine exited": Fault(
        ("exited", "bad"), ("EXITED", "signal 9"), alert="engine exited",
        engine={"state": "exited", "last_exit": "signal 9"},
        glyph="✗", log=("error signal 9",), told=("Signal 9.", "not come back yet", "memoryLimitBytes"),
    ),
    "the engine restarts": Fault(
        ("restarting", "warn"), ("RESTARTING", "in 4 s"),
        engine={"state": "restarting", "restarts": 1, "detail": "restart 1 of 5 in 4 s"},
        glyph="↻", told=("Restart 1 of 5 in 4 s.", "not come back yet"),
    ),
    "the engine failed for good": Fault(
        ("failed", "bad"), ("FAILED", "then press r"), alert="engine failed",
        engine={"state": "failed", "last_exit": "exit code 1"},
        glyph="✗", log=("error the engine failed: exit code 1",), told=("failed for good", "press r"),
    ),
    "the engine was stopped": Fault(
        ("stopped", "muted"), ("STOPPED", "r starts it"), engine={"state": "stopped"},
        glyph="─", log=("info the engine was stopped",), told=("was stopped from",),
    ),
    "probes fail": Fault(
        ("ready", "ok"), ("failed: connection refused",), alert="probe failed", engine={"state": "ready"},
        glyph="▄", told=("1 of 1 probe failed",),
        log=("warning a probe of the engine failed: connection refused",),
    ),
    "the machine is short of memory": Fault(
        ("ready", "ok"), ("short of memory",), alert="memory critical",
        engine={"state": "ready", "memory": {"limit_bytes": 10, "pressure": "critical"}},
        glyph="▄", log=("error this machine is short of memory (critical)",),
    ),
    "the disk is full": Fault(
        ("ready", "ok"), ("READY", "5 requests not recorded: No space left on device"), glyph="▄",
        alert="5 not recorded", disk={"unwritten": 5, "refusal": "No space left on device"},
    ),
    "the disk of a host on another backend is full": Fault(
        ("openai", "ok"), ("1 request not recorded: No space left on device",), backend="openai",
        engine={"state": "stopped"}, results=(("done", ""),),
        alert="1 not recorded", disk={"unwritten": 1, "refusal": "No space left on device"},
    ),
    "an upstream that was not asked yet": Fault(
        ("openai", "muted"), ("not probed",), ("STOPPED", "stopped"), engine={"state": "stopped"},
        backend="openai",
        told=("Nothing is known of this time",),
    ),
    "an upstream that answers": Fault(
        ("openai", "ok"), ("It answered at",), ("STOPPED",), engine={"state": "stopped"}, backend="openai",
        results=(("failed", "no upstream"), ("done", "")),
        log=("error s1: no upstream",),
    ),
    "an upstream that cannot be reached": Fault(
        ("openai: no upstream", "bad"), ("no upstream  since 01:23:21",), ("It answered",), "✗1",
        engine={"state": "stopped"}, backend="openai", results=(("done", ""), ("failed", "no upstream")),
        alert="openai: no upstream",
        log=("error s1: no upstream",),
    ),
    "an upstream that refuses the key": Fault(
        ("claude: key refused", "bad"), ("key refused",), ("It answered",), "✗1",
        engine={"state": "stopped"}, backend="claude", results=(("failed", "key refused"),),
        alert="claude: key refused",
        log=("error s1: key refused",),
    ),
    "a prompt that is too long for an upstream": Fault(
        ("openai", "ok"), ("It answered",), (), "✗1", engine={"state": "stopped"}, backend="openai",
        results=(("failed", "prompt too long"),),
        log=("error s1: prompt too long",),
    ),
    "a feed that lost events": Fault(
        ("ready", "ok"), ("READY",), lost=12, footer="lost 12 events", glyph="▄",
        log=("warning 12 events were lost",),
    ),
    "an upstream that does not listen, before any request": Fault(
        ("lmstudio: no upstream", "bad"), ("no upstream  since 02:46:35", "connection refused", "5.0s ago"),
        ("READY", "STOPPED", "probed: the first"), engine={"state": "stopped", "url": "http://127.0.0.1:1234/v1"},
        backend="lmstudio", probe={"ok": False, "detail": "connection refused"}, glyph="✗",
        alert="lmstudio: no upstream",
        log=("error it does not accept connections: connection refused",),
        told=("lmstudio did not accept connections from 02:46:35", "Start the server at http://127.0.0.1:1234/v1"),
    ),
    "an upstream that came back after a failed request": Fault(
        ("openai", "ok"), ("no upstream", "It accepts connections (1ms, 5.0s ago)"), ("STOPPED",), "✗1",
        engine={"state": "stopped"}, backend="openai", results=(("failed", "no upstream"),),
        probe={"ok": True, "latency_s": 0.001}, glyph="▄",
        log=("error s1: no upstream", "info it accepts connections"),
        told=("The upstream accepted connections",),
    ),
    "an upstream that accepts connections and no key": Fault(
        ("claude: key refused", "bad"), ("key refused",), ("STOPPED",), "✗1", engine={"state": "stopped"},
        backend="claude", results=(("failed", "key refused"),), probe={"ok": True, "latency_s": 0.02},
        glyph="▄", alert="claude: key refused", log=("error s1: key refused",),
    ),
}  # fmt: skip


def health_of(fault: Fault, name: str) -> HealthReducer:
    """What a screen that saw it come knows of its health: timeline and log."""
    made = HealthReducer()
    events: list[tuple[float, str, str | None, dict[str, Any]]] = []
    for number, (phase, cause) in enumerate(fault.results):
        error = {"type": "api_error", "message": cause, "cause": cause}
        ended = "request.finished" if phase == "done" else "request.failed"
        events.append((5000.0 + number, "request.received", f"r{number}", {"session": "s1"}))
        events.append((5000.0 + number, ended, f"r{number}", {} if phase == "done" else {"error": error}))
    if fault.engine is not None and fault.backend == "mlx":
        if fault.engine["state"] not in ("ready", "busy"):
            events.append((7000.0, "engine.state", None, {"state": "ready"}))
        events.append(
            (8000.0, "engine.state", None, {"state": "ready"} if fault.engine.get("memory") else fault.engine)
        )
        probe = {"ok": False, "detail": "connection refused"} if name == "probes fail" else None
        at = NOW - 5 if fault.link[0] == "live" else BROKE - 5
        events.append((at, "engine.state", None, fault.engine | {"probe": probe}))
    if fault.probe is not None:
        events.append((NOW - 5, "upstream.probe", None, fault.probe))
    if fault.lost:
        events.append((NOW - 4, "host.lost", None, {"count": fault.lost}))
    for seq, (moment, type_, request, data) in enumerate(events, 1):
        event = Event(seq=seq, time=moment, type=type_, request=request, data=data)
        made.apply(event, PAYLOADS[type_].model_validate(data), fresh=True)
    return made


def snapshot_of(fault: Fault, name: str) -> Snapshot:
    probes = ((NOW - 5, Probe(ok=False, detail="connection refused")),) if name == "probes fail" else ()
    if fault.probe is not None:
        probes = ((NOW - 5, Probe.model_validate(fault.probe)),)
    requests = tuple(
        RequestSnapshot(
            f"r{number}",
            5000.0 + number,
            5000.0,
            phase=phase,
            cause=cause,
            error=cause,
            ended=5000.0 + number,
        )
        for number, (phase, cause) in enumerate(fault.results)
    )
    failed = sum(phase == "failed" for phase, _ in fault.results)
    return Snapshot(
        link=Link(*fault.link, since=BROKE),
        host=None if fault.engine is None else HostFacts(backend=fault.backend, started=4000.0),
        engine=None if fault.engine is None else EngineState.model_validate({"since": 8000.0} | fault.engine),
        probes=probes,
        requests=requests,
        totals=Totals(requests=len(requests), failed=failed),
        lost=fault.lost,
        disk=HostDisk(**fault.disk),
    )


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_shown_as_what_it_is(name: str, width: int) -> None:
    fault = FAULTS[name]
    snapshot = snapshot_of(fault, name)
    assert engine_label(snapshot) == fault.label
    now = snapshot.as_of(NOW)
    made = health_of(fault, name)
    lines = [
        *engine_lines(snapshot, now, width),
        *fact_lines(snapshot, made.history, now, width, 6),
    ]
    health = "\n".join(map(plain_text, lines))
    assert all(words in health for words in fault.health), health
    assert not any(words in health for words in fault.never), health
    vitals = vital_signs(snapshot, Buckets(), snapshot.as_of(NOW))
    line = signs_close(plain_text(vital_line(vitals, width)))
    assert fault.vitals in line
    flag = f"⚑1 {fault.alert}" if fault.alert and width > 80 else "⚑1" if fault.alert else "⚑0"
    assert flag in line or vitals.missing
    assert title_text(vitals) == f"{'⚑1 ' if fault.alert else ''}anyclaude: {fault.label[0]}"
    assert fault.footer in plain_text(link_words(snapshot, 60))


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_in_the_timeline_and_in_the_log(name: str, width: int) -> None:
    fault = FAULTS[name]
    snapshot, made = snapshot_of(fault, name), health_of(fault, name)
    now = snapshot.as_of(NOW)
    rows = timeline_lines(made.history, snapshot, TimelineView(), now, width, 9)
    state = plain_text(rows[1])
    assert state.startswith("  engine" if fault.backend == "mlx" else "  upstream")
    known = state[LABEL + 2 : -VALUE].rstrip(" ·")
    assert known[-1:] == fault.glyph, state
    said = [f"{line.level} {line.text}" for line in made.lines()]
    assert len(said) >= len(fault.log)
    for words in fault.log:
        assert any(line.startswith(words) for line in said), said
    if not fault.log:
        assert not any(line.startswith(("error", "warning")) for line in said), said
    told = with_keys(happened(snapshot, made.history, now - 20, now + 1, now).text)
    assert told.count("\n") >= 1
    assert all(words in told for words in fault.told), told
    assert not any(name.lower() in told.lower() for name in ("traceback", "none")), told


@pytest.mark.parametrize("backend", ["mlx", "openai", "claude"])
def test_no_backend_is_said_to_have_missed_nothing_before_it_was_asked(backend: str) -> None:
    cache = EngineCache() if backend == "mlx" else None
    seen = Snapshot(host=HostFacts(backend=backend), engine=EngineState(state="ready", cache=cache))
    assert "No miss in" not in plain_text(no_misses(seen, 0)[0])
