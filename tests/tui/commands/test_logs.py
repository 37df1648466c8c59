"""`logs`: of a host that runs what it holds and what is new, of one that is gone what its files have."""

from __future__ import annotations

import json
import os
import re
import threading
from itertools import islice
from pathlib import Path

import pytest

from proxy.events.health_types import LogEntry
from proxy.events.types import EngineState, HostState
from tests.tui.commands.test_status import BUSY
from tests.tui.scripted_host import ScriptedHost, scripted_host
from tui.commands.exit_codes import CommandFailed
from tui.commands.invocation import Invocation
from tui.commands.logs import LogChoice, entries_of, log_choice, run_logs

LOG = [
    LogEntry(time=0.0, source="engine", level="info", text="mlx \x1b[31m0.32"),
    LogEntry(time=1_000.0, source="host", level="warning", text="restart 1 of 5 in 1 s"),
    LogEntry(time=2_000.0, source="upstream", level="error", text="no upstream: refused", request="r1"),
]


@pytest.mark.parametrize(
    ("choice", "texts"),
    [
        (LogChoice(), [entry.text for entry in LOG]),
        (LogChoice(level="warning"), ["restart 1 of 5 in 1 s", "no upstream: refused"]),
        (LogChoice(level="error"), ["no upstream: refused"]),
        (LogChoice(sources=("engine", "host")), ["mlx \x1b[31m0.32", "restart 1 of 5 in 1 s"]),
        (LogChoice(lines=1), ["no upstream: refused"]),
        (LogChoice(lines=0), []),
    ],
)
def test_lines_are_chosen_by_level_and_source(
    choice: LogChoice, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted_host() as host:
        host.log = LOG
        assert run_logs(Invocation(attach=host.url, environ={}), choice, follows=False, as_json=True) == 0
        assert run_logs(Invocation(attach=host.url, environ={}), choice, follows=False, as_json=False) == 0
    shown = capsys.readouterr().out.splitlines()
    objects, people = shown[: len(texts)], shown[len(texts) :]
    assert [json.loads(line)["text"] for line in objects] == texts
    assert len(people) == len(texts)
    assert "\x1b" not in "".join(people)


def test_a_line_has_its_time_level_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted_host() as host:
        host.log = LOG
        run_logs(Invocation(attach=host.url, environ={}), LogChoice(), follows=False, as_json=False)
    assert [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()] == [
        ["-", "INFO", "engine", "mlx 0.32"],
        ["1970-01-01 00:16:40", "WARNING", "host", "restart 1 of 5 in 1 s"],
        ["1970-01-01 00:33:20", "ERROR", "upstream", "no upstream: refused"],
    ]


def test_it_goes_on_with_what_is_new_until_its_reader_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    shown: list[dict[str, str]] = []

    def read(host: ScriptedHost) -> None:
        host.wait_for_followers(1)
        host.emit("engine.log", {"line": "INFO quiet", "level": "info"})
        host.engine_is("exited", detail="engine exited with signal 9")
        with open(reading) as lines:  # which closes after the second one
            shown.extend(json.loads(line) for line in islice(lines, 2))

    with scripted_host() as host, open(writing, "w") as stdout:
        host.log = LOG
        host.emit("engine.log", {"line": "ERROR old", "level": "error"})  # is in the host's account
        monkeypatch.setattr("sys.stdout", stdout)
        thread = threading.Thread(target=read, args=(host,))
        thread.start()
        invocation = Invocation(attach=host.url, environ={})
        assert run_logs(invocation, LogChoice(level="error"), follows=True, as_json=True) == 0
        thread.join()
    assert [line["text"] for line in shown] == ["no upstream: refused", "engine exited with signal 9"]


def test_an_older_host_has_the_lines_of_its_engine() -> None:
    older = BUSY.model_copy(update={"engine_log": ["INFO a", "ERROR b"], "engine_log_times": [1.0, 2.0]})
    assert [(one.time, one.level, one.text) for one in entries_of(older)] == [
        (1.0, "info", "a"),
        (2.0, "error", "b"),
    ]
    state = HostState(**BUSY.model_dump() | {"log": LOG, "engine": EngineState(state="ready")})
    assert entries_of(state) == LOG


def test_of_a_host_that_is_gone_the_files_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(level: str = "debug") -> int:
        invocation = Invocation({"home": str(tmp_path), "port": 1}, environ={"HOME": str(tmp_path)})
        return run_logs(invocation, log_choice(level, (), 200), follows=True, as_json=True)

    with pytest.raises(CommandFailed, match="no host runs"):
        asked()
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "engine.log").write_bytes(b"INFO engine: up\nTraceback (most recent call last):\n  f()\n\xff\n")
    (folder / "host.log").write_text(
        "2026-11-29 13:27:10,123 WARNING anyclaude: a port is busy\nsomething below it\n"
        "2026-11-29 13:27:11,000 INFO anyclaude: bye\n"
    )
    assert asked() == 1
    shown = capsys.readouterr()
    assert [
        (line["source"], line["level"], line["text"], line["time"])
        for line in map(json.loads, shown.out.splitlines())
    ] == [
        ("engine", "info", "up", None),
        ("engine", "error", "Traceback (most recent call last):", None),
        ("engine", "error", "  f()", None),
        ("engine", "info", "\ufffd", None),
        ("host", "warning", "a port is busy", 1795958830.0),
        ("host", "info", "something below it", 1795958830.0),
        ("host", "info", "bye", 1795958831.0),
    ]
    assert f"these are the last lines of {folder}/engine.log and {folder}/host.log" in shown.err
    assert asked("error") == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("level", "source", "said"),
    [
        ("loud", "host", "--level loud: allowed: error, warning, info, debug"),
        ("ERROR", "mars", "--from mars: allowed: engine, host, upstream"),
    ],
)
def test_a_wrong_choice_names_what_is_allowed(level: str, source: str, said: str) -> None:
    with pytest.raises(CommandFailed, match=said):
        log_choice(level, (source,), 1)
