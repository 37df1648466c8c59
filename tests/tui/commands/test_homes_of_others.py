"""A path that begins like the home of a user who does not exist is a path like any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tui.commands.exit_codes import CommandFailed
from tui.commands.metrics import command as metrics
from tui.commands.traces import importing, places
from tui.commands.user_settings import read_user_settings

PATH = "~nobody-of-this-name/x"
READERS: dict[str, Callable[[Path], object]] = {
    "traces import": lambda folder: list(importing._files([PATH])),
    "claude --settings": lambda folder: read_user_settings(
        ["--settings", PATH], environ={}, cwd=folder, user_home=folder
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_command_that_reads_it_says_that_it_is_not_there(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandFailed, match="nobody-of-this-name"):
        READERS[reader](tmp_path)


def test_traces_and_reports_are_named_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert places.trace_file(tmp_path, PATH) == Path(PATH)
    metrics._write_csv(PATH, "a,b\n")
    assert (tmp_path / PATH).read_text() == "a,b\n"
