"""What a prefix cache might hold on a busy morning, made up."""

from __future__ import annotations

from typing import Any

from proxy.events.cache_facts import CacheDone, CacheHoldings
from tests.tui.traffic import CACHE_BUDGET, SESSIONS

TOKEN_BYTES = 49_152
ADA, BOB, EVE = *SESSIONS, "71be00aa-0d5c-4f0b-8c11-2a9f3c1e7a41"


def entry(id: str, tokens: int, *, parent: str = "", depth: int = 0, **more: Any) -> dict[str, Any]:
    """One entry, in memory and on disk unless told otherwise."""
    there = {"memory_tokens": tokens, "memory_bytes": tokens * TOKEN_BYTES}
    there |= {"disk_tokens": tokens, "disk_bytes": tokens * TOKEN_BYTES}
    return {"id": id, "tokens": tokens, "parent": parent, "depth": depth, "lane": "main"} | there | more


def holdings(now: float, requests: list[str] | None = None) -> CacheHoldings:
    """Three sessions on one shared prefix, a subagent's, and side requests; `requests`: who used them."""
    used = requests or ["req_001", "req_002", "req_003"]
    shared = entry(
        "3f2a71c09b1d44e0", 11_548, kind="head", sessions=[ADA, BOB, EVE], used=now - 2, reused=41,
        restored_tokens=231_000, pinned_tokens=11_548, used_by=used[-1],
    )  # fmt: skip
    below = {"parent": shared["id"], "depth": 1, "start": 11_548}
    gone = {
        "at": now - 275,
        "cause": "room",
        "start": 17_000,
        "tokens": 12_800,
        "nbytes": 12_800 * TOKEN_BYTES,
    }
    gone |= {"owner": {"session": ADA, "lane": "main"}, "by": {"session": BOB, "lane": "main"}}
    nowhere = {"memory_tokens": 0, "memory_bytes": 0}
    entries = [
        shared,
        entry("a0d14be27715c3f8", 17_652, **below, sessions=[ADA], used=now - 2, reused=13,
              restored_tokens=101_000, used_by=used[-1], stored_by=used[-1]),
        entry("5cc01f4b6a82d9e3", 12_000, parent="a0d14be27715c3f8", depth=2, start=17_000, sessions=[ADA],
              used=now - 3480, **nowhere, used_by=used[0]),
        entry("c7e9920d51b3fa06", 10_980, **below, sessions=[BOB], used=now - 8 * 60, reused=4,
              restored_tokens=40_000, used_by=used[1]),
        entry("9d04ee81b7c26a5f", 3_104, **below, sessions=[EVE], used=now - 12 * 60, reused=7,
              restored_tokens=20_100, used_by=used[0], pinned_tokens=2_000),
        entry("e1b7a6c3d2f40918", 8_192, kind="head", lane="subagent", sessions=[ADA, BOB], used=now - 5,
              reused=11, restored_tokens=48_000, used_by=used[-1]),
        entry("0b61d8f2a93c57e4", 420, lane="auxiliary", sessions=[ADA], used=now - 40, reused=3,
              disk_tokens=0, disk_bytes=0, restored_tokens=900, used_by=used[0]),
        entry("772ce0b94df1a863", 2_048, lane="", sessions=[], **nowhere),
    ]  # fmt: skip
    return CacheHoldings.model_validate(
        {
            "entries": entries,
            "evictions": [gone, gone | {"at": now - 900, "tokens": 0, "cause": "memory", "by": {}}],
            "wanted": [
                {
                    "at": now - 250,
                    "user": {"session": ADA, "lane": "main"},
                    "tokens": 12_800,
                    "eviction": gone,
                }
            ],
            "memory_bytes": 4_900_000_000,
            "budget_bytes": CACHE_BUDGET,
            "pinned_bytes": 13_548 * TOKEN_BYTES,
            "pin_limit_bytes": CACHE_BUDGET // 2,
            "disk_bytes": 13_500_000_000,
            "disk_budget_bytes": 20_000_000_000,
        }
    )


def done(**more: Any) -> CacheDone:
    """The answer to a change of the conversation's entry."""
    facts = {"id": "c7e9920d51b3fa06", "session": BOB, "lane": "main", "tokens": 10_980, "lasting": True}
    return CacheDone.model_validate(facts | {"memory_bytes": 10_980 * TOKEN_BYTES} | more)
