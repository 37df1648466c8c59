"""Room in memory: what is evicted from the tree, in which order, and a record of each eviction."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence

from engine.prefix_cache.disk.tier import DiskTier
from engine.prefix_cache.eviction import ANYTHING, RoomClaim, Victims, is_ghost, on_disk_only, prune
from engine.prefix_cache.interface import NOBODY, CacheCounts, CacheUser, Eviction
from engine.prefix_cache.limits import CacheLimits
from engine.prefix_cache.tree import Node, RadixTree
from engine.prefix_cache.users import Use
from engine.wire.feed import CacheChange, CacheEvent
from engine.wire.misses import EvictionCause

_GHOST_BYTES, _GHOST_SHARE = 1 << 20, 1 / 16  # limits of the index of ghosts; the share is of the budget
_DISK_INDEX_SHARE = 1 / 8  # of the budget, for the index of spans on disk only
_REMEMBERED = 500  # evictions


class CacheRoom:
    """The room of one tree within its limits. Used on the model's thread."""

    def __init__(
        self,
        tree: RadixTree,
        limits: CacheLimits,
        counts: CacheCounts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` returns epoch seconds."""
        self._tree = tree
        self._limits = limits
        self._counts = counts
        self.clock = clock
        self.disk: DiskTier | None = None
        self.evictions: deque[Eviction] = deque(maxlen=_REMEMBERED)
        """The last evictions, the newest last."""

    def make(
        self, needed: int, path: Sequence[Node], claim: RoomClaim = ANYTHING
    ) -> tuple[list[CacheChange], bool]:
        """Evict until `needed` bytes fit, by the rules of `Victims`. Returns whether they fit."""
        limits = self._limits
        fits = limits.can_fit(needed, claim.kind)
        if not fits or limits.over(needed) <= 0:
            return [], fits
        changes: list[CacheChange] = []
        protected = set(path)
        self.prune_index(protected)
        victims = Victims(self._tree, protected, claim)
        index = 0  # bytes of evicted nodes' index; pruning visits the whole tree, so it is put off
        while limits.over(needed) > 0:
            if index and limits.over(needed) <= index:
                self.prune_index(protected)
                index = 0
            elif (victim := victims.pop()) is not None:
                node, whole = victim
                changes.append(self.evict(node, whole=whole, by=claim.user))
                index += node.nbytes if whole else 0
            elif not claim.takes_pinned and claim.is_free and self._tree.pinned_bytes > limits.pins:
                claim = claim._replace(takes_pinned=True)  # pins keep no more than their share of less room
                victims = Victims(self._tree, protected, claim)
            elif limits.over_budget(needed) <= 0 or not any(
                prune(self._tree, protected, 0, which) for which in claim.prunable
            ):
                return changes, False
        self.prune_index(protected)
        return changes, True

    def evict_while(
        self,
        beyond: Callable[[], bool],
        path: Collection[Node],
        cause: EvictionCause,
        by: CacheUser = NOBODY,
        *,
        pinned: bool = False,
    ) -> list[CacheChange]:
        """Evict as long as `beyond` holds and there is something, with `pinned` also what is pinned."""
        changes: list[CacheChange] = []
        claim = RoomClaim(user=by, takes_pinned=pinned)
        victims = Victims(self._tree, set(path), claim) if beyond() else None
        while victims is not None and beyond() and (victim := victims.pop()) is not None:
            changes.append(self.evict(victim[0], whole=victim[1], cause=cause, by=by))
        return changes

    def evict(
        self, node: Node, *, whole: bool = True, cause: EvictionCause = "room", by: CacheUser = NOBODY
    ) -> CacheChange:
        """Drop the KV and checkpoint of a leaf, or only a node's checkpoint."""
        before = node.nbytes
        node.checkpoint = None
        self._tree.set_kv(node, None if whole else node.kv)
        if whole and node in self._tree.unconfirmed:  # what it gets next is unconfirmed
            self._tree.unconfirmed[node] = self._tree.unconfirmed[node]._replace(kv=False)
        if whole and node.pinned and not any(file.state != "gone" for file in node.files):
            self._tree.set_pinned(node, False)  # nothing is left to keep
        self._counts.evictions += 1
        gone = self.record(node, len(node.tokens) if whole else 0, before - node.nbytes, cause, by)
        return self.change("evicted", gone.tokens, gone.nbytes, gone)

    def record(self, node: Node, tokens: int, nbytes: int, cause: EvictionCause, by: CacheUser) -> Eviction:
        """Remember that a node lost so much; a miss that it would have prevented names this."""
        last = node.users.last or Use(NOBODY, 0.0)
        gone = Eviction(self.clock(), cause, node.start, tokens, nbytes, last.user, last.at, by)
        node.evicted = gone
        self.evictions.append(gone)
        return gone

    def prune_index(self, protected: Collection[Node]) -> None:
        """Prune the index of ghosts and of spans on disk to their shares. Files stay for the next start."""
        most = self._limits.max_bytes
        prune(self._tree, protected, min(_GHOST_BYTES, int(most * _GHOST_SHARE)), is_ghost)
        if self.disk is not None:
            prune(self._tree, protected, int(most * _DISK_INDEX_SHARE), on_disk_only)

    def change(
        self, event: CacheEvent, tokens: int, nbytes: int, gone: Eviction | None = None
    ) -> CacheChange:
        """What to report of a change, with the totals after it; of an eviction also whose span it was."""
        tree = self._tree
        facts = (event, tokens, nbytes, tree.in_memory, tree.nbytes, self._limits.max_bytes)
        if gone is None:
            return CacheChange(*facts)
        owner = gone.owner
        return CacheChange(*facts, owner.session, owner.lane, owner.request, gone.used, gone.cause)

    def disk_events(self) -> list[CacheChange]:
        """What happened on disk since the last call."""
        events = self.disk.take_events() if self.disk is not None else []
        return [self.change(event, tokens, nbytes) for event, tokens, nbytes in events]
