"""A model runs, and its cache has a disk tier, as the settings ask for."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import mlx.core as mx
import pytest

from bench.random_model import Architecture
from engine.chunks import boundaries
from engine.memory.guard import MemoryGuard
from engine.memory_budget.limits import Machine
from engine.model_files.errors import ModelTooLarge
from engine.models.fingerprint import cache_fingerprint
from engine.models.loading import LoadedModel, OnProgress, load_model
from engine.models.machine import machine
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prompts.answer_memory import AnswerMemory
from engine.settings import EngineSettings
from engine.startup import attach_disk, fitting, learn_sizes, load
from engine.trials.models import CHUNKS_FILE, libraries
from tests.engine.model_thread import answer, ask, running
from tests.models import ModelShelf
from tests.servers import engine


@pytest.fixture(scope="module")
def loaded(shelf: ModelShelf) -> LoadedModel:
    return load_model(shelf.tiny())


def disk_budget(loaded: LoadedModel, accelerated: str = "", **settings: Any) -> int:
    cache = RadixPrefixCache(max_bytes=1 << 20)
    chunk = settings.get("prefill_chunk", 512)
    model = replace(loaded, prefill_chunk=chunk)
    attach_disk(cache, AnswerMemory(), model, EngineSettings(**settings), accelerated)
    budget = cache.stats()["disk_budget_bytes"]
    cache.close()
    return budget


def test_without_a_folder_or_bytes_there_is_no_disk(tmp_path: Path, loaded: LoadedModel) -> None:
    assert disk_budget(loaded) == 0
    assert disk_budget(loaded, kv_cache_dir=str(tmp_path / "kv"), disk_cache_bytes=0) == 0
    assert not (tmp_path / "kv").exists()
    assert disk_budget(loaded, kv_cache_dir=str(tmp_path / "kv"), disk_cache_bytes=1 << 20) == 1 << 20


def test_what_can_show_in_the_last_bits_has_a_folder_of_its_own(tmp_path: Path, loaded: LoadedModel) -> None:
    for accelerated, chunk in (("openblas", 512), ("metal", 512), ("metal", 256), ("metal", 256)):
        disk_budget(loaded, accelerated, kv_cache_dir=str(tmp_path), prefill_chunk=chunk)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 3


class Starts:
    """Starts of an engine with a model in one folder."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.model = model
        self.file = folder / CHUNKS_FILE
        self._asked: dict[str, Any] = {"model": str(model), "kv_cache_dir": str(folder)}

    def load(self, **settings: Any) -> LoadedModel:
        return load(EngineSettings(**self._asked, **settings), lambda done, what: None)

    def remembered(self) -> dict[str, dict[str, Any]]:
        return dict(json.loads(self.file.read_bytes()))

    def remember(self, **changed: Any) -> None:
        """Change what is remembered of the one model that is."""
        ((name, fit),) = self.remembered().items()
        self.file.write_text(json.dumps({name: fit | changed}))


@pytest.fixture
def starts(tmp_path: Path, shelf: ModelShelf) -> Starts:
    return Starts(shelf.tiny(), tmp_path / "kv")


@pytest.fixture(scope="module")
def after_a_start(tmp_path_factory: pytest.TempPathFactory, shelf: ModelShelf) -> bytes:
    """What is remembered of the model once an engine was started: measured once for all."""
    started = Starts(shelf.tiny(), tmp_path_factory.mktemp("started") / "kv")
    started.load()
    return started.file.read_bytes()


@pytest.fixture
def started(starts: Starts, after_a_start: bytes) -> Starts:
    starts.file.parent.mkdir()
    starts.file.write_bytes(after_a_start)
    return starts


