"""Prefill: run the prompt of one request through the model in chunks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import mlx.core as mx

from engine.chunks.boundaries import chunk_boundaries
from engine.prefix_cache.layers import cache_arrays

_CLEAR_CACHE_EVERY = 4096  # tokens between two releases of buffers that were sized for a shorter context


class Prefill:
    """Computes a prompt into a cache, all but its last token, whose step is the first of decoding.

    Chunk boundaries can change the last bits of the result. Chunks end at `boundaries` and at those of
    `engine.chunks.boundaries`, which depend on the position alone. So a prompt that starts behind a restored
    prefix runs the same chunks as one that does not. Used on one thread, within a stream of that thread.
    """

    def __init__(
        self,
        model: Any,
        tokens: list[int],
        cache: list[Any],
        restored: int,
        boundaries: Iterable[int],
        chunk: int,
    ) -> None:
        """`cache` holds the first `restored` tokens and belongs to this; a first chunk has `chunk` tokens."""
        self._model = model
        self._tokens = tokens
        self._chunk_ends = sorted({*boundaries, *chunk_boundaries(len(tokens), chunk), len(tokens) - 1})
        self.cache = cache
        self.position = restored

    @property
    def remaining(self) -> int:
        """The number of tokens still to be computed."""
        return len(self._tokens) - 1 - self.position

    @property
    def computed_tokens(self) -> list[int]:
        """The tokens that the cache holds."""
        return self._tokens[: self.position]

    @property
    def last_token(self) -> int:
        """The token that decoding starts with."""
        return self._tokens[-1]

    def advance(self) -> None:
        """Compute one chunk and synchronize, so that a fault of the device is raised here."""
        end = self._chunk_ends[bisect_right(self._chunk_ends, self.position)]
        self._model(mx.array([self._tokens[self.position : end]]), cache=self.cache)
        mx.eval(cache_arrays(self.cache))
        mx.synchronize()
        if end // _CLEAR_CACHE_EVERY > self.position // _CLEAR_CACHE_EVERY:
            mx.clear_cache()
        self.position = end
