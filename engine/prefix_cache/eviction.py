"""Eviction of KV and checkpoints by kind and last use, and pruning of the tree's index."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from engine.prefix_cache.interface import NOBODY, RANK, CacheUser, Kind
from engine.prefix_cache.tree import Node, RadixTree

LONG = 10_000  # steps of the tree's clock; a request takes a few


class _Entry(NamedTuple):
    worth: tuple[int, int]
    order: int
    whole: bool
    node: Node


class RoomClaim(NamedTuple):
    """For what room is made: a span of this kind, at no cost to what was used since a time of the clock."""

    kind: Kind = "main"
    unused_since: int | None = None  # only auxiliary requests have it
    user: CacheUser = NOBODY  # for whom
    takes_pinned: bool = False

    def may_evict(self, kind: Kind, used: int) -> bool:
        """Whether a span of `kind`, last used at `used`, may be evicted for it."""
        if self.kind == "once":
            return kind == "once"
        if self.unused_since is None:
            return True
        return kind != "head" and (kind != "main" or used <= self.unused_since)

    @property
    def is_free(self) -> bool:
        """Whether whatever is worth least may be evicted for it."""
        return self.kind != "once" and self.unused_since is None

    @property
    def prunable(self) -> Sequence[Callable[[Node], bool]]:
        """Which index entries may be pruned for it, in this order."""
        return (is_ghost,) if self.kind == "once" else (is_ghost, on_disk_only)


ANYTHING = RoomClaim()
"""The claim of a conversation: whatever is worth least may be evicted for it."""


class Victims:
    """Nodes and checkpoints that may be evicted, the least valuable first; built by one pass over the tree.

    Of the nodes in `protected` only checkpoints within the path may be evicted, and only what `claim` may
    evict. While an instance is in use, the caller evicts exactly what it returns, and uses no node.
    """

    def __init__(self, tree: RadixTree, protected: Collection[Node], claim: RoomClaim = ANYTHING) -> None:
        self._protected = protected
        self._claim = claim
        self._long_ago = tree.clock - LONG
        # The order in the tree breaks ties of last use.
        self._order = {node: order for order, node in enumerate(tree.nodes())}
        self._children_in_memory = Counter(node.parent for node in self._order if node.in_memory)
        self._heap = [entry for node in self._order if (entry := self._entry(node)) is not None]
        heapq.heapify(self._heap)

    def pop(self) -> tuple[Node, bool] | None:
        """The next node to evict, and whether whole or only its checkpoint; None if there is none."""
        while self._heap:
            entry = heapq.heappop(self._heap)
            _, _, whole, node = entry
            if entry != self._entry(node):
                continue  # stale: from before its last child was evicted
            if whole:
                self._child_evicted(node.parent)
            return node, whole
        return None

    def _child_evicted(self, parent: Node | None) -> None:
        """Count the eviction of a node's child; a node without children may be evicted whole."""
        self._children_in_memory[parent] -= 1
        if parent in self._order and not self._children_in_memory[parent]:
            entry = self._entry(parent)
            if entry is not None and entry.whole:
                heapq.heappush(self._heap, entry)

    def _entry(self, node: Node) -> _Entry | None:
        if not node.in_memory or (node.pinned and not self._claim.takes_pinned):
            return None
        whole = not self._children_in_memory[node] and node not in self._protected
        if not whole and node.checkpoint is None:
            return None
        # Otherwise unused shared prefixes would outlast all conversations.
        kind = "main" if node.kind == "head" and node.used < self._long_ago else node.kind
        used = node.used if whole else node.checkpoint_used
        if not self._claim.may_evict(kind, used):
            return None
        return _Entry((RANK[kind], used), self._order[node], whole, node)


def prune(
    tree: RadixTree, protected: Collection[Node], most_bytes: int, counted: Callable[[Node], bool]
) -> list[Node]:
    """Remove leaves without KV from the tree, oldest first, until `most_bytes` of counted ones are left.

    Removes only counted nodes, and ghosts below them. Returns the removed nodes.
    """
    total = sum(node.nbytes for node in tree.nodes() if counted(node))
    removed: list[Node] = []
    if total <= most_bytes:
        return removed

    def is_removable(node: Node) -> bool:
        if node.in_memory or node.children or node in protected or node.pinned or node is tree.root:
            return False
        return counted(node) or is_ghost(node)

    leaves = [(node.used, id(node), node) for node in tree.nodes() if is_removable(node)]
    heapq.heapify(leaves)
    while total > most_bytes and leaves:
        _, _, node = heapq.heappop(leaves)
        total -= node.nbytes if counted(node) else 0
        tree.remove(node)
        removed.append(node)
        if node.parent is not None and is_removable(node.parent):
            heapq.heappush(leaves, (node.parent.used, id(node.parent), node.parent))
    return removed


def is_ghost(node: Node) -> bool:
    """Whether a node's KV is neither in memory nor on disk."""
    return not node.in_memory and not node.on_disk_only


def on_disk_only(node: Node) -> bool:
    """Whether a node's KV is on disk and not in memory."""
    return node.on_disk_only
