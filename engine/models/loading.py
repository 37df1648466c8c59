"""Loads a model from a folder or a hub id, or raises one clear error (`engine.model_files.errors`)."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import huggingface_hub

from engine.chunks.pace import PrefillPace
from engine.model_files.cache_layers import text_config
from engine.model_files.context_window import context_window_of
from engine.model_files.errors import (
    ModelError,
    ModelFolderMissing,
    first_line,
)
from engine.model_files.whole_folder import check_folder
from engine.models.adapters import apply_adapter
from engine.models.fingerprint import weights_fingerprint
from engine.models.hub_download import fetch
from engine.models.tokenizer_loading import load_tokenizer
from engine.models.weight_loading import OnProgress, build, read_weights

__all__ = ["CheckWeights", "LoadedModel", "ModelError", "OnProgress", "load_model"]

CheckWeights = Callable[[str, int], None]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SAMPLING_RANGES = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "top_k": (0, 1_000_000),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.01, 10.0),
}
DEFAULT_CONTEXT = 32768
"""The context window of a model whose files state none."""

log = logging.getLogger("engine")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, and what the engine must know about it.

    `model` is the mlx-lm module, `tokenizer` mlx-lm's `TokenizerWrapper`; neither has type information.
    `fingerprint` identifies the weights. `context_length` is in tokens, and so is `most_tokens`, the limit
    that no setting can raise (None: no limit). `sampling` has the recommended sampling parameters, under the
    names of a chat completion body.

    How it runs: keys and values have `kv_bits` bits (None: unquantized), and `kv_group` numbers share a scale
    (None: determined by trial). The smaller model `draft` proposes `draft_tokens` tokens at a time. Prompts
    are prefilled in chunks of `prefill_chunk` tokens (None: the device's default), chosen by `pace` (None:
    the size was set). `alone`, if not empty, says why answers are generated one at a time. `template_fault`
    says what is wrong with the chat template. `notes` are for people, one sentence each.
    """

    model: Any
    tokenizer: Any
    name: str
    path: Path
    fingerprint: str
    context_length: int
    eos_token_ids: frozenset[int]
    vocab_size: int
    most_tokens: int | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    kv_bits: int | None = None
    kv_group: int | None = None
    draft: LoadedModel | None = None
    draft_tokens: int = 3
    prefill_chunk: int | None = None
    pace: PrefillPace | None = None
    alone: str = ""
    template_fault: str = ""
    notes: tuple[str, ...] = ()


