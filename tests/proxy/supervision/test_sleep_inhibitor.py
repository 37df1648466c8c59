from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bench.child import poll
from proxy.supervision.sleep_inhibitor import HoldCommand, SleepInhibitor, hold_commands

ROOT = Path(__file__).parents[3]


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def caffeinate(folder: Path) -> str:
    """As on macOS: `caffeinate -i -w PID` runs until that process has ended."""
    return program(folder, "caffeinate", 'echo "$$ $*" >> "$0.log"; while kill -0 "$3"; do sleep 0.05; done')


def systemd_inhibit(folder: Path, refuses: str = "nothing") -> str:
    """Runs its command, as a logind that allows all but `--what=REFUSES`."""
    return program(
        folder,
        "systemd-inhibit",
        f'echo "$$ $*" >> "$0.log"\n'
        f'[ "$1" = "--what={refuses}" ] && {{ echo "Failed to inhibit: Access denied" >&2; exit 1; }}\n'
        'while case "$1" in --*) ;; *) false;; esac; do shift; done\n'
        '"$@"',
    )


def calls(path: str) -> list[str]:
    log = Path(f"{path}.log")
    return log.read_text().splitlines() if log.exists() else []


async def until(check: Callable[[], bool]) -> None:
    await asyncio.to_thread(poll, check, timeout_s=10, what="a change")


def on_linux(folder: Path, path: str, pid: int = 1) -> Callable[[], tuple[list[HoldCommand], str]]:
    return lambda: hold_commands(pid, system="Linux", find=lambda _: path, systemd_runs=folder)


def test_macos_and_linux_have_each_its_program(tmp_path: Path) -> None:
    (mac,), _ = hold_commands(7, system="Darwin", find=lambda name: f"/usr/bin/{name}")
    assert mac == HoldCommand(("/usr/bin/caffeinate", "-i", "-w", "7"))
    linux, _ = on_linux(tmp_path, "/usr/bin/systemd-inhibit")()
    assert [command.arguments[1] for command in linux] == ["--what=idle:sleep", "--what=idle"]


@pytest.mark.parametrize("system", ["Darwin", "Linux"])
def test_a_program_that_is_missing_is_a_reason(tmp_path: Path, system: str) -> None:
    commands, reason = hold_commands(7, system=system, find=lambda _: None, systemd_runs=tmp_path)
    assert (commands, reason.endswith("is not on the PATH")) == ([], True)


def test_a_linux_without_systemd_is_not_asked(tmp_path: Path) -> None:
    none = hold_commands(7, system="Linux", find=lambda _: "/x", systemd_runs=tmp_path / "none")
    assert none == ([], "no systemd runs here")


async def test_sleep_is_held_off_from_the_first_request_until_the_grace_after_the_last(
    tmp_path: Path,
) -> None:
    path = systemd_inhibit(tmp_path)
    sleep = SleepInhibitor(commands=on_linux(tmp_path, path), grace_s=0.05)
    sleep.start()
    assert (sleep.status, calls(path)) == ("no request runs", [])
    sleep.observe("request.received", "1", None)
    sleep.observe("request.received", "2", None)
    sleep.observe("request.finished", "1", None)
    await until(lambda: sleep.status == "held off by systemd-inhibit")
    holder = psutil.Process(int(calls(path)[0].split()[0]))
    assert holder.is_running()
    sleep.observe("request.failed", "2", None)
    await until(lambda: sleep.status == "no request runs")
    assert not holder.is_running()
    sleep.observe("request.received", "3", None)
    await until(lambda: sleep.status == "held off by systemd-inhibit")
    await sleep.close()
    assert len(calls(path)) == 2
    assert not psutil.pid_exists(int(calls(path)[1].split()[0]))


async def test_a_request_within_the_grace_keeps_the_same_program(tmp_path: Path) -> None:
    path = systemd_inhibit(tmp_path)
    sleep = SleepInhibitor(commands=on_linux(tmp_path, path), grace_s=60)
    sleep.start()
    sleep.observe("request.received", "1", None)
    await until(lambda: sleep.status.startswith("held off"))
    sleep.observe("request.finished", "1", None)
    await asyncio.sleep(0)
    sleep.observe("request.received", "2", None)
    await asyncio.sleep(0)
    assert sleep.status.startswith("held off")
    await sleep.close()
    assert len(calls(path)) == 1


async def test_where_only_idleness_may_be_inhibited_that_is_taken(tmp_path: Path) -> None:
    path = systemd_inhibit(tmp_path, refuses="idle:sleep")
    sleep = SleepInhibitor(commands=on_linux(tmp_path, path))
    sleep.start()
    sleep.observe("request.received", "1", None)
    await until(lambda: sleep.status.startswith("held off"))
    assert [call.split()[1] for call in calls(path)] == ["--what=idle:sleep", "--what=idle"]
    await sleep.close()


@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        ([], "caffeinate is not on the PATH"),
        ([HoldCommand(("/nowhere/caffeinate",))], "caffeinate cannot be run: No such file or directory"),
        ([HoldCommand(("/bin/sh", "-c", "echo denied >&2"), says_held=True)], "sh: denied"),
        ([HoldCommand(("/bin/sh", "-c", "exit 1"))], "the program that held it off was ended"),
    ],
)
async def test_what_is_not_possible_is_one_line_in_the_log(
    commands: list[HoldCommand], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "anyclaude.sleep"):
        sleep = SleepInhibitor(commands=lambda: (commands, reason))
        sleep.start()
        sleep.observe("request.received", "1", None)
        await until(lambda: sleep.status.startswith("not prevented"))
        sleep.observe("request.received", "2", None)
        await sleep.close()
    assert sleep.status == f"not prevented: {reason}"
    assert [record.getMessage() for record in caplog.records] == [
        f"the machine may fall asleep while requests run: {reason}"
    ]


async def test_it_can_be_switched_off() -> None:
    sleep = SleepInhibitor(wanted=False, commands=lambda: pytest.fail("asked for a command"))
    sleep.start()
    sleep.observe("request.received", "1", None)
    assert "keepAwake is false" in sleep.status
    await sleep.close()


HOST = """
import asyncio, os, sys
from pathlib import Path
from proxy.supervision.sleep_inhibitor import SleepInhibitor, hold_commands

async def main():
    sleep = SleepInhibitor(commands=lambda: hold_commands(
        os.getpid(), system=sys.argv[1], find=lambda _: sys.argv[2], systemd_runs=Path("/")))
    sleep.start()
    sleep.observe("request.received", "1", None)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("system", "make"), [("Darwin", caffeinate), ("Linux", systemd_inhibit)])
def test_the_program_ends_with_a_host_that_is_killed(
    tmp_path: Path, system: str, make: Callable[[Path], str]
) -> None:
    path = make(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOST, system, path], cwd=ROOT) as host:
        try:
            poll(lambda: bool(calls(path)), timeout_s=20, what="the program")
            holder = psutil.Process(int(calls(path)[0].split()[0]))
        finally:
            os.kill(host.pid, signal.SIGKILL)
    poll(lambda: not holder.is_running(), timeout_s=10, what="its end")
