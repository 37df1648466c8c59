"""`anyclaude-tui verify tools` where a template drops tools; `test_packages.py` runs it on a whole model."""

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


def verified(folder: Path, model: Path) -> tuple[int, dict[str, Any]]:
    """The exit code, and the claims by name."""
    command = [str(COMMAND), "--model", str(model), "--home", str(folder / "home"), "--port", "0"]
    done = subprocess.run(
        [*command, "verify", "tools", "--json", "--all-families"],
        cwd=folder,
        env=clean_environment(HOME=str(folder)),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, {one["name"]: one for one in json.loads(done.stdout)["claims"]}


def test_a_template_that_drops_tools_fails_with_advice(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(bundled_model.FOLDER, model, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    template = model / "chat_template.jinja"
    template.write_text("{%- set tools = [] -%}\n" + template.read_text("utf-8"), "utf-8")
    code, found = verified(tmp_path, model)
    assert code == ExitCode.FAILED
    assert found[SEEN]["status"] == "failed"
    assert "Write, Bash" in found[SEEN]["evidence"]
    assert "template drops tools" in found[SEEN]["advice"]
    assert [found[name]["status"] for name in (CALLED, FITS, USED)] == ["not checked"] * 3
    families = [found[f"family {family.name}"]["status"] for family in FAMILIES]
    assert families == ["ok"] * len(FAMILIES)  # they need no model