def load_model(
    path_or_id: str | Path,
    on_progress: OnProgress = lambda done, what: None,
    *,
    name: str = "",
    adapter: str = "",
    trust_remote_code: bool = False,
    download: Callable[..., str] = huggingface_hub.snapshot_download,
    check_weights: CheckWeights = lambda name, nbytes: None,
) -> LoadedModel:
    """Load a model on the calling thread, which must be the one that will run it.

    `name` replaces its folder's name or hub id. `adapter` is the folder of a LoRA adapter for it, or "".
    `check_weights` gets the name and the bytes of the weights before they are read, and may raise a
    `ModelError`. `trust_remote_code` lets the model run Python code of its own.

    Progress is the share of the weights' bytes in memory; while a hub model is downloaded, the share of its
    bytes on disk.

    Raises:
        ModelError: one subclass for each situation, see `engine.model_files.errors`.
    """
    path, own_name, place = _locate(path_or_id, on_progress, download, trust_remote_code)
    name = name or own_name
    choices = check_folder(path)
    on_progress(0.0, f"loading {name}")
    model, config, weights = build(path, choices, trust_remote_code)
    found = load_tokenizer(path, _end_tokens(config), trust_remote_code)
    tokenizer = found.tokenizer
    vocab_size = _vocab_size(config, tokenizer)
    # An id that the model has no row for is never generated, and tables by id would grow up to it.
    tokenizer.eos_token_ids = {token for token in tokenizer.eos_token_ids if 0 <= token < vocab_size}
    notes = [note for note in (place, *weights.notes, found.decoder_fault, found.template_fault) if note]
    if not adapter and (path / "adapter_config.json").is_file():
        notes.append(f"the adapter in its folder is not applied; --adapter {path} applies it")
    if not tokenizer.eos_token_ids:
        notes.append("its files name no token that ends an answer, so each goes on to its limit")
    if trust_remote_code:
        notes.append("its own Python code may run, because trustRemoteCode names it")
    for note in notes:
        log.warning("%s: %s", name, note)
    fingerprint = weights_fingerprint(path, weights.files)
    size = sum(file.stat().st_size for file in weights.files)
    if adapter:
        changed_by = Path(adapter).expanduser()
        size += apply_adapter(model, changed_by, name)
        fingerprint += f"-adapter-{weights_fingerprint(changed_by, ())}"
    check_weights(name, size)
    read_weights(model, path, name, on_progress)
    window = context_window_of(config, path, weights.files)
    on_progress(1.0, f"trying {name} out")  # loaded it is when it can serve: its thread says so
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        name=name,
        path=path,
        fingerprint=fingerprint,
        context_length=window.tokens or _assumed_window(name),
        most_tokens=window.learned or None,
        eos_token_ids=frozenset(tokenizer.eos_token_ids),
        vocab_size=vocab_size,
        sampling=sampling_defaults(path),
        template_fault=found.template_fault,
        notes=tuple([*notes, window.scaling] if window.scaling else notes),
    )


def _end_tokens(config: Mapping[str, Any]) -> Any:
    return config.get("eos_token_id", text_config(config).get("eos_token_id"))


def _vocab_size(config: Mapping[str, Any], tokenizer: Any) -> int:
    stated = text_config(config).get("vocab_size")
    return stated if type(stated) is int else max(tokenizer.get_vocab().values()) + 1


def _assumed_window(name: str) -> int:
    log.warning(
        "the files of %s do not state its context window; %d tokens are assumed", name, DEFAULT_CONTEXT
    )
    return DEFAULT_CONTEXT


def _locate(
    path_or_id: str | Path, on_progress: OnProgress, download: Callable[..., str], trust_remote_code: bool
) -> tuple[Path, str, str]:
    """The model's folder, its name and a note; a hub id without a local folder is downloaded."""
    given = str(path_or_id)
    try:
        path = Path(given).expanduser()
        if path.is_dir():
            return path, path.resolve().name, ""
        is_file = path.exists()
    except (OSError, RuntimeError) as error:  # a name that is too long, a home of nobody, a forbidden folder
        raise ModelFolderMissing(f"the folder {given[:200]} cannot be read ({first_line(error)})") from error
    if is_file:
        raise ModelFolderMissing(f"{given} is a file; name the folder that holds the model")
    if not isinstance(path_or_id, str) or given[:1] in ("/", ".", "~") or not _HUB_ID.fullmatch(given):
        raise ModelFolderMissing(
            f"no folder {given}; name a folder with an MLX model, or a hub id like org/name"
        )
    found = fetch(given, on_progress, download, trust_remote_code)
    return found.folder, given, found.note


def sampling_defaults(path: Path) -> dict[str, Any]:
    """The sampling parameters of `generation_config.json`, a file that transformers defines.

    `do_sample` false means greedy decoding, which a body expresses as temperature 0. Parameters that are
    missing, or not a number within their range, are left out.
    """
    try:
        config = json.loads((path / "generation_config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(config, dict):
        return {}
    if config.get("do_sample") is False:
        return {"temperature": 0.0}
    named = {key: config[key] for key in _SAMPLING_RANGES if isinstance(config.get(key), int | float)}
    return {
        key: value
        for key, value in named.items()
        if not isinstance(value, bool) and _SAMPLING_RANGES[key][0] <= value <= _SAMPLING_RANGES[key][1]
    }
