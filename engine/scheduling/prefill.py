"""Prefill: the prompt of one request goes through the model in chunks, each a place to stop at."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import mlx.core as mx

from engine.chunks.rule import chunk_edges
from engine.prefix_cache.layers import computed

_TIDY_TOKENS = 4096  # after so many, buffers that were sized for a shorter context go back to the system


class Prefill:
    """A prompt on its way into a cache, all but its last token, whose step is the first of decoding.

    Where a chunk begins and ends can show in the last bits of what is computed for it. Chunks end at `stops`
    and at the edges of `engine.chunks.rule`, which depend on the position alone, so that a prompt which
    starts behind a cached prefix runs the chunks of one that does not. Used on one thread, within a stream of
    that thread.
    """

    def __init__(
        self, model: Any, tokens: list[int], cache: list[Any], matched: int, stops: Iterable[int], chunk: int
    ) -> None:
        """`cache` holds the first `matched` tokens, and is given away; a first chunk has `chunk` tokens."""
        self._model = model
        self._tokens = tokens
        self._edges = sorted({*stops, *chunk_edges(len(tokens), chunk), len(tokens) - 1})
        self.cache = cache
        self.position = matched

    @property
    def remaining(self) -> int:
        """Tokens that are still to be computed."""
        return len(self._tokens) - 1 - self.position

    @property
    def held_tokens(self) -> list[int]:
        """The tokens that the cache holds."""
        return self._tokens[: self.position]

    @property
    def last_token(self) -> int:
        """The token that decoding starts with."""
        return self._tokens[-1]

    def advance(self) -> None:
        """Compute one chunk, and wait until the device has: only then is a fault of it sure to be raised."""
        end = self._edges[bisect_right(self._edges, self.position)]
        self._model(mx.array([self._tokens[self.position : end]]), cache=self.cache)
        mx.eval(computed(self.cache))
        mx.synchronize()
        if end // _TIDY_TOKENS > self.position // _TIDY_TOKENS:
            mx.clear_cache()
        self.position = end
