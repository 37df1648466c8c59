"""The parts of the supervisor that need no process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from proxy.events.errors import UpstreamFailed, UpstreamUnavailable
from proxy.events.types import EngineState, EngineStatus
from proxy.supervision.exit import EngineExit, explain_exit
from proxy.supervision.gate import gate
from proxy.supervision.health import EngineHealth, Watchdog
from proxy.supervision.log import EngineLog
from proxy.supervision.restart_policy import Restart, RestartPolicy


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("code", "announced", "last_line", "was_ready", "expected"),
    [
        (-9, "", "x", True, EngineExit("engine exited with signal 9 (out of memory?)")),
        (137, "", "", True, EngineExit("engine exited with signal 9 (out of memory?)")),
        (-11, "", "", False, EngineExit("engine exited with signal 11 (a fault in native code)")),
        (-10, "", "", False, EngineExit("engine exited with signal 10")),
        (0, "", "bye", True, EngineExit("engine ended by itself")),
        (1, "", "KeyError: 'x'", True, EngineExit("engine exited with code 1: KeyError: 'x'")),
        (1, "", "", True, EngineExit("engine exited with code 1")),
        (1, "", " 10%\r 99%\rno room", True, EngineExit("engine exited with code 1: no room")),
        (
            1,
            "",
            "y" * 1_000_000,
            True,
            EngineExit(f"engine exited with code 1: {'y' * 500} [… more in its log]"),
        ),
        (4, "z" * 1_000, "", False, EngineExit(f"{'z' * 500} [… more in its log]", final=True)),
        (4, "no such model", "x", False, EngineExit("no such model", final=True)),
        (4, "", "no such model", False, EngineExit("no such model", final=True)),
        (4, "the loop ended", "", True, EngineExit("engine exited with code 4: the loop ended")),
        (3, "port is taken", "", False, EngineExit("port is taken", final=True, port_busy=True)),
        (2, "", "", False, EngineExit("engine exited with code 2", final=True)),
        (5, "the GPU …", "x", True, EngineExit("the GPU …", at_once=True)),
        (5, "", "", False, EngineExit("the GPU refused further work", at_once=True)),
    ],
)
def test_exits_are_explained(
    code: int, announced: str, last_line: str, was_ready: bool, expected: EngineExit
) -> None:
    assert explain_exit(code, announced=announced, last_line=last_line, was_ready=was_ready) == expected


def test_pauses_grow_until_it_is_given_up() -> None:
    policy = RestartPolicy()
    restarts = [policy.next(healthy_s=5) for _ in range(6)]
    assert [restart and restart.delay_s for restart in restarts] == [1, 2, 4, 8, 16, None]
    assert restarts[1] == Restart(attempt=2, of=5, delay_s=2)


def test_ten_minutes_of_health_make_faults_forgotten() -> None:
    policy = RestartPolicy()
    for _ in range(5):
        policy.next(healthy_s=599)
    assert policy.next(healthy_s=600) == Restart(1, 5, 1)


def test_a_restart_on_demand_makes_faults_forgotten() -> None:
    policy = RestartPolicy(delays_s=(1,))
    policy.next(0)
    policy.forget()
    assert policy.next(0) == Restart(1, 1, 1)


def watchdog(clock: Clock) -> Watchdog:
    return Watchdog(
        stalled_after_s=60, unresponsive_after_s=180, loading_unresponsive_after_s=900, monotonic=clock
    )


def busy(last_progress_s: float | None) -> EngineHealth:
    return EngineHealth(state="busy", running=1, last_progress_s=last_progress_s)


def test_work_without_progress_is_stalled_and_then_lost(clock: Clock) -> None:
    dog = watchdog(clock)
    assert dog.judge(busy(0)) == "healthy"
    verdicts = []
    for seconds in (59, 60, 179, 180):
        clock.now = 1000 + seconds
        verdicts.append(dog.judge(busy(seconds)))
    assert verdicts == ["healthy", "stalled", "stalled", "unresponsive"]


def test_work_after_a_long_rest_is_not_taken_for_a_stall(clock: Clock) -> None:
    dog = watchdog(clock)
    dog.judge(EngineHealth(state="ready", last_progress_s=5000))
    assert dog.judge(busy(5000)) == "healthy"
    clock.now += 59
    assert dog.judge(busy(5059)) == "healthy"
    clock.now += 1
    assert dog.judge(busy(5060)) == "stalled"


def test_a_first_request_without_any_progress_is_measured_too(clock: Clock) -> None:
    dog = watchdog(clock)
    dog.judge(busy(None))
    clock.now += 180
    assert dog.judge(busy(None)) == "unresponsive"


def test_rest_is_no_stall(clock: Clock) -> None:
    dog = watchdog(clock)
    dog.judge(busy(0))
    clock.now += 10_000
    assert dog.judge(EngineHealth(state="ready", last_progress_s=10_000)) == "healthy"


def test_no_answer_counts_from_the_first_that_did_not_come(clock: Clock) -> None:
    dog = watchdog(clock)
    dog.judge(EngineHealth(state="ready"))
    clock.now += 500
    assert dog.judge(None) == "healthy"
    clock.now += 60
    assert dog.judge(None) == "stalled"
    clock.now += 120
    assert dog.judge(None) == "unresponsive"
    assert dog.silence_s == 180


def test_an_engine_that_calls_itself_stalled_is_believed(clock: Clock) -> None:
    dog = watchdog(clock)
    assert dog.judge(EngineHealth(state="stalled")) == "stalled"
    assert dog.judge(EngineHealth(state="ready")) == "healthy"
    dog.judge(EngineHealth(state="failed"))
    clock.now += 180
    assert dog.judge(EngineHealth(state="failed")) == "unresponsive"


def test_loading_may_take_long_as_long_as_it_gets_on(clock: Clock) -> None:
    dog = watchdog(clock)
    for step in range(20):
        clock.now += 800
        assert dog.judge(EngineHealth(state="loading", progress=step / 20)) == "healthy"
    clock.now += 900
    assert dog.judge(EngineHealth(state="loading", progress=19 / 20)) == "unresponsive"


@pytest.mark.parametrize("state", ["ready", "busy", "stalled"])
def test_requests_are_accepted_while_the_engine_runs(state: EngineStatus) -> None:
    assert gate(EngineState(state=state), now=0, restart_at=0) is None


@pytest.mark.parametrize(
    ("state", "retry_after"),
    [
        (EngineState(state="starting"), 5),
        (EngineState(state="loading", started=90, progress=0.5), 10),
        (EngineState(state="loading", started=0, progress=0.01), 60),
        (EngineState(state="exited", last_exit="engine exited with signal 9"), 11),
        (EngineState(state="restarting", last_exit="engine exited with signal 9"), 11),
        (EngineState(state="stopped"), 2),
    ],
)
def test_errors_have_the_time_of_the_next_try(state: EngineState, retry_after: int) -> None:
    error = gate(state, now=100, restart_at=108)
    assert isinstance(error, UpstreamUnavailable)
    assert error.headers["retry-after"] == str(retry_after)
    assert state.last_exit in error.message


def test_errors_of_a_failed_engine_are_not_retried() -> None:
    error = gate(EngineState(state="failed", detail="no such model"), now=0, restart_at=0)
    assert isinstance(error, UpstreamFailed)
    assert "no such model" in error.message
    assert error.headers["x-should-retry"] == "false"


class Heard:
    """A log, and what it told."""

    def __init__(self, path: Path, **arguments: object) -> None:
        self.lines: list[str] = []
        self.notices: list[str] = []
        self.clock = Clock()
        self.log = EngineLog(
            path, emit=self.lines.append, notice=self.notices.append, monotonic=self.clock, **arguments  # type: ignore[arg-type]
        )  # fmt: skip


def test_the_tail_is_bounded_and_the_file_has_all(tmp_path: Path) -> None:
    heard = Heard(tmp_path / "logs" / "engine.log")
    for number in range(300):
        heard.log.add(f"line {number}")
    heard.log.close()
    assert (len(heard.log.tail), heard.log.tail[0]) == (200, "line 100")
    assert len((tmp_path / "logs" / "engine.log").read_text().splitlines()) == 300
    assert stat.S_IMODE((tmp_path / "logs" / "engine.log").stat().st_mode) == 0o600


def test_a_flood_of_lines_is_counted_and_not_emitted(tmp_path: Path) -> None:
    heard = Heard(tmp_path / "engine.log")
    for number in range(80):
        heard.log.add(f"line {number}")
    heard.clock.now += 1
    heard.log.add("calm again")
    heard.log.close()
    assert heard.lines[49:] == ["line 49", f"[30 more lines in {tmp_path / 'engine.log'}]", "calm again"]


def test_the_file_is_rotated_by_size(tmp_path: Path) -> None:
    heard = Heard(tmp_path / "engine.log", rotate_bytes=100, keep_files=2)
    for number in range(60):
        heard.log.add(f"line {number:05d}")
    heard.log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["engine.log.1", "engine.log.2"]
    assert "line 00059" in (tmp_path / "engine.log.1").read_text()


def test_a_full_disk_is_reported_once_and_lines_are_still_emitted(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    heard = Heard(tmp_path / "logs" / "engine.log")
    heard.log.add("a")
    heard.log.add("b")
    assert heard.lines == ["a", "b"]
    assert len(heard.notices) == 1
    assert "cannot be written" in heard.notices[0]


def test_a_progress_bar_is_one_line(tmp_path: Path) -> None:
    heard = Heard(tmp_path / "engine.log")
    heard.log.add("10%\r50%\r100%\r")
    heard.log.add("   ")
    heard.log.close()
    assert heard.lines == ["100%"]
