"""Claude Code is found where it is named, on the PATH, and where its installers put it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui.commands.claude_program import find_claude, installed_at
from tui.commands.exit_codes import CommandFailed


def put(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "place", [".local/bin/claude", ".claude/local/claude", ".npm-global/bin/claude", ".bun/bin/claude"]
)
def test_it_is_found_where_an_installer_puts_it(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = put(tmp_path / place)
    environ = {"HOME": str(tmp_path), "PATH": ""}
    assert find_claude("", environ) == str(program)
    assert f"Claude Code is not on the PATH; using {program}" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["/opt/homebrew/bin/claude", "/usr/local/bin/claude"])
def test_it_is_found_where_homebrew_puts_it(place: str) -> None:
    environ = {"HOME": "/none", "PATH": "/none"}
    assert find_claude("", environ, is_program=lambda path: str(path) == place) == place


def test_the_path_goes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / ".local/bin/claude")
    program = put(tmp_path / "bin/claude")
    environ = {"HOME": str(tmp_path), "PATH": str(program.parent)}
    assert find_claude("", environ) == str(program)
    assert capsys.readouterr().err == ""


def test_a_relative_name_becomes_a_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify session` runs the program in a folder of its own."""
    program = put(tmp_path / "bin/claude")
    monkeypatch.chdir(tmp_path)
    assert find_claude("bin/claude", {"PATH": ""}) == str(program)


def test_the_local_installation_lies_below_the_clients_own_folder(tmp_path: Path) -> None:
    program = put(tmp_path / "settings/local/claude")
    environ = {"HOME": str(tmp_path), "PATH": "", "CLAUDE_CONFIG_DIR": str(tmp_path / "settings")}
    assert find_claude("", environ, is_program=lambda path: path == program) == str(program)


def test_no_place_depends_on_the_working_directory() -> None:
    places = list(installed_at({"HOME": "here", "CLAUDE_CONFIG_DIR": "settings"}))
    assert places
    assert all(path.is_absolute() for path in places)


@pytest.mark.parametrize("mode", [0o644, None], ids=["no program", "nothing"])
def test_a_missing_client_is_reported_with_the_way_to_install_it(tmp_path: Path, mode: int | None) -> None:
    if mode is not None:
        put(tmp_path / ".local/bin/claude", mode)
    environ = {"HOME": str(tmp_path), "PATH": ""}
    with pytest.raises(CommandFailed, match="npm install -g @anthropic-ai/claude-code"):
        find_claude(
            "", environ, is_program=lambda path: tmp_path in path.parents and os.access(path, os.X_OK)
        )


def test_a_program_that_was_named_is_looked_for_nowhere_else(tmp_path: Path) -> None:
    put(tmp_path / ".local/bin/claude")
    with pytest.raises(CommandFailed, match="other is not an executable program"):
        find_claude("other", {"HOME": str(tmp_path), "PATH": ""})