def test_the_prefill_chunk_is_measured_once_for_each_way_to_run(
    starts: Starts, loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "engine")
    assert starts.load().prefill_chunk in (64, 128, 256, 512)
    assert starts.file.stat().st_mode & 0o777 == 0o600
    assert "in steps of 128" in caplog.text
    assert "measured now on " in caplog.text
    (name,) = starts.remembered()
    assert name == cache_fingerprint(loaded.fingerprint, libraries())
    starts.remember(chunk_tokens=96)
    caplog.clear()
    assert starts.load().prefill_chunk == 96
    assert "chunks of 96 tokens" in caplog.text
    assert "as measured on " in caplog.text
    assert starts.load(prefill_chunk=32).prefill_chunk == 32
    assert starts.load(prefill_chunk=32).pace is None
    assert starts.load(kv_bits=8).prefill_chunk in (64, 128, 256, 512)
    assert len(starts.remembered()) == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"chunk_tokens": 0},
        {"chunk_tokens": True},
        {"chunk_tokens": 1 << 20},  # a prompt in one piece, which a GPU's watchdog ends
        {"fixed_s": "x"},
        {"fixed_s": math.inf},
        {"fixed_s": 10**400},
        {"per_token_s": -1},
        {"per_token_s": math.nan},
        {"lengths": [128]},
        {"lengths": [128, 10**400]},
        {"lengths": None},
        {"speeds": [100, 10**400]},
        {"measured_for": "a\nmachine"},
    ],
    ids=lambda damage: str(damage)[:30],
)
def test_what_is_remembered_wrongly_of_a_chunk_is_measured_anew(started: Starts, damage: Any) -> None:
    started.remember(**{"chunk_tokens": 96, **damage})
    assert started.load().prefill_chunk in (64, 128, 256, 512)


def test_after_damage_to_the_file_the_chunk_is_measured_anew(started: Starts) -> None:
    started.file.write_text("damaged")
    assert started.load().prefill_chunk in (64, 128, 256, 512)
    assert len(started.remembered()) == 1


