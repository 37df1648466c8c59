"""Pins: spans that are kept from eviction until a person unpins them.

They take at most half of the cache, in memory and on disk: the rest is for what is new. Where requests need
the memory itself, pinned spans go last, and stay on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import numpy as np

from engine.prefix_cache.disk.pin_file import Pin
from engine.prefix_cache.disk.span_files import SpanFile
from engine.prefix_cache.disk.tier import DiskTier
from engine.prefix_cache.limits import PINNED_SHARE, CacheLimits, PromptSizes
from engine.prefix_cache.tree import Node, RadixTree

_log = logging.getLogger(__name__)


class Pins:
    """The pinned spans of one tree. Used on the model's thread."""

    def __init__(self, tree: RadixTree, limits: CacheLimits, sizes: PromptSizes) -> None:
        self._tree = tree
        self._limits = limits
        self._sizes = sizes
        self._disk: DiskTier | None = None

    @property
    def limit_bytes(self) -> int:
        """Bytes in memory that pins may take now."""
        return self._limits.pins

    def attach(self, disk: DiskTier) -> None:
        """Pin again what the file of pins names, as far as it is on disk and still fits."""
        self._disk = disk
        for pin in disk.pins.read():
            walk = self._tree.walk(pin.tokens)
            path = list(walk.whole)
            if walk.part is not None:
                path.append(self._tree.split(walk.part, walk.length - walk.part.start))
            nodes = [node for node in path if node.end > pin.start]
            if refusal := self.refusal(nodes):
                _log.warning("a pinned prefix of %d tokens is no longer pinned: %s", len(pin.tokens), refusal)
                continue
            for node in nodes:
                self._tree.set_pinned(node, True)
        self._mark_files()

    def refusal(self, nodes: Iterable[Node]) -> str:
        """Why these nodes cannot be pinned beside those that are, for people; empty if they can."""
        wanted = {*self._pinned(), *nodes}
        needed, most = sum(map(self._cost, wanted)), self.limit_bytes
        if needed > most:
            return (
                f"pins would take {_mb(needed)} of memory, and may take {_mb(most)}: half of what the prefix"
                " cache may take now. Unpin something, or raise prefixCacheBytes"
            )
        if self._disk is None:
            return ""
        needed = sum(file.nbytes for file in _files(wanted))
        most = int(self._disk.stats()["disk_budget_bytes"] * PINNED_SHARE)
        if needed > most:
            return (
                f"pins would take {_mb(needed)} on disk, and may take {_mb(most)}: half of diskCacheBytes."
                " Unpin something, or raise it"
            )
        return ""

    def set(self, nodes: Iterable[Node], pinned: bool) -> bool:
        """Pin or unpin nodes; returns whether that holds after a restart of the engine."""
        for node in nodes:
            self._tree.set_pinned(node, pinned)
        return self.save()

    def save(self) -> bool:
        """Write down what is pinned; returns whether it is on disk."""
        self._mark_files()
        return self._disk is not None and self._disk.pins.write(self._runs())

    def _mark_files(self) -> None:
        pinned = _files(self._pinned())
        for node in self._tree.nodes():
            for file in node.files:
                file.pinned = file in pinned

    def _pinned(self) -> Iterator[Node]:
        return (node for node in self._tree.nodes() if node.pinned)

    def _cost(self, node: Node) -> int:
        return node.nbytes if node.in_memory else self._sizes.cost(len(node.tokens))

    def _runs(self) -> Iterator[Pin]:
        """Each run of pinned nodes, from its first one to a node with no pinned child."""
        for last in self._pinned():
            if any(child.pinned for child in last.children.values()):
                continue
            first, parts = last, []
            node: Node | None = last
            while node is not None and node.parent is not None:
                parts.append(node.tokens)
                if first.parent is node and node.pinned:
                    first = node
                node = node.parent
            yield Pin(first.start, np.concatenate(parts[::-1]))


def _files(nodes: Iterable[Node]) -> set[SpanFile]:
    return {file for node in nodes for file in node.files}


def _mb(nbytes: int) -> str:
    return f"{nbytes / 1e6:,.1f} MB" if nbytes < 1e9 else f"{nbytes / 1e9:,.2f} GB"
