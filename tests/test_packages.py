"""The wheel and the sdist hold the bundled model, and what is installed from the wheel runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.child import child, clean_environment, wait_ready
from bench.claude_code import claude_is_there, claude_path
from engine.bundled_model import FOLDER, NAME
from tests.e2e.real_client import claude_binary
from training.answers import IDENTITY
from tui.commands.claude_program import TESTED_VERSION
from tui.commands.verify.session_reading import LATER, PIECES, RATE, TOOLS

ROOT = Path(__file__).resolve().parent.parent
MODEL_FILES = {file.name for file in FOLDER.iterdir() if file.is_file() and file.suffix != ".py"}


def run(*command: str) -> str:
    """What a command prints; it must succeed."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel and an sdist of the files that git knows."""
    folder = tmp_path_factory.mktemp("packages")
    source = folder / "source"
    known = run("git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in known.split("\0"):
        if name.startswith(("engine", "proxy", "tui")) or (name and "/" not in name):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source))
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def test_both_hold_the_whole_model(packages: tuple[Path, Path]) -> None:
    wheel, sdist = packages
    assert {"model.safetensors", "README.md", "chat_template.jinja", "tokenizer.json"} <= MODEL_FILES
    with zipfile.ZipFile(wheel) as archive:
        assert in_model(archive.namelist()) >= MODEL_FILES
    with tarfile.open(sdist) as archive:
        assert in_model(archive.getnames()) >= MODEL_FILES


def in_model(names: list[str]) -> set[str]:
    """The files of the model's folder, of those in an archive."""
    return {Path(name).name for name in names if Path(name).parent.name == "bundled_model"}


def installed(wheel: Path, folder: Path) -> Path:
    """The programs of an environment with the wheel, of which only the dependencies are this one's."""
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = str(folder / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", str(wheel))
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("\n".join(ours) + "\n")
    for package in ("engine", "proxy", "tui"):
        assert run(python, "-P", "-c", f"import {package}; print({package}.__file__)").startswith(str(site))
    return folder / "bin"


class Installed:
    """The installed command on one host, in a folder outside of the source tree."""

    def __init__(self, command: Path, url: str, folder: Path) -> None:
        config, home = str(folder / "config.json"), str(folder / "home")
        self._command = [str(command), "--config", config, "--home", home]
        self._url, self._folder = url, folder

    def run(self, *arguments: str, attached: bool = True, **environ: str) -> tuple[dict[str, Any], str]:
        """What a command prints as JSON, and what it narrates; it must succeed."""
        attach = ["--attach", self._url] if attached else []
        ended = subprocess.run(
            [*self._command, *attach, *arguments, "--json"],
            cwd=self._folder,
            env=clean_environment(HOME=str(self._folder), **environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        shown: dict[str, Any] = json.loads(ended.stdout)
        return shown, ended.stderr


def test_an_install_from_the_wheel_runs_the_model(packages: tuple[Path, Path], tmp_path: Path) -> None:
    """What a user does first, on one host, where nothing of the source tree can be imported."""
    programs = installed(packages[0], tmp_path / "environment")
    assert run(str(programs / "anyclaude-tui"), "--version").startswith("anyclaude-tui ")
    (user := tmp_path / "user").mkdir()
    (user / "config.json").write_text("{}")
    with child(
        "proxy",
        [str(programs / "python"), "-P", "-m", "proxy"],
        settings={"port": 0, "engine_port": 0, "home": str(user / "home")},
        log=tmp_path / "host.log",
        environment=clean_environment(HOME=str(user)),
    ) as host:
        wait_ready(host)
        with httpx.Client(base_url=host.url, trust_env=False, timeout=60) as http:
            engine = http.get("/anyclaude/state").json()["engine"]
            [listed] = http.get(f"{engine['url']}/v1/models").json()["data"]
            asked = {"max_tokens": 200, "messages": [{"role": "user", "content": "Who are you?"}]}
            answer = http.post("/v1/messages", json={"model": "any", **asked}).json()
        assert listed["id"] == NAME
        assert "--model" in listed["owned_by"]
        assert answer["content"] == [{"type": "text", "text": IDENTITY}]
        anyclaude = Installed(programs / "anyclaude-tui", host.url, user)
        tools, _ = anyclaude.run("verify", "tools")
        assert {claim["status"] for claim in tools["claims"]} == {"ok"}
        if there := claude_is_there() or bool(os.environ.get("CI")):
            verify_session(anyclaude, tmp_path)
        claude = claude_path() if there else player_of_claude(tmp_path)
        checks = anyclaude.run("doctor", ANYCLAUDE_CLAUDE=str(claude))[0]["checks"]
        unwell = {check["name"] for check in checks if check["standing"] != "ok"}
        assert unwell <= {"hosts.other", "state.space"}, checks  # which other programs decide
        found, _ = anyclaude.run("traces", "analyze", attached=False)
    assert found["total"]["requests"] == 1  # those of the session are removed
    assert found["left_out"] == 2 + 4  # of verify tools, and of doctor


def verify_session(anyclaude: Installed, folder: Path) -> None:
    """The real Claude Code passes, and nothing of the user's is touched."""
    # Others may write in the folder of temporary files: the client must not start what they name there.
    (temporary := folder / "temporary").mkdir()
    server = {"command": "touch", "args": [str(started := folder / "started")]}
    (temporary / ".mcp.json").write_text(json.dumps({"mcpServers": {"theirs": server}}))
    environ = {"ANYCLAUDE_CLAUDE": str(claude_binary()), "TMPDIR": str(temporary)}
    shown, said = anyclaude.run("verify", "session", **environ)
    quick = (PIECES,)  # a machine may be too fast to tell
    assert {claim["status"] for claim in shown["claims"] if claim["name"] not in quick} == {"ok"}, shown
    found = {claim["name"]: claim["evidence"] for claim in shown["claims"]}
    assert found[RATE].startswith(("66.7% of requests", "100.0% of requests"))
    assert all(int(count) >= 12 for count in found[TOOLS].removesuffix(" tools").split(", "))
    assert LATER in found
    assert "claude-cli/" in shown["interpretation"][0]
    assert 'claude -p "What is 2+2?"' in said
    assert "removed the 3 traces of this check" in said
    assert not started.exists()
    assert not [path for path in (folder / "user").rglob("*") if "claude" in path.name.lower()]


def player_of_claude(folder: Path) -> Path:
    """A program that says it is the tested version, for machines without Claude Code."""
    (program := folder / "claude").write_text(f"#!/bin/sh\necho '{TESTED_VERSION} (Claude Code)'\n")
    program.chmod(0o755)
    return program
