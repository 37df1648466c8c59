"""The interface between the model's loop and the prefix cache (`engine.prefix_cache.cache`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from engine.wire.feed import CacheChange
from engine.wire.misses import EvictionCause, MissReason

Kind = Literal["once", "subagent", "main", "head"]
"""The use of a span, in order of eviction; "head", a stored name, is a shared prefix.

"once" is of an auxiliary request that none repeated so far: in memory only, where there is room.
"""

RANK: dict[Kind, int] = {"once": 0, "subagent": 1, "main": 2, "head": 3}

TokenArray = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class CacheUser:
    """A request that stores or uses spans, or needs their room; empty fields are not known."""

    session: str = ""
    lane: str = ""
    request: str = ""


NOBODY = CacheUser()


@dataclass(frozen=True, slots=True)
class Eviction:
    """A span, or only its checkpoint, that left memory: whose it was, when it went, and who needed the room.

    `at` and `used` are epoch seconds. `by` is empty where no single request did.
    """

    at: float
    cause: EvictionCause
    start: int  # position of its first token
    tokens: int
    nbytes: int
    owner: CacheUser  # who stored or used it last
    used: float
    by: CacheUser = NOBODY


@dataclass(frozen=True, slots=True)
class MissAt:
    """Why no more was restored, and the token ids around the position, as stored and in the prompt.

    If reason is "evicted": `lost` tokens would have been restored, had `eviction` not been; None: not known.
    """

    reason: MissReason
    position: int
    before: tuple[int, ...] = ()
    now: tuple[int, ...] = ()
    lost: int = 0
    eviction: Eviction | None = None


@dataclass(slots=True)
class CacheCounts:
    """Counters of a cache since its creation."""

    lookups: int = 0
    hits: int = 0
    restored_tokens: int = 0
    looked_up_tokens: int = 0
    insertions: int = 0
    evictions: int = 0
    wanted: int = 0  # misses of what had been evicted
    wanted_tokens: int = 0  # that they would have restored

    def add_lookup(self, tokens: int) -> None:
        """Count the lookup of a prompt."""
        self.lookups += 1
        self.looked_up_tokens += tokens

    def add_hit(self, restored: int) -> None:
        """Count a lookup that restored tokens."""
        self.hits += 1
        self.restored_tokens += restored


NO_DISK = dict.fromkeys(
    (
        "disk_entries",
        "disk_bytes",
        "disk_budget_bytes",
        "disk_written_today_bytes",
        "disk_daily_budget_bytes",
        "disk_loaded_tokens",
        "disk_skipped",
        "disk_set_aside",
        "disk_paused",
    ),
    0,
)
"""The counters without a disk tier."""


@dataclass(frozen=True, slots=True)
class Match:
    """The result of a lookup; `cache` holds exactly the first `restored` tokens and belongs to the caller.

    `miss` is None if nothing stored differs from the prompt and all of it that can be resumed was restored.
    `tier` is "disk" if some of it was loaded from there and is used for the first time.
    """

    cache: list[Any] | None
    restored: int
    tier: Literal["memory", "disk", "none"]
    miss: MissAt | None
    change: CacheChange | None = None


class CacheMemory(NamedTuple):
    """The arrays of a prefix cache: their bytes, their number, and the bytes queued for the disk."""

    array_bytes: int
    buffers: int
    queued_bytes: int


class Fetch(Protocol):
    """A read of spans from disk; `PrefixCache.insert_fetched` inserts them once it is `done`."""

    @property
    def done(self) -> bool:
        """Whether all files are loaded or have failed; any thread may ask."""
        ...

    @property
    def tokens(self) -> int:
        """Tokens that a lookup will restore beyond those in memory now."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes of the files that are read."""
        ...

    def cancel(self) -> None:
        """Load nothing more for a request that no longer waits, and drop what was loaded."""
        ...


class PrefixCache(Protocol):
    """A store of prompt caches by their tokens; used on the model's thread, except where noted."""

    @property
    def clock(self) -> int:
        """The time of the last use, in steps."""
        ...

    def restorable(self, tokens: TokenArray) -> int:
        """How many tokens a lookup would restore from memory now; does not count as use."""
        ...

    def lookup(self, tokens: Sequence[int] | TokenArray, user: CacheUser = NOBODY) -> Match:
        """Restore the longest stored prefix of a prompt, at most all but its last token."""
        ...

    def insert(
        self,
        tokens: Sequence[int],
        cache: list[Any],
        kind: Kind,
        unused_since: int | None = None,
        user: CacheUser = NOBODY,
    ) -> list[CacheChange]:
        """Store a prompt cache that holds `tokens`, and more only if all layers have KV.

        The store then owns it. With `unused_since`, for auxiliary requests, nothing is stored at the cost of
        a shared prefix, or of a conversation that was used since that time of the `clock`, and no file is
        removed for its files. As "once" it evicts only spans that are "once" too, and gets no files.
        """
        ...

    def fetch(self, tokens: Sequence[int] | TokenArray, on_done: Callable[[], None]) -> Fetch | None:
        """Start loading the spans of a prompt that are only on disk; None if there are none.

        `on_done` is called once, on another thread, also after a failure.
        """
        ...

    def insert_fetched(
        self, fetch: Fetch, unused_since: int | None = None, user: CacheUser = NOBODY
    ) -> list[CacheChange]:
        """Insert the spans of a fetch that is done; `unused_since` as in `insert`."""
        ...

    def confirm(self) -> None:
        """Record that the device computed all inserted spans without a fault."""
        ...

    def roll_back(self) -> int:
        """After a fault of the device: remove spans inserted since the last `confirm`, also from disk.

        Returns the number of removed tokens.
        """
        ...

    def shrink(self, max_bytes: int) -> list[CacheChange]:
        """Evict until at most `max_bytes` are in memory, if possible."""
        ...

    def would_keep(self, tokens: int, restored: int = 0, kind: Kind = "main") -> bool:
        """Whether a prompt of so many tokens, some restored, would fit, by the sizes known now."""
        ...

    def memory(self) -> CacheMemory:
        """The memory in use; any thread may ask."""
        ...

    def set_limit(
        self,
        nbytes: int,
        *,
        max_buffers: int | None = None,
        keep: TokenArray | None = None,
        user: CacheUser = NOBODY,
    ) -> list[CacheChange]:
        """Limit the bytes and number of arrays in memory from now on, and evict what is above.

        Spans on disk stay indexed. Pinned spans are evicted last, after the path of the prompt `keep`.
        """
        ...

    def stats(self) -> dict[str, int]:
        """Counters and totals; any thread may ask."""
        ...

    def clear(self) -> list[CacheChange]:
        """Evict all spans from memory."""
        ...

    def close(self) -> None:
        """Write queued spans to disk, for a bounded time, and stop all threads."""
        ...


def last_evicted(*kinds: Kind) -> Kind:
    """The kind that is evicted last."""
    return max(kinds, key=RANK.__getitem__)


def as_token_array(tokens: Sequence[int] | TokenArray) -> TokenArray:
    """Token ids as an array, for fast comparison."""
    return np.asarray(tokens, dtype=np.int32)


def common_prefix(first: TokenArray, second: TokenArray) -> int:
    """The length of the common prefix of two sequences."""
    length = min(len(first), len(second))
    differing = first[:length] != second[:length]
    place = int(differing.argmax()) if length else 0
    return place if length and differing[place] else length
