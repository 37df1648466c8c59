"""`anyclaude-tui doctor` as a command: the table, JSON, exit codes."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.tui.commands.doctor.setups import CODE, ModelHost, Setup, model_host
from tui.commands.claude_program import TESTED_VERSION
from tui.commands.doctor.command import CHECKS, run_doctor
from tui.commands.doctor.findings import Check, Checked, failed, ok
from tui.commands.doctor.report import row

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def host() -> Iterator[ModelHost]:
    with model_host() as host:
        yield host


@pytest.fixture
def setup(tmp_path: Path, host: ModelHost, monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.setattr("tui.commands.doctor.host.code_hash", lambda: CODE)
    host.reset()
    return Setup(tmp_path, host)


def test_checks_come_after_those_that_they_need() -> None:
    seen: set[str] = set()
    for check in CHECKS:
        assert seen.issuperset(check.needs)
        seen.add(check.name)
    assert len(seen) == len(CHECKS)


def test_the_checks_of_every_module_are_made() -> None:
    folder = ROOT / "tui" / "commands" / "doctor"
    modules = [import_module(f"tui.commands.doctor.{file.stem}") for file in folder.glob("*.py")]
    made = {check.name for module in modules for check in getattr(module, "CHECKS", ())}
    assert {check.name for check in CHECKS} == made
    defined = {
        value
        for module in modules
        for name, value in vars(module).items()
        if name.startswith("check_") and value.__module__ == module.__name__
    }
    assert {check.run for check in CHECKS} == defined


def test_the_table_has_a_row_for_each_check(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_doctor(setup.invocation, edge=setup.edge) == 0
    shown = capsys.readouterr()
    rows = [line for line in shown.out.splitlines() if not line.startswith(" ")]
    assert [line.split("  ")[0] for line in rows] == ["ok"] * len(CHECKS)
    assert f"{len(CHECKS)} checks: {len(CHECKS)} ok" in shown.err
    assert "\x1b" not in shown.out + shown.err


def test_a_failed_check_ends_with_1_and_json_has_all_of_it(
    setup: Setup, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.reports(family="")
    assert run_doctor(setup.invocation, json_wanted=True, edge=setup.edge) == 1
    document = json.loads(capsys.readouterr().out)
    (unwell,) = (each for each in document["checks"] if each["standing"] != "ok")
    assert unwell["name"] == "model.tools"
    assert "--tool-format" in unwell["advice"]
    assert document["counts"] == {"ok": len(CHECKS) - 1, "warning": 0, "failed": 1, "not checked": 0}


def test_what_was_repaired_is_said(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.home.chmod(0o755)
    assert run_doctor(setup.invocation, fix=True, json_wanted=True, edge=setup.edge) == 0
    assert "fixed: " in capsys.readouterr().err
    setup.home.chmod(0o755)
    assert run_doctor(setup.invocation, fix=True, edge=setup.edge) == 0
    assert f"fixed: {setup.home} is yours alone now (0700)" in " ".join(capsys.readouterr().out.split())


def test_a_terminal_sees_which_check_runs(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    run_doctor(setup.invocation, edge=setup.edge)
    assert "checking a tool call …\r\x1b[K" in err.getvalue()
    assert "\x1b[32mok" in out.getvalue()


def test_paths_stay_whole_and_control_characters_are_not_printed() -> None:
    check = Check("a", "title", lambda _: ok(""))
    path = "/very/long-path/" + "part-" * 30
    text = row(
        Checked(check, failed(f"{path} \x1b[31m", "do --this-thing")), title_width=8, width=60, details=True
    )
    assert path in text
    assert "\x1b" not in text
    assert text.splitlines()[-1].strip() == "→ do --this-thing"


def test_the_readme_counts_the_checks() -> None:
    assert f"{len(CHECKS)} checks, each ok, warning" in (ROOT / "README.md").read_text("utf-8")


def test_the_tested_version_is_the_one_that_the_tests_install() -> None:
    (version,) = re.findall(r"^CLAUDE_VERSION := (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert version == TESTED_VERSION
