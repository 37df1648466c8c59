"""The rows of the list of what the prefix cache holds: entries beside what is known of their sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.client.figures import ratio
from tui.client.holdings.text import entry_name, tree_marks
from tui.client.records import Snapshot

if TYPE_CHECKING:
    from proxy.events.cache_facts import CacheEntry, CacheHoldings


@dataclass(frozen=True, slots=True)
class HeldRow:
    """One entry, for the list."""

    entry: CacheEntry
    mark: str  # the lines of the tree before its name
    name: str
    asked: str = ""  # the first question of its session, if it is of one
    state: str = ""  # of its session now: running, queued, idle; empty: it is of several, or of none
    saved_s: float | None = None  # prefill that it spared, estimated as the vital signs do

    @property
    def request(self) -> str:
        """The request that leads to its prompt: the last one that used it and has ended."""
        return self.entry.stored_by if self.state == "running" else self.entry.used_by or self.entry.stored_by

    @property
    def session(self) -> str:
        """The session that used it last."""
        return self.entry.sessions[0] if self.entry.sessions else ""

    @property
    def search_text(self) -> str:
        """What the filter looks in, in lower case."""
        entry = self.entry
        pinned = "pinned" if entry.pinned_tokens else ""
        parts = (entry.id, *entry.sessions, entry.lane, self.name, self.asked, self.state, pinned)
        return " ".join(parts).lower()


def held_rows(held: CacheHoldings, snapshot: Snapshot) -> list[HeldRow]:
    """The rows of all entries, in the order of the tree."""
    asked: dict[str, str] = {}
    for record in snapshot.requests:
        if record.preview and record.lane == "main":
            asked.setdefault(record.session, record.preview)
    running = {(record.session, record.lane) for record in snapshot.active if record.phase != "queued"}
    queued = {(record.session, record.lane) for record in snapshot.active} - running
    newest: dict[tuple[str, str], float] = {}
    for entry in held.entries:
        for session in entry.sessions[:1]:
            key = session, entry.lane
            newest[key] = (
                max(newest.get(key, 0.0), entry.used) if entry.kind != "head" else newest.get(key, 0.0)
            )
    rows = []
    for entry, mark in zip(held.entries, tree_marks(held.entries), strict=True):
        own, state = None, ""
        if len(entry.sessions) == 1 and entry.kind != "head":
            own, state = entry.sessions[0], "idle"
            if entry.used >= newest[own, entry.lane]:
                state = "running" if (own, entry.lane) in running else state
                state = "queued" if (own, entry.lane) in queued else state
        saved = prefill_s(snapshot, entry.restored_tokens)
        question = asked.get(own or "", "") if entry.lane in ("main", "") else ""
        rows.append(HeldRow(entry, mark, entry_name(entry), question, state, saved))
    return rows


def prefill_s(snapshot: Snapshot, tokens: int) -> float | None:
    """How long the prefill of so many tokens takes, by what restored ones saved so far; None: not known."""
    if not snapshot.saved_s or tokens <= 0:
        return None
    each = ratio(snapshot.saved_s, snapshot.totals.cache_read_input_tokens)
    return each * tokens if each else None
