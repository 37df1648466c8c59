"""The prefix cache: a radix tree of token spans, each stored once, within a budget of bytes.

A node holds the tokens of one span, their KV (`engine.prefix_cache.layers`), and, for models with layers that
cannot be trimmed, a checkpoint of these at its end. Prompts that begin alike share nodes. A lookup follows
one path and copies its spans into a cache that belongs to the caller.

Where all layers have KV, a prompt can leave a path anywhere. A checkpoint serves only prompts that contain
all of its tokens, so such a model can resume a path only at the end of a node with a checkpoint.

Eviction takes the lowest kind first, then the least recently used: leaves, and checkpoints within a path. A
ghost remembers an evicted node's tokens for a while, to report the miss. A disk tier saves most.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any, Literal

from engine.prefix_cache.control import CacheControl
from engine.prefix_cache.disk.encoding import describes
from engine.prefix_cache.disk.tier import DiskTier
from engine.prefix_cache.eviction import RoomClaim, is_ghost, on_disk_only, prune
from engine.prefix_cache.holdings import Wanted
from engine.prefix_cache.interface import (
    NO_DISK,
    NOBODY,
    RANK,
    CacheCounts,
    CacheMemory,
    CacheUser,
    Fetch,
    Kind,
    Match,
    MissAt,
    TokenArray,
    as_token_array,
)
from engine.prefix_cache.layers import (
    Layout,
    assemble,
    checkpoint_of,
    evaluate,
    kv_between,
    layout_of,
    nbytes_of,
)
from engine.prefix_cache.limits import CacheLimits, PromptSizes, index_bytes_of
from engine.prefix_cache.misses import explain
from engine.prefix_cache.persistence import (
    SpanFetch,
    files_to_load,
    layout_text_for_files,
    quarantine_other_layouts,
    rebuild_tree,
    save_path,
)
from engine.prefix_cache.pins import Pins
from engine.prefix_cache.room import CacheRoom
from engine.prefix_cache.tree import NODE_BYTES, Node, RadixTree, Walk, index_bytes, loadable, resumable
from engine.prefix_cache.users import Use
from engine.wire.feed import CacheChange

_WANTED = 200  # misses of evicted spans that are remembered


class RadixPrefixCache:
    """An `engine.prefix_cache.interface.PrefixCache` that stores each span once."""

    def __init__(self, *, max_bytes: int | None = None, clock: Callable[[], float] = time.time) -> None:
        """`max_bytes` counts arrays and index; None is a fifth of the machine's memory, 0 disables it.

        `clock` returns epoch seconds.
        """
        self._tree = RadixTree()
        self._limits = CacheLimits(self._tree, max_bytes)
        self._sizes = PromptSizes()
        self._disk: DiskTier | None = None
        self._layout: Layout | None = None
        self._layout_text = ""  # with number types, as files store it; empty: unknown, or it cannot be stored
        self._layout_confirmed = False  # a cache of this model has this layout
        self._counts = CacheCounts()
        self._room = CacheRoom(self._tree, self._limits, self._counts, clock)
        self._pins = Pins(self._tree, self._limits, self._sizes)
        self._wanted: deque[Wanted] = deque(maxlen=_WANTED)

    def attach(self, disk: DiskTier, layout: Layout) -> None:
        """Open a disk tier and index its files; `layout` is that of the model's empty prompt cache.

        Call it before the first lookup. If the tier cannot be opened, the cache runs without it.
        """
        if self._limits.max_bytes <= 0:
            return
        found = disk.open()
        if not disk.is_open:
            return
        self._disk = self._room.disk = disk
        # Several may match, with other number types. Take the most common one: a file may be damaged.
        layouts = Counter(file.layout for file, _ in found).most_common()
        fits = next((text for text, _ in layouts if describes(text, layout)), None)
        quarantine_other_layouts(disk, [file for file, _ in found if file.layout != fits])
        disk.remove(rebuild_tree(self._tree, [item for item in found if item[0].layout == fits]))
        if fits is not None:
            self._layout, self._layout_text = layout, fits
            self._sizes.learn_from_files([file for file, _ in found if file.layout == fits])
        self._pins.attach(disk)
        self._room.prune_index(())

    @property
    def control(self) -> CacheControl:
        """What a person may ask of it; used on the model's thread."""
        return CacheControl(self._tree, self._room, self._pins, self._wanted, self.stats)

    @property
    def clock(self) -> int:
        return self._tree.clock

    def switch_off(self) -> None:
        """Disable the cache. Call it before the first lookup."""
        self._limits.max_bytes = 0

    def restorable(self, tokens: TokenArray) -> int:
        return self._in_memory(self._tree.walk(tokens[:-1]))[1] if self._limits.max_bytes > 0 else 0

    def lookup(self, tokens: Sequence[int] | TokenArray, user: CacheUser = NOBODY) -> Match:
        prompt = as_token_array(tokens)
        self._counts.add_lookup(len(prompt))
        if self._limits.max_bytes <= 0:
            return Match(None, 0, "none", MissAt("disabled", 0))
        walk = self._tree.walk(prompt[:-1])
        nodes, restored = self._in_memory(walk)
        miss = explain(self._tree, prompt, restored, walk, exact=self._is_exact)
        if miss is not None:
            self._note_wanted(miss, user)
        self._use([*walk.whole, *nodes], nodes[-1:])
        if not restored or self._layout is None:
            return Match(None, 0, "none", miss)
        nodes[-1].checkpoint_used = self._tree.clock
        spans = [node.kv or [] for node in nodes]
        cache = assemble(self._layout, spans, restored, nodes[-1].checkpoint or [])
        self._counts.add_hit(restored)
        tier: Literal["disk", "memory"] = "disk" if any(node.from_disk for node in nodes) else "memory"
        use = Use(user, self._room.clock())
        for node in nodes:
            node.from_disk = False
            node.users.restore(use, min(node.end, restored) - node.start, len(node.tokens))
        change = self._room.change("restored", restored, self._sizes.cost(restored))
        return Match(cache, restored, tier, miss, change)

    def insert(
        self,
        tokens: Sequence[int],
        cache: list[Any],
        kind: Kind,
        unused_since: int | None = None,
        user: CacheUser = NOBODY,
    ) -> list[CacheChange]:
        stored = as_token_array(tokens)
        if self._limits.max_bytes <= 0 or not len(stored):
            return []
        changes = self._check_layout(cache)
        assert self._layout is not None
        walk, claim = self._tree.walk(stored), RoomClaim(kind, unused_since, user)
        path = list(walk.whole)
        if walk.part is not None:
            covered = walk.length == len(stored) and not self._layout.has_checkpoint
            if covered and walk.part.in_memory and RANK[kind] <= RANK[walk.part.kind]:
                self._tree.touch([*path, walk.part], kind)
                self._note([*path, walk.part], user)
                return [*changes, *self._save([*path, walk.part], claim)]
            room, fits = self._room.make(NODE_BYTES, [*path, walk.part], claim)
            if not fits:
                return changes + room
            changes += room
            path.append(self._tree.split(walk.part, walk.length - walk.part.start))
        changes += self._complete(path, stored, cache, claim)
        return [*changes, *self._save(self._tree.walk(stored).path, claim)]

    def fetch(self, tokens: Sequence[int] | TokenArray, on_done: Callable[[], None]) -> SpanFetch | None:
        prompt = as_token_array(tokens)[:-1]
        walk = self._tree.walk(prompt)
        restored = self._in_memory(walk)[1]
        nodes, length = self._with_disk(walk)
        if self._disk is None or length <= restored:
            return None
        self._use(nodes, nodes[-1:])
        files = files_to_load(nodes, exact=self._is_exact)
        if not files:
            return None
        return SpanFetch(self._disk, prompt[:length], files, length - restored, on_done)

    def insert_fetched(
        self, fetch: Fetch, unused_since: int | None = None, user: CacheUser = NOBODY
    ) -> list[CacheChange]:
        assert isinstance(fetch, SpanFetch)
        path = self._tree.walk(fetch.prompt).path
        kv, last, checkpoint = fetch.take(path, exact=self._is_exact)
        needed = sum(nbytes_of(span, []) for span in kv.values()) + nbytes_of([], checkpoint or [])
        changes, fits = self._room.make(needed, path, RoomClaim("main", unused_since, user))
        if fits and (kv or checkpoint):
            evaluate([layer for span in kv.values() for layer in span], [])
            self._tree.mark_unconfirmed(*kv)
            for node, span in kv.items():
                self._tree.set_kv(node, span)
                node.from_disk = True
            if checkpoint is not None and last is not None:
                last.checkpoint, last.checkpoint_used, last.from_disk = checkpoint, self._tree.clock, True
                self._tree.recount(last)
            changes.append(self._room.change("loaded", sum(len(node.tokens) for node in kv), needed))
        return [*changes, *self._room.disk_events()]

    def learn_sizes(self, cache: list[Any], tokens: int) -> None:
        self._sizes.learn(cache, tokens)

    def would_keep(self, tokens: int, restored: int = 0, kind: Kind = "main") -> bool:
        cost, new = self._sizes.cost(tokens), self._sizes.cost(tokens - restored)
        fits = self._limits.max_bytes > 0 and self._limits.fits(cost, index_bytes_of(tokens))
        return fits and self._limits.can_fit(new, kind)

    def memory(self) -> CacheMemory:
        queued = self._disk.queued_bytes if self._disk is not None else 0
        return CacheMemory(self._tree.array_bytes, self._tree.buffers, queued)

    def set_limit(
        self,
        nbytes: int,
        *,
        max_buffers: int | None = None,
        keep: TokenArray | None = None,
        user: CacheUser = NOBODY,
    ) -> list[CacheChange]:
        self._limits.max_arrays = nbytes
        if max_buffers is not None:
            self._limits.max_buffers = max_buffers
        changes: list[CacheChange] = []
        path = self._tree.walk(keep).path if keep is not None and self._limits.over(0) > 0 else []
        for protected, pinned in ((path, False), ([], False), ([], True)):
            changes += self._room.evict_while(
                lambda: self._limits.over(0) > 0, protected, "memory", user, pinned=pinned
            )
        if changes:
            self._room.prune_index(path)
        return changes

    def stats(self) -> dict[str, int]:
        return {
            "entries": self._tree.in_memory,
            "bytes": self._tree.nbytes,
            "budget_bytes": self._limits.max_bytes,
            **asdict(self._counts),
            "pinned_bytes": self._tree.pinned_bytes,
            **(self._disk.stats() if self._disk is not None else NO_DISK),
        }

    def confirm(self) -> None:
        self._tree.unconfirmed.clear()

    def roll_back(self) -> int:
        unconfirmed, self._tree.unconfirmed = self._tree.unconfirmed, {}
        tokens = 0
        for node in sorted(unconfirmed, key=lambda node: node.start, reverse=True):  # children before parents
            if node.in_memory or node.checkpoint is not None:
                tokens += len(node.tokens)
                self._room.evict(node, whole=not unconfirmed[node].kv, cause="fault")
            if self._disk is not None:
                self._disk.remove([file for file in node.files if file not in unconfirmed[node].files])
        return tokens

    def shrink(self, max_bytes: int) -> list[CacheChange]:
        changes: list[CacheChange] = []
        for pinned in (False, True):
            changes += self._room.evict_while(
                lambda: self._tree.nbytes > max_bytes, (), "memory", pinned=pinned
            )
        if changes:
            self._room.prune_index(())
        return changes

    def clear(self) -> list[CacheChange]:
        changes: list[CacheChange] = []
        while leaves := [node for node in self._tree.nodes() if node.is_leaf_in_memory]:
            in_order = sorted(leaves, key=lambda leaf: leaf.used)
            changes += [self._room.evict(leaf, cause="fault") for leaf in in_order]
        prune(self._tree, (), 0, is_ghost)
        self._layout_confirmed = False
        if not self._tree.root.children:
            self._layout = None
        return changes

    def close(self) -> None:
        if self._disk is not None:
            self._disk.close()

    # Reading

    @property
    def _is_exact(self) -> bool:
        return self._layout is not None and self._layout.has_checkpoint

    def _in_memory(self, walk: Walk) -> tuple[list[Node], int]:
        return resumable(walk, exact=self._is_exact, with_disk=False)

    def _with_disk(self, walk: Walk) -> tuple[list[Node], int]:
        """What could be resumed after loading and would fit into memory."""
        if self._disk is None:
            return [], 0

        def fits(nodes: list[Node], length: int) -> bool:
            return self._limits.fits(self._sizes.cost(length), sum(map(index_bytes, nodes)))

        return loadable(walk, fits, exact=self._is_exact)

    def _use(self, nodes: Sequence[Node], resumed: Sequence[Node]) -> None:
        self._tree.clock += 1
        for node in nodes:
            node.used = self._tree.clock
        if self._disk is not None:
            files = [node.kv_file for node in nodes] + [node.checkpoint_file for node in resumed]
            self._disk.touch(file for file in dict.fromkeys(files) if file is not None)

    def _check_layout(self, cache: list[Any]) -> list[CacheChange]:
        """Learn the layout of this model's caches; remove spans of another one, unless in use."""
        layout = layout_of(cache)
        if self._layout_confirmed and layout == self._layout:
            return []
        if self._tree.in_memory and layout != self._layout:
            raise ValueError(f"this cache has another layout: {layout}, not {self._layout}")
        changes: list[CacheChange] = []
        if self._disk is not None:
            text = layout_text_for_files(layout, cache)
            if text != self._layout_text:
                changes = self.clear()
                pruned = prune(self._tree, (), 0, on_disk_only)
                quarantine_other_layouts(self._disk, [file for node in pruned for file in node.files])
            self._layout_text = text
        self._layout, self._layout_confirmed = layout, True
        return changes

    def _note(self, path: Sequence[Node], user: CacheUser, stored: Collection[Node] = ()) -> None:
        """Record who used a path, and stored some of it."""
        use = Use(user, self._room.clock())
        for node in path:
            node.users.note(use, stores=node in stored)

    def _note_wanted(self, miss: MissAt, user: CacheUser) -> None:
        if miss.lost:
            self._counts.wanted += 1
            self._counts.wanted_tokens += miss.lost
            self._wanted.append(Wanted(self._room.clock(), user, miss.lost, miss.eviction))

    # Inserting

    def _complete(
        self, path: list[Node], stored: TokenArray, cache: list[Any], claim: RoomClaim
    ) -> list[CacheChange]:
        """Add the KV that the nodes of a path and their continuation lack, and the checkpoint at the end."""
        parent = path[-1] if path else self._tree.root
        known = parent.end
        if known < len(stored):
            path = [*path, Node(stored[known:].copy(), known, parent, claim.kind, 0)]
        last = path[-1]
        kv = {node: kv_between(cache, node.start, node.end) for node in path if not node.in_memory}
        checkpoint = checkpoint_of(cache) if self._is_exact and last.checkpoint is None else None
        added = sum(nbytes_of(span, []) for span in kv.values()) + nbytes_of([], checkpoint or [])
        if tokens := sum(len(node.tokens) for node in kv):
            self._sizes.kv_bytes = sum(nbytes_of(span, []) for span in kv.values()) / tokens
        self._tree.touch(path, claim.kind)
        new_index = index_bytes(last) if known < len(stored) else 0
        changes, fits = self._room.make(added + new_index, path, claim)
        if not fits or not (kv or checkpoint):
            return changes
        evaluate([layer for span in kv.values() for layer in span], checkpoint or [])
        self._tree.mark_unconfirmed(*kv, *([last] if checkpoint is not None else []))
        if known < len(stored):
            self._tree.add(last)
        for node, span in kv.items():
            self._tree.set_kv(node, span)
        if checkpoint is not None:
            last.checkpoint, last.checkpoint_used = checkpoint, self._tree.clock
            self._sizes.checkpoint_bytes = max(self._sizes.checkpoint_bytes, nbytes_of([], checkpoint))
            self._tree.recount(last)
        self._note(path, claim.user, [*kv, last])
        self._counts.insertions += 1
        return [*changes, self._room.change("inserted", tokens, added)]

    def _save(self, path: Sequence[Node], claim: RoomClaim) -> list[CacheChange]:
        if self._disk is not None and self._layout_text:
            save_path(self._disk, path, self._layout_text, spare=claim.unused_since is not None)
        return self._room.disk_events()
