"""Each process takes more descriptors than a terminal of macOS gives it, so that a full queue has room."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.child import wait_ready
from engine.process.descriptors import WANTED, limits_kept, raise_descriptor_limit
from tests.models import ModelShelf
from tests.servers import server

FEW = 60
"""Enough for a process of ours that does nothing; each connection needs one more."""

WITH_FEW = f"""
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, ({FEW}, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""


@pytest.fixture
def hard() -> Iterator[int]:
    """The hard limit; the soft one is a test's to change."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_low_limit_is_raised_as_far_as_is_allowed(hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    assert raise_descriptor_limit(300) == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)


def test_one_that_is_high_enough_stays(hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    assert raise_descriptor_limit(200) == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)


@pytest.mark.parametrize(
    ("limits", "refuses", "outcome"),
    [
        ((256, resource.RLIM_INFINITY), False, 10_240),
        ((256, 4096), False, 4096),
        ((256, resource.RLIM_INFINITY), True, 256),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), False, resource.RLIM_INFINITY),
    ],
)
def test_the_system_has_the_last_word(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], refuses: bool, outcome: int
) -> None:
    def setrlimit(which: int, wanted: tuple[int, int]) -> None:
        assert wanted == (outcome, limits[1]) or refuses
        if refuses:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    assert raise_descriptor_limit() == outcome


def test_a_library_that_sets_limits_while_it_is_imported_changes_none(hard: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with limits_kept():
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (200, hard)


@pytest.mark.slow
def test_a_check_of_the_cache_runs_where_few_are_allowed() -> None:
    """mlx-lm wants 4096, and raises where it may not have them."""
    program = (
        "import resource, runpy\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))\n"
        "runpy.run_module('engine.verification', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "compare cached with uncached answers" in done.stdout


@pytest.mark.slow
def test_an_engine_that_was_given_few_answers_a_hundred_connections(
    hard: int, shelf: ModelShelf, tmp_path: Path
) -> None:
    program = WITH_FEW + "runpy.run_module('engine', run_name='__main__', alter_sys=True)"
    settings = {"model": str(shelf.tiny()), "port": 0}
    with server("engine", "-c", program, settings=settings, folder=tmp_path) as running:
        wait_ready(running, "/health")
        if sys.platform == "linux":  # elsewhere nobody tells
            wanted = (min(hard, WANTED), hard)
            assert psutil.Process(running.process.pid).rlimit(resource.RLIMIT_NOFILE) == wanted
        address = ("127.0.0.1", int(running.url.rpartition(":")[2]))
        opened = [socket.create_connection(address, timeout=20) for _ in range(100)]
        try:
            for connection in opened:
                connection.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            assert {connection.recv(12) for connection in opened} == {b"HTTP/1.1 200"}
        finally:
            for connection in opened:
                connection.close()
