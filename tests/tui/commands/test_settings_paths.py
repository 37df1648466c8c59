from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tui.commands.settings_paths import with_absolute_paths

FOLDER = Path("/work/repo")


@pytest.mark.parametrize(
    ("rule", "there"),
    [
        ("Read(/secret/**)", "Read(//work/repo/secret/**)"),
        ("Edit(/a.py)", "Edit(//work/repo/a.py)"),
        ("Read(/../other/**)", "Read(//work/repo/../other/**)"),
        ("Read(//etc/**)", "Read(//etc/**)"),
        ("Read(~/.ssh/**)", "Read(~/.ssh/**)"),
        ("Read(./a)", "Read(./a)"),
        ("Read", "Read"),
        ("Bash(/usr/bin/env:*)", "Bash(/usr/bin/env:*)"),
        ("mcp__files__read(/a)", "mcp__files__read(/a)"),
    ],
)
def test_a_rule_means_the_same_files_elsewhere(rule: str, there: str) -> None:
    for kind in ("allow", "deny", "ask"):
        assert with_absolute_paths({"permissions": {kind: [rule]}}, FOLDER) == {
            "permissions": {kind: [there]}
        }


def test_a_folders_own_signs_are_no_pattern() -> None:
    moved = with_absolute_paths({"permissions": {"deny": ["Read(/x)"]}}, Path("/a [b]*?!"))
    assert moved["permissions"]["deny"] == [r"Read(//a \[b\]\*\?\!/x)"]


def test_the_sandbox_keeps_its_paths() -> None:
    filesystem = {"denyRead": ["secret", "/etc", "~/.ssh"], "allowWrite": ["./out"]}
    files = [{"path": "key.pem", "mode": "deny"}, {"path": "~/.aws", "mode": "mask"}]
    given = {"sandbox": {"enabled": True, "filesystem": filesystem, "credentials": {"files": files}}}
    sandbox = with_absolute_paths(given, FOLDER)["sandbox"]
    assert sandbox["filesystem"] == {
        "denyRead": ["/work/repo/secret", "/etc", "~/.ssh"],
        "allowWrite": ["/work/repo/out"],
    }
    assert [entry["path"] for entry in sandbox["credentials"]["files"]] == ["/work/repo/key.pem", "~/.aws"]
    assert sandbox["enabled"] is True


@pytest.mark.parametrize(
    "settings",
    [
        {"permissions": 5, "sandbox": ["x"]},
        {"permissions": {"deny": "Read(/a)", "allow": [5, None]}},
        {"sandbox": {"filesystem": 1, "credentials": {"files": [1, {"path": 2}, {}]}}},
        {"hooks": {"Stop": ["/x"]}, "model": "m"},
    ],
)
def test_anything_else_stays_as_it_is(settings: dict[str, Any]) -> None:
    assert with_absolute_paths(settings, FOLDER) == settings
