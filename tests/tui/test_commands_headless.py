from __future__ import annotations

import resource
from pathlib import Path

import pytest

from engine.process.descriptors import WANTED
from tests.engine.process.test_descriptors import hard as hard
from tui.commands.headless import run_headless
from tui.commands.invocation import Invocation


def test_the_host_in_the_foreground_takes_more_descriptors_than_it_was_given(
    hard: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
