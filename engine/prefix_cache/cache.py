"""The prefix cache: a radix tree of token spans, each stored once, within a budget of bytes.

A node holds the tokens of one span, the rows that the model computed for them (`engine.prefix_cache.layers`),
and at its end, for models that have such layers, the states of windows and recurrent layers. Prompts that
begin alike share nodes: the head of system and tools is stored once, each conversation adds its own tail, a
turn adds what it brought. A lookup walks down one path and copies its spans into a cache of the caller's own.

Where rows are all that a model has, a prompt can leave a path anywhere. A state serves only prompts that
contain all of its tokens, so a path can be resumed only at the end of a node that has its states.

Evicted first is what was computed for the least lasting use, then what was not used for longest: leaves, and
states inside of the tree. What is evicted leaves its tokens behind for a while, so that a prompt that was
evicted can be told from one that was never seen. With a disk tier all that is inserted is saved as well; what
is evicted can be loaded again, and the tree outlives the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any

from engine.prefix_cache.disk.encoding import describes
from engine.prefix_cache.disk.tier import NO_DISK, DiskTier
from engine.prefix_cache.eviction import Victims, forget, is_cold, is_ghost
from engine.prefix_cache.interface import (
    RANK,
    CacheChange,
    CacheCounts,
    CacheEvent,
    CacheMemory,
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
    evaluate,
    layout_of,
    nbytes_of,
    rows_between,
    states_of,
)
from engine.prefix_cache.misses import explain
from engine.prefix_cache.persistence import (
    SpanFetch,
    drop_other_layouts,
    files_to_load,
    plant,
    save_path,
    text_for_files,
)
from engine.prefix_cache.room import CacheRoom, PromptSizes, index_bytes_of
from engine.prefix_cache.tree import NODE_BYTES, Node, RadixTree, Walk, index_bytes, resumable

_GHOST_BYTES, _GHOST_SHARE = 1 << 20, 1 / 16  # most for what is known of evicted spans; of the budget
_COLD_SHARE = 1 / 8  # of the budget, for the index of what is on disk alone


class RadixPrefixCache:
    """A `engine.prefix_cache.interface.PrefixCache` that stores each span once."""

    def __init__(self, *, max_bytes: int | None = None) -> None:
        """`max_bytes` counts arrays and index; None is a fifth of the machine's memory, 0 switches it off."""
        self._tree = RadixTree()
        self._room = CacheRoom(self._tree, max_bytes)
        self._sizes = PromptSizes()
        self._disk: DiskTier | None = None
        self._layout: Layout | None = None
        self._layout_text = ""  # with number types, for files; empty: not known, or they cannot hold it
        self._is_proven = False  # that a cache of this model is laid out so
        self._counts = CacheCounts()
        self._misses = dict.fromkeys(("cold", "disabled", "diverged", "evicted"), 0)

    def attach(self, disk: DiskTier, layout: Layout) -> None:
        """Open a disk tier and know what it has; `layout` is that of the model's empty prompt cache.

        Call it before the first lookup. Where the tier cannot be opened, there is none.
        """
        if self._room.max_bytes <= 0:
            return
        found = disk.open()
        if not disk.is_open:
            return
        self._disk = disk
        # Of several that describe it, by their number types say, the most common: one may well be damaged.
        layouts = Counter(file.layout for file, _ in found).most_common()
        fits = next((text for text, _ in layouts if describes(text, layout)), None)
        drop_other_layouts(disk, [file for file, _ in found if file.layout != fits])
        disk.forget(plant(self._tree, [item for item in found if item[0].layout == fits]))
        if fits is not None:
            self._layout, self._layout_text = layout, fits
            self._sizes.learn_from_files([file for file, _ in found if file.layout == fits])
        self._forget_beyond_shares(())

    def switch_off(self) -> None:
        """Keep nothing from now on. Call it before the first lookup."""
        self._room.max_bytes = 0

    def known(self, tokens: TokenArray) -> int:
        return self._in_memory(self._tree.walk(tokens[:-1]))[1] if self._room.max_bytes > 0 else 0

    def lookup(self, tokens: Sequence[int] | TokenArray) -> Match:
        prompt = as_token_array(tokens)
        self._counts.lookups += 1
        self._counts.looked_up_tokens += len(prompt)
        if self._room.max_bytes <= 0:
            self._misses["disabled"] += 1
            return Match(None, 0, "none", MissAt("disabled", 0))
        walk = self._tree.walk(prompt[:-1])
        nodes, matched = self._in_memory(walk)
        miss = explain(self._tree, prompt, matched, walk, exact=self._is_exact)
        if miss is not None:
            self._misses[miss.reason] += 1
        self._use([*walk.whole, *nodes], nodes[-1:])
        if not matched or self._layout is None:
            return Match(None, 0, "none", miss)
        nodes[-1].states_used = self._tree.clock
        cache = assemble(self._layout, [node.rows or [] for node in nodes], matched, nodes[-1].states or [])
        self._counts.hits += 1
        self._counts.restored_tokens += matched
        from_disk = any(node.from_disk for node in nodes)
        for node in nodes:
            node.from_disk = False
        change = self._change("restored", matched, self._sizes.cost(matched))
        return Match(cache, matched, "disk" if from_disk else "memory", miss, change)

    def insert(self, tokens: Sequence[int], cache: list[Any], kind: Kind) -> list[CacheChange]:
        stored = as_token_array(tokens)
        if self._room.max_bytes <= 0 or not len(stored):
            return []
        changes = self._check_layout(cache)
        assert self._layout is not None
        walk = self._tree.walk(stored)
        path = list(walk.whole)
        if walk.part is not None:
            covered = walk.length == len(stored) and not self._layout.has_states
            if covered and walk.part.is_live and RANK[kind] <= RANK[walk.part.kind]:
                self._tree.touch([*path, walk.part], kind)
                return [*changes, *self._save([*path, walk.part])]
            room, fits = self._make_room(NODE_BYTES, [*path, walk.part])
            changes += room
            if not fits:
                return changes
            path.append(self._tree.split(walk.part, walk.length - walk.part.start))
        changes += self._complete(path, stored, cache, kind)
        return [*changes, *self._save(self._tree.walk(stored).path)]

    def fetch(self, tokens: Sequence[int] | TokenArray, on_done: Callable[[], None]) -> SpanFetch | None:
        prompt = as_token_array(tokens)[:-1]
        walk = self._tree.walk(prompt)
        matched = self._in_memory(walk)[1]
        nodes, length = self._with_disk(walk)
        if self._disk is None or length <= matched:
            return None
        self._use(nodes, nodes[-1:])
        files = files_to_load(nodes, exact=self._is_exact)
        if not files:
            return None
        return SpanFetch(self._disk, prompt[:length], files, length - matched, on_done)

    def settle(self, fetch: Fetch) -> list[CacheChange]:
        assert isinstance(fetch, SpanFetch)
        path = self._tree.walk(fetch.prompt).path
        rows, last, states = fetch.take(path, exact=self._is_exact)
        needed = sum(nbytes_of(held, []) for held in rows.values()) + nbytes_of([], states or [])
        changes, fits = self._make_room(needed, path)
        if fits and (rows or states):
            evaluate([layer for held in rows.values() for layer in held], [])
            self._tree.note(*rows)
            for node, held in rows.items():
                self._tree.hold(node, held)
                node.from_disk = True
            if states is not None and last is not None:
                last.states, last.states_used, last.from_disk = states, self._tree.clock, True
                self._tree.weigh(last)
            changes.append(self._change("loaded", sum(len(node.tokens) for node in rows), needed))
        return [*changes, *self._news()]

    def learn_sizes(self, cache: list[Any], tokens: int) -> None:
        """Know what prompts take before the first is kept, from a prompt cache of so many tokens."""
        self._sizes.learn(cache, tokens)

    def keeps(self, tokens: int) -> bool:
        return self._room.max_bytes > 0 and self._room.fits(self._sizes.cost(tokens), index_bytes_of(tokens))

    def memory(self) -> CacheMemory:
        queued = self._disk.queued_bytes if self._disk is not None else 0
        return CacheMemory(self._tree.array_bytes, self._tree.buffers, queued)

    def hold_within(
        self, nbytes: int, *, max_buffers: int | None = None, keep: TokenArray | None = None
    ) -> list[CacheChange]:
        self._room.max_arrays = nbytes
        if max_buffers is not None:
            self._room.max_buffers = max_buffers
        changes: list[CacheChange] = []
        path = self._tree.walk(keep).path if keep is not None and self._room.over(0) > 0 else []
        for kept in [path, []] if path else [[]]:
            changes += self._evict_while(lambda: self._room.over(0) > 0, kept)
        if changes:
            self._forget_beyond_shares(path)
        return changes

    def stats(self) -> dict[str, int]:
        return {
            "entries": self._tree.live,
            "bytes": self._tree.nbytes,
            "budget_bytes": self._room.max_bytes,
            **asdict(self._counts),
            **{f"misses_{reason}": count for reason, count in self._misses.items()},
            **(self._disk.stats() if self._disk is not None else NO_DISK),
        }

    def prove(self) -> None:
        self._tree.unproven.clear()

    def take_back(self) -> int:
        unproven, self._tree.unproven = self._tree.unproven, {}
        tokens = 0
        for node in sorted(unproven, key=lambda node: node.start, reverse=True):  # what continues it first
            if node.is_live or node.states is not None:
                tokens += len(node.tokens)
                self._evict(node, whole=not unproven[node].rows)
            if self._disk is not None:
                self._disk.forget([file for file in node.files if file not in unproven[node].files])
        return tokens

    def shrink(self, max_bytes: int) -> list[CacheChange]:
        changes = self._evict_while(lambda: self._tree.nbytes > max_bytes, ())
        if changes:
            self._forget_beyond_shares(())
        return changes

    def clear(self) -> list[CacheChange]:
        changes = []
        while leaves := [node for node in self._tree.nodes() if node.is_live and not node.has_live_child]:
            changes += [self._evict(leaf) for leaf in sorted(leaves, key=lambda leaf: leaf.used)]
        forget(self._tree, (), 0, is_ghost)
        self._is_proven = False
        if not self._tree.root.children:
            self._layout = None
        return changes

    def close(self) -> None:
        if self._disk is not None:
            self._disk.close()

    # What is there

    @property
    def _is_exact(self) -> bool:
        return self._layout is not None and self._layout.has_states

    def _in_memory(self, walk: Walk) -> tuple[list[Node], int]:
        return resumable(walk, exact=self._is_exact, cold=False)

    def _with_disk(self, walk: Walk) -> tuple[list[Node], int]:
        """As much as could be resumed after loading, and would fit into memory."""
        if self._disk is None:
            return [], 0
        whole = list(walk.whole)
        nodes, length = resumable(walk, exact=self._is_exact, cold=True)
        while nodes and not self._room.fits(self._sizes.cost(length), sum(map(index_bytes, nodes))):
            whole = whole[: len(nodes) - 1]
            nodes, length = resumable(
                Walk(whole, None, whole[-1].end if whole else 0), exact=self._is_exact, cold=True
            )
        return nodes, length

    def _use(self, nodes: Sequence[Node], resumed: Sequence[Node]) -> None:
        """Note that nodes were of use, and the states of those that were resumed behind."""
        self._tree.clock += 1
        for node in nodes:
            node.used = self._tree.clock
        if self._disk is not None:
            files = [node.rows_file for node in nodes] + [node.states_file for node in resumed]
            self._disk.touch(file for file in dict.fromkeys(files) if file is not None)

    def _check_layout(self, cache: list[Any]) -> list[CacheChange]:
        """Learn how this model's caches are laid out; what is known and differs goes, unless it is in use."""
        layout = layout_of(cache)
        if self._is_proven and layout == self._layout:
            return []
        if self._tree.live and layout != self._layout:
            raise ValueError(f"this cache is laid out differently: {layout}, not {self._layout}")
        changes: list[CacheChange] = []
        if self._disk is not None:
            text = text_for_files(layout, cache)
            if text != self._layout_text:
                changes = self.clear()
                cold = forget(self._tree, (), 0, is_cold)
                drop_other_layouts(self._disk, [file for node in cold for file in node.files])
            self._layout_text = text
        self._layout, self._is_proven = layout, True
        return changes

    # Growing

    def _complete(
        self, path: list[Node], stored: TokenArray, cache: list[Any], kind: Kind
    ) -> list[CacheChange]:
        """Add what the nodes of a path and their continuation lack: rows, and states at the end."""
        known = path[-1].end if path else 0
        parent = path[-1] if path else self._tree.root
        if known < len(stored):
            path = [*path, Node(stored[known:].copy(), known, parent, kind, 0)]
        last = path[-1]
        rows = {node: rows_between(cache, node.start, node.end) for node in path if not node.is_live}
        states = states_of(cache) if self._is_exact and last.states is None else None
        added = sum(nbytes_of(span, []) for span in rows.values()) + nbytes_of([], states or [])
        new_node = last.tokens.nbytes + NODE_BYTES if known < len(stored) else 0
        tokens = sum(len(node.tokens) for node in rows)
        if tokens:
            self._sizes.row_bytes = sum(nbytes_of(span, []) for span in rows.values()) / tokens
        self._tree.touch(path, kind)
        changes, fits = self._make_room(added + new_node, path)
        if not fits or not (rows or states):
            return changes
        evaluate([layer for span in rows.values() for layer in span], states or [])
        self._tree.note(*rows, *([last] if states is not None else []))
        if known < len(stored):
            self._tree.add(last)
        for node, span in rows.items():
            self._tree.hold(node, span)
        if states is not None:
            last.states, last.states_used = states, self._tree.clock
            self._sizes.state_bytes = max(self._sizes.state_bytes, nbytes_of([], states))
            self._tree.weigh(last)
        self._counts.insertions += 1
        return [*changes, self._change("inserted", tokens, added)]

    def _save(self, path: Sequence[Node]) -> list[CacheChange]:
        if self._disk is not None and self._layout_text:
            save_path(self._disk, path, self._layout_text)
        return self._news()

    # Evicting

    def _make_room(self, needed: int, path: Sequence[Node]) -> tuple[list[CacheChange], bool]:
        """Evict until `needed` bytes fit beside what is kept; nothing of `path` but states inside of it."""
        changes: list[CacheChange] = []
        if not self._room.fits(needed) or self._room.over(needed) <= 0:
            return changes, self._room.fits(needed)
        kept = set(path)
        self._forget_beyond_shares(kept)
        victims = Victims(self._tree, kept)
        index = 0  # bytes that what went still takes; forgetting looks at the whole tree, so it waits
        while self._room.over(needed) > 0:
            if index and self._room.over(needed) <= index:
                self._forget_beyond_shares(kept)
                index = 0
            elif (victim := victims.pop()) is not None:
                node, whole = victim
                changes.append(self._evict(node, whole=whole))
                index += node.nbytes if whole else 0
            elif self._room.over_budget(needed) <= 0 or not any(
                forget(self._tree, kept, 0, which) for which in (is_ghost, is_cold)
            ):
                return changes, False
        self._forget_beyond_shares(kept)
        return changes, True

    def _evict_while(self, beyond: Callable[[], bool], path: Collection[Node]) -> list[CacheChange]:
        changes: list[CacheChange] = []
        victims = Victims(self._tree, set(path)) if beyond() else None
        while victims is not None and beyond() and (victim := victims.pop()) is not None:
            changes.append(self._evict(victim[0], whole=victim[1]))
        return changes

    def _evict(self, node: Node, *, whole: bool = True) -> CacheChange:
        """Drop the rows and states of a leaf, or a node's states alone."""
        before = node.nbytes
        node.states = None
        self._tree.hold(node, None if whole else node.rows)
        if whole and node in self._tree.unproven:  # what it may get anew was never proven
            self._tree.unproven[node] = self._tree.unproven[node]._replace(rows=False)
        self._counts.evictions += 1
        return self._change("evicted", len(node.tokens) if whole else 0, before - node.nbytes)

    def _forget_beyond_shares(self, kept: Collection[Node]) -> None:
        """Forget what is known beyond its shares. Files stay: the next start knows them again."""
        forget(self._tree, kept, min(_GHOST_BYTES, int(self._room.max_bytes * _GHOST_SHARE)), is_ghost)
        if self._disk is not None:
            forget(self._tree, kept, int(self._room.max_bytes * _COLD_SHARE), is_cold)

    # Telling

    def _change(self, event: CacheEvent, tokens: int, nbytes: int) -> CacheChange:
        return CacheChange(event, tokens, nbytes, self._tree.live, self._tree.nbytes, self._room.max_bytes)

    def _news(self) -> list[CacheChange]:
        news = self._disk.news() if self._disk is not None else []
        return [self._change(event, tokens, nbytes) for event, tokens, nbytes in news]
