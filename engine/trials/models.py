"""Trials of a model when it loads: does it run, how large are its chunks, can it be batched.

Slow results are stored beside the saved prompts, by model, libraries and machine.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache

from engine.chunks.fit import ChunkFit, largest_chunk, measured_fit
from engine.chunks.pace import PrefillPace
from engine.model_files.errors import UnsupportedArchitecture, first_line
from engine.models.fingerprint import cache_fingerprint
from engine.models.loading import LoadedModel, OnProgress
from engine.models.machine import machine, machine_description
from engine.process.json_files import KnownValues
from engine.scheduling.runner import ModelRunner
from engine.trials.batching import batch_fault
from engine.trials.trial import Trial

CHUNKS_FILE = "prefill-chunks.json"
"""The measured chunk of each model and its fit, by fingerprint and machine."""

BATCHES_FILE = "batch-checks.json"
"""Why slots are decoded alone, by fingerprint and libraries, and trials that were started."""

_MOST_TRIALS = 3  # trials that killed the process, after which it is not tried again
_MISMATCH = "off"  # key in a stored fit: the ratio of real prefills to it
_MOST_PLAUSIBLE = 1e12  # above any real measurement; a file may hold any number
_TRIED_TOKENS = 64  # a mixture of experts runs other kernels for many tokens than for a few

log = logging.getLogger("engine")


@contextmanager
def first_run(loaded: LoadedModel, folder: Path | None) -> Iterator[None]:
    """A block in which a model runs for the first time; `folder` stores that it was started.

    Raises:
        UnsupportedArchitecture: it does not run on this machine, or has killed the process repeatedly.
    """
    with Trial(_checks(folder), f"run {_name(loaded)}") as ended:
        if ended >= _MOST_TRIALS:
            raise UnsupportedArchitecture(
                f"{loaded.name} has ended the engine's process {ended} times when it was tried: a fault in"
                " native code, or too little memory; take another model, or upgrade mlx and mlx-lm"
            )
        _try_out(loaded)
        if loaded.draft is not None:
            _try_out(loaded.draft)
        yield


def _try_out(loaded: LoadedModel) -> None:
    cache = make_prompt_cache(loaded.model)
    try:
        for tokens in (min(_TRIED_TOKENS, (loaded.most_tokens or _TRIED_TOKENS) - 1), 1):
            mx.eval(loaded.model(mx.zeros((1, tokens), mx.int32), cache=cache))
    except Exception as error:  # mlx and the models raise any type
        raise UnsupportedArchitecture(
            f"{loaded.name} cannot be run on this machine ({first_line(error)}); take another model"
        ) from error


def measured_pace(loaded: LoadedModel, folder: Path | None, on_progress: OnProgress) -> PrefillPace:
    """The chunk size for a model on this machine, with the check of real prefills against it.

    It is stored in `folder` until the model, machine or libraries change, or prefills are more than twice as
    fast or as slow. Then it is measured at the next start, not at once: other chunks can change the last bits
    of a prompt, so that all prompts in memory and on disk belong to one size.
    """
    known, name = KnownValues(folder / CHUNKS_FILE) if folder is not None else None, _name(loaded)
    stored: Any = known.get(name) if known is not None else None
    fit = _fit_of(stored)
    if fit is not None and _MISMATCH not in stored:
        log.info("%s: %s, as measured on %s", loaded.name, fit, fit.measured_for)
    else:
        fit = _measured(loaded, fit.chunk_tokens if fit is not None else None, on_progress)
        if known is not None:
            known.put(name, asdict(fit))

    def on_mismatch(ratio: float) -> None:
        when = "when the engine next starts" if known is not None else "at each start"
        log.warning(
            "%s: prompts take %.1f times as long as measured when chunks of %d tokens were chosen;"
            " that is measured again %s",
            *(loaded.name, ratio, fit.chunk_tokens, when),
        )
        if known is not None:
            known.put(name, asdict(fit) | {_MISMATCH: ratio})

    return PrefillPace(fit, on_mismatch)


def _measured(loaded: LoadedModel, before: int | None, on_progress: OnProgress) -> ChunkFit:
    on_progress(1.0, f"measuring how fast {loaded.name} reads prompts")
    runner = ModelRunner(loaded)
    limits = [one.most_tokens for one in (loaded, loaded.draft) if one is not None and one.most_tokens]
    fit = measured_fit(
        runner,
        runner.new_cache,
        vocab_size=loaded.vocab_size,
        most=min(limits, default=None),
        before=before,
        measured_for=machine_description(),
    )
    on_progress(1.0, f"trying {loaded.name} out")
    log.info("%s: %s, measured now on %s", loaded.name, fit, fit.measured_for)
    if before not in (None, fit.chunk_tokens):
        log.info(
            "%s: prompts on disk that were computed in chunks of %d tokens are not used from now on",
            *(loaded.name, before),
        )
    return fit


def _fit_of(stored: Any) -> ChunkFit | None:
    """The fit that a file holds; None if it is invalid on this device."""
    most = largest_chunk()
    match stored:
        case {
            "chunk_tokens": int(chunk),
            "fixed_s": int() | float() as fixed_s,
            "per_token_s": int() | float() as per_token_s,
            "lengths": [int(short), int(long)],
            "speeds": [int() | float() as slow, int() | float() as fast],
            "measured_for": str(measured_for),
        } if 0 < chunk <= most and chunk is not True and 0 < short <= long <= most:
            figures = (fixed_s, per_token_s, slow, fast)
            if all(0 <= figure < _MOST_PLAUSIBLE for figure in figures) and measured_for.isprintable():
                return ChunkFit(chunk, fixed_s, per_token_s, (short, long), (slow, fast), measured_for)
    return None


def with_batching_check(loaded: LoadedModel, folder: Path | None) -> LoadedModel:
    """The model, marked to decode alone if batching changes its results."""
    known, name = _checks(folder), _name(loaded)
    found = known.get(name) if known is not None else None
    if not isinstance(found, str):
        with Trial(known, f"batch {name}") as ended:
            found = (
                _tried_in_batches(loaded)
                if ended < _MOST_TRIALS
                else "since the process ended when several were tried"
            )
        if known is not None:
            known.put(name, found)
    if not found:
        return loaded
    return noted(replace(loaded, alone=found), f"answers are generated one at a time, {found}")


def noted(loaded: LoadedModel, note: str) -> LoadedModel:
    """The model with one more note for its users; the note is also logged."""
    log.warning("%s: %s", loaded.name, note)
    return replace(loaded, notes=(*loaded.notes, note))


def libraries() -> dict[str, str]:
    """Libraries, device and machine; results may differ between any two of them."""
    return {
        "mlx": version("mlx"),
        "mlx-lm": version("mlx-lm"),
        "device": str(mx.default_device().type),
        **machine(),
    }


def _checks(folder: Path | None) -> KnownValues | None:
    return KnownValues(folder / BATCHES_FILE) if folder is not None else None


def _name(loaded: LoadedModel) -> str:
    return cache_fingerprint(loaded.fingerprint, libraries())


def _tried_in_batches(loaded: LoadedModel) -> str:
    try:
        return batch_fault(loaded.model, ModelRunner(loaded).new_cache, loaded.most_tokens)
    except Exception as error:  # decoding alone is always safe
        return f"since together could not be tried ({first_line(error)})"
