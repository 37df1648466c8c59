"""From settings to a model that is ready to run, and what it has on disk; on the model's thread."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import mlx.core as mx

from engine import bundled_model
from engine.chunks import boundaries
from engine.chunks.fit import largest_chunk
from engine.memory.guard import MemoryGuard
from engine.models.fingerprint import cache_fingerprint, tokenizer_fingerprint
from engine.models.loading import CheckWeights, LoadedModel, OnProgress, load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.disk.span_files import FORMAT
from engine.prefix_cache.disk.tier import DiskTier
from engine.prefix_cache.layers import cache_arrays, layout_of
from engine.prompts.answer_memory import AnswerMemory
from engine.prompts.probing.known_traits import TRAITS_FILE, KnownTraits
from engine.scheduling.runner import ModelRunner, kv_group, shared_tokens
from engine.settings import EngineSettings
from engine.trials.caching import restore_fault
from engine.trials.memory_costs import arrays_of_a_request, request_cost, weight_bytes
from engine.trials.models import first_run, libraries, measured_pace, noted, with_batching_check

log = logging.getLogger("engine")


def load(
    settings: EngineSettings, on_progress: OnProgress, check_weights: CheckWeights = lambda name, nbytes: None
) -> LoadedModel:
    """Load what the settings name, to run as they say; an empty model is the bundled one.

    `check_weights` may refuse each model's weights before they are read.

    Raises:
        ModelError: it cannot be loaded, or not be run so.
    """
    if settings.model:
        loaded = load_model(
            settings.model,
            on_progress,
            adapter=settings.adapter,
            trust_remote_code=settings.trust_remote_code == settings.model,
            check_weights=check_weights,
        )
    else:
        loaded = load_model(
            bundled_model.FOLDER, on_progress, name=bundled_model.NAME, adapter=settings.adapter
        )
    draft = None
    if settings.draft_model:
        draft = load_model(settings.draft_model, on_progress, check_weights=check_weights)
        loaded = replace(loaded, vocab_size=shared_tokens(loaded, draft))
    ways = [f"kv{settings.kv_bits}"] if settings.kv_bits else []
    ways += [f"draft-{draft.fingerprint}"] if draft else []
    loaded = replace(
        loaded,
        fingerprint="-".join([loaded.fingerprint, *ways]),
        kv_bits=settings.kv_bits,
        draft=draft,
        draft_tokens=settings.draft_tokens,
    )
    loaded = serving(loaded, settings.context_tokens)
    folder = _folder(settings) if settings.kv_cache_dir else None
    with first_run(loaded, folder):
        if settings.kv_bits:
            loaded = replace(loaded, kv_group=kv_group(loaded, settings.kv_bits))
        if settings.prefill_chunk:
            loaded = replace(loaded, prefill_chunk=settings.prefill_chunk)
        else:
            pace = measured_pace(loaded, folder, on_progress)
            loaded = replace(loaded, prefill_chunk=pace.fit.chunk_tokens, pace=pace)
    return loaded if settings.max_batch == 1 or draft is not None else with_batching_check(loaded, folder)


def serving(loaded: LoadedModel, asked: int | None) -> LoadedModel:
    """The model with the window it is served with: as `asked`, else as its files state; never too large."""
    tokens = asked or loaded.context_length
    limits = [loaded.most_tokens] if loaded.most_tokens else []
    if loaded.draft is not None:  # it runs some tokens ahead, and so does what checks them
        limits += [loaded.draft.most_tokens] if loaded.draft.most_tokens else []
        limits = [limit - loaded.draft_tokens - 1 for limit in limits]
    most = min(limits, default=tokens)
    served = replace(loaded, context_length=min(tokens, most))
    if tokens > most:
        return noted(served, f"it has learned {most} positions; it serves so many tokens, not {tokens}")
    if tokens > loaded.context_length:
        return noted(served, f"it serves {tokens} tokens as asked; its files state {loaded.context_length}")
    return served


def fitting(memory: MemoryGuard, loaded: LoadedModel) -> LoadedModel:
    """The model with the window that this machine has memory for, which `memory` keeps to from now on.

    Raises:
        ModelTooLarge: it leaves no room for a prompt.
    """
    if not memory.is_limited:
        return loaded
    chunk = loaded.prefill_chunk or largest_chunk()
    cost = request_cost(loaded, lambda position: boundaries.chunk_size_at(position, chunk))
    tokens = memory.set_up(
        loaded.name, weight_bytes(loaded), cost, arrays_of_a_request(loaded), loaded.context_length
    )
    if tokens == loaded.context_length:
        return loaded
    return noted(
        replace(loaded, context_length=tokens),
        f"it serves {tokens} of {loaded.context_length} tokens: {memory.in_words}",
    )


def learn_sizes(prefix_cache: RadixPrefixCache, loaded: LoadedModel) -> LoadedModel:
    """Set the cache's bytes for each token, so that the first prompt's report is right.

    It is switched off if this model's prompts cannot be kept; a note of the returned model says so.
    """
    runner = ModelRunner(loaded)
    if fault := restore_fault(runner):
        prefix_cache.switch_off()
        return noted(loaded, f"the prefix cache is off, each prompt is computed whole: {fault}")
    cache = runner.new_cache()
    runner(mx.array([[0]]), cache=cache)
    mx.eval(cache_arrays(cache))
    prefix_cache.learn_sizes(cache, 1)
    return loaded


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
        **libraries(),
        "matrix products": accelerated,
        "prefill chunk": loaded.prefill_chunk,
        "chunk rule": boundaries.VERSION,
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


def known_traits(settings: EngineSettings) -> KnownTraits:
    """The traits of chat templates that were probed before; stored beside the saved prompts."""
    return KnownTraits(_folder(settings) / TRAITS_FILE if settings.kv_cache_dir else None)


def _folder(settings: EngineSettings) -> Path:
    return Path(settings.kv_cache_dir).expanduser()
