from __future__ import annotations

from proxy.events.health_types import HostDisk, LogEntry
from proxy.events.totals import Totals
from proxy.events.types import EngineMemory, EngineState, HostState
from tui.commands.status import status_facts, status_lines

BUSY = HostState(
    version="1.0",
    pid=7,
    started=100.0,
    url="http://127.0.0.1:8082",
    backend="mlx",
    model="org/Model",
    home="/home/ada/.anyclaude",
    seq=1,
    first_seq=1,
    counters=Totals(
        requests=9,
        finished=5,
        failed=1,
        cancelled=1,
        input_tokens=100,
        cache_creation_input_tokens=100,
        cache_read_input_tokens=800,
    ),
    engine=EngineState(
        state="busy",
        queue=1,
        accelerated="metal (Apple M4)",
        context_tokens=131_072,
        memory_bytes=17_200_000_000,
        memory=EngineMemory(limit_bytes=22_900_000_000),
    ),
    sleep="held off by caffeinate",
    tokens_per_s=41.25,
)


def shown(state: HostState, traces: int | None = 1204) -> dict[str, str]:
    lines = status_lines(state, status_facts(state, traces, now=state.started + 7500))
    return {title: text for title, text in lines if text}


def test_one_screen_has_all_of_it() -> None:
    assert shown(BUSY) == {
        "host": "http://127.0.0.1:8082, pid 7, up 2h05m, version 1.0",
        "engine": "busy on metal (Apple M4)",
        "model": "org/Model",
        "window": "131,072 tokens",
        "memory": "17.2 GB of 22.9 GB",
        "requests": "2 running, 1 queued; 5 finished, 1 failed, 1 cancelled",
        "hit rate": "80% of 1.0k prompt tokens",
        "speed": "41.2 tokens/s, newest answer",
        "traces": "1,204 traces in /home/ada/.anyclaude/traces",
        "sleep": "held off by caffeinate",
        "requests go": " to the built-in engine on this machine",
    }


def test_failures_that_were_repeated_are_told_apart() -> None:
    counters = Totals(requests=12, finished=4, failed=8, repeated=8)
    assert (
        "4 finished, 8 failed (8 repeated)"
        in shown(BUSY.model_copy(update={"counters": counters}))["requests"]
    )


def test_what_is_not_known_is_left_out_and_null_in_json() -> None:
    fresh = BUSY.model_copy(
        update={
            "counters": Totals(),
            "engine": EngineState(state="loading", progress=0.4, detail="reading weights"),
            "tokens_per_s": 0.0,
            "sleep": "",
        }
    )
    assert shown(fresh, None).keys() == {"host", "engine", "model", "requests", "requests go"}
    assert shown(fresh)["engine"] == "loading 40%: reading weights"
    facts = status_facts(fresh, None, now=0.0)
    assert {name for name, value in facts.items() if value is None} == {
        "window_tokens", "memory_bytes", "memory_limit_bytes", "hit_rate", "tokens_per_s", "traces",
        "traces_bytes", "disk_free_bytes", "last_error",
    }  # fmt: skip


def test_a_server_that_reports_no_reuse_is_told_no_hit_rate() -> None:
    for restored, told in (
        (0, "not reported by the server, which read 1.0k prompt tokens"),
        (500, "50% of 1.0k"),
    ):
        counters = Totals(input_tokens=1000 - restored, cache_read_input_tokens=restored)
        other = BUSY.model_copy(update={"backend": "openai", "counters": counters})
        assert shown(other)["hit rate"].startswith(told)
        assert status_facts(other, None, now=0.0)["hit_rate"] == (restored / 1000 or None)


def test_a_host_that_stops_and_one_without_an_engine_say_so() -> None:
    stopping = BUSY.model_copy(update={"stopping": True, "backend": "lmstudio"})
    lines = shown(stopping)
    assert lines["host"].endswith("stopping after the requests that run")
    assert lines["engine"] == "lmstudio, which runs elsewhere"


def test_the_disk_and_the_newest_error_of_the_log_are_told() -> None:
    lines = [
        LogEntry(time=1000.0, source="engine", level="error", text="old"),
        LogEntry(time=2000.0, source="host", level="error", text="engine exited\x1b[2J with signal 9"),
        LogEntry(time=3000.0, source="host", level="info", text="fine"),
    ]
    disk = HostDisk(free_bytes=212_000_000_000, traces_bytes=3_100_000_000, traces=1204)
    told = shown(BUSY.model_copy(update={"log": lines, "disk": disk}))
    assert told["error"] == "00:33:20 engine exited with signal 9 (logs --level error)"
    assert told["disk"] == "212 GB free"
    assert told["traces"] == "1,204 traces, 3.1 GB in /home/ada/.anyclaude/traces"
