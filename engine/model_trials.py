"""What is found out about a model by running it, when it loads; what takes time is found out once.

The figures lie beside the saved prompts, for as long as model, libraries and machine are the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache

from engine.batch_check import batch_fault
from engine.fingerprint import cache_fingerprint
from engine.machine import machine
from engine.measurements import Measurements, Trial
from engine.model_errors import UnsupportedArchitecture, first_line
from engine.model_loading import LoadedModel
from engine.model_runner import ModelRunner
from engine.prefill import measured_chunk

CHUNKS_FILE = "prefill-chunks.json"
"""The chunk that was measured for each model, by fingerprint."""

BATCHES_FILE = "batch-checks.json"
"""Why rows are decoded alone, by fingerprint and libraries, and trials that were begun."""

_MOST_TRIALS = 3  # that end the process
_TRIED_TOKENS = 64  # mixtures of experts compute so many by other means than a few

log = logging.getLogger("engine")


@contextmanager
def first_run(loaded: LoadedModel, folder: Path | None) -> Iterator[None]:
    """A block in which a model runs for the first time; `folder` is where it is noted that it does.

    Raises:
        UnsupportedArchitecture: it does not run on this machine, or has ended the process again and again.
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
    except Exception as error:  # mlx and the models raise what they like
        raise UnsupportedArchitecture(
            f"{loaded.name} cannot be run on this machine ({first_line(error)}); take another model"
        ) from error


def chunk_of(loaded: LoadedModel, folder: Path | None) -> int:
    """The prefill chunk that suits model and machine; `folder` is where it is remembered.

    Prompts that are computed in other chunks can differ in their last bits, so that those on disk belong to
    one chunk.
    """
    runner = ModelRunner(loaded)
    known = Measurements(folder / CHUNKS_FILE) if folder is not None else None
    chunk = known.get(loaded.fingerprint) if known is not None else None
    if type(chunk) is int and chunk > 0:
        return chunk
    chunk = measured_chunk(runner, runner.new_cache, most=loaded.most_tokens)
    if known is not None:
        known.put(loaded.fingerprint, chunk)
    return chunk


def in_batches(loaded: LoadedModel, folder: Path | None) -> LoadedModel:
    """The model with the way its rows are decoded: together, or alone where others would change them."""
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
    """The model with one more thing that people should know of it, which the log tells as well."""
    log.warning("%s: %s", loaded.name, note)
    return replace(loaded, notes=(*loaded.notes, note))


def libraries() -> dict[str, str]:
    """What computes, beside the model: what it computes may differ between any two."""
    return {
        "mlx": version("mlx"),
        "mlx-lm": version("mlx-lm"),
        "device": str(mx.default_device().type),
        **machine(),
    }


def _checks(folder: Path | None) -> Measurements | None:
    return Measurements(folder / BATCHES_FILE) if folder is not None else None


def _name(loaded: LoadedModel) -> str:
    return cache_fingerprint(loaded.fingerprint, libraries())


def _tried_in_batches(loaded: LoadedModel) -> str:
    try:
        return batch_fault(loaded.model, ModelRunner(loaded).new_cache, loaded.most_tokens)
    except Exception as error:  # it is safe alone, whatever kept it from being tried
        return f"since together could not be tried ({first_line(error)})"
