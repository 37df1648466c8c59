"""What was prefilled is kept, so that a later prompt with the same beginning starts behind it.

An entry is a whole prompt cache (mlx-lm's cache objects, one a layer) with the tokens it holds. mlx-lm's own
`LRUPromptCache` is not used: it evicts in the order of arrival, and its search is quadratic in what a prompt
leaves of a longer stored one. With a few dozen entries a comparison with each is faster and simpler.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import mlx.core as mx
import numpy as np
import numpy.typing as npt
import psutil
from mlx_lm.models.cache import can_trim_prompt_cache, trim_prompt_cache

Kind = Literal["side", "main", "head"]
"""What an entry was made for; the order is the order of eviction."""

TokenArray = npt.NDArray[np.int32]

_EVICTION_RANK: dict[Kind, int] = {"side": 0, "main": 1, "head": 2}
_MEMORY_SHARE = 0.2  # of the machine's memory, by default
_REMEMBERED_EVICTIONS = 32
_AROUND = (6, 16)  # tokens shown before and from the place where a prompt left what is stored


@dataclass(frozen=True, slots=True)
class MissAt:
    """Why less was reused, and the token ids around the place: as stored, and as they are now."""

    reason: Literal["cold", "diverged", "evicted", "disabled"]
    position: int
    before: tuple[int, ...] = ()
    now: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheChange:
    """One entry that came, went or was used, and the totals after it."""

    event: Literal["inserted", "evicted", "restored"]
    tokens: int
    bytes: int
    entries: int
    total_bytes: int
    budget_bytes: int


@dataclass(frozen=True, slots=True)
class Match:
    """What a lookup found; `cache` holds exactly the first `matched` tokens and belongs to the caller.

    `miss` is None when all that is stored of this prompt was reused and nothing stood in its place.
    """

    cache: list[Any] | None
    matched: int
    tier: Literal["memory", "disk", "none"]
    miss: MissAt | None
    change: CacheChange | None = None


class PrefixCache(Protocol):
    """A store of prompt caches by their tokens; used on the model's thread alone, but for `stats`."""

    def lookup(self, tokens: Sequence[int]) -> Match:
        """The longest stored beginning of a prompt, at most all but its last token."""
        ...

    def insert(self, tokens: Sequence[int], cache: list[Any], kind: Kind) -> list[CacheChange]:
        """Keep a prompt cache that holds exactly `tokens`; the caller gives it away."""
        ...

    def keeps(self, tokens: int) -> bool:
        """Whether an entry of so many tokens would be kept, as far as is known now."""
        ...

    def stats(self) -> dict[str, int]:
        """Counters and totals; may be called from any thread."""
        ...

    def clear(self) -> list[CacheChange]:
        """Drop all entries."""
        ...


@dataclass(slots=True, eq=False)
class _Entry:
    tokens: TokenArray
    cache: list[Any]
    nbytes: int
    kind: Kind
    trimmable: bool
    used: int


@dataclass(slots=True)
class _Counts:
    lookups: int = 0
    hits: int = 0
    restored_tokens: int = 0
    looked_up_tokens: int = 0
    insertions: int = 0
    evictions: int = 0


@dataclass(slots=True)
class _Nearest:
    """The stored sequence that shares most with a prompt."""

    common: int = -1
    tokens: TokenArray = field(default_factory=lambda: np.empty(0, np.int32))
    kind: Kind = "head"

    def beaten_by(self, common: int, tokens: TokenArray) -> bool:
        """Whether a stored sequence explains more: a head, which other prompts share too, explains least."""
        return common > self.common or (
            common == self.common and self.kind == "head" and len(tokens) > len(self.tokens)
        )


