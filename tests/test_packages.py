"""The wheel and the sdist hold the bundled model, and what is installed from the wheel runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest

from bench.child import child, clean_environment, wait_ready
from engine.bundled_model import FOLDER, NAME
from engine.process.blas import engine_environment
from training.answers import IDENTITY

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


def test_an_install_from_the_wheel_runs_the_model(packages: tuple[Path, Path], tmp_path: Path) -> None:
    """In an environment of its own; only the dependencies are this environment's."""
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python, command = (str(environment / "bin" / name) for name in ("python", "anyclaude-tui"))
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(packages[0]),
    )
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("\n".join(ours) + "\n")
    where = run(python, "-P", "-c", "import engine; print(engine.__file__)")
    assert where.startswith(str(site))
    assert run(command, "--version").startswith("anyclaude-tui ")
    with child(
        "engine",
        [python, "-P", "-m", "engine"],
        settings={"model": "", "port": 0},
        log=tmp_path / "engine.log",
        environment=engine_environment(clean_environment(HOME=str(tmp_path)))[0],
    ) as running:
        wait_ready(running, "/health")
        with httpx.Client(base_url=running.url, trust_env=False, timeout=60) as http:
            [listed] = http.get("/v1/models").json()["data"]
            asked = {"messages": [{"role": "user", "content": "Who are you?"}]}
            answer = http.post("/v1/chat/completions", json=asked).json()
    assert listed["id"] == NAME
    assert "--model" in listed["owned_by"]
    assert answer["choices"][0]["message"]["content"] == IDENTITY
    checked = subprocess.run(
        [command, "--home", str(tmp_path / "home"), "--port", "0", "verify", "tools", "--json"],
        cwd=tmp_path,
        env=clean_environment(HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert {claim["status"] for claim in json.loads(checked.stdout)["claims"]} == {"ok"}
