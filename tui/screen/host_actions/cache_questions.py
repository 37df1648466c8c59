"""What a person is asked before something of the prefix cache is removed, with the consequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.client.figures import count, plural, seconds, size
from tui.client.holdings.rows import HeldRow, prefill_s
from tui.client.holdings.text import below
from tui.client.records import Snapshot
from tui.screen.host_actions.questions import Question
from tui.screen.keymap import key_of
from tui.screen.screens.choose import Alternative

if TYPE_CHECKING:
    from proxy.events.cache_facts import CacheHoldings

UNTOUCHED = "No answer changes; a request that runs stores what it holds again at its end."


def cannot_change(action: str, row: HeldRow, held: CacheHoldings) -> str:
    """Why an entry can neither be pinned, nor dropped; empty where it can, as far as is known here."""
    entry = row.entry
    if action == "drop":
        pinned = [one for one in below(entry, held.entries) if one.pinned_tokens]
        if entry in pinned:
            return f"{row.name} is pinned: {key_of('cache.pin')} unpins it, then it can be dropped."
        return f"An entry below {row.name} is pinned: unpin that first." if pinned else ""
    new = entry.memory_bytes * (entry.tokens - entry.pinned_tokens) // max(1, entry.tokens)
    if action == "pin" and held.pinned_bytes + new > held.pin_limit_bytes:
        return (
            f"{row.name} does not fit: pins take {size(held.pinned_bytes)} of {size(held.pin_limit_bytes)}"
            f" that they may take, and it needs {size(new)}. Unpin something, or raise prefixCacheBytes."
        )
    return ""


def ask_drop(row: HeldRow, held: CacheHoldings, snapshot: Snapshot) -> Question:
    """Whether to remove an entry, and what goes on from it."""
    gone = below(row.entry, held.entries)
    tokens = sum(entry.tokens for entry in gone)
    memory, disk = sum(entry.memory_bytes for entry in gone), sum(entry.disk_bytes for entry in gone)
    more = f", with the {_entries(len(gone) - 1)} below it" if len(gone) > 1 else ""
    room = " and ".join([f"{size(memory)} of memory"] * bool(memory) + [f"{size(disk)} of disk"] * bool(disk))
    cost = prefill_s(snapshot, tokens)
    again = f" The next prompt that begins so computes it again{f', ~{seconds(cost)}' if cost else ''}."
    return Question(
        f"Drop {row.name}?",
        f"{count(tokens)} tokens go{more}; that frees {room or 'nothing yet'}.{again} {UNTOUCHED}",
        "drop it",
        "keep it",
    )


def flush_choices(held: CacheHoldings, snapshot: Snapshot) -> list[Alternative]:
    """From where everything may be removed, each with its consequence."""
    free = [entry for entry in held.entries if entry.pinned_tokens < entry.tokens]
    only_memory = sum(max(0, entry.memory_tokens - entry.disk_tokens) for entry in free)
    whole = sum(entry.tokens - entry.pinned_tokens for entry in free)
    memory = f"frees {size(sum(entry.memory_bytes for entry in free))}"
    if not held.disk_budget_bytes:
        return [Alternative("memory", f"{memory}; it is all that there is:{_again(whole, snapshot)}")]
    disk = f"frees {size(sum(entry.disk_bytes for entry in free))}"
    back = "all of it comes back from disk" if not only_memory else (
        f"comes back from disk but for {count(only_memory)} tokens, which are nowhere else"
    )  # fmt: skip
    return [
        Alternative("memory", f"{memory}; {back}."),
        Alternative("disk", f"{disk}; what is in memory stays, and is written again as it is used."),
        Alternative("both", f"nothing is left:{_again(whole, snapshot)}"),
    ]


def pinned_stays(held: CacheHoldings) -> str:
    """What a flush leaves."""
    pinned = sum(entry.pinned_tokens for entry in held.entries)
    kept = f"{count(pinned)} pinned tokens stay. " if pinned else ""
    return f"{kept}{UNTOUCHED}"


def _again(tokens: int, snapshot: Snapshot) -> str:
    cost = prefill_s(snapshot, tokens)
    about = f", ~{seconds(cost)}" if cost else ""
    return f" {count(tokens)} tokens have to be computed again{about}, as prompts need them."


def _entries(number: int) -> str:
    return plural(number, "entry", "entries")
