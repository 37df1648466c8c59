"""What of the tree goes first when memory is short: rows and states by their use, then what is only known."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator

from engine.prefix_cache import RANK
from engine.radix_tree import Node, RadixTree

Victim = tuple[tuple[int, int], Node, bool]
"""What it is worth, the node, and whether it goes as a whole; else its states alone do."""


def next_victim(tree: RadixTree, kept: Collection[Node]) -> Victim | None:
    """What is worth least; of the nodes in `kept` only states inside of them. None: nothing may go."""
    return min(_victims(tree, kept), key=lambda victim: victim[0], default=None)


def forget(
    tree: RadixTree, kept: Collection[Node], most_bytes: int, counted: Callable[[Node], bool]
) -> list[Node]:
    """Take leaves without rows off the tree, oldest first, until `most_bytes` of those counted are left.

    Only those that are counted go, and ghosts, which may stand in their way.
    """
    held = sum(node.nbytes for node in tree.nodes() if counted(node))
    gone: list[Node] = []
    if held <= most_bytes:
        return gone

    def may_go(node: Node) -> bool:
        if node.is_live or node.children or node in kept or node is tree.root:
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
    return not node.is_live and not node.is_cold


def is_cold(node: Node) -> bool:
    """Whether what was computed for a node is on disk alone."""
    return node.is_cold


def _victims(tree: RadixTree, kept: Collection[Node]) -> Iterator[Victim]:
    for node in tree.nodes():
        if not node.is_live:
            continue
        if node.has_live_child or node in kept:
            if node.states is not None:
                yield (RANK[node.kind], node.states_used), node, False
        else:
            yield (RANK[node.kind], node.used), node, True
