"""The memory of a request: its cache, and the transient arrays of a chunk."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

STEP_TOKENS = 256
"""The number of tokens by which caches grow."""

_GROWTH = 1 / 8  # a growing cache has some layers twice for a moment
# In a batch, shorter caches are padded to the longest, and when a request joins or leaves, the old and the
# new batch exist for a moment.
_PADDING, _COPY = 1 / 8, 1


@dataclass(frozen=True, slots=True)
class RequestCost:
    """Bytes that a request of one model takes on this machine; the default costs nothing.

    `kv_bytes`: one token in layers that keep all tokens. `windows`: (bytes a token, most tokens) of each
    layer with a sliding window. `state_bytes`: layers that do not grow. `chunk_bytes`: transient bytes for
    each token of a chunk. `pair_bytes`: transient bytes for each pair of a chunk's token and a token before
    it, where attention is not fused. `step_bytes`: one step of decoding. `chunk_size_at` returns the tokens
    of the chunk that begins at a position.
    """

    kv_bytes: int = 0
    windows: tuple[tuple[int, int], ...] = ()
    state_bytes: int = 0
    chunk_bytes: int = 0
    pair_bytes: float = 0.0
    step_bytes: int = 0
    chunk_size_at: Callable[[int], int] = lambda position: STEP_TOKENS

    def cache_bytes(self, tokens: int) -> int:
        """Bytes of a cache of so many tokens."""
        padded = -(-tokens // STEP_TOKENS) * STEP_TOKENS
        # During a chunk, a sliding window also holds the chunk's tokens.
        windows = sum(size * min(padded, most + self.chunk_size_at(0)) for size, most in self.windows)
        return padded * self.kv_bytes + windows + self.state_bytes

    def transient_bytes(self, tokens: int) -> int:
        """Peak bytes of transient arrays while a prompt of so many tokens is computed."""
        most, position = self.step_bytes, 0
        while position < tokens:
            most = max(most, self._chunk(position, tokens))
            position = max(STEP_TOKENS, position * 2)
        return max(most, self._chunk(max(0, tokens - 1), tokens))

    def reserved_bytes(self, tokens: int, *, alone: bool) -> int:
        """Bytes to reserve for the cache of a request of so many tokens."""
        return int(self.cache_bytes(tokens) * (1 + _GROWTH + (0 if alone else _PADDING + _COPY)))

    def bytes_alone(self, tokens: int) -> int:
        """All bytes of a request that runs alone."""
        return self.reserved_bytes(tokens, alone=True) + self.transient_bytes(tokens)

    def _chunk(self, position: int, tokens: int) -> int:
        """Transient bytes of the chunk that begins at a position, with the most keys it may attend to."""
        size = min(self.chunk_size_at(position), tokens)
        keys = min(tokens, max(STEP_TOKENS, position * 2) + size)
        return int(size * (self.chunk_bytes + self.pair_bytes * keys))


def window_tokens(room_bytes: int, cost: RequestCost, most: int) -> int:
    """The longest context in tokens, at most `most`, that fits a request alone; 0 if none does."""
    if cost.bytes_alone(most) <= room_bytes:
        return most
    return max(0, bisect_right(range(most), room_bytes, lo=1, key=cost.bytes_alone) - 1)
