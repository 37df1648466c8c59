"""What people are told to type works as it stands, wherever they type it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tui.commands.program_name import claude_command, program_name, program_with_options


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "a project" / "bin" / "anyclaude-tui"
    path.parent.mkdir(parents=True)
    path.write_text('#!/bin/sh\necho "$@"\n', "utf-8")
    path.chmod(0o755)
    return path


def typed(line: str, environ: dict[str, str], cwd: Path) -> str:
    return subprocess.run(
        ["/bin/sh", "-c", line], env=environ, cwd=cwd, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("on_path", [False, True])
@pytest.mark.parametrize("at_home", [False, True])
def test_the_line_starts_this_program(program: Path, tmp_path: Path, on_path: bool, at_home: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environ = {
        "PATH": f"{program.parent}:{os.defpath}" if on_path else os.defpath,
        "HOME": str(tmp_path if at_home else elsewhere),
    }
    line = claude_command(9000, environ, str(program))
    assert typed(line, environ, elsewhere) == "--port 9000 claude\n"
    assert line.startswith("anyclaude-tui" if on_path else "~/" if at_home else "'/")


def test_another_program_of_that_name_on_the_path_is_not_meant(program: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "anyclaude-tui"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    other.chmod(0o755)
    assert program_name({"PATH": str(other.parent)}, str(program)) == f"'{program}'"


def test_the_usual_port_is_not_named(program: Path) -> None:
    assert claude_command(8082, {"PATH": str(program.parent)}, str(program)) == "anyclaude-tui claude"


def test_a_start_as_a_module_is_named_as_it_is_installed() -> None:
    assert program_name({"PATH": ""}, "/somewhere/cli.py") == "anyclaude-tui"


def test_the_line_leads_to_the_host_wherever_it_is_typed(program: Path, tmp_path: Path) -> None:
    environ = {"PATH": os.defpath, "HOME": str(tmp_path)}
    home, config = tmp_path / "a state" / "it's", tmp_path / "my rc.json"
    line = program_with_options(0, environ, str(program), home=home, config=str(config))
    told = typed(f"{line} traces list", environ, Path("/"))
    assert told == f"--config {config} --home {home} traces list\n"
    usual = program_with_options(8082, environ, str(program), home=tmp_path / ".anyclaude")
    assert typed(usual, environ, Path("/")) == "\n"
