"""Whether a folder has all that a model needs, by the names and headers of its files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from engine.model_files.errors import ConfigMissing, TokenizerMissing, first_line
from engine.model_files.tokenizer_files import tokenizer_files
from engine.model_files.weight_files import WeightChoice, weight_choices

TOKENIZER_DOCUMENTS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""The JSON files from which transformers makes a tokenizer."""

_OF_OTHERS = ("tekken.json", "tokenizer.model.v*", "vocab.txt", "*.gguf")
"""Tokenizers of other programs."""

_LFS_POINTER = b"version https://git-lfs"


def damaged_document(folder: Path, names: Iterable[str]) -> str:
    """Which of these JSON files is there and cannot be read, and what to do, in one line; or "".

    The libraries that read a model's files do not name the one that they fail on.
    """
    for file in map(folder.joinpath, names):
        try:
            text = file.read_bytes()
            if text.startswith(_LFS_POINTER):
                return f"{file} is a git-lfs pointer, not the file itself; run: git lfs pull"
            why = "" if isinstance(json.loads(text.decode()), dict) else "it is no JSON object"
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as error:
            why = "it is empty" if isinstance(error, ValueError) and not text else first_line(error)
        if why:
            return f"{file} cannot be read ({why}); download it again"
    return ""


def no_config(folder: Path) -> ConfigMissing:
    """The error for a folder without config.json."""
    file = folder / "config.json"
    if file.is_symlink():
        return ConfigMissing(f"{file} is a link to {file.readlink()}, which is no file; finish the download")
    if (folder / "adapter_config.json").is_file():
        return ConfigMissing(
            f"{folder} holds an adapter, not a model; name its model, and this folder with --adapter"
        )
    return ConfigMissing(f"{folder} has no config.json; name the folder of an MLX model")


def check_folder(path: Path) -> list[WeightChoice]:
    """The choices of weights, best first.

    Raises:
        ConfigMissing, WeightsMissing, BrokenWeights, TokenizerMissing: something is missing or damaged.
    """
    if not (path / "config.json").is_file():
        raise no_config(path)
    choices = weight_choices(path)
    if not tokenizer_files(path):
        raise _no_tokenizer(path)
    return choices


def _no_tokenizer(folder: Path) -> TokenizerMissing:
    others = sorted(file.name for pattern in _OF_OTHERS for file in folder.glob(pattern))
    if others:
        return TokenizerMissing(
            f"{folder} has no tokenizer that MLX's libraries read, only {others[0]};"
            " take a copy of this model that has a tokenizer.json"
        )
    return TokenizerMissing(f"{folder} has no tokenizer (such as tokenizer.json); download the model again")
