"""What is missing for anyclaude-tui is told in a sentence, before pip or MLX say it in words of theirs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.child import clean_environment
from engine.process.install_check import refusal, refusal_here

ROOT = Path(__file__).parents[3]

# Read by each Python that has it on its path: the machine is then another one.
OTHER_MACHINE = """
import platform
platform.system = lambda: "Darwin"
platform.machine = lambda: {machine!r}
platform.mac_ver = lambda *_: ({macos!r}, ("", "", ""), "")
"""


@pytest.mark.parametrize(
    ("version", "system", "machine", "macos", "says"),
    [
        ((3, 11, 0), "Darwin", "arm64", "14.0", ""),
        ((3, 14, 2), "Darwin", "arm64", "26.1", ""),
        ((3, 12, 1), "Darwin", "arm64", "10.16", ""),
        ((3, 12, 1), "Darwin", "arm64", "", ""),
        ((3, 12, 1), "Linux", "x86_64", "", ""),
        ((3, 12, 1), "Linux", "aarch64", "", ""),
        ((3, 12, 1), "Darwin", "arm64", "13.7.1", r"macOS 14 or newer is needed.* this is macOS 13\.7\.1"),
        ((3, 9, 6), "Darwin", "arm64", "13.7.1", "macOS 14 or newer is needed"),
        ((3, 12, 1), "Darwin", "x86_64", "15.1", "Intel processors.* Apple silicon.* arm64 Python"),
        ((3, 9, 6), "Darwin", "x86_64", "10.15", "Apple silicon"),
        ((3, 9, 6), "Darwin", "arm64", "15.1", "Python 3.11 or newer is needed; name one: make PYTHON="),
        ((3, 10, 13), "Linux", "x86_64", "", "Python 3.11 or newer is needed"),
    ],
)
def test_what_is_in_the_way_is_told(
    version: tuple[int, ...], system: str, machine: str, macos: str, says: str
) -> None:
    said = refusal(version, system, machine, macos)
    assert re.search(says, said) if says else said == ""
    assert "\n" not in said


def test_here_it_runs() -> None:
    assert refusal_here() == ""


@pytest.fixture
def old_mac(tmp_path: Path) -> dict[str, str]:
    """The environment of a Mac with macOS 13."""
    (tmp_path / "sitecustomize.py").write_text(OTHER_MACHINE.format(machine="arm64", macos="13.7.1"))
    return clean_environment(PYTHONPATH=str(tmp_path))


@pytest.mark.slow
def test_make_install_says_it_before_anything_is_made(tmp_path: Path, old_mac: dict[str, str]) -> None:
    ended = subprocess.run(
        ["make", "install", f"VENV={tmp_path}/env", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        env=old_mac,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert ended.stderr.startswith("macOS 14 or newer is needed, for MLX; this is macOS 13.7.1")
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "env").exists()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["tui.cli", "engine"])
def test_a_start_says_it_too(old_mac: dict[str, str], module: str) -> None:
    program = {
        "tui.cli": ["-c", "import sys; sys.argv[1:] = ['--no-ui']; from tui.cli import main; main()"],
        "engine": ["-m", "engine", "--port", "0"],
    }
    ended = subprocess.run(
        [sys.executable, *program[module]],
        cwd=ROOT,
        env=old_mac,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "macOS 14 or newer is needed" in line
    if module == "engine":
        assert json.loads(ended.stdout)["error"] == line


def test_older_pythons_understand_the_check() -> None:
    """Xcode's is 3.9, and has to be told that it is too old."""
    ast.parse((ROOT / "engine" / "process" / "install_check.py").read_text(), feature_version=(3, 8))
    ast.parse((ROOT / "engine" / "__init__.py").read_text(), feature_version=(3, 8))
