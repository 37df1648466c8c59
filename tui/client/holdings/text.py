"""What the prefix cache holds, in words, for pane and command: entries, where they are, who uses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui.client.figures import count, plural, size
from tui.client.who import who_asks
from tui.client.wire_text import line_text

if TYPE_CHECKING:
    from proxy.events.cache_facts import CacheDone, CacheEntry, CacheEviction

SESSION_CELLS = 6
_CAUSES = {
    "room": "for room",
    "memory": "for memory",
    "fault": "the device failed",
    "dropped": "dropped by you",
    "flushed": "flushed by you",
}


def who(session: str, lane: str) -> str:
    """A session's short name and who in it asks, as far as they are known."""
    name = line_text(session)[:SESSION_CELLS]
    return " ".join(part for part in (name, who_asks(line_text(lane))) if part)


def entry_name(entry: CacheEntry) -> str:
    """What an entry is: a shared prefix, or the session that holds it."""
    lane = f", {who_asks(line_text(entry.lane))}" if entry.lane not in ("", "main") else ""
    if entry.kind == "head" and not entry.start:
        return f"system + tools{lane}"
    if entry.kind == "head":
        return f"system + tools, its end{lane}"
    if len(entry.sessions) > 1:
        return f"what {len(entry.sessions)} sessions share{lane}"
    if entry.sessions:
        return who(entry.sessions[0], entry.lane) or "a client without sessions"
    return "from an earlier run"


def entry_users(entry: CacheEntry) -> str:
    """How many sessions use an entry."""
    return plural(len(entry.sessions), "session") if entry.sessions else "nobody yet"


def entry_place(entry: CacheEntry) -> str:
    """Where an entry is: in memory, on disk, in both, or only a part of it."""
    places = (("memory", entry.memory_tokens), ("disk", entry.disk_tokens))
    return " ".join(
        place if tokens >= entry.tokens else f"{place}½" for place, tokens in places if tokens > 0
    )


def tree_marks(entries: Sequence[CacheEntry]) -> list[str]:
    """The lines of the tree before each entry's name; parents stand before their children."""
    marks: list[str] = []
    last = _last_siblings(entries)
    open_above: list[bool] = []  # for each depth: whether more siblings follow
    for entry, is_last in zip(entries, last, strict=True):
        del open_above[max(0, entry.depth) :]
        stems = "".join("│ " if more else "  " for more in open_above[1:])
        marks.append(stems + ("└ " if is_last else "├ ") if entry.depth else "")
        open_above.append(not is_last)
    return marks


def _last_siblings(entries: Sequence[CacheEntry]) -> list[bool]:
    """Of each entry whether no sibling follows it."""
    seen: set[tuple[str, int]] = set()
    last: list[bool] = []
    for entry in reversed(entries):
        key = (entry.parent, entry.depth)
        last.append(key not in seen)
        seen.add(key)
    return last[::-1]


def below(entry: CacheEntry, entries: Sequence[CacheEntry]) -> list[CacheEntry]:
    """An entry and all that go on from it."""
    found = {entry.id: entry}
    for one in entries:
        if one.parent in found:
            found[one.id] = one
    return list(found.values())


def done_text(action: str, done: CacheDone, name: str = "") -> str:
    """What was done to the cache, as one sentence without its end; `name` is that of the entry, if known."""
    named = name or f"entry {line_text(done.id)[:8]}"
    tokens = plural(done.tokens, "token")
    match action:
        case "pin":
            held = "also after a restart" if done.lasting else "until the engine ends: it has no disk"
            where = f"({size(done.memory_bytes)})" if done.memory_bytes else "on disk"
            return f"{named} is pinned: {tokens} {where} stay, {held}"
        case "unpin":
            return f"{named} is no longer pinned: {tokens} may be evicted again"
    room = size(done.memory_bytes)
    disk = f" and {plural(done.disk_files, 'file')} ({size(done.disk_bytes)})" if done.disk_files else ""
    kept = f"; {count(done.pinned_tokens)} pinned tokens stayed" if done.pinned_tokens else ""
    lost = f"; {tokens} {'is' if done.tokens == 1 else 'are'} nowhere any more" if done.tokens else ""
    if action == "drop":
        return f"{named} is dropped: {tokens}, {room} of memory{disk}"
    return f"the prefix cache is flushed: {room} of memory{disk}{lost}{kept}"


def eviction_words(gone: CacheEviction) -> str:
    """Why a span was evicted, and for whom."""
    by = who(gone.by.session, gone.by.lane)
    return f"for {by}" if by else _CAUSES.get(gone.cause, line_text(gone.cause))
