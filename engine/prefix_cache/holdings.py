"""What the prefix cache holds, as people see it: entries of shared prefixes, and of each session below them.

The tree's nodes end wherever prompts part and at every stored position. An entry is what of them belongs
together: nodes in one piece that the same sessions use, a shared prefix apart from what goes on behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import xxhash

from engine.prefix_cache.eviction import is_ghost
from engine.prefix_cache.interface import CacheUser, Eviction, Kind, last_evicted
from engine.prefix_cache.tree import Node, RadixTree
from engine.prefix_cache.users import Use

_FEW_TOKENS = 16


@dataclass(slots=True, eq=False)
class Held:
    """The nodes of one entry, parents first."""

    id: str  # 16 hex digits, the same for as long as prompts with this beginning are held
    parent: Held | None
    depth: int
    nodes: list[Node] = field(default_factory=list)
    children: list[Held] = field(default_factory=list)
    newest: float = 0.0  # the last use of it and of those below, in epoch seconds

    def below(self) -> list[Held]:
        """This entry and all that go on from it, parents first."""
        return _in_order([self])


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, for people; times in epoch seconds, 0: not since the engine started."""

    id: str
    parent: str  # the id of the entry that it goes on from; empty: it is the beginning of prompts
    depth: int
    kind: Kind
    start: int  # position of its first token
    tokens: int
    memory_tokens: int  # of them, in memory
    memory_bytes: int
    disk_tokens: int
    disk_bytes: int
    pinned_tokens: int
    sessions: tuple[str, ...]  # that used it since the engine started, the newest first
    lane: str  # of its last use
    used: float
    used_by: str  # the request of its last use
    stored_by: str  # the request that stored of it last
    reused: int  # prompts that it spared a prefill
    restored_tokens: int  # of those prompts


@dataclass(frozen=True, slots=True)
class Wanted:
    """A prompt that would have restored more, had something not been evicted."""

    at: float
    user: CacheUser
    tokens: int
    eviction: Eviction | None  # None: it is no longer remembered


def all_entries(tree: RadixTree) -> list[Held]:
    """The entries of a tree, parents before children, of siblings the most recently used first.

    Ghosts are in none.
    """
    made: list[Held] = []
    waiting: deque[tuple[Node, Held | None, xxhash.xxh3_64]] = deque(
        (child, None, xxhash.xxh3_64()) for child in tree.root.children.values()
    )
    while waiting:
        node, above, before = waiting.popleft()
        entry = above
        if not is_ghost(node):
            if entry is None or not _belongs(node, entry):
                name = before.copy()
                name.update(_bytes(node.tokens[:1]))
                entry = Held(name.hexdigest(), above, above.depth + 1 if above is not None else 0)
                made.append(entry)
            entry.nodes.append(node)
        after = before.copy()
        after.update(_bytes(node.tokens))
        waiting.extend((child, entry, after) for child in node.children.values())
    for entry in reversed(made):  # children before parents
        entry.newest = max((use.at for use in _uses(entry.nodes)), default=entry.newest)
        entry.newest = max(entry.newest, *(child.newest for child in entry.children), 0.0)
        if entry.parent is not None:
            entry.parent.children.append(entry)
    return _in_order([entry for entry in made if entry.parent is None])


def described(held: Held) -> Entry:
    """An entry in numbers."""
    nodes = held.nodes
    uses = sorted(_uses(nodes), key=lambda use: -use.at)
    sessions = dict.fromkeys(use.user.session for use in uses)
    stored = max((node.users.stored for node in nodes if node.users.stored), key=_at, default=None)
    kind: Kind = last_evicted(*(node.kind for node in nodes))
    return Entry(
        id=held.id,
        parent=held.parent.id if held.parent is not None else "",
        depth=held.depth,
        kind=kind,
        start=nodes[0].start,
        tokens=sum(len(node.tokens) for node in nodes),
        memory_tokens=sum(len(node.tokens) for node in nodes if node.in_memory),
        memory_bytes=sum(node.array_bytes for node in nodes),
        disk_tokens=sum(len(node.tokens) for node in nodes if _on_disk(node)),
        disk_bytes=sum(_disk_bytes(node) for node in nodes),
        pinned_tokens=sum(len(node.tokens) for node in nodes if node.pinned),
        sessions=tuple(sessions),
        lane=uses[0].user.lane if uses else "",
        used=uses[0].at if uses else 0.0,
        used_by=uses[0].user.request if uses else "",
        stored_by=stored.user.request if stored is not None else "",
        reused=max(node.users.reused for node in nodes),
        restored_tokens=sum(node.users.restored for node in nodes),
    )


def _belongs(node: Node, entry: Held) -> bool:
    first, sessions = entry.nodes[0], node.users.sessions.keys()
    if len(sessions) > 1:  # a few tokens more, such as a turn's mark, are no entry
        return len(node.tokens) < _FEW_TOKENS or sessions == first.users.sessions.keys()
    return sessions == first.users.sessions.keys() and (node.kind == "head") == (first.kind == "head")


def _uses(nodes: Iterable[Node]) -> Iterable[Use]:
    return (use for node in nodes for use in node.users.sessions.values())


def _in_order(first: Iterable[Held]) -> list[Held]:
    found, waiting = [], sorted(first, key=_newest)
    while waiting:
        found.append(waiting.pop())
        waiting += sorted(found[-1].children, key=_newest)
    return found


def _newest(held: Held) -> float:
    return held.newest


def _at(use: Use | None) -> float:
    return use.at if use is not None else 0.0


def _on_disk(node: Node) -> bool:
    return node.kv_file is not None and node.kv_file.state == "written"


def _disk_bytes(node: Node) -> int:
    """The bytes of a node's files; of one that holds other nodes too, its share."""
    kv, checkpoint = node.kv_file, node.checkpoint_file
    total = checkpoint.nbytes if checkpoint is not None and checkpoint.state == "written" else 0
    if kv is not None and kv.state == "written":
        total += kv.nbytes * min(len(node.tokens), kv.length) // max(1, kv.length)
    return total


def _bytes(tokens: np.ndarray) -> bytes:
    return tokens.astype("<i4").tobytes()
