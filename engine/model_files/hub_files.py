"""Which files of a repository on Hugging Face the engine needs, and where its cache keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.model_files.weight_files import PATTERN

NEEDED = (
    "*.json",
    PATTERN,
    "tokenizer.model",
    "*.tiktoken",
    "tiktoken.model",
    "*.txt",
    "*.jsonl",
    "*.jinja",
)
"""What is downloaded. Unlike mlx-lm's own list it has no `*.py`: only a trusted model's code may run."""


def hub_cache(environ: Mapping[str, str], user_home: Path) -> Path:
    """The folder of Hugging Face's cache, as `huggingface_hub` finds it; it need not exist."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if given := environ.get(name):
            return _expanded(given, user_home)
    if given := environ.get("HF_HOME"):
        return _expanded(given, user_home) / "hub"
    caches = environ.get("XDG_CACHE_HOME")
    return (_expanded(caches, user_home) if caches else user_home / ".cache") / "huggingface" / "hub"


def _expanded(text: str, user_home: Path) -> Path:
    return user_home / text[2:] if text.startswith("~/") else Path(text).absolute()
