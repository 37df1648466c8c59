"""Fingerprints of everything that must be unchanged for a saved prompt cache to be valid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_TOKENIZER_FILES = ("*token*", "chat_template*", "*/*.jinja", "vocab*", "merges*")
_SAMPLE_BYTES = 1024  # of each tensor at its start, in its middle and at its end
_MAX_HEADER_BYTES = 1 << 28


def weights_fingerprint(folder: Path, weights: Iterable[Path]) -> str:
    """Sixteen hex digits over a model's configuration and samples of each tensor of its weights and adapters.

    `weights` are the loaded files; the folder may have others.

    A tensor that was trained or replaced differs everywhere, so that samples of a few KB of each are enough.
    """
    digest = hashlib.sha256()
    configs = [folder / "config.json", folder / "adapter_config.json"]
    for path in (path for path in configs if path.is_file()):
        digest.update(f"{path.name}:{path.stat().st_size}:".encode())
        digest.update(path.read_bytes())
    adapters = (path for path in folder.glob("adapter*.safetensors") if path.is_file())
    for path in sorted([*weights, *adapters]):
        digest.update(f"{path.name}:{path.stat().st_size}:".encode())
        for sample in _samples(path):
            digest.update(sample)
    return digest.hexdigest()[:16]


def tokenizer_fingerprint(folder: Path) -> str:
    """Sixteen hex digits over a model's tokenizer and chat templates."""
    digest = hashlib.sha256()
    files = {path for pattern in _TOKENIZER_FILES for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(files):
        digest.update(f"{path.name}:{path.stat().st_size}:".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_fingerprint(weights: str, circumstances: Mapping[str, Any]) -> str:
    """32 hex digits over a model and everything that can change the last bits of its results."""
    text = json.dumps({"weights": weights, **circumstances}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _samples(path: Path) -> Iterator[bytes]:
    """The header of a safetensors file and samples of each tensor; for any other file its start and end."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length <= min(_MAX_HEADER_BYTES, size) else b""
        yield header
        try:
            tensors = [entry for name, entry in json.loads(header).items() if name != "__metadata__"]
            offsets = sorted(tuple(entry["data_offsets"]) for entry in tensors)
            spans = [(8 + length + begin, 8 + length + end) for begin, end in offsets]
        except (ValueError, KeyError, TypeError, AttributeError):
            spans = [(0, size)]
        for begin, end in spans:
            for place in sorted({begin, (begin + end) // 2, max(begin, end - _SAMPLE_BYTES)}):
                stream.seek(place)
                yield stream.read(min(_SAMPLE_BYTES, end - place))
