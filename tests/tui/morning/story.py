"""The whole made-up morning: the busy part of it, and how the engine fails for good thereafter."""

from __future__ import annotations

from functools import cache

from tests.tui.traffic import START, Morning

READY = 7.0  # seconds after the start: the engine has its model, and nobody has asked for anything
_DIED = "exit code 1"


@cache
def whole_morning() -> tuple[Morning, float]:
    """The story to its end, and the moment (seconds) at which it is busiest; nobody may change it."""
    morning = Morning().play()
    busy = morning.now - START
    over = ("request.finished", "request.failed")
    ended = {event.request for event in morning.events if event.type in over}
    received = [event for event in morning.events if event.type == "request.received"]
    running = [event for event in received if event.request not in ended]
    morning.wait(8)
    morning.log("ERROR Metal: the command buffer was aborted")
    message = f"the engine ended in the middle of the answer ({_DIED}); retry in 4 s"
    for event in running:
        morning.emit(
            "request.failed",
            event.request,
            status=529,
            error={"type": "overloaded_error", "message": message},
            usage=_used(morning, event.request),
            timings=_times(morning, event.request) | {"done": round(morning.now - event.time, 3)},
            trace=f"mlx/{event.request}.json",
        )
    for attempt in range(1, 6):
        told = f"engine exited with {_DIED}"
        morning.engine("exited", pid=None, detail=told, last_exit=_DIED, running=0, queue=0)
        morning.emit("engine.restart", attempt=attempt, of=5, delay_s=2.0 * attempt, reason=told)
        morning.engine("restarting", restarts=attempt, detail=f"restart {attempt} of 5")
        morning.wait(2.0 * attempt)
        morning.engine("starting", detail="starting the process")
        morning.log("ERROR Metal: no device")
        morning.wait(1.5)
    morning.engine("exited", detail=told, last_exit=_DIED)
    morning.engine("failed", detail="5 restarts in a row did not help", last_exit=_DIED, restarts=5)
    morning.wait(1)
    return morning, busy


def _used(morning: Morning, request: str | None) -> dict[str, int]:
    """What a request has used so far."""
    used: dict[str, int] = {}
    for event in morning.events:
        if event.request == request and event.type == "request.first_token":
            used |= event.data["usage"]
        elif event.request == request and event.type == "request.delta":
            used |= {"output_tokens": event.data.get("output_tokens", 0)}
    return used


def _times(morning: Morning, request: str | None) -> dict[str, float]:
    """What is known of a request's times so far."""
    times: dict[str, float] = {}
    for event in morning.events:
        if event.request == request and event.type == "request.received":
            times |= {"received": event.time}
        elif event.request == request and event.type == "request.first_token":
            times |= {"first_token": event.data["ttft_s"]}
    return times
