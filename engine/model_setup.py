"""From settings to a model that is ready to run, and what it has on disk; on the model's thread."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx

from engine import bundled_model
from engine.answer_memory import AnswerMemory
from engine.cache_disk import DiskTier
from engine.cache_files import FORMAT
from engine.cache_layers import layout_of
from engine.fingerprint import cache_fingerprint, tokenizer_fingerprint
from engine.model_loading import LoadedModel, OnProgress, load_model
from engine.model_runner import ModelRunner, kv_group
from engine.prefill import measured_chunk
from engine.radix_cache import RadixPrefixCache
from engine.settings import EngineSettings

CHUNKS_FILE = "prefill-chunks.json"
"""Beside the saved prompts: the chunk that was measured for each model, by fingerprint."""

log = logging.getLogger("engine")


def load(settings: EngineSettings, on_progress: OnProgress) -> LoadedModel:
    """Load what the settings name, to run as they say; an empty model is the bundled one.

    Raises:
        ModelError: it cannot be loaded, or not be run so.
    """
    if settings.model:
        loaded = load_model(settings.model, on_progress)
    else:
        loaded = load_model(bundled_model.FOLDER, on_progress, name=bundled_model.NAME)
    draft = load_model(settings.draft_model, on_progress) if settings.draft_model else None
    ways = [f"kv{settings.kv_bits}"] if settings.kv_bits else []
    ways += [f"draft-{draft.fingerprint}"] if draft else []
    loaded = replace(
        loaded,
        fingerprint="-".join([loaded.fingerprint, *ways]),
        kv_bits=settings.kv_bits,
        draft=draft,
        draft_tokens=settings.draft_tokens,
    )
    loaded = replace(loaded, context_length=served_window(loaded, settings.context_length))
    if settings.kv_bits:
        loaded = replace(loaded, kv_group=kv_group(loaded, settings.kv_bits))
    return replace(loaded, prefill_chunk=settings.prefill_chunk or _chunk(loaded, settings))


def served_window(loaded: LoadedModel, asked: int | None) -> int:
    """The tokens that prompt and answer share: as `asked`, else as the files state; never too many."""
    tokens = asked or loaded.context_length
    limits = [loaded.most_tokens] if loaded.most_tokens else []
    if loaded.draft is not None:  # it runs some tokens ahead, and so does what checks them
        limits += [loaded.draft.most_tokens] if loaded.draft.most_tokens else []
        limits = [limit - loaded.draft_tokens - 1 for limit in limits]
    most = min(limits, default=tokens)
    if tokens > most:
        log.warning(
            "%s has learned %d positions and cannot take %d tokens; it serves %d",
            loaded.name,
            most,
            tokens,
            most,
        )
        return most
    if tokens > loaded.context_length:
        log.warning(
            "%s serves %d tokens as the settings say; its files state %d",
            loaded.name,
            tokens,
            loaded.context_length,
        )
    return tokens


def learn_sizes(prefix_cache: RadixPrefixCache, loaded: LoadedModel) -> None:
    """Let the cache know what a token takes, so that the first prompt is told rightly what is kept of it."""
    runner = ModelRunner(loaded)
    cache = runner.new_cache()
    runner(mx.array([[0]]), cache=cache)
    mx.eval([layer.state for layer in cache])
    prefix_cache.learn_sizes(cache, 1)


def attach_disk(
    prefix_cache: RadixPrefixCache,
    answers: AnswerMemory,
    loaded: LoadedModel,
    settings: EngineSettings,
    accelerated: str,
) -> None:
    """Give the cache its disk tier, if it is to have one, and the answers beside it.

    The model runs without where that fails.
    """
    if not settings.kv_cache_dir or not settings.disk_cache_bytes:
        return
    circumstances = {
        "format": FORMAT,
        "mlx": version("mlx"),
        "mlx-lm": version("mlx-lm"),
        "device": mx.default_device().type,
        "matrix products": accelerated,
        "prefill chunk": loaded.prefill_chunk,
    }
    disk = DiskTier(
        _folder(settings),
        cache_fingerprint(loaded.fingerprint, circumstances),
        max_bytes=settings.disk_cache_bytes,
        max_daily_bytes=settings.disk_writes_per_day_bytes,
    )
    try:
        prefix_cache.attach(disk, layout_of(ModelRunner(loaded).new_cache()))
        disk.keep_answers(answers, tokenizer_fingerprint(loaded.path))
    except Exception:
        log.exception("the prompts in %s cannot be used", settings.kv_cache_dir)


def _folder(settings: EngineSettings) -> Path:
    return Path(settings.kv_cache_dir).expanduser()


def _chunk(loaded: LoadedModel, settings: EngineSettings) -> int:
    """The chunk that suits model and machine.

    It is measured once and remembered: prompts that are computed in other chunks can differ in their last
    bits, so that those on disk belong to one chunk.
    """
    runner = ModelRunner(loaded)
    if not settings.kv_cache_dir:
        return measured_chunk(runner, runner.new_cache, most=loaded.most_tokens)
    file = _folder(settings) / CHUNKS_FILE
    known = _remembered(file)
    if loaded.fingerprint not in known:
        known[loaded.fingerprint] = measured_chunk(runner, runner.new_cache, most=loaded.most_tokens)
        _remember(file, known)
    return known[loaded.fingerprint]


def _remembered(file: Path) -> dict[str, int]:
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: chunk for name, chunk in known.items() if type(chunk) is int and chunk > 0}


def _remember(file: Path, known: dict[str, int]) -> None:
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(known, stream)
        part.replace(file)
    except OSError as error:
        log.warning("the prefill chunk is measured again next time: %s", error)
