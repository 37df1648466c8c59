"""A model's tokenizer, with the chat template that it has and a way to turn its tokens into text again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx_lm.utils

from engine.chat_template import overlooked_templates, settle_template
from engine.detokenizer import settle_decoding
from engine.model_errors import TokenizerMissing, first_line

_LFS_POINTER = "version https://git-lfs"


@dataclass(frozen=True, slots=True)
class LoadedTokenizer:
    """mlx-lm's wrapper, and what is wrong with template and decoder, as sentences; empty where nothing is."""

    tokenizer: Any
    template_fault: str
    decoder_fault: str


def load_tokenizer(path: Path, eos: Any = None) -> LoadedTokenizer:
    """Load the tokenizer in a model's folder; `eos` are end tokens that the model's configuration names.

    Raises:
        TokenizerMissing: it cannot be loaded.
    """
    templates = overlooked_templates(path)
    extra = {"chat_template": templates} if templates is not None else None
    try:
        tokenizer = mlx_lm.utils.load_tokenizer(path, extra, eos_token_ids=eos)
    except Exception as error:  # transformers and tokenizers raise plain Exception for a damaged file
        raise TokenizerMissing(_why(path, error)) from error
    decoder_fault = settle_decoding(tokenizer)
    return LoadedTokenizer(tokenizer, settle_template(tokenizer), decoder_fault)


def _why(path: Path, error: Exception) -> str:
    file = path / "tokenizer.json"
    if file.is_file() and file.read_bytes()[: len(_LFS_POINTER)] == _LFS_POINTER.encode():
        return f"{file} is a git-lfs pointer, not a tokenizer; run: git lfs pull"
    if "custom code" in str(error):
        return (
            f"the tokenizer of {path} wants code of its own to be run, which is never done; take a copy of"
            " this model that has a tokenizer.json"
        )
    return f"the tokenizer of {path} cannot be loaded ({first_line(error)}); download the model again"
