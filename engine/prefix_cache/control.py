"""What a person asks of the prefix cache: what it holds, to pin, unpin or drop an entry, to flush all.

Requests that run have their own copy of what they restored: nothing here changes their answers, and at their
end they store what they hold again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.prefix_cache.eviction import is_ghost
from engine.prefix_cache.holdings import Entry, Held, Wanted, all_entries, described
from engine.prefix_cache.interface import NOBODY, Eviction
from engine.prefix_cache.pins import Pins
from engine.prefix_cache.room import CacheRoom
from engine.prefix_cache.tree import Node, RadixTree

FlushedTier = Literal["memory", "disk", "both"]
_TOLD = 200  # evictions that are listed, the newest ones


class NoSuchEntry(Exception):
    """No entry's id begins so, or several do; the message says which there are."""


class Refused(Exception):
    """It cannot be done; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """The whole cache at one moment."""

    entries: tuple[Entry, ...]  # parents before children, the most recently used first
    evictions: tuple[Eviction, ...]  # the last ones, the newest first
    wanted: tuple[Wanted, ...]  # prompts that wanted what had been evicted, the newest first
    memory_bytes: int
    budget_bytes: int
    pinned_bytes: int
    pin_limit_bytes: int
    disk_bytes: int
    disk_budget_bytes: int  # 0: there is no disk


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to the cache, and its totals after it."""

    tokens: int  # pinned, unpinned, or gone
    memory_bytes: int
    disk_files: int
    disk_bytes: int
    entries: int  # spans in memory
    total_bytes: int
    budget_bytes: int
    id: str = ""
    session: str = ""  # of the entry's last use
    lane: str = ""
    lasting: bool = False  # a pin holds after a restart too
    pinned_tokens: int = 0  # that stayed, as they are pinned


