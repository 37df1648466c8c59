"""Which tokenizer files a model folder has."""

from __future__ import annotations

from pathlib import Path

_NAMES = ("tokenizer.json", "tokenizer.model", "tiktoken.model", "vocab.json")


def tokenizer_files(folder: Path) -> list[str]:
    """The names of the files that can make the model's tokenizer, best first; empty for none."""
    found = [name for name in _NAMES if (folder / name).is_file()]
    return found + sorted(file.name for file in folder.glob("*.tiktoken") if file.name not in found)
