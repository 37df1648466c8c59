"""Copying: macOS's tool beside the screen, the terminal where that is the wrong one or fails."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from textual.pilot import Pilot

from tests.tui.stage import Stage
from tui.screen.clipboard import copy

TEXT = "Größe — 大きさ"


class Copying:
    """An app, the `pbcopy` that it finds, and what became of both."""

    def __init__(self, app: Stage, pilot: Pilot[None], folder: Path) -> None:
        self.app, self.pilot, self.folder = app, pilot, folder
        self.environ = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def put_tool(self, script: str) -> None:
        """A `pbcopy` that is this shell script."""
        tool = self.folder / "pbcopy"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o700)

    async def end(self) -> str:
        """Wait for what runs beside the screen; returns what the user is told."""
        for worker in self.app.workers:
            await worker.wait()
        await self.pilot.pause()
        return " ".join(note.message for note in self.app._notifications)

    def written(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""


@asynccontextmanager
async def copying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Copying]:
    monkeypatch.setattr(sys, "platform", "darwin")
    before = psutil.Process().children()  # such as what commands of other tests fork from
    app = Stage()
    async with app.run_test() as pilot:
        yield Copying(app, pilot, tmp_path)
    assert [child for child in psutil.Process().children() if child not in before] == []


async def test_pbcopy_gets_the_text_in_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with copying(tmp_path, monkeypatch) as it:
        it.put_tool(f'cat > {tmp_path}/text; echo "$LC_ALL" > {tmp_path}/locale')
        copy(it.app, TEXT, "answer", environ=it.environ | {"LC_ALL": "C"})
        assert await it.end() == "Copied the answer: 11 characters."
        assert it.written("text") == TEXT
        assert it.written("locale") == "en_US.UTF-8\n"
        assert it.app.clipboard == ""  # the terminal was not asked


async def test_the_screen_stays_responsive_while_pbcopy_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with copying(tmp_path, monkeypatch) as it:
        os.mkfifo(tmp_path / "gate")
        it.put_tool(f"cat > {tmp_path}/text; read line < {tmp_path}/gate")
        copy(it.app, TEXT, "answer", environ=it.environ, timeout_s=60)
        drawn = asyncio.Event()
        it.app.call_after_refresh(drawn.set)
        await drawn.wait()
        await asyncio.to_thread((tmp_path / "gate").write_text, "go on\n")
        assert await it.end() == "Copied the answer: 11 characters."


@pytest.mark.parametrize(
    ("script", "why"),
    [("cat > /dev/null; exec sleep 600", "no end within 0.05 s"), ("exit 3", "exit code 3")],
    ids=["hangs", "fails"],
)
async def test_if_pbcopy_fails_osc_52_is_used_with_a_notice(
    script: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with copying(tmp_path, monkeypatch) as it:
        it.put_tool(script)
        copy(it.app, TEXT, "answer", environ=it.environ, timeout_s=0.05 if "sleep" in script else 60)
        assert f"pbcopy did not copy the answer ({why})" in await it.end()
        assert it.app.clipboard == TEXT
        assert it.app.is_running


async def test_a_pbcopy_that_cannot_be_run_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with copying(tmp_path, monkeypatch) as it:
        (tmp_path / "pbcopy").write_bytes(b"\x7fELF no program")
        (tmp_path / "pbcopy").chmod(0o700)
        copy(it.app, TEXT, "answer", environ=it.environ)
        assert "pbcopy did not copy the answer (Exec format error)" in await it.end()
        assert it.app.clipboard == TEXT


@pytest.mark.parametrize("variable", ["SSH_CONNECTION", "SSH_TTY"])
async def test_over_ssh_the_terminal_copies_on_the_users_own_machine(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with copying(tmp_path, monkeypatch) as it:
        it.put_tool(f"touch {tmp_path}/was-run")
        copy(it.app, TEXT, "answer", environ=it.environ | {variable: "a b c d"})
        assert await it.end() == "Copied the answer: 11 characters."
        assert it.app.clipboard == TEXT
        assert not (tmp_path / "was-run").exists()


async def test_a_text_that_has_no_bytes_is_copied_as_far_as_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with copying(tmp_path, monkeypatch) as it:
        copy(it.app, "half \ud83d here", "answer", environ={"PATH": ""})
        assert "Copied the answer" in await it.end()
        assert it.app.clipboard == "half ? here"


async def test_within_tmux_its_own_command_passes_the_text_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default tmux ignores OSC 52 from programs."""
    async with copying(tmp_path, monkeypatch) as it:
        tool = tmp_path / "tmux"
        tool.write_text(f"#!/bin/sh\necho $* > {tmp_path}/arguments; cat > {tmp_path}/text\n")
        tool.chmod(0o700)
        copy(it.app, TEXT, "answer", environ=it.environ | {"TMUX": "/tmp/x", "SSH_TTY": "t"})
        assert await it.end() == "Copied the answer: 11 characters."
        assert it.written("arguments") == "load-buffer -w -\n"
        assert it.written("text") == TEXT
        tool.write_text("#!/bin/sh\ncat > /dev/null; exit 1\n")  # as before tmux 3.2
        copy(it.app, TEXT, "answer", environ=it.environ | {"TMUX": "/tmp/x", "SSH_TTY": "t"})
        assert "tmux did not copy the answer (exit code 1)" in await it.end()
        assert it.app.clipboard == TEXT
