"""The engine's state as one word with one style, the same in the top bar and in Health."""

from __future__ import annotations

from proxy.configuration.known_backends import backend_kind
from tui.client.figures import percent
from tui.client.records import Snapshot
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


def engine_label(snapshot: Snapshot) -> Span:
    """The engine's state and its style; for another backend, the backend's name."""
    if snapshot.engine is None:
        return ("no host" if snapshot.link.state == "ended" else "starting", "muted")
    if snapshot.link.gone:
        return gone_label(snapshot)
    if uses_other_backend(snapshot):
        return (snapshot.host.backend if snapshot.host else "", "ok")
    state = snapshot.engine.state
    if state == "loading" and snapshot.engine.progress is not None:
        return (f"loading {percent(snapshot.engine.progress)}", "warn")
    return (state, ENGINE_STYLES.get(state, "muted"))


def gone_label(snapshot: Snapshot) -> Span:
    """In place of the state of an engine whose host is out of reach or has ended."""
    return ("host ended", "bad") if snapshot.link.state == "ended" else ("no contact", "warn")


def uses_other_backend(snapshot: Snapshot) -> bool:
    """Whether another server answers, so that this host runs no engine."""
    return (
        snapshot.host is not None
        and bool(snapshot.host.backend)
        and backend_kind(snapshot.host.backend) != "mlx"
    )