class CacheControl:
    """The answers of one cache. Used on the model's thread."""

    def __init__(
        self,
        tree: RadixTree,
        room: CacheRoom,
        pins: Pins,
        wanted: Sequence[Wanted],
        stats: Callable[[], dict[str, int]],
    ) -> None:
        """`wanted`: the last misses of evicted spans, the newest last; `stats`: those of the cache."""
        self._tree = tree
        self._room = room
        self._pins = pins
        self._wanted = wanted
        self._stats = stats

    def holdings(self) -> Holdings:
        """What is held now, and what was evicted."""
        stats = self._stats()
        return Holdings(
            tuple(described(one) for one in self._entries()),
            tuple(list(self._room.evictions)[: -_TOLD - 1 : -1]),
            tuple(reversed(self._wanted)),
            memory_bytes=self._tree.nbytes,
            budget_bytes=stats["budget_bytes"],
            pinned_bytes=self._tree.pinned_bytes,
            pin_limit_bytes=self._pins.limit_bytes,
            disk_bytes=stats["disk_bytes"],
            disk_budget_bytes=stats["disk_budget_bytes"],
        )

    def pin(self, beginning: str) -> Done:
        """Keep the entry whose id begins so from eviction: what it holds now.

        Raises:
            NoSuchEntry: no entry's id begins so, or several do.
            Refused: it would not fit beside what is pinned.
        """
        held = self._find(beginning)
        if refusal := self._pins.refusal(held.nodes):
            raise Refused(f"{held.id} is not pinned: {refusal}")
        return self._done(held, lasting=self._pins.set(held.nodes, True))

    def unpin(self, beginning: str) -> Done:
        """Let the entry whose id begins so be evicted again.

        Raises:
            NoSuchEntry: no entry's id begins so, or several do.
            Refused: nothing of it is pinned.
        """
        held = self._find(beginning)
        if not any(node.pinned for node in held.nodes):
            raise Refused(f"{held.id} is not pinned")
        return self._done(held, lasting=self._pins.set(held.nodes, False))

    def drop(self, beginning: str) -> Done:
        """Remove an entry, and what goes on from it, from memory and from disk.

        Raises:
            NoSuchEntry: no entry's id begins so, or several do.
            Refused: some of it is pinned.
        """
        held = self._find(beginning)
        nodes = [node for one in held.below() for node in one.nodes]
        if any(node.pinned for node in nodes):
            where = "it" if any(node.pinned for node in held.nodes) else "an entry below it"
            raise Refused(f"{held.id} is not dropped: {where} is pinned; unpin that first")
        before = self._tree.nbytes
        disk_files, disk_bytes = self._remove_files(nodes)
        for node in sorted(nodes, key=lambda node: -node.start):  # children before parents
            self._forget(node)
        self._room.prune_index(())
        return self._done(
            held,
            tokens=sum(len(node.tokens) for node in nodes),
            memory_bytes=before - self._tree.nbytes,
            disk_files=disk_files,
            disk_bytes=disk_bytes,
        )

    def flush(self, tier: FlushedTier) -> Done:
        """Remove all entries from memory, from disk, or from both; what is pinned stays."""
        tree, room, disk = self._tree, self._room, self._room.disk
        was_held = {node for node in tree.nodes() if not is_ghost(node)}
        before, disk_files, disk_bytes = tree.nbytes, 0, 0
        if tier != "memory" and disk is not None:
            disk_files, disk_bytes = disk.flush_files()
        if tier != "disk":
            room.evict_while(lambda: True, (), "flushed")
        gone = [node for node in was_held if is_ghost(node)]
        for node in gone:
            if node.evicted is None or node.evicted.cause != "flushed":
                room.record(node, len(node.tokens), 0, "flushed", NOBODY)
        room.prune_index(())
        return self._done(
            None,
            tokens=sum(len(node.tokens) for node in gone),
            memory_bytes=max(0, before - tree.nbytes),
            disk_files=disk_files,
            disk_bytes=disk_bytes,
        )

    def _entries(self) -> list[Held]:
        return all_entries(self._tree)

    def _find(self, beginning: str) -> Held:
        every = self._entries()
        fit = [one for one in every if one.id.startswith(beginning.lower())] if beginning else []
        if len(fit) != 1:
            what = (
                "begins the ids of several entries" if fit else "is no entry of the prefix cache (any more)"
            )
            these = ", ".join(one.id for one in (fit or every)[:8]) or "none"
            raise NoSuchEntry(f"{beginning or 'an empty id'} {what}; there are: {these}")
        return fit[0]

    def _remove_files(self, nodes: Iterable[Node]) -> tuple[int, int]:
        """Remove the files of nodes, but not those that other nodes use too."""
        disk, dropped = self._room.disk, set(nodes)
        if disk is None:
            return 0, 0
        others = {file for node in self._tree.nodes() if node not in dropped for file in node.files}
        return disk.remove_with_what_follows(
            {file for node in dropped for file in node.files if file not in others}
        )

    def _forget(self, node: Node) -> None:
        """Make a ghost of a node."""
        node.leave_files()
        if node.in_memory:
            self._room.evict(node, cause="dropped")
        else:
            self._room.record(node, len(node.tokens), 0, "dropped", NOBODY)

    def _done(
        self,
        held: Held | None,
        *,
        tokens: int | None = None,
        memory_bytes: int | None = None,
        disk_files: int = 0,
        disk_bytes: int = 0,
        lasting: bool = False,
    ) -> Done:
        tree = self._tree
        nodes = held.nodes if held is not None else []
        last = max(
            (node.users.last for node in nodes if node.users.last), key=lambda use: use.at, default=None
        )
        user = last.user if last is not None else NOBODY
        return Done(
            tokens=sum(len(node.tokens) for node in nodes) if tokens is None else tokens,
            memory_bytes=sum(node.array_bytes for node in nodes) if memory_bytes is None else memory_bytes,
            disk_files=disk_files,
            disk_bytes=disk_bytes,
            entries=tree.in_memory,
            total_bytes=tree.nbytes,
            budget_bytes=self._stats()["budget_bytes"],
            id=held.id if held is not None else "",
            session=user.session,
            lane=user.lane,
            lasting=lasting,
            pinned_tokens=sum(len(node.tokens) for node in tree.nodes() if node.pinned),
        )
