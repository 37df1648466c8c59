"""Which hosts a session joins that it did not start."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from proxy.configuration.settling import settle
from proxy.events.types import HostState
from tests.tui.commands.test_claude_session import client as client
from tests.tui.commands.test_claude_session import run
from tests.tui.scripted_host import scripted_host
from tui.commands import claude_session
from tui.commands.invocation import Invocation


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user as well")
@pytest.mark.parametrize("arguments", [["claude"], ["env"], ["events"]], ids=lambda arguments: arguments[0])
def test_a_host_of_another_user_gets_nothing(client: Path, arguments: list[str]) -> None:
    os.seteuid(65534)
    try:
        squatter = socket.create_server(("127.0.0.1", 0))
    finally:
        os.seteuid(0)
    with squatter:
        squatter.setblocking(False)
        port = str(squatter.getsockname()[1])
        code, got, said = run(client, "--port", port, *arguments, ANYCLAUDE_TOKEN="secret")
        with pytest.raises(BlockingIOError):  # nobody has connected
            squatter.accept()
    assert (code, got) == (3, None)
    assert f"port {port} is held by a program of another user of this machine" in said


async def test_a_host_that_another_session_started_meanwhile_is_joined_in_full(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was not there when it was looked for, and is when this session's own cannot listen."""
    with scripted_host() as host:
        port = int(host.url.rsplit(":", 1)[1])
        environ = {"ANYCLAUDE_PORT": str(port), "HOME": str(tmp_path)}
        settled = settle({}, environ=environ, cwd=tmp_path, user_home=tmp_path)
        running, times = claude_session._running, 0

        async def not_at_first(url: str, token: str, *, must: bool = False) -> HostState | None:
            nonlocal times
            times += 1
            return await running(url, token, must=must) if times > 1 else None

        monkeypatch.setattr(claude_session, "_running", not_at_first)
        async with claude_session.joined_or_started(Invocation(environ=environ), settled) as (url, process):
            assert (url, process) == (host.url, None)
    said = capsys.readouterr().err
    assert f"joined the host on {host.url}" in said
    assert "according to that host" in said
    assert "starting a host" not in said
