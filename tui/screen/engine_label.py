"""The engine's state as one word with one style, the same in the top bar and in Health."""

from __future__ import annotations

from proxy.configuration.known_backends import backend_kind
from proxy.events.causes import UPSTREAM_FAULTS as UPSTREAM_FAULTS
from tui.client.figures import percent
from tui.client.records import RequestSnapshot, Snapshot
from tui.screen.styled_line import Span

ENGINE_STYLES = {
    "ready": "ok",
    "busy": "decode",
    "starting": "warn",
    "loading": "warn",
    "restarting": "warn",
    "stalled": "bad",
    "exited": "bad",
    "failed": "bad",
    "stopped": "muted",
}

_CONNECTION_FAULTS = frozenset({"no upstream", "connection lost"})


def engine_label(snapshot: Snapshot) -> Span:
    """The engine's state and its style; for another backend, the backend's name."""
    if snapshot.engine is None:
        return ("no host" if snapshot.link.state == "ended" else "starting", "muted")
    if snapshot.link.gone:
        return gone_label(snapshot)
    if snapshot.link.state == "starting":  # again: what is known is of the host before
        return ("starting", "warn")
    if snapshot.stopping:
        return ("stopping", "warn")
    if uses_other_backend(snapshot):
        return upstream_label(snapshot)
    state = snapshot.engine.state
    if state == "loading" and snapshot.engine.progress is not None:
        return (f"loading {percent(snapshot.engine.progress)}", "warn")
    return (state, ENGINE_STYLES.get(state, "muted"))


def gone_label(snapshot: Snapshot) -> Span:
    """In place of the state of an engine whose host is out of reach or has ended."""
    return ("host ended", "bad") if snapshot.link.state == "ended" else ("no contact", "warn")


def upstream_label(snapshot: Snapshot) -> Span:
    """The upstream as the newest ended request found it, or a newer probe of its address."""
    name = snapshot.host.backend if snapshot.host else ""
    last = last_result(snapshot)
    probed, probe = snapshot.probes[-1] if snapshot.probes else (0.0, None)
    if probe is not None and (last is None or probed >= (last.ended or 0.0)):
        if not probe.ok:
            return (f"{name}: no upstream", "bad")
        # That it accepts connections says nothing of a key, or of a model.
        if last is None or last.cause in _CONNECTION_FAULTS:
            return (name, "ok")
    if last is None:
        return (name, "muted")
    return (f"{name}: {last.cause}", "bad") if last.cause in UPSTREAM_FAULTS else (name, "ok")


def last_result(snapshot: Snapshot) -> RequestSnapshot | None:
    """The request that ended last since the host started, and was not cancelled."""
    began = snapshot.host.started if snapshot.host else 0.0
    ended = [
        record
        for record in snapshot.requests
        if record.phase in ("done", "failed") and record.ended is not None and record.received >= began
    ]
    return max(ended, key=lambda record: record.ended or 0.0, default=None)


def engine_memory(snapshot: Snapshot) -> tuple[int, int]:
    """Bytes that the engine's process takes, and their limit; 0 where they are not known."""
    engine = snapshot.engine
    if engine is None or engine.is_gone:  # what was measured last was of a process that has ended
        return 0, 0
    newest = snapshot.memory[-1][1] if snapshot.memory else engine.memory_bytes
    return newest, engine.memory.limit_bytes if engine.memory is not None else 0


def reports_cache(snapshot: Snapshot) -> bool:
    """Whether prompts that restored nothing are told from prompts of which nobody reports what they did."""
    if not uses_other_backend(snapshot):
        return True
    return snapshot.totals.cache_read_input_tokens > 0 or any(
        record.cache or record.reused_tokens for record in snapshot.requests
    )


def uses_other_backend(snapshot: Snapshot) -> bool:
    """Whether another server answers, so that this host runs no engine."""
    return (
        snapshot.host is not None
        and bool(snapshot.host.backend)
        and backend_kind(snapshot.host.backend) != "mlx"
    )
