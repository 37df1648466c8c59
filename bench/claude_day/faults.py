"""Scenarios of what goes wrong: refusals, broken streams, empty and slow answers, a killed engine."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

import httpx

from bench.child import poll
from bench.claude_day.scenario import scenario
from bench.claude_day.script import bash
from bench.claude_day.stage import Stage
from bench.scripted_upstream import Turn

SAID = "Answered after all."


def _first(fault: Turn, times: int, on: Stage) -> None:
    """The fault so many times in the second turn, then the answer."""

    def task(step: int, attempt: int) -> Turn:
        if step == 0:
            return Turn("", (bash("echo before-the-fault"),))
        return fault if attempt <= 1 + times else Turn(SAID)

    on.ask("Go.", task=task, says=SAID)
    on.seen("before-the-fault")


@scenario("529", "three refusals of a busy server")
def busy(on: Stage) -> None:
    _first(Turn(status=529, message="busy"), 3, on)


@scenario("429", "two refusals with `retry-after`")
def slow_down(on: Stage) -> None:
    _first(Turn(status=429, message="slow down"), 2, on)


@scenario("500", "two internal errors")
def internal(on: Stage) -> None:
    _first(Turn(status=500, message="boom"), 2, on)


@scenario("503", "a model that is still being loaded")
def loading(on: Stage) -> None:
    _first(Turn(status=503, message="Loading model"), 2, on)


@scenario("400", "a refusal is shown in the server's words, once", errors_shown=True)
def refused(on: Stage) -> None:
    result = on.ask(
        "Go.", task=lambda *_: Turn(status=400, message="NOT-ACCEPTED-9"), says="NOT-ACCEPTED-9", code=1
    )
    assert result["is_error"], result


@scenario("401", "a wrong key is named as the upstream's", errors_shown=True)
def unauthorized(on: Stage) -> None:
    result = on.ask("Go.", task=lambda *_: Turn(status=401, message="bad key"), says="bad key", code=1)
    assert result["is_error"], result


@scenario("stream broken in a text", "the turn is answered all the same")
def broken_text(on: Stage) -> None:
    _first(Turn("Half an answer", breaks=True), 1, on)


@scenario("stream broken in a call", "the call runs once")
def broken_call(on: Stage) -> None:
    call = bash("echo ran >> ran.log")

    def task(step: int, attempt: int) -> Turn:
        if step == 0:
            return Turn("First. ", (call,), breaks=attempt == 1)
        return Turn(SAID)

    on.ask("Go.", task=task, says=SAID)
    assert (on.project / "ran.log").read_text() == "ran\n"


@scenario("error in a stream", "the turn is answered all the same")
def error_event(on: Stage) -> None:
    _first(Turn("Half an answer", fails=True, message="out of memory"), 1, on)


@scenario("empty answer", "it is asked for again")
def empty(on: Stage) -> None:
    _first(Turn(""), 1, on)


@scenario("silent server", "twenty seconds of silence before the answer")
def silent(on: Stage) -> None:
    _first(Turn(SAID, wait_s=20), 1, on)


@scenario("content filter", "an answer that a filter has cut is shown as a refusal", errors_shown=True)
def filtered(on: Stage) -> None:
    result = on.ask("Go.", Turn("A part of it.", ends="content_filter"), says="", code=1)
    assert re.search("can't help with this|unable to respond to this request", str(result)), result


def _engine_pid(on: Stage) -> int | None:
    state = httpx.get(f"{on.url}/anyclaude/state", trust_env=False).json()
    return int(state["engine"]["pid"]) if state["engine"]["state"] == "ready" else None


@scenario("engine killed between turns", "the next turn is answered by a new engine", scripted_model=False)
def killed_between(on: Stage) -> None:
    first = on.ask("Who are you?")
    pid = poll(lambda: _engine_pid(on), timeout_s=60, what="the engine", every_s=0.2)
    os.kill(pid, signal.SIGKILL)
    on.ask("And what is 2+2?", args=["--resume", first["session_id"]])
    assert _engine_pid(on) != pid


@scenario(
    "engine killed within a turn",
    "the client asks again and is answered",
    test="test_engine_killed.py",
    scripted_model=False,
)
def killed_within(on: Stage) -> None:
    killed: list[int] = []

    def kill() -> None:
        pid = poll(lambda: _engine_pid(on), timeout_s=60, what="the engine", every_s=0.2)
        poll(lambda: _busy(on), timeout_s=60, what="a request", every_s=0.05)
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    on.ask(f"Read {Path(on.path('till.py')).name} and tell me what is in it.")
    thread.join(60)
    assert killed
    assert _engine_pid(on) != killed[0]


def _busy(on: Stage) -> bool:
    """Whether the built-in engine computes for the client."""
    state = httpx.get(f"{on.url}/anyclaude/state", trust_env=False).json()["counters"]
    return bool(state["requests"] > state["finished"] + state["failed"] + state["cancelled"])
