"""What a request takes in memory: keys, values and states, and what a chunk needs in passing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

STEP_TOKENS = 256
"""Caches grow by so many tokens."""

_GROWTH = 1 / 8  # a cache that grows holds some layers twice for a moment
# More, where requests may share a batch: shorter ones are padded to the longest, and when one joins or
# leaves, there are the old batch and the new one for a moment.
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
        """Keys, values and states of so many tokens."""
        rows = -(-tokens // STEP_TOKENS) * STEP_TOKENS
        # While a chunk is computed, a window holds its tokens as well.
        windows = sum(size * min(rows, most + self.chunk_size_at(0)) for size, most in self.windows)
        return rows * self.kv_bytes + windows + self.state_bytes

    def transient_bytes(self, tokens: int) -> int:
        """The most that computing a prompt of so many tokens takes beside what is kept."""
        most, position = self.step_bytes, 0
        while position < tokens:
            most = max(most, self._chunk(position, tokens))
            position = max(STEP_TOKENS, position * 2)
        return max(most, self._chunk(max(0, tokens - 1), tokens))

    def reserved_bytes(self, tokens: int, *, alone: bool) -> int:
        """What is set apart for the cache of a request that comes to so many tokens."""
        return int(self.cache_bytes(tokens) * (1 + _GROWTH + (0 if alone else _PADDING + _COPY)))

    def bytes_alone(self, tokens: int) -> int:
        """All that a request takes that runs alone."""
        return self.reserved_bytes(tokens, alone=True) + self.transient_bytes(tokens)

    def _chunk(self, position: int, tokens: int) -> int:
        """What the chunk that begins at a position takes, with all keys that there may be by then."""
        size = min(self.chunk_size_at(position), tokens)
        keys = min(tokens, max(STEP_TOKENS, position * 2) + size)
        return int(size * (self.chunk_bytes + self.pair_bytes * keys))


def window_tokens(room_bytes: int, cost: RequestCost, most: int) -> int:
    """The longest context, at most `most` tokens, that a request alone has room for; 0: not even one."""
    if cost.bytes_alone(most) <= room_bytes:
        return most
    return max(0, bisect_right(range(most), room_bytes, lo=1, key=cost.bytes_alone) - 1)
