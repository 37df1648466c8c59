"""The radix tree of token spans: nodes, walks along token sequences, and their bytes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from engine.prefix_cache.disk.span_files import SpanFile
from engine.prefix_cache.interface import Eviction, Kind, TokenArray, common_prefix, last_evicted
from engine.prefix_cache.layers import KV, Checkpoint, arrays_of, evaluate, split_kv
from engine.prefix_cache.users import SpanUsers

NODE_BYTES = 1024
"""Approximate bytes of a node without arrays and tokens; part of the budget."""


@dataclass(slots=True, eq=False)
class Node:
    """One span: in memory if it has KV, else on disk if it has a KV file, else a ghost.

    A ghost has tokens, but its KV was evicted.
    """

    tokens: TokenArray
    start: int  # position of its first token
    parent: Node | None
    kind: Kind
    used: int  # time of last use, by the tree's clock
    children: dict[int, Node] = field(default_factory=dict)  # by their first token
    kv: KV | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_used: int = 0  # time of the checkpoint's last use; 0: it never had one
    nbytes: int = 0  # of KV, checkpoint and index
    array_bytes: int = 0  # without the index
    buffers: int = 0  # number of arrays
    kv_file: SpanFile | None = None  # it may hold more tokens than this span
    checkpoint_file: SpanFile | None = None
    from_disk: bool = False  # loaded from disk, and not used since
    pinned: bool = False  # kept from eviction; `RadixTree.set_pinned` sets it
    users: SpanUsers = field(default_factory=SpanUsers)
    evicted: Eviction | None = None  # the last one, of its KV or only of its checkpoint

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    @property
    def in_memory(self) -> bool:
        return self.kv is not None

    @property
    def on_disk_only(self) -> bool:
        return self.kv is None and is_readable(self.kv_file)

    @property
    def has_checkpoint(self) -> bool:
        """Whether its checkpoint is in memory or on disk."""
        return self.checkpoint is not None or is_readable(self.checkpoint_file)

    @property
    def is_leaf_in_memory(self) -> bool:
        return self.in_memory and not any(child.in_memory for child in self.children.values())

    @property
    def files(self) -> list[SpanFile]:
        return [file for file in (self.kv_file, self.checkpoint_file) if file is not None]

    def leave_files(self) -> None:
        """Reference no file any more."""
        for file in self.files:
            file.references -= 1
        self.kv_file = self.checkpoint_file = None

    def use_file(self, file: SpanFile | None) -> None:
        """Reference a file, in place of the one with the same part."""
        if file is None or file in self.files:
            return
        file.references += 1
        if file.part == "rows":
            old, self.kv_file = self.kv_file, file
        else:
            old, self.checkpoint_file = self.checkpoint_file, file
        if old is not None:
            old.references -= 1


class Before(NamedTuple):
    """What a node had before unconfirmed parts were added."""

    kv: bool
    files: list[SpanFile]


@dataclass(frozen=True, slots=True)
class Walk:
    """The path of a sequence: whole nodes, and a node that matches in part."""

    whole: list[Node]
    part: Node | None
    length: int  # matching tokens

    @property
    def path(self) -> list[Node]:
        return [*self.whole, self.part] if self.part is not None else self.whole


class RadixTree:
    """Spans by their tokens.

    `nbytes`: all nodes, `pinned_bytes`: those that are pinned. `array_bytes`, `buffers`: their arrays, and
    the number of these. `in_memory`: the number of nodes with KV.
    """

    def __init__(self) -> None:
        self.root = Node(np.empty(0, np.int32), 0, None, "head", 0)
        self.nbytes = 0
        self.pinned_bytes = 0
        self.array_bytes = 0
        self.buffers = 0
        self.in_memory = 0
        self.clock = 0
        self.unconfirmed: dict[Node, Before] = {}
        """Nodes that got KV or a checkpoint since the last confirmation, with what they had before."""

    def walk(self, tokens: TokenArray, below: Node | None = None) -> Walk:
        """Follow tokens from the root, or from a node."""
        whole: list[Node] = []
        node, at = below or self.root, 0
        while at < len(tokens) and (child := node.children.get(int(tokens[at]))) is not None:
            common = common_prefix(child.tokens, tokens[at:])
            at += common
            if common < len(child.tokens):
                return Walk(whole, child, at)
            whole.append(child)
            node = child
        return Walk(whole, None, at)

    def nodes(self) -> Iterator[Node]:
        """All nodes but the root, parents first."""
        waiting = list(self.root.children.values())
        while waiting:
            node = waiting.pop()
            waiting += node.children.values()
            yield node

    def nbytes_of(self, kind: Kind) -> int:
        """The bytes of all nodes of a kind that are in memory and may be evicted."""
        return sum(
            node.nbytes for node in self.nodes() if node.in_memory and node.kind == kind and not node.pinned
        )

    def touch(self, path: Sequence[Node], kind: Kind) -> None:
        """Record the use of a path, and raise its kind."""
        self.clock += 1
        for node in path:
            node.used = self.clock
            node.kind = last_evicted(node.kind, kind)

    def add(self, node: Node) -> None:
        """Add a new node to its parent."""
        assert node.parent is not None
        node.parent.children[int(node.tokens[0])] = node
        self.recount(node)

    def remove(self, node: Node) -> None:
        """Remove a leaf, and release its files."""
        assert node.parent is not None
        del node.parent.children[int(node.tokens[0])]
        self._count(node, -1)
        self.in_memory -= node.in_memory
        for file in node.files:
            file.references -= 1

    def set_kv(self, node: Node, kv: KV | None) -> None:
        """Set or drop the KV of a node."""
        self.in_memory += (kv is not None) - node.in_memory
        node.kv, node.from_disk = kv, False
        self.recount(node)

    def set_pinned(self, node: Node, pinned: bool) -> None:
        """Keep a node from eviction, or no longer."""
        self._count(node, -1)
        node.pinned = pinned
        self._count(node, 1)

    def split(self, node: Node, at: int) -> Node:
        """Split a node; returns the upper half, which replaces it. The lower half keeps the checkpoint."""
        assert node.parent is not None
        upper = Node(node.tokens[:at].copy(), node.start, node.parent, node.kind, node.used)
        upper.pinned, upper.evicted = node.pinned, node.evicted
        lower_tokens = node.tokens[at:].copy()
        if node.kv is not None:
            parts = split_kv(node.kv, at)
            evaluate([*parts[0], *parts[1]], [])  # on failure the tree is unchanged
            upper.kv, node.kv = parts
            self.in_memory += 1
        if node in self.unconfirmed:
            self.unconfirmed[upper] = self.unconfirmed[node]
        upper.users = node.users.upper_part(at, len(node.tokens))
        upper.from_disk = node.from_disk
        upper.use_file(node.kv_file)
        node.parent.children[int(upper.tokens[0])] = upper
        node.tokens, node.start, node.parent = lower_tokens, node.start + at, upper
        upper.children[int(lower_tokens[0])] = node
        for part in (upper, node):
            self.recount(part)
        return upper

    def mark_unconfirmed(self, *nodes: Node) -> None:
        """Record that nodes get KV or checkpoints which the device may not have computed yet."""
        for node in nodes:
            self.unconfirmed.setdefault(node, Before(node.in_memory, node.files))

    def recount(self, node: Node) -> None:
        """Update the bytes of a node and of the tree."""
        self._count(node, -1)
        arrays = arrays_of(node.kv or [], node.checkpoint or [])
        node.array_bytes, node.buffers = sum(array.nbytes for array in arrays), len(arrays)
        node.nbytes = node.array_bytes + index_bytes(node)
        self._count(node, 1)

    def _count(self, node: Node, sign: int) -> None:
        self.nbytes += sign * node.nbytes
        self.pinned_bytes += sign * node.nbytes if node.pinned else 0
        self.array_bytes += sign * node.array_bytes
        self.buffers += sign * node.buffers


def resumable(walk: Walk, *, exact: bool, with_disk: bool) -> tuple[list[Node], int]:
    """The nodes of a walk up to the last position that can be resumed, and their number of tokens.

    `exact`: resume only at checkpoints. `with_disk`: include spans that are on disk.
    """

    def is_there(node: Node) -> bool:
        return node.in_memory or (with_disk and node.on_disk_only)

    nodes = list(itertools.takewhile(is_there, walk.whole))
    if exact:
        while nodes and not (nodes[-1].has_checkpoint if with_disk else nodes[-1].checkpoint is not None):
            nodes.pop()
    elif walk.part is not None and is_there(walk.part) and len(nodes) == len(walk.whole):
        return [*nodes, walk.part], walk.length
    return nodes, nodes[-1].end if nodes else 0


def loadable(walk: Walk, fits: Callable[[list[Node], int], bool], *, exact: bool) -> tuple[list[Node], int]:
    """The most of `resumable` with what is on disk that fits into memory."""
    nodes, length = resumable(walk, exact=exact, with_disk=True)
    while nodes and not fits(nodes, length):
        whole = walk.whole[: len(nodes) - 1]
        shorter = Walk(whole, None, whole[-1].end if whole else 0)
        nodes, length = resumable(shorter, exact=exact, with_disk=True)
    return nodes, length


def index_bytes(node: Node) -> int:
    """Bytes of a node's index entry, without arrays."""
    return node.tokens.nbytes + NODE_BYTES


def is_readable(file: SpanFile | None) -> bool:
    """Whether a file is on disk, as far as is known."""
    return file is not None and file.state == "written"
