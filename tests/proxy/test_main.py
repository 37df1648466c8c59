"""`python -m proxy` as its parents start it: a real process, with the real engine below it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from engine.process.descriptors import raise_descriptor_limit
from proxy.__main__ import main
from tests.engine.process.test_descriptors import WITH_FEW
from tests.proxy.live import Upstream, delta, says, serve

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"backend": "openai", "backend_url": "http://127.0.0.1:9/v1", "port": 0}
NO_LIMITS = httpx.Limits(max_connections=None)


# A disk, or a task, that never lets the host end.
HANGS = """
import asyncio, proxy.__main__, proxy.host
proxy.__main__.LAST_S = 0.3
proxy.host.Host.close = lambda self: asyncio.Event().wait()
raise SystemExit(proxy.__main__.main())
"""


@contextmanager
def proxy(settings: Any, program: Sequence[str] = ("-m", "proxy")) -> Iterator[subprocess.Popen[str]]:
    line = settings if isinstance(settings, str) else json.dumps(settings)
    with subprocess.Popen(
        [sys.executable, *program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(line + "\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return dict(json.loads(process.stdout.readline()))


def test_it_tells_where_it_listens_and_ends_when_its_parent_closes_the_pipe(tmp_path: Path) -> None:
    with proxy(ELSEWHERE | {"home": str(tmp_path)}) as process:
        url = said(process)["listening"]
        assert httpx.get(f"{url}/health/live", trust_env=False).status_code == 200
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_end_it_with_the_codes_of_the_contract(tmp_path: Path, number: int, code: int) -> None:
    with proxy(ELSEWHERE | {"home": str(tmp_path)}) as process:
        said(process)
        process.send_signal(number)
        assert process.wait(10) == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_end_it_in_bounded_time_whatever_hangs(tmp_path: Path, number: int, code: int) -> None:
    with proxy(ELSEWHERE | {"home": str(tmp_path)}, ("-c", HANGS)) as process:
        said(process)
        process.send_signal(number)
        assert process.wait(10) == code


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("", "no settings on stdin"),
        ("[" * 100_000, "nested too deeply"),
        ("{", "Expecting"),
        ("[1]", "no JSON object"),
        ({"port": "eighty", "home": "h"}, "setting port"),
        ({}, "setting home"),
    ],
)
def test_wrong_settings_are_one_line_and_exit_code_2(
    settings: Any, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = settings if isinstance(settings, str) else json.dumps(settings)
    monkeypatch.setattr(sys, "stdin", io.StringIO(line))
    assert main() == 2
    told = capsys.readouterr()
    announced = json.loads(told.out)
    assert says in announced["error"]
    assert announced["exit_code"] == 2
    assert told.err.splitlines() == [announced["error"]]


def test_a_busy_port_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        with proxy(ELSEWHERE | {"home": str(tmp_path), "port": foreign.getsockname()[1]}) as process:
            told = said(process)
            assert "is in use" in told["error"]
            assert told["exit_code"] == process.wait(10) == 3


def test_the_real_engine_ends_when_the_proxy_is_killed(tmp_path: Path) -> None:
    with proxy({"home": str(tmp_path), "port": 0, "engine_port": 0}) as process:
        url = said(process)["listening"]
        engine = psutil.Process(_engine_when(url, lambda engine: engine["pid"])["pid"])
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        _, alive = psutil.wait_procs([engine], timeout=20)
        assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def test_a_model_that_is_missing_fails_the_engine_at_once_and_not_the_host(tmp_path: Path) -> None:
    missing = tmp_path / "no-model"
    with proxy({"home": str(tmp_path), "port": 0, "engine_port": 0, "model": str(missing)}) as process:
        url = said(process)["listening"]
        engine = _engine_when(url, lambda engine: engine["state"] in ("failed", "ready"))
        assert engine["state"] == "failed"
        assert str(missing) in engine["detail"]
        assert engine["restarts"] == 0


async def test_a_host_that_was_given_few_descriptors_serves_a_hundred_requests_at_once(
    tmp_path: Path,
) -> None:
    raise_descriptor_limit()  # both ends of each connection but the host's are here
    program = WITH_FEW + "runpy.run_module('proxy', run_name='__main__', alter_sys=True)"
    all_there = asyncio.Event()
    upstream = Upstream([delta(content="hi"), all_there, *says("!")])
    ask = {"model": "m", "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]}
    async with serve(upstream) as elsewhere:
        settings = ELSEWHERE | {"home": str(tmp_path), "backend_url": f"{elsewhere}/v1", "model": "m"}
        with proxy(settings, ("-c", program)) as process:
            url = (await asyncio.to_thread(said, process))["listening"]
            async with (
                httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=NO_LIMITS) as client,
                asyncio.TaskGroup() as tasks,
            ):
                asked = [tasks.create_task(client.post("/v1/messages", json=ask)) for _ in range(100)]
                async with asyncio.timeout(60):
                    for _ in asked:
                        await upstream.arrivals.acquire()
                all_there.set()
    assert [answer.result().status_code for answer in asked] == [200] * 100


def test_nothing_of_the_screen_or_the_model_is_imported() -> None:
    program = "import proxy.__main__, sys; print({'mlx', 'textual', 'tui'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    assert loaded.stdout.strip() == b"set()"


def _engine_when(url: str, so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The engine's state as soon as it is so; of the feed, since asking again and again slows its start."""
    feed = httpx.stream("GET", f"{url}/anyclaude/events?since=0", trust_env=False, timeout=100)
    with feed as answer:
        for line in answer.iter_lines():
            event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if event.get("type") == "engine.state" and so(event["data"]):
                return dict(event["data"])
    raise AssertionError("the feed ended")
