from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.process.descriptors import WANTED
from proxy.library_loggers import CHATTY_LOGGERS
from tests.engine.process.test_descriptors import hard as hard
from tui.commands.headless import run_headless
from tui.commands.invocation import Invocation


@pytest.fixture
def levels() -> Iterator[None]:
    """The levels of the libraries' loggers, as other tests have them."""
    before = {name: logging.getLogger(name).level for name in CHATTY_LOGGERS}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_no_level_of_the_log_has_the_addresses_of_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: None
) -> None:
    async def level(_: object) -> int:
        return logging.getLogger("httpx").getEffectiveLevel()  # it logs passwords in addresses as "info"

    monkeypatch.setattr("tui.commands.headless._Foreground.run", level)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    invocation = Invocation({"home": str(tmp_path), "port": 0}, "", {"ANYCLAUDE_DEBUG": "3"})
    assert run_headless(invocation) == logging.WARNING


def test_the_host_in_the_foreground_takes_more_descriptors_than_it_was_given(
    hard: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: None
) -> None:
    async def limit(_: object) -> int:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    monkeypatch.setattr("tui.commands.headless._Foreground.run", limit)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # Without debugging it switches a logger off, in the process of the other tests too.
    invocation = Invocation({"home": str(tmp_path), "port": 0}, "", {"ANYCLAUDE_DEBUG": "1"})
    assert run_headless(invocation) == min(hard, WANTED)
