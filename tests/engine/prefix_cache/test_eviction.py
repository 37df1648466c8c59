"""Eviction takes the least valuable first, however much is evicted at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.eviction import LONG, Victims
from engine.prefix_cache.interface import RANK, Kind
from engine.prefix_cache.tree import Node, RadixTree
from tests.engine.telling_caches import computed

KINDS: st.SearchStrategy[Kind] = st.sampled_from(["subagent", "main", "head"])
NODES = st.lists(
    st.tuples(
        st.integers(0, 100),  # which of the nodes so far it hangs below
        KINDS,
        st.integers(0, 5),  # when it was used,
        st.integers(0, 5),  # and when its states were
        st.booleans(),  # whether it has states,
        st.booleans(),  # and rows, if its parent has them
        st.booleans(),  # and is kept
    ),
    max_size=30,
)

HEADS_AND_A_TALK: list[tuple[Kind, int]] = [("head", 1), ("main", 5), ("head", 3)]


def a_tree(nodes: list[tuple[int, Kind, int, int, bool, bool, bool]]) -> tuple[RadixTree, set[Node]]:
    tree, made, kept = RadixTree(), [], set()
    for number, (below, kind, used, checkpoint_used, has_checkpoint, has_kv, is_kept) in enumerate(nodes, 1):
        parent = [tree.root, *made][below % (len(made) + 1)]
        node = Node(np.array([number], np.int32), parent.end, parent, kind, used)
        tree.add(node)
        if has_kv and (parent is tree.root or parent.in_memory):
            tree.set_kv(node, [])
            node.checkpoint = [] if has_checkpoint else None
            node.checkpoint_used = checkpoint_used
        made.append(node)
        if is_kept:
            kept.add(node)
    return tree, kept


def by_definition(tree: RadixTree, kept: Collection[Node]) -> tuple[Node, bool] | None:
    """What is worth least of all that may go, the first in the tree of equals."""
    best: tuple[tuple[int, int], Node, bool] | None = None
    for node in tree.nodes():
        if not node.in_memory:
            continue
        whole = node.is_leaf_in_memory and node not in kept
        if not whole and node.checkpoint is None:
            continue
        kind = "main" if node.kind == "head" and node.used < tree.clock - LONG else node.kind
        worth = (RANK[kind], node.used if whole else node.checkpoint_used)
        if best is None or worth < best[0]:
            best = worth, node, whole
    return best and (best[1], best[2])


def evict(tree: RadixTree, node: Node, whole: bool) -> None:
    node.checkpoint = None
    tree.set_kv(node, None if whole else node.kv)


@settings(max_examples=300)
@given(nodes=NODES, clock=st.sampled_from([5, LONG + 3]))
def test_eviction_takes_the_least_valuable_node_each_time(
    nodes: list[tuple[int, Kind, int, int, bool, bool, bool]], clock: int
) -> None:
    tree, kept = a_tree(nodes)
    tree.clock = clock
    victims = Victims(tree, kept)
    while (expected := by_definition(tree, kept)) is not None:
        assert victims.pop() == expected
        evict(tree, *expected)
    assert victims.pop() is None


def test_an_unused_shared_prefix_is_evicted_before_newer_conversations() -> None:
    tree = RadixTree()
    dead, talk, head = (
        Node(np.array([number], np.int32), 0, tree.root, kind, used)
        for number, (kind, used) in enumerate(HEADS_AND_A_TALK)
    )
    for node in (dead, talk, head):
        tree.add(node)
        tree.set_kv(node, [])
    tree.clock = LONG + 2
    victims = Victims(tree, ())
    assert [victims.pop() for _ in range(4)] == [(dead, True), (talk, True), (head, True), None]


def test_the_tree_is_looked_at_as_often_however_much_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def counted(tree: RadixTree) -> Iterator[Node]:
        nonlocal looks
        looks += 1
        return nodes(tree)

    nodes = RadixTree.nodes
    cache = RadixPrefixCache(max_bytes=400_000)
    for token in range(200):
        cache.insert([token] * 4, computed([token] * 4, with_state=False), "main")
    monkeypatch.setattr(RadixTree, "nodes", counted)
    large = [201] * 900
    changes = cache.insert(large, computed(large, with_state=False), "main")
    assert sum(change.event == "evicted" for change in changes) > 50
    assert looks < 15
