"""A model that kills the process is refused, or decoded alone, by later processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from engine.model_files.errors import UnsupportedArchitecture
from engine.models.fingerprint import cache_fingerprint
from engine.models.loading import LoadedModel, load_model
from engine.process.json_files import KnownValues
from engine.settings import EngineSettings
from engine.startup import load
from engine.trials.models import BATCHES_FILE, first_run, libraries, with_batching_check
from engine.trials.trial import Trial
from tests.models import ModelShelf


class Crash(Exception):
    """Stands for the process's end: what has to be undone after it is not."""


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No trial ends."""
    monkeypatch.setattr(Trial, "__exit__", lambda *_: None)


@pytest.fixture
def loaded(shelf: ModelShelf) -> LoadedModel:
    return load_model(shelf.tiny())


def crash(*_: Any) -> None:
    raise Crash


@pytest.mark.usefixtures("crashing")
def test_a_model_that_ends_the_process_is_refused_after_some_times(
    tmp_path: Path, loaded: LoadedModel
) -> None:
    for _ in range(3):
        with pytest.raises(Crash), first_run(loaded, tmp_path):
            raise Crash
    again = pytest.raises(UnsupportedArchitecture, match="has ended the engine's process 3 times")
    with again, first_run(loaded, tmp_path):
        pass


@pytest.mark.usefixtures("crashing")
def test_a_model_that_ends_the_process_in_a_batch_is_decoded_alone_after_some_times(
    tmp_path: Path, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        with (
            pytest.raises(Crash),
            Trial(
                KnownValues(tmp_path / BATCHES_FILE),
                f"batch {cache_fingerprint(loaded.fingerprint, libraries())}",
            ),
        ):
            raise Crash
    assert "the process ended when several were tried" in with_batching_check(loaded, tmp_path).alone
    assert "the process ended when several were tried" in with_batching_check(loaded, tmp_path).alone


def test_a_model_that_raises_when_it_runs_is_refused_with_words(tmp_path: Path, loaded: LoadedModel) -> None:
    loaded.model.layers[0] = crash
    refused = pytest.raises(
        UnsupportedArchitecture, match=r"cannot be run on this machine \(.*\); take another"
    )
    with refused, first_run(loaded, tmp_path):
        pass


def test_a_model_that_runs_leaves_no_started_trial(tmp_path: Path, shelf: ModelShelf) -> None:
    settings = EngineSettings(model=str(shelf.tiny()), kv_cache_dir=str(tmp_path))
    for _ in range(5):
        assert load(settings, lambda done, what: None).alone == ""
    assert "begun" not in (tmp_path / BATCHES_FILE).read_text()


ENGINE_THAT_TRIES_FOR_EVER = """
import os, threading
import engine.trials.models
from engine.__main__ import main

def try_out(loaded):
    print("trying", flush=True)
    threading.Event().wait()

engine.trials.models._try_out = try_out
os._exit(main([]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("by", ["a closed pipe", "SIGTERM"])
def test_an_engine_that_is_ended_while_it_tries_a_model_has_not_been_ended_by_it(
    tmp_path: Path, shelf: ModelShelf, loaded: LoadedModel, by: str
) -> None:
    settings = {"model": str(shelf.tiny()), "port": 0, "kv_cache_dir": str(tmp_path / "kept")}
    known = KnownValues(tmp_path / "kept" / BATCHES_FILE)
    name = f"run {cache_fingerprint(loaded.fingerprint, libraries())}"
    known.put(name, {"begun": 2, "at": time.time()})
    command = [sys.executable, "-P", "-c", ENGINE_THAT_TRIES_FOR_EVER]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(settings) + "\n")
            process.stdin.flush()
            assert any(line == "trying\n" for line in process.stdout)
            assert known.get(name)["begun"] == 3
            if by == "SIGTERM":
                process.terminate()
            else:
                process.stdin.close()
            process.wait(20)
        finally:
            process.kill()
    assert known.get(name)["begun"] == 2


class TestTrial:
    def test_a_trial_that_was_started_long_ago_does_not_count(self, tmp_path: Path) -> None:
        known, now = KnownValues(tmp_path / "file"), [1000.0]
        for expected in (0, 1, 2):
            assert Trial(known, "a", lambda: now[0]).__enter__() == expected
        now[0] += 601
        with Trial(known, "a", lambda: now[0]) as begun:
            assert begun == 0
        with Trial(known, "a", lambda: now[0]) as begun:
            assert begun == 0

    @pytest.mark.parametrize("content", ["damaged", "[]", '{"a": 3}', '{"a": {"begun": "x", "at": null}}'])
    def test_a_file_that_makes_no_sense_counts_nothing(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "file").write_text(content)
        assert Trial(KnownValues(tmp_path / "file"), "a").__enter__() == 0

    def test_a_folder_that_cannot_be_written_changes_nothing_and_is_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        with Trial(KnownValues(tmp_path / "file" / "inner"), "a") as begun:
            assert begun == 0
        assert "cannot be written" in caplog.text