@pytest.mark.parametrize("what", ["architecture", "processor", "system", "wheel"])
def test_on_another_machine_the_chunk_is_measured_anew(
    started: Starts, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A home folder moves with its owner to a new Mac, and macOS and MLX are upgraded beneath it."""
    started.remember(chunk_tokens=96)
    monkeypatch.setattr("engine.trials.models.machine", lambda: machine() | {what: "another"})
    assert started.load().prefill_chunk != 96
    assert len(started.remembered()) == 2


def test_a_chunk_is_measured_again_at_the_start_after_prompts_were_off(
    started: Starts, caplog: pytest.LogCaptureFixture
) -> None:
    started.remember(chunk_tokens=96, fixed_s=0.0, per_token_s=0.001)
    loaded = started.load()
    assert loaded.pace is not None
    for _ in range(8):
        loaded.pace.add(0, 512, 2.0)
    assert "prompts take 3.9 times as long as measured" in caplog.text
    assert "when the engine next starts" in caplog.text
    caplog.set_level("INFO", "engine")
    again = started.load()
    assert again.prefill_chunk in (64, 128, 256, 512)
    assert "computed in chunks of 96 tokens are not used" in caplog.text
    caplog.clear()
    assert started.load().prefill_chunk == again.prefill_chunk
    assert "as measured on " in caplog.text


def test_a_model_that_remembers_nothing_says_that_prompts_are_off(
    shelf: ModelShelf, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load(EngineSettings(model=str(shelf.tiny())), lambda done, what: None)
    assert loaded.pace is not None
    for _ in range(8):
        loaded.pace.add(0, 512, 1000.0)
    assert "again at each start" in caplog.text


def test_who_waits_for_a_model_reads_that_it_is_measured(starts: Starts) -> None:
    told: list[str] = []
    settings = EngineSettings(model=str(starts.model), kv_cache_dir=str(starts.file.parent))
    load(settings, lambda done, what: told.append(what))
    assert told[-2:] == [f"measuring how fast {starts.model.name} reads prompts", told[-3]]
    told.clear()
    load(settings, lambda done, what: told.append(what))
    assert not any("measuring" in what for what in told)


def test_rows_of_another_chunk_rule_are_not_mixed_in(
    tmp_path: Path, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_budget(loaded, kv_cache_dir=str(tmp_path))
    monkeypatch.setattr("engine.chunks.boundaries.VERSION", boundaries.VERSION + 1)
    disk_budget(loaded, kv_cache_dir=str(tmp_path))
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize("budget", [0, 5000, 10_000, 1 << 20])
async def test_a_first_prompt_is_told_what_is_kept_of_it(loaded: LoadedModel, budget: int) -> None:
    cache = RadixPrefixCache(max_bytes=budget)

    def load_and_learn(on_progress: OnProgress) -> LoadedModel:
        learn_sizes(cache, loaded)
        return loaded

    with running(load_and_learn, cache=cache) as scheduler:
        got = await answer(scheduler, ask(list(range(12)), 2))
    kept = sum(tokens for event, tokens in got.cache_events if event == "inserted")
    assert got.lookup.kept_tokens == (12 if kept else 0)
    assert bool(kept) == (budget >= 10_000)


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
def test_what_a_token_takes_is_known_of_all_kinds_of_layers(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    cache = RadixPrefixCache(max_bytes=5000)
    learn_sizes(cache, load_model(shelf.tiny(architecture)))
    assert not cache.would_keep(40)


@pytest.mark.slow
def test_an_engine_process_saves_prompts_and_knows_them_after_a_kill(
    tmp_path: Path, shelf: ModelShelf
) -> None:
    settings = {"kv_cache_dir": str(tmp_path / "kv-cache"), "disk_cache_bytes": 1 << 30}
    body = {"messages": [{"role": "user", "content": "Say something."}], "max_tokens": 4}
    with engine(shelf.tiny(), tmp_path, **settings) as running:
        stats = {"disk_entries": 0}
        while not stats["disk_entries"]:
            httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=60).raise_for_status()
            stats = httpx.get(f"{running.url}/stats", timeout=60).json()["prefix_cache"]
        assert stats["disk_budget_bytes"] == 1 << 30
        prefill = httpx.get(f"{running.url}/stats", timeout=60).json()["prefill"]
        running.process.kill()
        running.process.wait(30)
    with engine(shelf.tiny(), tmp_path, **settings) as running:
        stats = httpx.get(f"{running.url}/stats", timeout=60).json()["prefix_cache"]
        assert httpx.get(f"{running.url}/stats", timeout=60).json()["prefill"] == prefill  # remembered
        assert prefill["chunk_tokens"] in (64, 128, 256, 512)
        assert prefill["fixed_s"] + prefill["per_token_s"] > 0
        assert "mlx" in prefill["measured_for"]
        assert stats["disk_entries"] > 0
        assert stats["entries"] == 0


class Nothing:
    """A meter of a process that holds nothing but what a test loads."""

    def active(self) -> int:
        return 0

    cached = peak = resident = active

    def clear(self) -> None:
        pass


def memory_for(nbytes: int) -> MemoryGuard:
    return MemoryGuard(RadixPrefixCache(max_bytes=0), Machine(1 << 50), asked=nbytes, meter=Nothing())


def test_the_window_is_what_there_is_memory_for_and_people_are_told(loaded: LoadedModel) -> None:
    before = mx.set_memory_limit(1 << 40)
    plenty, little = memory_for(1 << 40), memory_for(12_000_000)
    try:
        assert fitting(plenty, loaded) == loaded
        fitted = fitting(little, loaded)
        assert 1024 <= fitted.context_length < loaded.context_length
        assert fitted.context_length == little.stats()["window_tokens"]
        assert f"it serves {fitted.context_length} of 32768 tokens" in fitted.notes[-1]
        assert "memoryLimitBytes" in fitted.notes[-1]
    finally:
        little.close()
        plenty.close()
        mx.set_memory_limit(before)


def test_a_model_that_is_larger_than_the_memory_is_not_read(shelf: ModelShelf) -> None:
    with pytest.raises(ModelTooLarge, match="take a smaller model"):
        load(EngineSettings(model=str(shelf.tiny())), lambda done, what: None, memory_for(1000).check_weights)


def test_without_a_limit_the_window_stays(loaded: LoadedModel) -> None:
    assert fitting(MemoryGuard(RadixPrefixCache(max_bytes=0)), loaded) is loaded
