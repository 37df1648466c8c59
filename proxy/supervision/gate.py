"""The error for a request while the engine cannot accept it."""

from __future__ import annotations

from proxy.events.errors import UpstreamError, UpstreamFailed, UpstreamUnavailable
from proxy.events.types import EngineState

_USUAL_START_S = 5.0  # while the progress is unknown
_AFTER_RESTART_S = 3.0  # to start and load, at least


def gate(state: EngineState, *, now: float, restart_at: float) -> UpstreamError | None:
    """The error for a request that arrives now, or None if the engine accepts it.

    Args:
        now: epoch seconds.
        restart_at: epoch seconds of the next restart, if one is scheduled.
    """
    match state.state:
        case "ready" | "busy" | "stalled":  # a stalled engine may recover; else the connection breaks
            return None
        case "failed":
            return UpstreamFailed(
                f"the engine failed: {state.detail}; after that, restart it from the screen (Health) or with"
                " POST /anyclaude/engine/restart",
                retry=False,
                cause="engine failed",
            )
        case "starting" | "loading":
            percent = "" if state.progress is None else f" ({state.progress:.0%})"
            return UpstreamUnavailable(
                f"the engine is {state.state}{percent}; the request can be repeated in a moment",
                retry_after_s=_loading_time_left(state, now),
                cause="engine starting",
            )
        case "stopped":
            why = state.detail or "it was not started"
            return UpstreamUnavailable(f"the engine is stopped: {why}", cause="engine stopped")
    return UpstreamUnavailable(
        f"{state.last_exit or 'the engine ended'}; it is being restarted, and the request can be repeated",
        retry_after_s=max(0.0, restart_at - now) + _AFTER_RESTART_S,
        cause="engine restarting",
    )


def _loading_time_left(state: EngineState, now: float) -> float:
    if not state.progress or state.started is None:
        return _USUAL_START_S
    return (now - state.started) * (1 - state.progress) / state.progress
