from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from proxy.__main__ import LAST_S
from proxy.configuration.settled import HostConfig
from proxy.supervision.process import StopTimeouts
from tests.ticks import TICKS, cancelled_beside
from tui.client.host_process import STOP_S, HostFailed, HostProcess

# Each plays a host that behaves in one way.
LISTENS = 'import sys; sys.stdin.readline(); print(\'{"listening": "http://127.0.0.1:5"}\', flush=True);'
WAITS = LISTENS + "sys.stdin.read()"


def host(folder: Path, script: str, *, start_s: float = 20.0) -> HostProcess:
    return HostProcess(
        HostConfig(home=folder, port=0),
        log_path=folder / "logs" / "host.log",
        command=(sys.executable, "-c", script),
        start_s=start_s,
    )


@asynccontextmanager
async def started(folder: Path, script: str) -> AsyncIterator[HostProcess]:
    running = host(folder, script)
    await running.start()
    try:
        yield running
    finally:
        await running.stop(timeout=5)


async def failure(process: HostProcess) -> HostFailed:
    with pytest.raises(HostFailed) as caught:
        await process.start()
    assert process.pid is None or not psutil.pid_exists(process.pid)
    return caught.value


async def test_it_starts_and_tells_its_address(tmp_path: Path) -> None:
    async with started(tmp_path, WAITS) as running:
        assert running.url == "http://127.0.0.1:5"
        assert running.exit_code is None
    assert running.exit_code == -signal.SIGTERM


async def test_what_it_reports_at_its_end_is_kept(tmp_path: Path) -> None:
    # Not by print: the signal may come while a print is under way, which no other may interrupt.
    ends = """import os, signal
def report(*_):
    os.write(1, b'noise' * 50_000 + b'\\n{"report": ["this run: 2 requests", "cache: none"]}\\n')
    raise SystemExit(0)
signal.signal(signal.SIGTERM, report)
"""
    async with started(tmp_path, ends + WAITS) as running:
        assert running.report == []
    assert running.report == ["this run: 2 requests", "cache: none"]
    assert running.exit_code == 0


async def test_the_settings_arrive_on_its_stdin(tmp_path: Path) -> None:
    script = (
        "import json, sys; c = json.loads(sys.stdin.readline()); print(json.dumps({'listening': c['home']}))"
    )
    async with started(tmp_path, script) as running:
        assert running.url == str(tmp_path)


async def test_other_lines_before_the_announcement_are_passed_over(tmp_path: Path) -> None:
    async with started(tmp_path, "print('hello'); print('[1]');" + WAITS) as running:
        assert running.url


async def test_its_own_error_and_exit_code_are_passed_on(tmp_path: Path) -> None:
    script = 'print(\'{"error": "port 8082 is busy", "exit_code": 3}\', flush=True); raise SystemExit(3)'
    failed = await failure(host(tmp_path, script))
    assert (failed.exit_code, failed.message) == (3, "port 8082 is busy")


async def test_a_death_before_it_listens_is_told_with_its_last_words(tmp_path: Path) -> None:
    script = "import sys; sys.stderr.write('first\\nno such thing\\n'); sys.exit(9)"
    process = host(tmp_path, script)
    failed = await failure(process)
    assert failed.exit_code == 4
    assert "exit code 9" in failed.message
    assert "no such thing" in failed.message
    assert str(process.log_path) in failed.message
    assert process.last_words == ["first", "no such thing"]


async def test_a_host_that_never_listens_is_ended(tmp_path: Path) -> None:
    failed = await failure(host(tmp_path, "import sys; sys.stdin.read()", start_s=0.5))
    assert "did not listen" in failed.message


async def test_a_command_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    process = HostProcess(HostConfig(home=tmp_path), log_path=tmp_path / "l", command=("/nowhere/python",))
    assert "could not be started" in (await failure(process)).message


async def test_a_log_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in its place")
    assert "could not be started" in (await failure(host(tmp_path, WAITS))).message


