"""What was prefilled is kept, so that a later prompt with the same beginning starts behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Kind = Literal["head", "main", "side"]


@dataclass(frozen=True, slots=True)
class MissAt:
    """Where a lookup left what is stored: token ids on both sides, for the text of the explanation."""

    reason: Literal["cold", "diverged", "evicted", "disabled"]
    position: int
    before: tuple[int, ...] = ()
    now: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """What a lookup found; `cache` holds exactly the first `matched` tokens and belongs to the caller."""

    cache: list[Any] | None
    matched: int
    tier: Literal["memory", "disk", "none"]
    miss: MissAt | None


@dataclass(frozen=True, slots=True)
class CacheChange:
    """One entry that came or went, and the totals after it."""

    event: Literal["inserted", "evicted", "restored"]
    tokens: int
    bytes: int
    entries: int
    total_bytes: int
    budget_bytes: int


class PrefixCache(Protocol):
    """A store of prompt caches by their token prefix; used on the model's thread alone."""

    def lookup(self, tokens: Sequence[int]) -> Match: ...

    def insert(self, tokens: Sequence[int], cache: list[Any], kind: Kind) -> list[CacheChange]: ...

    def keeps(self, tokens: int) -> bool:
        """Whether an entry of so many tokens would be kept, as far as is known now."""
        ...

    def stats(self) -> dict[str, int]: ...

    def clear(self) -> list[CacheChange]: ...


class MemoryPrefixCache:
    """The cache in memory."""

    def __init__(self, *, max_bytes: int | None = None, max_entries: int = 64) -> None: ...

    def lookup(self, tokens: Sequence[int]) -> Match:
        raise NotImplementedError

    def insert(self, tokens: Sequence[int], cache: list[Any], kind: Kind) -> list[CacheChange]:
        raise NotImplementedError

    def keeps(self, tokens: int) -> bool:
        raise NotImplementedError

    def stats(self) -> dict[str, int]:
        raise NotImplementedError

    def clear(self) -> list[CacheChange]:
        raise NotImplementedError