class MemoryPrefixCache:
    """Whole prompt caches in memory, within a budget of bytes and entries.

    Caches that can be trimmed serve every prompt that shares a beginning with them, so one entry stands for
    all its prefixes. Others (recurrent layers, a sliding window that has passed) serve only prompts that
    begin with all their tokens. Evicted first is what side requests left, last what holds the head of a
    conversation; among those, what was not used for longest.
    """

    def __init__(self, *, max_bytes: int | None = None, max_entries: int = 64) -> None:
        """`max_bytes` None is a fifth of the machine's memory; 0 of either switches the cache off."""
        total = int(psutil.virtual_memory().total)
        self._max_bytes = int(total * _MEMORY_SHARE) if max_bytes is None else max_bytes
        self._max_entries = max_entries
        self._entries: list[_Entry] = []
        self._evicted: deque[TokenArray] = deque(maxlen=_REMEMBERED_EVICTIONS)
        self._bytes = 0
        self._clock = 0
        self._bytes_per_token = 0.0
        self._counts = _Counts()

    def lookup(self, tokens: Sequence[int]) -> Match:
        prompt = as_token_array(tokens)
        usable = prompt[:-1]
        self._counts.lookups += 1
        self._counts.looked_up_tokens += len(prompt)
        if not self._enabled:
            return Match(None, 0, "none", MissAt("disabled", 0))
        nearest = _Nearest()
        best: _Entry | None = None
        matched = 0
        for entry in self._entries:
            common = common_prefix(entry.tokens, usable)
            if nearest.beaten_by(common, entry.tokens):
                nearest = _Nearest(common, entry.tokens, entry.kind)
            reach = common if entry.trimmable or common == len(entry.tokens) else 0
            shorter = best is not None and reach == matched and len(entry.tokens) < len(best.tokens)
            if reach > matched or (reach and shorter):
                best, matched = entry, reach
        miss = self._explain(prompt, matched, nearest)
        if best is None:
            return Match(None, 0, "none", miss)
        cache = self._take_copy(best, matched)
        self._counts.hits += 1
        self._counts.restored_tokens += matched
        share = best.nbytes * matched // len(best.tokens)
        return Match(cache, matched, "memory", miss, self._change("restored", matched, share))

    def insert(self, tokens: Sequence[int], cache: list[Any], kind: Kind) -> list[CacheChange]:
        stored = as_token_array(tokens)
        # Otherwise the entry would keep whole batches alive through views that were never computed.
        mx.eval([layer.state for layer in cache])
        nbytes = sum(layer.nbytes for layer in cache)
        if len(stored):
            self._bytes_per_token = max(self._bytes_per_token, nbytes / len(stored))
        if not self._enabled or not len(stored) or nbytes > self._max_bytes:
            return []
        trimmable = can_trim_prompt_cache(cache)
        for entry in self._entries:
            covers = len(entry.tokens) == len(stored) or (entry.trimmable and len(entry.tokens) > len(stored))
            if covers and common_prefix(entry.tokens, stored) == len(stored):
                entry.used = self._tick()
                entry.kind = max(entry.kind, kind, key=_EVICTION_RANK.__getitem__)
                return []
        if trimmable:
            kind = self._drop_prefixes_of(stored, kind)
        entry = _Entry(stored, cache, nbytes, kind, trimmable, self._tick())
        changes = self._make_room(nbytes)
        self._entries.append(entry)
        self._bytes += nbytes
        self._counts.insertions += 1
        return [*changes, self._change("inserted", len(stored), nbytes)]

    def keeps(self, tokens: int) -> bool:
        return self._enabled and tokens * self._bytes_per_token <= self._max_bytes

    def stats(self) -> dict[str, int]:
        counts = self._counts
        return {
            "entries": len(self._entries),
            "bytes": self._bytes,
            "budget_bytes": self._max_bytes,
            "lookups": counts.lookups,
            "hits": counts.hits,
            "restored_tokens": counts.restored_tokens,
            "looked_up_tokens": counts.looked_up_tokens,
            "insertions": counts.insertions,
            "evictions": counts.evictions,
        }

    def clear(self) -> list[CacheChange]:
        return [self._evict(entry) for entry in list(self._entries)]

    @property
    def _enabled(self) -> bool:
        return self._max_bytes > 0 and self._max_entries > 0

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    def _change(
        self, event: Literal["inserted", "evicted", "restored"], tokens: int, nbytes: int
    ) -> CacheChange:
        return CacheChange(event, tokens, nbytes, len(self._entries), self._bytes, self._max_bytes)

    def _take_copy(self, entry: _Entry, length: int) -> list[Any]:
        """A cache of the entry's first `length` tokens. Arrays are shared until one side writes to them."""
        entry.used = self._tick()
        taken: list[Any] = copy.deepcopy(entry.cache)
        if length < len(entry.tokens):
            trim_prompt_cache(taken, len(entry.tokens) - length)
        return taken

    def _drop_prefixes_of(self, stored: TokenArray, kind: Kind) -> Kind:
        """Forget trimmable entries that the new one covers; it takes over the most lasting of their kinds."""
        for entry in list(self._entries):
            shorter = len(entry.tokens) < len(stored)
            if shorter and entry.trimmable and common_prefix(entry.tokens, stored) == len(entry.tokens):
                self._remove(entry)
                kind = max(kind, entry.kind, key=_EVICTION_RANK.__getitem__)
        return kind

    def _make_room(self, nbytes: int) -> list[CacheChange]:
        changes = []
        while self._entries and (
            self._bytes + nbytes > self._max_bytes or len(self._entries) >= self._max_entries
        ):
            oldest = min(self._entries, key=lambda entry: (_EVICTION_RANK[entry.kind], entry.used))
            changes.append(self._evict(oldest))
        return changes

    def _evict(self, entry: _Entry) -> CacheChange:
        self._remove(entry)
        self._evicted.append(entry.tokens)
        self._counts.evictions += 1
        return self._change("evicted", len(entry.tokens), entry.nbytes)

    def _remove(self, entry: _Entry) -> None:
        self._entries.remove(entry)
        self._bytes -= entry.nbytes

    def _explain(self, prompt: TokenArray, matched: int, nearest: _Nearest) -> MissAt | None:
        usable = prompt[:-1]
        lost = max((common_prefix(tokens, usable) for tokens in self._evicted), default=0)
        if lost > max(matched, nearest.common):
            return MissAt("evicted", matched, (), _around(prompt, matched))
        if not self._entries:
            return MissAt("cold", 0, (), _around(prompt, 0))
        if nearest.common < min(len(nearest.tokens), len(usable)):
            place = nearest.common
            return MissAt("diverged", place, _around(nearest.tokens, place), _around(prompt, place))
        if matched < nearest.common:
            # Stored, but in a state that cannot be cut back to where this prompt needs it.
            return MissAt("diverged", matched, _around(nearest.tokens, matched), _around(prompt, matched))
        return None


def as_token_array(tokens: Sequence[int] | TokenArray) -> TokenArray:
    """Token ids as an array, which compares in bulk."""
    return np.asarray(tokens, dtype=np.int32)


def common_prefix(first: TokenArray, second: TokenArray) -> int:
    """How many tokens two sequences share from their start."""
    length = min(len(first), len(second))
    differing = first[:length] != second[:length]
    place = int(differing.argmax()) if length else 0
    return place if length and differing[place] else length


def _around(tokens: TokenArray, place: int) -> tuple[int, ...]:
    before, behind = _AROUND
    return tuple(int(token) for token in tokens[max(0, place - before) : place + behind])
