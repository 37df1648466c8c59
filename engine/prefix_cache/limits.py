"""The limits of the prefix cache in memory, and the sizes of prompts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil

from engine.prefix_cache.disk.span_files import SpanFile
from engine.prefix_cache.interface import Kind
from engine.prefix_cache.layers import checkpoint_of, kv_between, nbytes_of
from engine.prefix_cache.tree import NODE_BYTES, RadixTree

_MEMORY_SHARE = 0.2
PINNED_SHARE = 1 / 2  # of the limits in memory, and of that on disk


class CacheLimits:
    """The limits of one tree: a budget of bytes with the index, and the current limits of arrays."""

    def __init__(self, tree: RadixTree, max_bytes: int | None) -> None:
        """`max_bytes` None is a fifth of the machine's memory."""
        self._tree = tree
        if max_bytes is None:
            max_bytes = int(psutil.virtual_memory().total * _MEMORY_SHARE)
        self.max_bytes = max_bytes
        self.max_arrays = max_bytes
        self.max_buffers = sys.maxsize

    @property
    def pins(self) -> int:
        """Bytes that pinned spans may keep from all others now."""
        return int(min(self.max_bytes, self.max_arrays) * PINNED_SHARE)

    def over(self, needed: int) -> int:
        """How many bytes to evict so that `needed` more bytes of arrays are within all limits."""
        beyond = max(self.over_budget(needed), self._tree.array_bytes + needed - self.max_arrays)
        return max(beyond, int(self._tree.buffers > self.max_buffers))

    def over_budget(self, needed: int) -> int:
        """How many of these bytes are above the budget of arrays and index."""
        return self._tree.nbytes + needed - self.max_bytes

    def can_fit(self, arrays: int, kind: Kind) -> bool:
        """Whether so many bytes fit once all is evicted that may be for a span of this kind."""
        if kind == "once":
            return self.over(arrays) <= self._tree.nbytes_of(kind)
        return self.fits(arrays + min(self._tree.pinned_bytes, self.pins))

    def fits(self, arrays: int, index: int = 0) -> bool:
        """Whether so many bytes fit into an empty cache."""
        return arrays + index <= self.max_bytes and arrays <= self.max_arrays


class PromptSizes:
    """Sizes of one model's prompts in the cache, as measured so far."""

    def __init__(self) -> None:
        self.kv_bytes = 0.0  # of one token
        self.checkpoint_bytes = 0  # of one position

    def cost(self, tokens: int) -> int:
        """Bytes of the arrays of a prompt."""
        return int(tokens * self.kv_bytes) + self.checkpoint_bytes

    def learn(self, cache: list[Any], tokens: int) -> None:
        """Measure a prompt cache of so many tokens."""
        self.kv_bytes = nbytes_of(kv_between(cache, 0, tokens), []) / tokens
        self.checkpoint_bytes = nbytes_of([], checkpoint_of(cache))

    def learn_from_files(self, files: Sequence[SpanFile]) -> None:
        """Estimate from files, which are a little larger than their arrays."""
        kv = [file for file in files if file.part == "rows"]
        if kv and not self.kv_bytes:
            self.kv_bytes = min(file.nbytes / file.length for file in kv)
        checkpoint = (file.nbytes for file in files if file.part == "states")
        self.checkpoint_bytes = max(checkpoint, default=self.checkpoint_bytes)


def index_bytes_of(tokens: int) -> int:
    """Bytes of the index for a prompt that is one span."""
    return tokens * np.dtype(np.int32).itemsize + NODE_BYTES
