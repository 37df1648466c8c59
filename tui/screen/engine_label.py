"""The engine's state as one word with one style, the same in the top bar and in Health."""

from __future__ import annotations

from proxy.configuration.known_backends import backend_kind
from tui.client.figures import percent
from tui.client.records import View
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


def engine_label(view: View) -> Span:
    """The engine's state and its style; for another backend, the backend's name."""
    if view.engine is None:
        return ("no host" if view.link.state == "ended" else "starting", "muted")
    if view.link.state in ("reconnecting", "ended"):
        return ("no contact", "warn")
    if uses_other_backend(view):
        return (view.host.backend if view.host else "", "ok")
    state = view.engine.state
    if state == "loading" and view.engine.progress is not None:
        return (f"loading {percent(view.engine.progress)}", "warn")
    return (state, ENGINE_STYLES.get(state, "muted"))


def uses_other_backend(view: View) -> bool:
    """Whether another server answers, so that this host runs no engine."""
    return view.host is not None and bool(view.host.backend) and backend_kind(view.host.backend) != "mlx"
