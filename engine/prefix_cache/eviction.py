"""What of the tree goes first when memory is short: rows and states by their use, then what is only known."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

from engine.prefix_cache.interface import RANK
from engine.prefix_cache.tree import Node, RadixTree

LONG = 10_000  # steps of the tree's clock; a request takes a few


class _Entry(NamedTuple):
    worth: tuple[int, int]
    place: int
    whole: bool
    node: Node


class Victims:
    """Nodes and checkpoints that may be evicted, the least valuable first; built by one pass over the tree.

    Of the nodes in `protected` only checkpoints within the path may be evicted. While an instance is in use,
    the caller evicts exactly what it returns, and uses no node.
    """

    def __init__(self, tree: RadixTree, protected: Collection[Node]) -> None:
        self._protected = protected
        self._long_ago = tree.clock - LONG
        # The place in the tree decides between what was used at the same time.
        self._places = {node: place for place, node in enumerate(tree.nodes())}
        self._children_in_memory = Counter(node.parent for node in self._places if node.in_memory)
        self._heap = [entry for node in self._places if (entry := self._entry(node)) is not None]
        heapq.heapify(self._heap)

    def pop(self) -> tuple[Node, bool] | None:
        """What to evict next, and whether as a whole or its states alone; None: nothing may go."""
        while self._heap:
            entry = heapq.heappop(self._heap)
            _, _, whole, node = entry
            if entry != self._entry(node):
                continue  # its states alone, from when there was something behind it
            if whole:
                self._leave(node.parent)
            return node, whole
        return None

    def _leave(self, parent: Node | None) -> None:
        """Note that a child of this node goes; without any, it may go as a whole."""
        self._children_in_memory[parent] -= 1
        if parent in self._places and not self._children_in_memory[parent]:
            entry = self._entry(parent)
            if entry is not None and entry.whole:
                heapq.heappush(self._heap, entry)

    def _entry(self, node: Node) -> _Entry | None:
        if not node.in_memory:
            return None
        whole = not self._children_in_memory[node] and node not in self._protected
        if not whole and node.checkpoint is None:
            return None
        # Else the heads of sessions that nobody begins any more would outlast all conversations for ever.
        kind = "main" if node.kind == "head" and node.used < self._long_ago else node.kind
        used = node.used if whole else node.checkpoint_used
        return _Entry((RANK[kind], used), self._places[node], whole, node)


def prune(
    tree: RadixTree, protected: Collection[Node], most_bytes: int, counted: Callable[[Node], bool]
) -> list[Node]:
    """Take leaves without rows off the tree, oldest first, until `most_bytes` of those counted are left.

    Only those that are counted go, and ghosts, which may stand in their way.
    """
    held = sum(node.nbytes for node in tree.nodes() if counted(node))
    gone: list[Node] = []
    if held <= most_bytes:
        return gone

    def may_go(node: Node) -> bool:
        if node.in_memory or node.children or node in protected or node is tree.root:
            return False
        return counted(node) or is_ghost(node)

    leaves = [(node.used, id(node), node) for node in tree.nodes() if may_go(node)]
    heapq.heapify(leaves)
    while held > most_bytes and leaves:
        _, _, node = heapq.heappop(leaves)
        held -= node.nbytes if counted(node) else 0
        tree.remove(node)
        gone.append(node)
        if node.parent is not None and may_go(node.parent):
            heapq.heappush(leaves, (node.parent.used, id(node.parent), node.parent))
    return gone


def is_ghost(node: Node) -> bool:
    """Whether what was computed for a node is gone from memory and disk."""
    return not node.in_memory and not node.on_disk_only


def on_disk_only(node: Node) -> bool:
    """Whether what was computed for a node is on disk alone."""
    return node.on_disk_only
