from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.process.port_holder import port_holder
from proxy.events.bus import EventBus
from proxy.events.errors import UpstreamFailed, UpstreamUnavailable
from proxy.events.totals import Totals
from proxy.events.types import (
    EngineLogLine,
    EngineRestart,
    EngineState,
    EngineStatus,
    ErrorInfo,
    Event,
    HostNotice,
    RequestFailed,
    RequestFinished,
    RequestReceived,
)
from proxy.supervision.log import EngineLog
from proxy.supervision.process import EngineCommand, StopTimeouts
from proxy.supervision.restart_policy import RestartPolicy
from proxy.supervision.supervisor import Supervisor
from proxy.supervision.watch import Timing

FAKE_ENGINE = Path(__file__).parents[1] / "fake_engine.py"
QUICK = Timing(
    probe_loading=0.02,
    probe_busy=0.05,
    probe_idle=0.1,
    stalled_after=0.3,
    unresponsive_after=1.0,
    loading_unresponsive_after=1.0,
    stop_timeouts=StopTimeouts(closed_s=2.0, terminated_s=0.3),
)
HUNG = re.compile(r"engine made no progress for \d+ s")  # one second, and on a busy machine more

pytestmark = pytest.mark.slow


class Watched:
    """A supervisor with a fake engine below it."""

    def __init__(
        self,
        folder: Path,
        timing: Timing,
        delays_s: tuple[float, ...],
        port_holder: Callable[[], str] = str,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.bus = EventBus()
        self.health = folder / "health.json"
        self.starts = folder / "starts"
        given = {"health": str(self.health), "starts": str(self.starts), "mute": str(folder / "mute")}
        self.supervisor = Supervisor(
            EngineCommand(given | settings, dict(os.environ), (sys.executable, str(FAKE_ENGINE))),
            bus=self.bus,
            log=EngineLog(
                folder / "logs" / "engine.log",
                emit=lambda line: self.bus.publish("engine.log", EngineLogLine(line=line)),
                notice=lambda text: self.bus.publish("host.notice", HostNotice(text=text)),
            ),
            first=EngineState(state="stopped", model="the-model"),
            timing=timing,
            policy=RestartPolicy(delays_s, forgive_after_s=600),
            port_holder=port_holder,
        )

    @property
    def state(self) -> EngineState:
        return self.supervisor.board.state

    async def until(self, *states: EngineStatus) -> EngineState:
        async with asyncio.timeout(15):
            return await self.supervisor.board.until(*states)

    async def until_told(
        self, type: str, so: Callable[[dict[str, Any]], bool] = lambda data: True
    ) -> dict[str, Any]:
        reader = self.bus.follow(since=0)
        async with asyncio.timeout(15):
            while True:
                for event in await reader.next():
                    told = json.loads(event.json)
                    if told["type"] == type and so(told["data"]):
                        return dict(told["data"])

    def told(self, type: str) -> list[dict[str, Any]]:
        events = [Event.model_validate_json(event.json) for event in self.bus.held_after(0, 1 << 30)]
        return [event.data for event in events if event.type == type]

    def states(self) -> list[str]:
        """The states in their order, each once in a row."""
        all_states = [data["state"] for data in self.told("engine.state")]
        return [state for i, state in enumerate(all_states) if i == 0 or all_states[i - 1] != state]

    def pids(self) -> list[int]:
        return [int(line) for line in self.starts.read_text().split()] if self.starts.exists() else []

    def report(self, **health: Any) -> None:
        draft = self.health.with_suffix(".tmp")
        draft.write_text(json.dumps(health))
        draft.replace(self.health)


@asynccontextmanager
async def watched(
    folder: Path, *, timing: Timing = QUICK, delays_s: tuple[float, ...] = (0.01,) * 5, **settings: Any
) -> AsyncIterator[Watched]:
    made = Watched(folder, timing, delays_s, **settings)
    made.supervisor.start()
    try:
        yield made
    finally:
        await made.supervisor.stop()
        assert not [pid for pid in made.pids() if psutil.pid_exists(pid)]  # neither running nor a zombie


async def test_an_engine_comes_up_and_is_ended_in_order(tmp_path: Path) -> None:
    async with watched(tmp_path) as engine:
        state = await engine.until("ready")
        assert (state.model, state.accelerated, state.pid) == ("fake", "abacus", engine.pids()[0])
        assert state.url.startswith("http://127.0.0.1:")
        assert state.memory_bytes > 1_000_000
        assert state.probe is not None
        assert state.probe.ok
        assert engine.supervisor.gate() is None
        assert [line["line"] for line in engine.told("engine.log")] == ["fake engine up"]
    assert engine.states() == ["starting", "loading", "ready", "stopped"]


async def test_an_address_is_forgotten_with_the_process_that_had_it(tmp_path: Path) -> None:
    """Its port was any free one, and may be another program's by now, which nobody should ask anything."""
    async with watched(tmp_path, behave="well", first=2, then="no model") as engine:
        for _ in range(2):
            await engine.until("ready")
            os.kill(engine.pids()[-1], signal.SIGKILL)
            await engine.until("exited")
        await engine.until("failed")
        told = engine.told("engine.state")
        assert {bool(data["url"]) for data in told if data["state"] in ("loading", "ready")} == {True}
        gone = ("starting", "exited", "restarting", "failed")
        assert {data["url"] for data in told if data["state"] in gone} == {""}


@pytest.mark.parametrize("restarted", [True, False])
async def test_no_address_is_published_while_an_engine_stops(tmp_path: Path, restarted: bool) -> None:
    async with watched(tmp_path) as engine:
        await engine.until("ready")
        if restarted:
            engine.supervisor.restart()
            assert (await engine.until("restarting")).url == ""
    assert {data["url"] for data in engine.told("engine.state") if data["state"] == "stopped"} == {""}


async def test_memory_is_nobodys_once_a_process_has_ended_as_it_was_asked_to(tmp_path: Path) -> None:
    async with watched(tmp_path) as engine:
        engine.report(state="ready", memory={"limit_bytes": 7, "weights_bytes": 5})
        held = await engine.until_told("engine.state", lambda data: bool(data["memory"]))
        assert (held["state"], held["memory"]["limit_bytes"]) == ("ready", 7)
        engine.supervisor.restart()
        await engine.until("starting")
        await engine.until("ready")
    told = engine.told("engine.state")
    gone = [data for data in told if data["state"] == "starting"] + told[-1:]
    assert gone[-1]["state"] == "stopped"
    assert [(data["memory_bytes"], data["memory"]) for data in gone] == [(0, None)] * len(gone)


async def test_loading_is_shown_with_its_progress(tmp_path: Path) -> None:
    (tmp_path / "health.json").write_text('{"state": "loading", "progress": 0.25, "detail": "layer 7"}')
    async with watched(tmp_path) as engine:
        told = await engine.until_told("engine.state", lambda data: data["progress"] == 0.25)
        assert (told["state"], told["detail"]) == ("loading", "layer 7")
        error = engine.supervisor.gate()
        assert isinstance(error, UpstreamUnavailable)
        assert "loading (25%)" in error.message
        assert 1 <= int(error.headers["retry-after"]) <= 60
        engine.report(state="ready")
        assert (await engine.until("ready")).progress is None
        assert len(engine.told("engine.state")) < 10


async def test_work_shows_as_busy_at_once(tmp_path: Path) -> None:
    slow = Timing(probe_loading=0.02, probe_idle=600.0, probe_busy=0.05, stop_timeouts=QUICK.stop_timeouts)
    async with watched(tmp_path, timing=slow) as engine:
        await engine.until("ready")
        engine.report(state="busy", running=1, queue=2, last_progress_s=0.1)
        engine.bus.publish("request.received", RequestReceived(), "req_1")
        state = await engine.until("busy")
        assert (state.running, state.queue) == (1, 2)
        engine.report(state="ready")
        await engine.until("ready")


async def test_a_killed_engine_is_restarted_with_a_published_reason(tmp_path: Path) -> None:
    async with watched(tmp_path, delays_s=(0.5, 1)) as engine:
        await engine.until("ready")
        engine.bus.publish("request.received", RequestReceived(), "req_1")
        os.kill(engine.pids()[0], signal.SIGKILL)
        state = await engine.until("restarting")
        restarting = state.detail
        assert restarting == (
            "engine exited with signal 9 (out of memory?);"
            " 1 request was told to retry; restart 1 of 2 in 0.5 s"
        )
        assert isinstance(engine.supervisor.gate(), UpstreamUnavailable)
        state = await engine.until("ready")
        assert (state.restarts, state.last_exit) == (1, "engine exited with signal 9 (out of memory?)")
        assert engine.told("engine.restart") == [
            EngineRestart(
                attempt=1,
                of=2,
                delay_s=0.5,
                reason="engine exited with signal 9 (out of memory?); 1 request was told to retry",
            ).model_dump()
        ]
        assert len(engine.pids()) == 2
    assert engine.states()[3:] == ["exited", "restarting", "starting", "loading", "ready", "stopped"]


async def test_an_engine_whose_gpu_refuses_is_started_again_at_once(tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    stop.touch()
    delays = (600.0, 600.0)
    settings = {"behave": "gpu refuses", "stop": str(stop), "first": 1, "then": "well"}
    async with watched(tmp_path, delays_s=delays, **settings) as engine:
        await engine.until("ready")
        stop.unlink()
        told = await engine.until_told("engine.restart")
        assert (told["attempt"], told["delay_s"]) == (1, 0.0)
        assert told["reason"] == "the GPU refused further work ([METAL] Ignored)"
        await engine.until("restarting", "starting", "loading")
        state = await engine.until("ready")
        assert state.last_exit == "the GPU refused further work ([METAL] Ignored)"
        assert len(engine.pids()) == 2


async def test_an_engine_that_never_starts_fails_with_its_last_log_lines(tmp_path: Path) -> None:
    async with watched(tmp_path, delays_s=(0.01, 0.02), behave="crash") as engine:
        state = await engine.until("failed")
        assert (
            "engine exited with code 1: Traceback: something broke; 2 restarts did not help" in state.detail
        )
        assert "engine.log" in state.detail
        assert len(engine.pids()) == 3
        assert [restart["attempt"] for restart in engine.told("engine.restart")] == [1, 2]
        error = engine.supervisor.gate()
        assert isinstance(error, UpstreamFailed)
        assert error.headers == {"x-should-retry": "false"}
        assert "something broke" in (tmp_path / "logs" / "engine.log").read_text()


async def test_a_restart_on_demand_works_after_it_was_given_up(tmp_path: Path) -> None:
    async with watched(tmp_path, delays_s=(), behave="crash", first=1, then="well") as engine:
        await engine.until("failed")
        engine.supervisor.restart()
        assert (await engine.until("ready")).pid == engine.pids()[1]


async def test_a_restart_on_demand_replaces_an_engine_that_is_well(tmp_path: Path) -> None:
    async with watched(tmp_path) as engine:
        first = (await engine.until("ready")).pid
        engine.supervisor.restart()
        await engine.until("starting")
        assert (await engine.until("ready")).pid != first
        assert engine.state.restarts == 0
        assert "exited" not in engine.states()


async def test_an_engine_restarts_with_other_settings_and_shows_their_model(tmp_path: Path) -> None:
    async with watched(tmp_path) as engine:
        await engine.until("ready")
        refused: list[object] = []
        engine.report(state="ready", context_tokens=777)
        await engine.until_told("engine.state", lambda data: data["context_tokens"] == 777)
        engine.health.unlink()
        settings = {"starts": str(engine.starts), "port": 0}
        engine.supervisor.change(settings, lambda *told: refused.append(told), model="other")
        await engine.until("starting")
        assert (engine.state.model, engine.state.context_tokens) == ("other", 0)
        await engine.until("ready")
        assert (len(engine.pids()), refused) == (2, [])
        os.kill(engine.pids()[1], signal.SIGKILL)  # it came up with them: they stay
        await engine.until("exited")
        await engine.until("ready")
        assert (len(engine.pids()), refused) == (3, [])


@pytest.mark.parametrize(
    ("behaves", "first_state"),
    [
        (["no model"], "ready"),
        (["crash"], "ready"),
        (["crash", "no model"], "ready"),
        (["crash"], "starting"),
    ],
)
async def test_settings_with_which_no_engine_comes_up_are_taken_back(
    tmp_path: Path, behaves: list[str], first_state: EngineStatus
) -> None:
    """Also where they were changed again, or the engine before had not come up yet."""
    async with watched(tmp_path) as engine:
        await engine.until(first_state)
        refused: list[object] = []
        for behave in behaves:
            given = {"starts": str(engine.starts), "behave": behave}
            engine.supervisor.change(
                given, lambda _, choice: refused.append(choice), model=behave, choice=behave
            )
        await engine.until("exited", "restarting")
        assert (await engine.until("ready")).model == "fake"
        assert refused == [None]
        engine.supervisor.restart()  # with what came up
        await engine.until("starting")
        await engine.until("ready")
        assert refused == [None]


async def test_a_restart_can_wait_for_the_requests_that_run(tmp_path: Path) -> None:
    async with watched(tmp_path) as engine:
        await engine.until("ready")
        for request in ("a", "b"):
            engine.bus.publish("request.received", RequestReceived(), request)
        assert engine.supervisor.restart(drain=True) == 2
        assert engine.state.detail == "it restarts after the requests that run (2)"
        refused = engine.supervisor.gate()
        assert isinstance(refused, UpstreamUnavailable)
        assert (
            refused.message
            == "the engine restarts after the requests that run (2); the request can be repeated"
        )
        engine.bus.publish("request.finished", RequestFinished(), "a")
        engine.report(state="ready", detail="a note", context_tokens=777)
        probed = await engine.until_told("engine.state", lambda data: data["context_tokens"] == 777)
        assert probed["detail"] == "it restarts after the requests that run (1)"
        assert len(engine.pids()) == 1
        engine.bus.publish("request.failed", RequestFailed(error=ErrorInfo(type="x", message="")), "b")
        await engine.until("restarting")
        assert (await engine.until("ready")).detail == "a note"
        assert (len(engine.pids()), engine.supervisor.gate()) == (2, None)
        assert engine.supervisor.restart(drain=True) == 0  # nothing runs: at once
        await engine.until("restarting")


async def test_an_end_of_its_own_is_the_restart_that_was_to_come(tmp_path: Path) -> None:
    async with watched(tmp_path) as engine:
        await engine.until("ready")
        engine.bus.publish("request.received", RequestReceived(), "a")
        engine.supervisor.restart(drain=True)
        os.kill(engine.pids()[0], signal.SIGKILL)
        await engine.until("exited")
        await engine.until("ready")
        assert engine.supervisor.gate() is None
        engine.bus.publish("request.failed", RequestFailed(error=ErrorInfo(type="x", message="")), "a")
        assert engine.state.state in ("ready", "busy")
        assert len(engine.pids()) == 2


async def test_a_requested_restart_ends_a_delay(tmp_path: Path) -> None:
    async with watched(tmp_path, delays_s=(600,)) as engine:
        pid = (await engine.until("ready")).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await engine.until("restarting")
        engine.supervisor.restart()
        await engine.until("ready")


@pytest.mark.parametrize(
    ("behave", "says"),
    [
        ("port busy", "cannot listen on 127.0.0.1:8081"),
        ("no model", "no model at models/none: no such folder"),
        ("tracked", "org/model could not be downloaded"),
    ],
)
async def test_a_final_error_fails_at_once(tmp_path: Path, behave: str, says: str) -> None:
    async with watched(tmp_path, behave=behave) as engine:
        state = await engine.until("failed")
        assert says in state.detail
        assert engine.told("engine.restart") == []
        assert len(engine.pids()) == 1


async def test_a_missing_program_fails_at_once(tmp_path: Path) -> None:
    engine = Watched(tmp_path, QUICK, ())
    engine.supervisor = Supervisor(
        EngineCommand({}, {}, ("no-such-program",)),
        bus=engine.bus,
        log=engine.supervisor.log,
        first=EngineState(state="stopped"),
    )
    engine.supervisor.start()
    assert "could not be started" in (await engine.until("failed")).detail
    await engine.supervisor.stop()


async def test_an_engine_that_never_listens_is_ended(tmp_path: Path) -> None:
    impatient = Timing(listens_within=0.3, stop_timeouts=QUICK.stop_timeouts)
    async with watched(tmp_path, timing=impatient, delays_s=(), behave="deaf") as engine:
        assert "did not listen within 0.3 s" in (await engine.until("failed")).detail


async def test_work_without_progress_is_called_stalled_and_then_ended(tmp_path: Path) -> None:
    async with watched(tmp_path) as engine:
        await engine.until("ready")
        engine.report(state="busy", running=1, last_progress_s=500.0)
        state = await engine.until("stalled")
        assert "no progress for" in state.detail
        assert engine.supervisor.gate() is None
        state = await engine.until("restarting")
        assert HUNG.search(state.detail)
        engine.report(state="ready")
        await engine.until("ready")


async def test_a_stalled_engine_that_recovers_is_not_restarted(tmp_path: Path) -> None:
    async with watched(tmp_path) as engine:
        await engine.until("ready")
        engine.report(state="busy", running=1, last_progress_s=500.0)
        await engine.until("stalled")
        engine.report(state="busy", running=1, last_progress_s=0.0)
        await engine.until("busy")
        assert len(engine.pids()) == 1


async def test_an_engine_whose_option_is_refused_is_never_called_stalled(tmp_path: Path) -> None:
    refused = "kvBits = 8: it has layers whose keys and values cannot be quantized"
    (tmp_path / "health.json").write_text(json.dumps({"state": "failed", "detail": refused}))
    patient = replace(QUICK, stalled_after=600.0, unresponsive_after=600.0)
    async with watched(tmp_path, timing=patient, behave="refused", delays_s=()) as engine:
        assert (await engine.until("failed")).detail == refused
        assert engine.states() == ["starting", "loading", "exited", "failed"]


async def test_an_engine_that_failed_and_does_not_end_is_ended(tmp_path: Path) -> None:
    (tmp_path / "health.json").write_text('{"state": "failed", "detail": "no memory"}')
    async with watched(tmp_path, delays_s=()) as engine:
        assert "no memory" in (await engine.until("stalled")).detail
        assert HUNG.search((await engine.until("failed")).detail)


async def test_the_cache_state_ends_with_its_engine_and_is_published_for_the_next(tmp_path: Path) -> None:
    held = {"entries": 7, "bytes": 900, "budget_bytes": 1000, "disk_entries": 9, "disk_paused": 0}
    (tmp_path / "health.json").write_text(json.dumps({"state": "ready", "prefix_cache": held}))
    async with watched(tmp_path, delays_s=(0.01,) * 5) as engine:
        totals = Totals()
        engine.bus.listen(totals.observe)
        cache = (await engine.until("ready")).cache
        assert cache is not None
        assert (cache.entries, cache.disk_entries, cache.disk_paused) == (7, 9, False)
        assert (totals.cache_entries, totals.cache_bytes) == (7, 900)
        engine.report(state="loading")
        os.kill(engine.pids()[0], signal.SIGKILL)
        assert (await engine.until("loading")).cache is None
        assert (totals.cache_entries, totals.cache_bytes) == (0, 0)
        assert totals.cache_budget_bytes == 1000
        engine.report(state="ready", prefix_cache=held | {"entries": 3, "bytes": 400})
        await engine.until("ready")
        assert (totals.cache_entries, totals.cache_bytes) == (3, 400)


async def test_an_engine_that_does_not_answer_is_ended(tmp_path: Path) -> None:
    async with watched(tmp_path, delays_s=()) as engine:
        await engine.until("ready")
        engine.supervisor._probe._client.timeout = 0.1  # type: ignore[assignment]
        (tmp_path / "mute").touch()
        await engine.until("stalled")
        assert "did not answer for 1 s" in (await engine.until("failed")).detail


async def test_loading_without_progress_is_ended(tmp_path: Path) -> None:
    (tmp_path / "health.json").write_text('{"state": "loading", "progress": 0.5}')
    async with watched(tmp_path, delays_s=()) as engine:
        assert HUNG.search((await engine.until("failed")).detail)


async def test_an_engine_that_ignores_all_requests_to_end_is_killed(tmp_path: Path) -> None:
    hasty = Timing(probe_loading=0.02, stop_timeouts=StopTimeouts(closed_s=0.2, terminated_s=0.2))
    async with watched(tmp_path, timing=hasty, behave="stubborn") as engine:
        await engine.until("ready")


async def test_garbage_from_the_engine_is_logged_and_harmless(tmp_path: Path) -> None:
    async with watched(tmp_path, behave="garbage") as engine:
        await engine.until("ready")
        tail = list(engine.supervisor.log.tail)
        assert any("no json" in line for line in tail)
        assert "loading 100%" in tail
        assert max(len(line) for line in tail) < 5_000
        assert (tmp_path / "logs" / "engine.log").stat().st_size > 3_000_000


async def test_a_busy_port_is_reported_with_its_program(tmp_path: Path) -> None:
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        port = foreign.getsockname()[1]
        holder = functools.partial(port_holder, port)
        async with watched(tmp_path, behave="port busy", port_holder=holder) as engine:
            state = await engine.until("failed")
    assert f"(pid {os.getpid()})" in state.detail


async def test_the_search_for_a_ports_program_blocks_nothing(tmp_path: Path) -> None:
    """On macOS it goes through all processes, which takes up to a second."""
    asked, goes_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def holder() -> str:
        loop.call_soon_threadsafe(asked.set)
        assert goes_on.wait(10), "the loop stood still"
        return "metro (pid 7)"

    async with watched(tmp_path, behave="port busy", port_holder=holder) as engine:
        await asked.wait()
        goes_on.set()
        assert "it is held by metro (pid 7)" in (await engine.until("failed")).detail


async def test_stop_while_it_is_starting_leaves_nothing(tmp_path: Path) -> None:
    async with watched(
        tmp_path, behave="deaf", timing=Timing(stop_timeouts=StopTimeouts(0.1, 0.5))
    ) as engine:
        await engine.until("starting")
        await engine.until_told("engine.state", lambda data: data["pid"] is not None)
    assert engine.states() == ["starting", "stopped"]


def test_the_engine_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from tests.proxy.supervision.test_supervisor import watched
        async def main():
            async with watched(Path(sys.argv[1])) as engine:
                print((await engine.until("ready")).pid, flush=True)
                await asyncio.Event().wait()
        asyncio.run(main())
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        engine = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait(10)
    try:
        engine.wait(10)
    except psutil.NoSuchProcess:
        pass
    assert not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE
