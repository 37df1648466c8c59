"""When the screen calls the user, how often, and by what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.events.health_types import HostDisk
from proxy.events.types import EngineState
from tests.tui.trace_samples import SampleHost
from tests.tui.traffic import Morning
from tui.client.records import HostFacts, Link, RequestSnapshot, Snapshot
from tui.screen.app import ControlCenter
from tui.screen.choices.configured import ScreenChoices
from tui.screen.frames.paced_app import PacedApp
from tui.screen.notifications.caller import Caller
from tui.screen.notifications.needs import Need, needs
from tui.screen.notifications.outlets import notify_macos, outlet, sequence
from tui.screen.widgets.vital_signs import VitalSigns

NOW = 10_000.0
HOST = HostFacts("1", 1, 9000.0, "http://127.0.0.1:8082", "mlx", "m", "/home", "", True)
READY = Snapshot(
    link=Link("live", "", 9000.0),
    host=HOST,
    engine=EngineState(state="ready", since=9000.0, context_tokens=200_000),  # type: ignore[arg-type]
)


def failed(number: int, **more: Any) -> RequestSnapshot:
    ended = NOW - 30
    return RequestSnapshot(
        f"r{number}", ended - 2, ended, phase="failed", ended=ended, cause="engine died", **more
    )


def engine(**more: Any) -> Any:
    assert READY.engine is not None
    return READY.engine.model_copy(update=more)


@pytest.mark.parametrize(
    ("snapshot", "context", "texts"),
    [
        (READY, None, []),
        (replace(READY, engine=engine(state="exited")), None, []),
        (
            replace(READY, engine=engine(state="failed", last_exit="signal 9")),
            None,
            ["the engine failed for good: signal 9"],
        ),
        (replace(READY, link=Link("reconnecting", "", NOW - 2)), None, []),
        (
            replace(READY, link=Link("reconnecting", "", NOW - 9)),
            None,
            ["no contact with the host since 02:46:31"],
        ),
        (
            replace(READY, disk=HostDisk(unwritten=5, refusal="No space left on device")),
            None,
            ["requests are not recorded: No space left on device"],
        ),
        (replace(READY, link=Link("ended", "you stopped the host; 4 r starts it again", NOW - 9)), None, []),
        (replace(READY, requests=(failed(1),)), None, ["a request failed at 02:46:10: engine died"]),
        (
            replace(READY, requests=(failed(1), failed(2), failed(3))),
            None,
            ["a request failed at 02:46:10: engine died (and 2 others before)"],
        ),
        (replace(READY, requests=(failed(1, repeat=(NOW - 20, "done")),)), None, []),
        (replace(READY, requests=(replace(failed(1), ended=NOW - 5),)), None, []),  # may be repeated yet
        (replace(READY, requests=(replace(failed(1), received=8000.0),)), None, []),  # of an earlier host
        (replace(READY, requests=(replace(failed(1), phase="cancelled"),)), None, []),
        (READY, 0.77, []),
        (READY, 0.78, ["session 9f3c1e is 78% full: near its compaction"]),
    ],
)
def test_five_things_need_a_person(snapshot: Snapshot, context: float | None, texts: list[str]) -> None:
    vitals = VitalSigns(context=context, session="9f3c1e7a")
    assert [need.text for need in needs(snapshot, vitals, NOW)] == texts


def test_each_occasion_is_called_once_and_each_kind_once_a_minute() -> None:
    caller = Caller()
    first, second, third = (Need("request", str(number), f"{number}") for number in range(3))
    gone = Need("host", "1", "gone")
    assert caller.due([first], 0.0) == []  # was there before the screen
    caller.begin()
    assert caller.due([first], 1.0) == []
    assert caller.due([second], 2.0) == [second]
    assert caller.due([second, gone], 3.0) == [gone]
    assert caller.due([third, gone], 30.0) == []
    assert caller.due([third, gone], 62.0) == [third]
    assert caller.due([third, gone], 200.0) == []


@pytest.mark.parametrize(
    ("how", "environ", "written"),
    [
        ("bell", {}, "\a"),
        ("terminal", {"TERM": "xterm-256color"}, "\x1b]9;anyclaude: a; b\x07"),
        ("terminal", {"TERM": "rxvt-unicode"}, "\x1b]777;notify;anyclaude;a, b\x07"),
        ("terminal", {"VTE_VERSION": "7600"}, "\x1b]777;notify;anyclaude;a, b\x07"),
        ("terminal", {"TMUX": "/tmp/x"}, "\x1bPtmux;\x1b\x1b]9;anyclaude: a; b\x07\x1b\\"),
    ],
)
def test_a_terminal_is_asked_in_its_way_without_control_characters_of_the_text(
    how: str, environ: dict[str, str], written: str
) -> None:
    assert sequence(how, "a; b\x1b\x07", environ) == written


@pytest.mark.parametrize(
    ("environ", "platform", "how"),
    [
        ({}, "darwin", "system"),
        ({"SSH_TTY": "/dev/ttys001"}, "darwin", "terminal"),
        ({}, "linux", "terminal"),
    ],
)
def test_only_the_mac_before_the_user_shows_one_itself(
    environ: dict[str, str], platform: str, how: str
) -> None:
    assert outlet("system", environ, platform) == how
    assert outlet("bell", environ, platform) == "bell"


async def test_macos_gets_the_text_as_an_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "osascript"
    tool.write_text(f'#!/bin/sh\nfor last; do :; done\nprintf %s "$last" > {tmp_path}/said\n')
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    await notify_macos('quit" & do shell script "x')
    assert (tmp_path / "said").read_text() == 'quit" & do shell script "x'
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    await notify_macos("no such tool is no error")


@pytest.mark.parametrize(("notify", "written"), [("off", []), ("bell", ["\a"])])
async def test_the_screen_calls_when_the_engine_fails_for_good(
    notify: str, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    morning = Morning().play()
    now = morning.now
    app = ControlCenter(clock=lambda: now, choices=ScreenChoices(notify=notify))
    app.client = SampleHost([])
    async with app.run_test():
        app.inbox.put(morning.state())
        app.inbox.put(Link("live", "", now))
        app.frame()
        now += 6
        app.frame()
        morning.now = now
        morning.engine("failed", last_exit="signal 9", detail="five restarts")
        app.inbox.put(morning.events[-1])
        out: list[str] = []
        monkeypatch.setattr(app._driver, "write", out.append)
        monkeypatch.setattr(type(app._driver), "is_headless", False)
        for _ in range(3):
            now += 1
            app.frame()
        assert [text for text in out if text in ("\a",)] == written
    assert isinstance(app, PacedApp)
