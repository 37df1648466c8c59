"""`anyclaude-tui verify tools` on the bundled model, and on a copy whose template drops the tools."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.child import clean_environment
from engine import bundled_model
from engine.tool_calls.families.registry import FAMILIES
from tui.commands.exit_codes import ExitCode
from tui.commands.verify.tool_use import CALLED, FITS, SEEN, USED

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("anyclaude-tui")


def verified(folder: Path, *options: str, model: Path | None = None) -> tuple[int, dict[str, Any], str]:
    """The exit code, the claims by name, and what stderr has."""
    chosen = ["--model", str(model)] if model else []
    done = subprocess.run(
        [str(COMMAND), *chosen, "--home", str(folder / "home"), "--port", "0", "verify", "tools", *options],
        cwd=folder,
        env=clean_environment(HOME=str(folder)),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, {one["name"]: one for one in json.loads(done.stdout)["claims"]}, done.stderr


def test_the_bundled_model_calls_a_tool_and_every_family_holds(tmp_path: Path) -> None:
    code, found, narrated = verified(tmp_path, "--json", "--all-families")
    assert code == ExitCode.FINE, found
    families = [f"family {family.name}" for family in FAMILIES]
    assert [claim["status"] for claim in found.values()] == ["ok"] * len(found)
    assert list(found) == [SEEN, CALLED, FITS, USED, *families]
    assert "returning a result" in narrated


def test_a_template_that_drops_tools_fails_with_advice(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(bundled_model.FOLDER, model, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    template = model / "chat_template.jinja"
    template.write_text("{%- set tools = [] -%}\n" + template.read_text("utf-8"), "utf-8")
    code, found, _ = verified(tmp_path, "--json", model=model)
    assert code == ExitCode.FAILED
    assert found[SEEN]["status"] == "failed"
    assert "Write, Bash" in found[SEEN]["evidence"]
    assert "template drops tools" in found[SEEN]["advice"]
    assert [found[name]["status"] for name in (CALLED, FITS, USED)] == ["not checked"] * 3
