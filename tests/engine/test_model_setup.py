"""A model runs, and its cache has a disk tier, as the settings ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import chunk_rule
from engine.answer_memory import AnswerMemory
from engine.model_loading import LoadedModel, OnProgress, load_model
from engine.model_setup import attach_disk, learn_sizes, load
from engine.model_trials import CHUNKS_FILE
from engine.radix_cache import RadixPrefixCache
from engine.random_model import Architecture
from engine.settings import EngineSettings
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


def test_the_prefill_chunk_is_measured_once_for_each_way_to_run(tmp_path: Path, shelf: ModelShelf) -> None:
    file = tmp_path / "kv" / CHUNKS_FILE
    asked: dict[str, Any] = {"model": str(shelf.tiny()), "kv_cache_dir": str(file.parent)}

    def chunk(**settings: Any) -> int | None:
        return load(EngineSettings(**asked, **settings), lambda done, what: None).prefill_chunk

    assert chunk() in (64, 128, 256, 512)
    assert file.stat().st_mode & 0o777 == 0o600
    (fingerprint,) = json.loads(file.read_bytes())
    file.write_text(json.dumps({fingerprint: 96}))
    assert chunk() == 96
    assert chunk(prefill_chunk=32) == 32
    assert chunk(kv_bits=8) in (64, 128, 256, 512)
    assert set(json.loads(file.read_bytes())) == {fingerprint, f"{fingerprint}-kv8"}
    file.write_text("damaged")
    assert chunk() in (64, 128, 256, 512)


def test_rows_of_another_chunk_rule_are_not_mixed_in(
    tmp_path: Path, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_budget(loaded, kv_cache_dir=str(tmp_path))
    monkeypatch.setattr("engine.chunk_rule.VERSION", chunk_rule.VERSION + 1)
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
    assert not cache.keeps(40)


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
        running.process.kill()
        running.process.wait(30)
    with engine(shelf.tiny(), tmp_path, **settings) as running:
        stats = httpx.get(f"{running.url}/stats", timeout=60).json()["prefix_cache"]
        assert stats["disk_entries"] > 0
        assert stats["entries"] == 0
