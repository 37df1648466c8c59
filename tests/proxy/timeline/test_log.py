"""Lines of the log: their levels, what events say, and how many are kept."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from proxy.events.bus import EventBus
from proxy.events.causes import RESTART_REQUESTED
from proxy.events.types import PAYLOADS, EventData
from proxy.timeline.health_history import UNCLOSED, StateMark
from proxy.timeline.log_book import KEPT_FAULTS, KEPT_LINES, NOTICED, FeedHandler, LogBook
from proxy.timeline.log_levels import LineLevels, level_of, without_level
from proxy.timeline.log_reader import LogFact, LogReader, lines_of_earlier_hosts


@pytest.mark.parametrize(
    ("line", "level", "rest"),
    [
        ("INFO engine.startup: loaded in 5.6 s", "info", "loaded in 5.6 s"),
        ("WARNING engine: memory pressure", "warning", "memory pressure"),
        ("ERROR engine.scheduling: no error here", "error", "no error here"),
        ("WARNING anyclaude.proxy: slow", "warning", "slow"),
        ("WARNING uvicorn.error: slow", "warning", "uvicorn.error: slow"),
        ("engine: no level", "info", None),
        ("INFO:     Uvicorn running", "info", "Uvicorn running"),
        ("[CRITICAL] it ends", "error", "it ends"),
        ("DEBUG x", "debug", "x"),
        ("ValueError: bad", "error", "ValueError: bad"),
        ("Fetching 4 files: 100%", "info", "Fetching 4 files: 100%"),
        ("/a.py:3: UserWarning: old", "warning", "/a.py:3: UserWarning: old"),
        ("libc++abi: terminating due to uncaught exception", "error", None),
        ("INFORMATION about errors", "info", None),
        ("terror", "info", None),
        ("", "info", None),
    ],
)
def test_a_line_has_the_level_that_its_program_gave_it(line: str, level: str, rest: str | None) -> None:
    assert level_of(line) == level
    assert without_level(line) == (line if rest is None else rest)


def test_a_traceback_is_an_error_to_its_end() -> None:
    lines = [
        ("INFO engine: all is well", "info"),
        ("Traceback (most recent call last):", "error"),
        ('  File "a.py", line 3, in f', "error"),
        ("    warn()", "error"),
        ("engine.models.errors.Gone: the folder went", "info"),  # a name without a telling end
        ("INFO engine: it goes on", "info"),
    ]
    levels = LineLevels()
    assert [levels.of(line) for line, _ in lines] == [level for _, level in lines]


def facts(*events: tuple[str, dict[str, Any]] | tuple[str, dict[str, Any], str]) -> list[LogFact]:
    """The lines of events in order."""
    reader = LogReader()
    found: list[LogFact] = []
    for type_, data, *request in events:
        found += reader.read(type_, request[0] if request else None, PAYLOADS[type_].model_validate(data))
    return found


READY = ("engine.state", {"state": "ready"})


def test_an_engine_that_dies_is_one_error_and_what_broke_with_it_are_warnings() -> None:
    reason = "engine exited with signal 9 (out of memory?); 1 request was told to retry"
    error = {"type": "overloaded_error", "message": "the engine ended", "cause": "engine died"}
    said = facts(
        READY,
        ("request.received", {"session": "9f3c1e7a"}, "r1"),
        ("request.failed", {"status": 529, "error": error}, "r1"),
        ("engine.state", {"state": "exited", "detail": reason}),
        ("engine.restart", {"attempt": 1, "of": 5, "delay_s": 1, "reason": reason}),
        ("engine.state", {"state": "restarting"}),
        ("engine.state", {"state": "starting"}),
        ("engine.state", {"state": "ready", "started": 10.0, "since": 15.6, "context_tokens": 262_144}),
        ("request.received", {"session": "9f3c1e7a", "retry_of": "r1"}, "r2"),
        (
            "request.finished",
            {"usage": {"cache_read_input_tokens": 23_900, "input_tokens": 500}},
            "r2",
        ),
    )
    assert said == [
        ("host", "warning", "9f3c1e: engine died: the engine ended", "r1"),
        ("host", "error", reason, ""),
        ("host", "warning", "restart 1 of 5 in 1 s", ""),
        ("host", "info", "the engine starts", ""),
        ("host", "info", "the engine is ready 5.6 s after its start, window 262,144 tokens", ""),
        ("host", "info", "9f3c1e: repeats its failed request", "r2"),
        ("host", "info", "9f3c1e: its repeat was answered: 23,900 of 24,400 tokens were restored", "r2"),
    ]


@pytest.mark.parametrize(
    ("backend", "cause", "source", "level"),
    [
        ("mlx", "engine died", "host", "warning"),
        ("mlx", "connection lost", "host", "warning"),
        ("mlx", "prompt too long", "host", "error"),
        ("openrouter", "connection lost", "upstream", "error"),
    ],
)
def test_a_failure_from_before_a_restart_weighs_what_it_weighed_then(
    backend: str, cause: str, source: str, level: str
) -> None:
    error = {"type": "overloaded_error", "message": "it broke", "cause": cause}
    request: list[Any] = [
        ("request.received", {"session": "9f3c1e7a", "backend": backend}, "r1"),
        ("request.failed", {"status": 529, "error": error}, "r1"),
    ]
    live = facts(*([READY] if backend == "mlx" else []), *request)
    assert live == facts(*request) == [(source, level, f"9f3c1e: {cause}: it broke", "r1")]


def test_an_upstream_is_told_by_its_probes_and_by_failed_requests() -> None:
    refused = {"ok": False, "detail": "connection refused"}
    error = {"type": "overloaded_error", "message": "x cannot be reached", "cause": "no upstream"}
    prompt = {"type": "invalid_request_error", "message": "300 of 200", "cause": "prompt too long"}
    said = facts(
        ("upstream.probe", {"ok": True, "latency_s": 0.0004}),
        ("upstream.probe", {"ok": True, "latency_s": 0.0004}),
        ("upstream.probe", refused),
        ("upstream.probe", refused),
        ("request.failed", {"status": 529, "error": error}, "r1"),
        ("upstream.probe", {"ok": True, "latency_s": 0.002}),
        ("request.failed", {"status": 400, "error": prompt}, "r2"),
        ("request.failed", {"status": 499, "error": prompt, "cancelled": True}, "r3"),
    )
    assert [(fact.source, fact.level, fact.text) for fact in said] == [
        ("upstream", "info", "it accepts connections (0.4 ms)"),
        ("upstream", "error", "it does not accept connections: connection refused"),
        ("upstream", "error", "no upstream: x cannot be reached"),
        ("upstream", "info", "it accepts connections again (2.0 ms)"),
        ("host", "error", "prompt too long: 300 of 200"),
        ("host", "info", "the client left"),
    ]


def test_what_is_wrong_with_memory_disk_and_probes_is_said_once_and_when_it_is_over() -> None:
    bad = {"cache": {"disk_paused": True}, "memory": {"pressure": "critical"}}
    said = facts(
        READY,
        ("engine.state", {"state": "ready", "probe": {"ok": False, "detail": "no answer in time"}} | bad),
        ("engine.state", {"state": "ready", "probe": {"ok": False, "detail": "no answer in time"}} | bad),
        ("engine.state", {"state": "stalled", "detail": "no progress for 60 s"} | bad),
        (
            "engine.state",
            {"state": "ready", "probe": {"ok": True, "latency_s": 0.003}, "memory": {}, "cache": {}},
        ),
        ("engine.state", {"state": "restarting", "last_exit": RESTART_REQUESTED}),
        ("engine.state", {"state": "failed", "detail": "exit code 1"}),
        ("host.lost", {"count": 1200}),
    )
    assert [f"{fact.level} {fact.text}" for fact in said] == [
        "error this machine is short of memory (critical)",
        "warning the disk refused a file of the prefix cache (full?); what is in memory stays",
        "warning a probe of the engine failed: no answer in time",
        "error the engine stalled: no progress for 60 s",
        "info this machine has memory to spare again",
        "info the disk takes files of the prefix cache again",
        "info the engine answers its probes again, in 3.0 ms",
        "info the engine makes progress again",
        "error the engine failed: exit code 1",
        "warning 1,200 events were lost on the way to here",
    ]


def test_old_errors_stay_behind_many_new_lines() -> None:
    book = LogBook(clock=lambda: 5.0)

    def add(level: str, number: int) -> None:
        line = PAYLOADS["engine.log"].model_validate({"line": f"{level} {number}", "level": level})
        book.observe("engine.log", None, line)

    for number in range(KEPT_FAULTS + 7):
        add("error", number)
    for number in range(KEPT_LINES):
        add("info", number)
    assert [line.text for line in book.lines[:2]] == ["error 7", "error 8"]
    assert len(book.lines) == KEPT_FAULTS + KEPT_LINES
    add("error", 1)
    assert len(book.lines) == KEPT_FAULTS + KEPT_LINES - 1  # the newest one is not there twice


EARLIER = [
    StateMark(1.0, "host"),
    StateMark(2.0, "ready"),
    StateMark(3.0, "exited", "engine exited with signal 9"),
    StateMark(4.0, "restarting", "engine exited with signal 9; restart 1 of 5 in 1 s"),
    StateMark(5.0, "restarting", "as asked", by_you=True),
    StateMark(6.0, "failed", "no restart helped"),
    StateMark(7.0, "off"),
]


def test_what_earlier_hosts_went_through_is_in_the_log_of_the_next_one() -> None:
    book = LogBook(clock=lambda: 9.0)
    book.observe("host.notice", None, PAYLOADS["host.notice"].model_validate({"text": "now"}))
    book.recall([*EARLIER, StateMark(8.0, "host"), StateMark(8.5, "exited", "told by this one itself")])
    assert [(line.time, line.level, line.text) for line in book.lines] == [
        (1.0, "info", "the host started"),
        (2.0, "info", "the engine is ready"),
        (3.0, "error", "engine exited with signal 9"),
        (4.0, "warning", "restart 1 of 5 in 1 s"),
        (5.0, "info", "you restarted the engine"),
        (6.0, "error", "the engine failed: no restart helped"),
        (7.0, "info", "the host ended"),
        (8.0, "info", "the host started"),
        (9.0, "info", "now"),
    ]


def test_a_host_that_could_not_close_is_not_said_to_have_ended_when_it_was_last_seen() -> None:
    marks = [StateMark(1.0, "host"), StateMark(2.0, "off", UNCLOSED), StateMark(9.0, "host")]
    _, (at, fact), _ = lines_of_earlier_hosts(marks)
    assert (at, fact.level) == (2.0, "warning")
    assert fact.text == f"the host was last seen here; it did not close: {UNCLOSED}"


def test_an_upstream_that_came_back_is_told_of_earlier_hosts_too() -> None:
    states = ("connects", "refused", "connects", "host")
    told = list(lines_of_earlier_hosts(StateMark(float(at), state) for at, state in enumerate(states)))
    assert [(at, fact.source, fact.level) for at, fact in told] == [
        (1.0, "upstream", "error"),
        (2.0, "upstream", "info"),
        (3.0, "host", "info"),
    ]


async def test_what_the_program_logs_is_published_but_not_what_is_an_event_already() -> None:
    bus, told = EventBus(), []

    def listen(type: str, request: str | None, data: EventData) -> None:
        told.append(data.model_dump())

    bus.listen(listen)
    handler = FeedHandler(lambda line: bus.publish("host.log", line))
    logger = logging.getLogger("anyclaude.test")
    elsewhere = logging.getLogger("elsewhere.test")
    module = logging.getLogger("proxy.api.test")
    for one in (logger, elsewhere, module):
        one.addHandler(handler)
        one.setLevel(logging.INFO)
    try:
        await asyncio.to_thread(logger.info, "from a %s", "thread")
        logger.warning("a notice too", extra={NOTICED: True})
        elsewhere.info("of a library")
        module.warning("of a module")
        try:
            raise ValueError("with a cause")
        except ValueError:
            elsewhere.exception("it failed")
        await asyncio.sleep(0)
    finally:
        logger.removeHandler(handler)
        elsewhere.removeHandler(handler)
        module.removeHandler(handler)
    assert told == [
        {"level": "info", "line": "from a thread"},
        {"level": "warning", "line": "of a module"},
        {"level": "error", "line": "elsewhere.test: it failed: ValueError: with a cause"},
    ]
