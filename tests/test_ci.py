"""The workflow is one that can run: it parses, and names commands that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]


def commands(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def runners(job: str) -> list[str]:
    named = JOBS[job]["runs-on"]
    if "matrix" not in named:
        return [named]
    return [choice["runner"] for choice in JOBS[job]["strategy"]["matrix"]["include"]]


def test_it_runs_on_each_change_and_may_only_read() -> None:
    assert {"push", "pull_request"} <= set(WORKFLOW[True])  # YAML 1.1 reads `on` as true
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_there_is_a_job_for_linux_and_one_for_apple_silicon() -> None:
    assert all(name.startswith("ubuntu-") for name in runners("linux"))
    for name in runners("macos"):
        assert int(re.fullmatch(r"macos-(\d+)", name)[1]) >= 14  # type: ignore[index]  # of these all are arm64


@pytest.mark.parametrize("job", ["linux", "macos"])
def test_each_job_does_what_a_developer_does(job: str) -> None:
    assert "make check" in commands(job)
    assert ".venv/bin/anyclaude-tui verify cache --exact" in commands(job)
    assert JOBS[job]["timeout-minutes"]
    for step in JOBS[job]["steps"]:
        assert ("uses" in step) != ("run" in step)


def test_what_runs_on_a_mac_runs_on_its_gpu() -> None:
    steps = commands("macos")
    (metal,) = [number for number, step in enumerate(steps) if "mx.metal.is_available()" in step]
    assert metal < steps.index("make check")
    _, _, program = shlex.split(steps[metal])
    compile(program, "the step", "exec")


def test_each_python_that_the_project_names_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {found for name in project["classifiers"] for found in re.findall(r":: (3\.\d+)$", name)}
    oldest = project["requires-python"].removeprefix(">=")
    assert named | {oldest} <= set(JOBS["linux"]["strategy"]["matrix"]["python"])
    assert oldest in [choice["python"] for choice in JOBS["macos"]["strategy"]["matrix"]["include"]]


def test_only_steps_of_the_platform_itself_are_used() -> None:
    used = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", name) for name in used)
    assert "://" not in TEXT


def test_the_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [shlex.split(step)[1] for job in JOBS for step in commands(job) if step.startswith("make ")]
    assert set(named) <= targets


def test_the_command_takes_these_options() -> None:
    told = subprocess.run(
        [Path(sys.executable).with_name("anyclaude-tui"), "verify", "cache", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--exact" in told.stdout
