"""`anyclaude-tui verify cache` on real engines: exactness, and reuse with the cache on and off."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.child import clean_environment
from tests.models import ModelShelf
from tui.commands.exit_codes import ExitCode
from tui.commands.verify.caching import CONTROL, DISK, FILLS, READS, TIMES

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("anyclaude-tui")


def verified(folder: Path, model: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), "--model", model, "--home", str(folder), "--port", "0"]
    options = options or ("--exact", "--conversations", "1", "--head", "60")
    return subprocess.run(
        [*command, "verify", "cache", *options],
        cwd=folder,
        env=clean_environment(HOME=str(folder), **environ),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_configured_model_is_verified(tmp_path: Path, shelf: ModelShelf) -> None:
    done = verified(tmp_path, str(shelf.tiny()))
    assert "Exact: prompts restored from memory and from disk give the same answers" in done.stdout
    assert "conversation 1 of 1 compared" in done.stderr
    assert done.returncode == ExitCode.FINE


def test_a_model_that_cannot_be_loaded_fails_the_engine(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "qwen3"}')
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    done = verified(tmp_path, str(tmp_path / "model"))
    assert done.returncode == ExitCode.ENGINE_FAILED
    assert "no tokenizer" in done.stderr


def claims(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {claim["name"]: claim for claim in json.loads(done.stdout)["claims"]}


def test_a_host_of_its_own_reads_from_memory_and_after_a_restart_from_disk(
    tmp_path: Path, shelf: ModelShelf
) -> None:
    done = verified(tmp_path, str(shelf.tiny()), "--json", "--head", "400")
    assert done.returncode == ExitCode.FINE, done.stderr
    found = claims(done)
    statuses = {name: claim["status"] for name, claim in found.items() if name != TIMES}
    assert set(statuses.values()) == {"ok"}, found
    assert DISK in statuses
    assert "restarting the engine" in done.stderr


def test_with_the_cache_off_it_fails_and_says_which_setting(tmp_path: Path, shelf: ModelShelf) -> None:
    off = {"ANYCLAUDE_PREFIX_CACHE_BYTES": "0", "ANYCLAUDE_DISK_CACHE_BYTES": "0"}
    done = verified(tmp_path, str(shelf.tiny()), "--json", "--head", "400", **off)
    assert done.returncode == ExitCode.FAILED, done.stderr
    found = claims(done)
    assert found[FILLS]["status"] == "failed"
    assert "prefixCacheBytes" in found[FILLS]["advice"]
    assert [found[name]["status"] for name in (READS, CONTROL, TIMES)] == ["not checked"] * 3
    assert found[DISK]["status"] == "not checked"
    assert "diskCacheBytes" in found[DISK]["advice"]
