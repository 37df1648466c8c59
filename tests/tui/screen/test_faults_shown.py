"""State is never wrong: what the top bar, the title, Health and Cache say of each fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy.events.totals import Totals
from proxy.events.types import EngineCache, EngineState, Probe
from tui.client.records import HostFacts, Link, LinkState, RequestPhase, RequestSnapshot, Snapshot
from tui.client.reducers.history import Buckets
from tui.screen.engine_label import engine_label
from tui.screen.panes.cache import no_misses
from tui.screen.panes.health import engine_block
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


FAULTS = {
    "no host answers yet": Fault(
        ("starting", "muted"), ("No host answers: nothing listens there",), ("READY",),
        "no contact", ("reconnecting", "nothing listens there"), None, footer="reconnecting",
    ),
    "the host starts": Fault(
        ("starting", "muted"), ("Waiting for the host",), (), "waiting for the host",
        ("starting", ""), None, footer="starting",
    ),
    "contact lost, the engine was ready": Fault(
        ("no contact", "warn"), ("NO CONTACT", "was ready, host gone since 02:30:00", "asked again"),
        ("READY", "for 16m"), "no contact with the host since 02:30:00",
        ("reconnecting", "the connection broke"), footer="reconnecting: the connection broke",
    ),
    "contact lost while busy": Fault(
        ("no contact", "warn"), ("was busy",), ("BUSY",), "no contact",
        ("reconnecting", "no answer in time"), {"state": "busy", "running": 2}, footer="no answer in time",
    ),
    "the host was killed": Fault(
        ("host ended", "bad"), ("HOST ENDED", "host gone since 02:30:00", "r starts the host again"),
        ("READY",), "no contact", ("ended", "the host ended (signal 9); q quits"), footer="signal 9",
    ),
    "the host ended, another backend": Fault(
        ("host ended", "bad"), ("HOST ENDED",), ("was stopped", "answered"), "no contact",
        ("ended", "the host ended"), backend="openai", results=(("done", ""),), footer="the host ended",
    ),
    "the engine loads": Fault(
        ("loading 40%", "warn"), ("LOADING", "40%"), ("READY",), engine={"state": "loading", "progress": 0.4},
    ),
    "the engine stalls": Fault(
        ("stalled", "bad"), ("STALLED", "no progress"), alert="engine stalled", engine={"state": "stalled"},
    ),
    "the engine exited": Fault(
        ("exited", "bad"), ("EXITED", "signal 9"), alert="engine exited",
        engine={"state": "exited", "last_exit": "signal 9"},
    ),
    "the engine restarts": Fault(
        ("restarting", "warn"), ("RESTARTING", "in 4 s"),
        engine={"state": "restarting", "restarts": 1, "detail": "restart 1 of 5 in 4 s"},
    ),
    "the engine failed for good": Fault(
        ("failed", "bad"), ("FAILED", "then press r"), alert="engine failed",
        engine={"state": "failed", "last_exit": "exit code 1"},
    ),
    "the engine was stopped": Fault(
        ("stopped", "muted"), ("STOPPED", "r starts it"), engine={"state": "stopped"},
    ),
    "probes fail": Fault(
        ("ready", "ok"), ("1 failed", "last failed"), alert="probe failed", engine={"state": "ready"},
    ),
    "the machine is short of memory": Fault(
        ("ready", "ok"), ("short of memory",), alert="memory pressure critical",
        engine={"state": "ready", "memory": {"limit_bytes": 10, "pressure": "critical"}},
    ),
    "an upstream that was not asked yet": Fault(
        ("openai", "muted"), ("not probed",), ("STOPPED", "stopped"), engine={"state": "stopped"},
        backend="openai",
    ),
    "an upstream that answers": Fault(
        ("openai", "ok"), ("It answered at",), ("STOPPED",), engine={"state": "stopped"}, backend="openai",
        results=(("failed", "no upstream"), ("done", "")),
    ),
    "an upstream that cannot be reached": Fault(
        ("openai: no upstream", "bad"), ("no upstream  since 01:23:21",), ("It answered",), "✗1",
        engine={"state": "stopped"}, backend="openai", results=(("done", ""), ("failed", "no upstream")),
        alert="openai: no upstream",
    ),
    "an upstream that refuses the key": Fault(
        ("claude: key refused", "bad"), ("key refused",), ("It answered",), "✗1",
        engine={"state": "stopped"}, backend="claude", results=(("failed", "key refused"),),
        alert="claude: key refused",
    ),
    "a prompt that is too long for an upstream": Fault(
        ("openai", "ok"), ("It answered",), (), "✗1", engine={"state": "stopped"}, backend="openai",
        results=(("failed", "prompt too long"),),
    ),
    "a feed that lost events": Fault(("ready", "ok"), ("READY",), lost=12, footer="lost 12 events"),
}  # fmt: skip


def snapshot_of(fault: Fault, name: str) -> Snapshot:
    probes = ((NOW - 5, Probe(ok=False, detail="connection refused")),) if name == "probes fail" else ()
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
    )


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_shown_as_what_it_is(name: str, width: int) -> None:
    fault = FAULTS[name]
    snapshot = snapshot_of(fault, name)
    assert engine_label(snapshot) == fault.label
    health = "\n".join(map(plain_text, engine_block(snapshot, snapshot.as_of(NOW), width, 14)))
    assert all(words in health for words in fault.health), health
    assert not any(words in health for words in fault.never), health
    vitals = vital_signs(snapshot, Buckets(), snapshot.as_of(NOW))
    line = plain_text(vital_line(vitals, width))
    assert fault.vitals in line
    flag = f"⚑1 {fault.alert}" if fault.alert and width > 80 else "⚑1" if fault.alert else "⚑0"
    assert flag in line or vitals.missing
    assert title_text(vitals) == f"{'⚑1 ' if fault.alert else ''}anyclaude: {fault.label[0]}"
    assert fault.footer in plain_text(link_words(snapshot, 60))


@pytest.mark.parametrize("backend", ["mlx", "openai", "claude"])
def test_no_backend_is_said_to_have_missed_nothing_before_it_was_asked(backend: str) -> None:
    cache = EngineCache() if backend == "mlx" else None
    seen = Snapshot(host=HostFacts(backend=backend), engine=EngineState(state="ready", cache=cache))
    assert "No miss in" not in plain_text(no_misses(seen, 0)[0])