async def test_wait_tells_when_it_died(tmp_path: Path) -> None:
    async with started(tmp_path, WAITS) as running:
        assert running.pid is not None
        os.kill(running.pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            assert await running.wait() == -signal.SIGKILL


async def test_one_that_ignores_the_signal_is_ended_all_the_same(tmp_path: Path) -> None:
    script = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAITS
    running = host(tmp_path, script)
    await running.start()
    assert await running.stop(timeout=0.2) == -signal.SIGKILL


def test_a_host_has_time_to_end_an_engine_that_does_not_answer() -> None:
    """Killed before, it would leave that engine behind, with its memory and its port."""
    stop_timeouts = StopTimeouts()
    assert stop_timeouts.closed_s + stop_timeouts.terminated_s + stop_timeouts.killed_s < LAST_S < STOP_S


async def test_stopping_twice_or_before_the_start_is_nothing(tmp_path: Path) -> None:
    assert await host(tmp_path, WAITS).stop() is None
    async with started(tmp_path, WAITS) as running:
        await running.stop()


async def test_what_it_prints_later_does_not_stop_it(tmp_path: Path) -> None:
    script = LISTENS + "print('x' * 3_000_000, flush=True); raise SystemExit(7)"
    async with started(tmp_path, script) as running:
        async with asyncio.timeout(10):
            assert await running.wait() == 7


async def test_its_log_is_private_and_put_aside_when_it_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.client.host_process.LOG_LIMIT", 10)
    for _ in range(2):
        async with started(
            tmp_path, "import sys; print('a long line of words', file=sys.stderr, flush=True);" + WAITS
        ) as running:
            pass
    assert stat.S_IMODE(running.log_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.log_path.parent.stat().st_mode) == 0o700
    assert running.log_path.with_suffix(".old.log").exists()
    assert running.last_words == ["a long line of words"]


async def test_a_folder_of_the_same_name_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proxy.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    process = HostProcess(
        HostConfig(home=tmp_path, port=0, backend="openai", backend_url="http://127.0.0.1:9/v1"),
        log_path=tmp_path / "host.log",
    )
    try:
        assert (await process.start()).startswith("http://127.0.0.1:")
    finally:
        await process.stop()
    assert "the wrong one" not in " ".join(process.last_words)


PARENT = """
import asyncio, sys
from pathlib import Path
from proxy.__main__ import LAST_S
from proxy.configuration.settled import HostConfig
from proxy.supervision.process import StopTimeouts
from tui.client.host_process import HostProcess

async def main():
    host = HostProcess(HostConfig(home=Path(sys.argv[1])), log_path=Path(sys.argv[1]) / "log",
                       command=(sys.executable, "-c", sys.argv[2]))
    await host.start()
    print(host.pid, flush=True)
    await host.wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_it_ends_when_its_parent_does(tmp_path: Path, number: int, gone: Callable[[int], None]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), WAITS], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait(10)
    gone(pid)


@pytest.fixture
def gone() -> Callable[[int], None]:
    """Waits until a process that is not our child is no more."""

    def wait(pid: int) -> None:
        try:
            psutil.Process(pid).wait(10)
        except psutil.NoSuchProcess:
            pass

    return wait


class OnCue:
    """Stands in for the child where it must announce, or end, in one certain turn of the loop."""

    pid = 4711
    stdin = None

    def __init__(self, *, obeys: bool = True) -> None:
        self.returncode: int | None = None
        self.stdout = asyncio.StreamReader()
        self._obeys = obeys
        self._ended = asyncio.Event()

    def announce(self) -> None:
        self.stdout.feed_data(b'{"listening": "http://127.0.0.1:5"}\n')

    def terminate(self) -> None:
        if self._obeys:
            self.kill()

    def kill(self) -> None:
        self.returncode = -signal.SIGKILL
        self.stdout.feed_eof()
        self._ended.set()

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self.returncode


def host_of(folder: Path, process: OnCue, monkeypatch: pytest.MonkeyPatch) -> HostProcess:
    async def spawn() -> OnCue:
        return process

    made = host(folder, "")
    monkeypatch.setattr(made, "_spawn", spawn)
    return made


@pytest.mark.parametrize("ticks", TICKS)
async def test_a_start_that_is_cancelled_in_the_tick_of_the_announcement_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: int
) -> None:
    process = OnCue()
    made = host_of(tmp_path, process, monkeypatch)
    starting = await cancelled_beside(made.start(), process.announce, ticks)
    assert (process.returncode is not None) == starting.cancelled()
    await made.stop()


@pytest.mark.parametrize("ticks", TICKS)
async def test_a_stop_that_is_cancelled_in_the_tick_of_the_end_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: int
) -> None:
    process = OnCue(obeys=False)
    made = host_of(tmp_path, process, monkeypatch)
    process.announce()
    await made.start()
    await cancelled_beside(made.stop(), process.kill, ticks)
    assert await made.stop() == -signal.SIGKILL
