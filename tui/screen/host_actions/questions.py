"""What a person is asked before the host is, with the consequence, or why nothing can be asked."""

from __future__ import annotations

from typing import NamedTuple

from tui.client.figures import clock, count, plural, size
from tui.client.records import RequestSnapshot, Snapshot
from tui.client.wire_text import shorten
from tui.screen.engine_label import reports_cache
from tui.screen.keymap import key_of

TAKES_REQUESTS = ("ready", "busy", "stalled")
_PREVIEW = 60


class Question(NamedTuple):
    """What is asked, what follows from a yes, and the words for yes and no."""

    question: str
    consequence: str
    yes: str
    no: str = "cancel"


START_AGAIN = Question("Start the host again?", "It loads the model; the cache on disk is used.", "start")


def cannot_cancel(request: str, snapshot: Snapshot) -> str:
    """Why the selected request cannot be cancelled; empty where it can."""
    if not request:
        return "No request is selected."
    if _running(request, snapshot) is None:
        return "This request is at its end already."
    return _no_contact(snapshot)


def cannot_restart(snapshot: Snapshot, *, drain: bool = False) -> str:
    """Why no engine can be restarted, or not after its requests; empty where one can."""
    if snapshot.link.gone:
        return "No engine can be restarted: there is no contact with the host."
    if snapshot.stopping:
        return "No engine can be restarted: the host is being stopped."
    if snapshot.host is not None and not snapshot.host.runs_engine:
        return "No engine can be restarted: this host runs none."
    if drain and (snapshot.engine is None or snapshot.engine.state not in TAKES_REQUESTS):
        key = key_of("health.restart")
        return f"The engine takes no requests now, so there are none to wait for: {key} restarts it."
    return ""


def cannot_load(snapshot: Snapshot) -> str:
    """Why no other model can be loaded; empty where one can."""
    return cannot_restart(snapshot).replace("No engine can be restarted", "No model can be loaded")


def cannot_change(snapshot: Snapshot) -> str:
    """Why no setting of the host can be changed; empty where some can."""
    return "The host is being stopped: nothing changes any more." if snapshot.stopping else ""


def cannot_stop(snapshot: Snapshot) -> str:
    """Why the host cannot be stopped; empty where it can."""
    return _no_contact(snapshot)


def _no_contact(snapshot: Snapshot) -> str:
    if snapshot.link.gone:
        return f"There is no contact with the host since {clock(snapshot.link.since)}."
    return "" if snapshot.host is not None else "There is no contact with the host yet."


def ask_cancel(request: str, snapshot: Snapshot) -> Question:
    """Whether to end this running request."""
    record = _running(request, snapshot) or RequestSnapshot(request, 0.0, 0.0)
    named = f"“{shorten(record.preview, _PREVIEW)}”" if record.preview else "It"
    so_far = f"has {plural(record.output_tokens, 'token')} of its answer" if record.output_tokens else "waits"
    if record.phase == "prefill":
        so_far = f"has read {count(record.prefill.done) if record.prefill else 0} tokens of its prompt"
    client = {
        "main": "Claude Code shows that you did and waits for your next prompt; it does not repeat it.",
        "subagent": "The subagent ends with an error that says so; the conversation that began it goes on.",
    }.get(record.lane, "Claude Code gets an error that says so, and does not repeat it.")
    kept = " What was computed stays in the prefix cache." if reports_cache(snapshot) else ""
    return Question("Cancel this request?", f"{named} {so_far}. {client}{kept}", "cancel it", "keep it")


def ask_restart(snapshot: Snapshot, *, drain: bool = False) -> Question:
    """Whether to restart the engine, at once or after its requests."""
    active = len(snapshot.active)
    if not active:
        cost = "No request is running."
    elif drain:
        cost = f"It waits for {plural(active, 'request')}; new ones are told to retry, as Claude Code does."
    else:
        cost = f"{plural(active, 'request')} will fail; the client repeats them."
    what = "Restart the engine after its requests?" if drain and active else "Restart the engine?"
    return Question(what, f"{cost} {_cache_after(snapshot)}", "restart")


def ask_stop(snapshot: Snapshot, *, own: bool) -> Question:
    """Whether to end the host, which this screen has started if it is its `own`."""
    active = len(snapshot.active)
    if snapshot.stopping:
        fails = f"{plural(active, 'request')} will fail" if active else "No request is running"
        them = "it" if active == 1 else "them"
        now = f"{fails}; the host was to wait for {them}. Traces are kept."
        return Question("End the host at once?", now if active else f"{fails}.", "end it", "wait")
    waits = f"It waits for {plural(active, 'request')}" if active else "No request is running"
    refused = "; new ones are refused, and Claude Code gives up on them after ten tries."
    runs_engine = snapshot.host is not None and snapshot.host.runs_engine
    kept = f" Its engine ends too. {_cache_after(snapshot)}" if runs_engine else ""
    again = f" This screen stays: {key_of('health.restart')} starts the host again."
    after = again if own else " It cannot be started again from here."
    return Question("Stop the host?", f"{waits}{refused}{kept}{after}", "stop")


def _running(request: str, snapshot: Snapshot) -> RequestSnapshot | None:
    return next((record for record in snapshot.active if record.id == request), None)


def _cache_after(snapshot: Snapshot) -> str:
    cache = snapshot.engine.cache if snapshot.engine is not None else None
    if cache is None:  # no engine is up: nothing is in memory
        return "What is on disk of the prefix cache stays."
    if cache.disk_budget_bytes:
        return f"The prefix cache in memory comes back from disk ({size(cache.disk_bytes)} are there)."
    return "The prefix cache in memory is lost."
