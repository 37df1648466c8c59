"""What the tests of the commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.commands.models.homes import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of its own, the user's for this test; no host runs."""
    made = Home(tmp_path / "user")
    made.root.mkdir()
    monkeypatch.setenv("HOME", str(made.root))
    monkeypatch.chdir(made.root)
    monkeypatch.setattr("tui.commands.models.running.own_processes", list)
    monkeypatch.setattr("tui.commands.models.running.running_models.__defaults__", (list,))
    return made
