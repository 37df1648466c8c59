"""What the model's loop asks of a prefix cache, and is told; the cache is `engine.prefix_cache.cache`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from engine.wire.feed import CacheChange, MissReason

Kind = Literal["subagent", "main", "head"]
"""What a span was computed for; the order is the order of eviction."""

RANK: dict[Kind, int] = {"subagent": 0, "main": 1, "head": 2}

TokenArray = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class MissAt:
    """Why less was reused, and the token ids around the place: as stored, and as they are now."""

    reason: MissReason
    position: int
    before: tuple[int, ...] = ()
    now: tuple[int, ...] = ()


@dataclass(slots=True)
class CacheCounts:
    """What a cache has done since it was made."""

    lookups: int = 0
    hits: int = 0
    restored_tokens: int = 0
    looked_up_tokens: int = 0
    insertions: int = 0
    evictions: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """What a lookup found; `cache` holds exactly the first `restored` tokens and belongs to the caller.

    `miss` is None when all that is stored of this prompt and can be resumed was reused, and nothing stood in
    its place. `tier` is "disk" where some of it was loaded from there and is used for the first time.
    """

    cache: list[Any] | None
    restored: int
    tier: Literal["memory", "disk", "none"]
    miss: MissAt | None
    change: CacheChange | None = None


class CacheMemory(NamedTuple):
    """What of a prefix cache is arrays: their bytes, their number, and the bytes that wait to be written."""

    array_bytes: int
    buffers: int
    queued_bytes: int


class Fetch(Protocol):
    """Spans on their way from the disk; `PrefixCache.insert_fetched` takes them in once they are `done`."""

    @property
    def done(self) -> bool:
        """Whether all is loaded, or has failed; any thread may look."""
        ...

    @property
    def tokens(self) -> int:
        """Tokens that a lookup will match beyond what it matches now."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes of the files that are read."""
        ...

    def cancel(self) -> None:
        """Load nothing more for a request that no longer waits, and drop what was loaded."""
        ...


class PrefixCache(Protocol):
    """A store of prompt caches by their tokens; used on the model's thread alone, but for `stats`."""

    def restorable(self, tokens: TokenArray) -> int:
        """How many tokens a lookup would match now; it counts as no use."""
        ...

    def lookup(self, tokens: Sequence[int] | TokenArray) -> Match:
        """The longest stored beginning of a prompt, at most all but its last token."""
        ...

    def insert(self, tokens: Sequence[int], cache: list[Any], kind: Kind) -> list[CacheChange]:
        """Keep a prompt cache that holds exactly `tokens`; the caller gives it away."""
        ...

    def fetch(self, tokens: Sequence[int] | TokenArray, on_done: Callable[[], None]) -> Fetch | None:
        """Begin to load what a lookup of this prompt lacks in memory; None where the disk has no more of it.

        `on_done` is called on another thread, once, also where loading fails.
        """
        ...

    def insert_fetched(self, fetch: Fetch) -> list[CacheChange]:
        """Take in what a fetch that is done has loaded; the lookup that follows finds it in memory."""
        ...

    def confirm(self) -> None:
        """Note that the device has computed all that was inserted so far, without a fault."""
        ...

    def roll_back(self) -> int:
        """After a fault of the device: drop what was inserted since the last `confirm`, also from disk.

        Returns how many tokens that were.
        """
        ...

    def shrink(self, max_bytes: int) -> list[CacheChange]:
        """Evict until at most so many bytes are kept in memory, as far as that can be."""
        ...

    def would_keep(self, tokens: int) -> bool:
        """Whether a prompt of so many tokens would be kept, as far as is known now."""
        ...

    def memory(self) -> CacheMemory:
        """What it takes now; may be called from any thread."""
        ...

    def set_limit(
        self, nbytes: int, *, max_buffers: int | None = None, keep: TokenArray | None = None
    ) -> list[CacheChange]:
        """From now on hold no more bytes of arrays than this, nor more buffers; evict what is beyond.

        What is on disk stays known. The path of the prompt `keep` goes last.
        """
        ...

    def stats(self) -> dict[str, int]:
        """Counters and totals; may be called from any thread."""
        ...

    def clear(self) -> list[CacheChange]:
        """Drop all that is kept in memory."""
        ...

    def close(self) -> None:
        """Bring to the disk what waits for it, for a bounded time, and end all threads."""
        ...


def last_evicted(*kinds: Kind) -> Kind:
    """The kind that is evicted last."""
    return max(kinds, key=RANK.__getitem__)


def as_token_array(tokens: Sequence[int] | TokenArray) -> TokenArray:
    """Token ids as an array, which compares in bulk."""
    return np.asarray(tokens, dtype=np.int32)


def common_prefix(first: TokenArray, second: TokenArray) -> int:
    """How many tokens two sequences share from their start."""
    length = min(len(first), len(second))
    differing = first[:length] != second[:length]
    place = int(differing.argmax()) if length else 0
    return place if length and differing[place] else length
