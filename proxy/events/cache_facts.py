"""What the engine's prefix cache holds, and what a person has done to it, as the host API has it.

The engine answers with the same fields (`engine.prefix_cache.control`); those that it does not know have a
default. Times are in epoch seconds, 0: not since the engine started.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

CacheTier = Literal["memory", "disk", "both"]


class CacheUserFacts(BaseModel):
    """A request that stored or used something, or needed its room; empty fields are not known."""

    session: str = ""
    lane: str = ""
    request: str = ""


class CacheEntry(BaseModel):
    """One entry: a shared prefix, or what one session holds behind it."""

    id: str
    parent: str = ""  # the id of the entry that it goes on from; empty: it is the beginning of prompts
    depth: int = 0
    kind: str = "main"  # "head": a shared prefix; "main", "subagent", "once": what follows, by its worth
    start: int = 0  # position of its first token
    tokens: int = 0
    memory_tokens: int = 0  # of them, in memory
    memory_bytes: int = 0
    disk_tokens: int = 0
    disk_bytes: int = 0
    pinned_tokens: int = 0
    sessions: list[str] = []  # that used it since the engine started, the newest first
    lane: str = ""  # of its last use
    used: float = 0.0
    used_by: str = ""  # the request of its last use
    stored_by: str = ""  # the request that stored of it last
    reused: int = 0  # prompts that it spared a prefill
    restored_tokens: int = 0  # of those prompts


class CacheEviction(BaseModel):
    """A span, or only the checkpoint at its end, that left memory."""

    at: float
    cause: str = ""  # of `engine.wire.misses.EvictionCause`
    start: int = 0
    tokens: int = 0  # 0: only a checkpoint
    nbytes: int = 0
    owner: CacheUserFacts = CacheUserFacts()  # who stored or used it last
    used: float = 0.0
    by: CacheUserFacts = CacheUserFacts()  # who needed the room; empty: no single request did


class CacheWanted(BaseModel):
    """A prompt that wanted what had been evicted."""

    at: float
    user: CacheUserFacts = CacheUserFacts()
    tokens: int = 0  # that would have been restored
    eviction: CacheEviction | None = None  # None: it is no longer remembered


class CacheHoldings(BaseModel):
    """The whole prefix cache at one moment."""

    entries: list[CacheEntry] = []  # parents before children, the most recently used first
    evictions: list[CacheEviction] = []  # the last ones, the newest first
    wanted: list[CacheWanted] = []  # the newest first
    memory_bytes: int = 0
    budget_bytes: int = 0
    pinned_bytes: int = 0
    pin_limit_bytes: int = 0  # that pins may take of memory
    disk_bytes: int = 0
    disk_budget_bytes: int = 0  # 0: there is no disk


class CacheDone(BaseModel):
    """What was done to the cache, and its totals after it."""

    id: str = ""  # of the entry; empty where the whole cache was flushed
    session: str = ""  # of the entry's last use
    lane: str = ""
    tokens: int = 0  # pinned, unpinned, or gone
    memory_bytes: int = 0
    disk_files: int = 0
    disk_bytes: int = 0
    lasting: bool = False  # a pin holds after a restart of the engine too
    pinned_tokens: int = 0  # of the cache, afterwards
    entries: int = 0  # spans in memory, afterwards
    total_bytes: int = 0
    budget_bytes: int = 0
