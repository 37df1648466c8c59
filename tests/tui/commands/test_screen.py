"""The command with a terminal of its own: a pty, as a user's shell gives it one."""

from __future__ import annotations

import os
import pty
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from bench.child import clean_environment
from bench.scripted_upstream import ScriptedUpstream, Turn, in_order, serving
from engine.process.descriptors import WANTED
from proxy.configuration.settled import HostConfig
from tests.engine.process.test_descriptors import hard as hard
from tests.tui.scripted_host import scripted_host
from tui.commands.screen import _show
from tui.screen.app import ControlCenter
from tui.screen.running import ScreenSettings, run_app

COMMAND = Path(sys.executable).with_name("anyclaude-tui")
LEAVES_ALTERNATE_SCREEN = b"\x1b[?1049l"
ENTERS_ALTERNATE_SCREEN = b"\x1b[?1049h"
SAVES_TITLE, RESTORES_TITLE = b"\x1b[22;2t", b"\x1b[23;2t"


class Terminal:
    """What the command draws, and its end."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process, self.master, self.drawn = process, master, b""

    def until(self, text: bytes, timeout_s: float = 30.0) -> None:
        """Read until `text` was drawn."""
        deadline = time.monotonic() + timeout_s
        while text not in self.drawn:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} was not drawn; the end of what was: {self.drawn[-500:]!r}"
            if not self._read():
                break
        assert text in self.drawn, self.drawn[-2000:]

    def answer(self, keys: bytes) -> None:
        """Type something."""
        os.write(self.master, keys)

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        while self._read():
            pass
        return self.process.wait(10)

    def _read(self) -> bytes:
        try:
            piece = os.read(self.master, 65_536)
        except OSError:  # Linux: the other side is closed
            piece = b""
        self.drawn += piece
        return piece


@contextmanager
def terminal(folder: Path, *arguments: str, **environ: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    environment = clean_environment(
        **({"HOME": str(folder), "TERM": "xterm-256color", "COLORFGBG": "15;0"} | environ)
    )
    environment = environment if "CI" in environ else {**environment, "CI": ""}
    with subprocess.Popen(
        [str(COMMAND), *arguments],
        cwd=folder,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        try:
            yield Terminal(process, master)
        finally:
            if process.poll() is None:
                process.kill()
            os.close(master)


def test_it_attaches_draws_and_leaves_the_terminal_clean(tmp_path: Path) -> None:
    with scripted_host() as host, terminal(tmp_path, "--attach", host.url) as screen:
        screen.until(ENTERS_ALTERNATE_SCREEN)
        screen.until(b"Tiny")
        screen.until(b"\x1b]2;anyclaude: ready\x07")
        screen.process.send_signal(signal.SIGTERM)
        assert screen.end() == 130
        title_comes_back = screen.drawn.rpartition(LEAVES_ALTERNATE_SCREEN)[2]
        assert SAVES_TITLE in screen.drawn
        assert RESTORES_TITLE in title_comes_back


def test_a_screen_alone_needs_no_home_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("no folder")
    with scripted_host() as host, terminal(
        tmp_path, "--attach", host.url, "--home", str(tmp_path / "home")
    ) as screen:  # fmt: skip
        screen.until(b"\x1b]2;anyclaude: ready\x07")
        assert b"logs/screen.log cannot be written (Not a directory)" in b"".join(screen.drawn.split(b"\r\n"))
        screen.process.send_signal(signal.SIGTERM)
        assert screen.end() == 130


def test_attaching_to_nothing_is_one_line_and_no_screen(tmp_path: Path) -> None:
    with terminal(tmp_path, "--attach", "127.0.0.1:9") as screen:
        assert screen.end() == 2
        assert ENTERS_ALTERNATE_SCREEN not in screen.drawn
        assert b"no host to attach to on http://127.0.0.1:9" in screen.drawn


def test_a_dumb_terminal_gets_one_line_and_no_screen(tmp_path: Path) -> None:
    with terminal(tmp_path, TERM="dumb") as screen:
        assert screen.end() == 2
        assert b"(TERM is dumb)" in screen.drawn
        assert b"\x1b[" not in screen.drawn


def test_a_crash_is_one_line_with_the_path_of_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def crashes(app: ControlCenter, **_: object) -> None:
        try:
            raise ValueError("[/] no\x1b[2J such row")
        except ValueError as error:
            app._handle_exception(error)

    monkeypatch.setattr(ControlCenter, "run_async", crashes)
    assert run_app(None, None, ScreenSettings(log_path=tmp_path / "screen.log")) == 1
    said = capfd.readouterr().err.splitlines()
    assert said == [
        "anyclaude-tui: the screen failed (ValueError: [/] no such row);"
        f" the traceback is in {tmp_path / 'screen.log'}; please report it"
    ]


def test_a_busy_port_is_one_line_and_no_screen(tmp_path: Path) -> None:
    with scripted_host() as host, terminal(tmp_path, "--port", host.url.rsplit(":", 1)[1]) as screen:
        assert screen.end() == 3
        assert ENTERS_ALTERNATE_SCREEN not in screen.drawn
        assert f"--attach {host.url}".encode() in screen.drawn


def ask_the_host(children: list[psutil.Process]) -> None:
    """Make one request to the host among the screen's children."""
    connections = [
        one for child in children for one in child.net_connections("tcp") if one.status == "LISTEN"
    ]
    body = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi."}]}
    url = f"http://127.0.0.1:{connections[0].laddr.port}/v1/messages"
    assert httpx.post(url, json=body, trust_env=False, timeout=30).status_code == 200


@pytest.mark.slow
def test_it_owns_a_host_and_takes_it_along(tmp_path: Path) -> None:
    with serving(ScriptedUpstream(in_order([Turn("Hi.")])).app) as url:
        environ = {"ANYCLAUDE_BACKEND": "openai", "ANYCLAUDE_BASE_URL": url, "ANYCLAUDE_PORT": "0"}
        with terminal(tmp_path, "--model", "scripted", **environ) as screen:
            screen.until(f"requests go to {url} (from ANYCLAUDE_BASE_URL), without a key".encode())
            screen.until(b"scripted")
            children = psutil.Process(screen.process.pid).children(recursive=True)
            assert children
            ask_the_host(children)
            screen.process.send_signal(signal.SIGHUP)
            assert screen.end() == 130
            after = screen.drawn.split(LEAVES_ALTERNATE_SCREEN)[-1]
            assert b"stopping the host and its engine" in after
            assert b"this run: 1 request in " in after
            assert b"cache: 100.0% of requests" in after
            _, alive = psutil.wait_procs(children, timeout=10)
            assert alive == []


def test_the_screen_takes_more_descriptors_than_it_was_given(
    hard: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limit(*_: object, **__: object) -> int:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    monkeypatch.setattr("tui.screen.running.run_app", limit)
    assert _show(HostConfig(home=tmp_path), None, "anyclaude-tui claude") == min(hard, WANTED)
