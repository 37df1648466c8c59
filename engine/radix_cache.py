"""The prefix cache: a radix tree of token spans, each stored once, within a budget of bytes.

A node holds the tokens of one span, the rows that the model computed for them (`engine.cache_layers`), and
at its end, for models that have such layers, the states of windows and recurrent layers. Prompts that begin
alike share nodes: the head of system and tools is stored once, each conversation adds its own tail, a turn
adds what it brought. A lookup walks down one path and copies its spans into a cache of the caller's own.

Where rows are all that a model has, a prompt can leave a path anywhere. A state serves only prompts that
contain all of its tokens, so a path can be resumed only at the end of a node that has its states.

Evicted first is what was computed for the least lasting use, then what was not used for longest: leaves, and
states inside of the tree. What is evicted leaves its tokens behind for a while, so that a prompt that was
evicted can be told from one that was never seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import psutil

from engine.cache_layers import (
    Layout,
    Rows,
    States,
    assemble,
    evaluate,
    layout_of,
    nbytes_of,
    rows_between,
    split_rows,
    states_of,
)
from engine.prefix_cache import CacheChange, Kind, Match, MissAt, TokenArray, as_token_array, common_prefix

_RANK: dict[Kind, int] = {"subagent": 0, "main": 1, "head": 2}
_MEMORY_SHARE = 0.2  # of the machine's memory, by default
NODE_BYTES = 1024
"""What a node costs beside its arrays and its tokens, roughly; counted in the budget."""

_GHOST_BYTES, _GHOST_SHARE = (
    1 << 20,
    1 / 16,
)  # most for what is remembered of evicted spans, and of the budget
_AROUND = (6, 16)  # tokens shown before and from the place where a prompt left what is stored


@dataclass(slots=True, eq=False)
class _Node:
    """One span. Without rows it is a ghost: its tokens are known, what was computed for them is gone."""

    tokens: TokenArray
    start: int  # position of its first token
    parent: _Node | None
    kind: Kind
    used: int  # when it was last walked through
    children: dict[int, _Node] = field(default_factory=dict)  # by their first token
    rows: Rows | None = None
    states: States | None = None
    states_used: int = 0  # when its states were last made or taken
    nbytes: int = 0  # of rows, states and index

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    @property
    def is_live(self) -> bool:
        return self.rows is not None

    @property
    def has_live_child(self) -> bool:
        return any(child.is_live for child in self.children.values())


@dataclass(slots=True)
class _Counts:
    lookups: int = 0
    hits: int = 0
    restored_tokens: int = 0
    looked_up_tokens: int = 0
    insertions: int = 0
    evictions: int = 0


@dataclass(frozen=True, slots=True)
class _Walk:
    """How far the tree knows a sequence: whole nodes, and the part of one more."""

    whole: list[_Node]
    part: _Node | None
    length: int  # tokens that are known


class RadixPrefixCache:
    """A `engine.prefix_cache.PrefixCache` that stores each span once."""

    def __init__(self, *, max_bytes: int | None = None) -> None:
        """`max_bytes` counts arrays and index; None is a fifth of the machine's memory, 0 switches it off."""
        total = int(psutil.virtual_memory().total)
        self._max_bytes = int(total * _MEMORY_SHARE) if max_bytes is None else max_bytes
        self._root = _Node(np.empty(0, np.int32), 0, None, "head", 0)
        self._layout: Layout | None = None
        self._bytes = 0
        self._live = 0
        self._clock = 0
        self._row_bytes = 0.0  # of one token
        self._state_bytes = 0  # of one position
        self._counts = _Counts()
        self._misses = dict.fromkeys(("cold", "disabled", "diverged", "evicted"), 0)

    def known(self, tokens: TokenArray) -> int:
        return self._usable(self._walk(tokens[:-1]))[1] if self._max_bytes > 0 else 0

    def lookup(self, tokens: Sequence[int] | TokenArray) -> Match:
        prompt = as_token_array(tokens)
        self._counts.lookups += 1
        self._counts.looked_up_tokens += len(prompt)
        if self._max_bytes <= 0:
            self._misses["disabled"] += 1
            return Match(None, 0, "none", MissAt("disabled", 0))
        walk = self._walk(prompt[:-1])
        nodes, matched = self._usable(walk)
        miss = self._explain(prompt, matched, walk)
        if miss is not None:
            self._misses[miss.reason] += 1
        now = self._tick()
        for node in (*walk.whole, *nodes):
            node.used = now
        if not matched or self._layout is None:
            return Match(None, 0, "none", miss)
        nodes[-1].states_used = now
        spans = [node.rows or [] for node in nodes]
        cache = assemble(self._layout, spans, matched, nodes[-1].states or [])
        self._counts.hits += 1
        self._counts.restored_tokens += matched
        return Match(cache, matched, "memory", miss, self._change("restored", matched, self._cost(matched)))

    def insert(self, tokens: Sequence[int], cache: list[Any], kind: Kind) -> list[CacheChange]:
        stored = as_token_array(tokens)
        if self._max_bytes <= 0 or not len(stored):
            return []
        layout = layout_of(cache)
        if self._layout is None:
            self._layout = layout
        elif layout != self._layout:
            raise ValueError(f"this cache is laid out differently: {layout}, not {self._layout}")
        walk = self._walk(stored)
        if walk.part is not None:
            covered = walk.length == len(stored) and not layout.has_states
            if covered and walk.part.is_live and _RANK[kind] <= _RANK[walk.part.kind]:
                self._touch([*walk.whole, walk.part], kind)
                return []
            walk.whole.append(self._split(walk.part, walk.length - walk.part.start))
        return self._complete(walk.whole, stored, cache, kind)

    def keeps(self, tokens: int) -> bool:
        return self._max_bytes > 0 and self._cost(tokens) <= self._max_bytes

    def stats(self) -> dict[str, int]:
        counts = self._counts
        return {
            "entries": self._live,
            "bytes": self._bytes,
            "budget_bytes": self._max_bytes,
            "lookups": counts.lookups,
            "hits": counts.hits,
            "restored_tokens": counts.restored_tokens,
            "looked_up_tokens": counts.looked_up_tokens,
            "insertions": counts.insertions,
            "evictions": counts.evictions,
            **{f"misses_{reason}": count for reason, count in self._misses.items()},
        }

    def clear(self) -> list[CacheChange]:
        changes = []
        while leaves := [node for node in self._nodes() if node.is_live and not node.has_live_child]:
            changes += [self._evict(leaf) for leaf in sorted(leaves, key=lambda leaf: leaf.used)]
        self._root.children.clear()
        self._bytes = 0
        self._layout = None
        return changes

    # Walking

    def _walk(self, tokens: TokenArray) -> _Walk:
        whole: list[_Node] = []
        node, at = self._root, 0
        while at < len(tokens) and (child := node.children.get(int(tokens[at]))) is not None:
            common = common_prefix(child.tokens, tokens[at:])
            at += common
            if common < len(child.tokens):
                return _Walk(whole, child, at)
            whole.append(child)
            node = child
        return _Walk(whole, None, at)

    def _usable(self, walk: _Walk) -> tuple[list[_Node], int]:
        """The nodes that a walk can be resumed behind, and how many tokens they give."""
        nodes = list(itertools.takewhile(lambda node: node.is_live, walk.whole))
        if self._layout is not None and self._layout.has_states:
            while nodes and nodes[-1].states is None:
                nodes.pop()
        elif walk.part is not None and walk.part.is_live and len(nodes) == len(walk.whole):
            return [*nodes, walk.part], walk.length
        return nodes, nodes[-1].end if nodes else 0

    def _nodes(self) -> Iterator[_Node]:
        waiting = list(self._root.children.values())
        while waiting:
            node = waiting.pop()
            waiting += node.children.values()
            yield node

    def _touch(self, path: Sequence[_Node], kind: Kind) -> None:
        now = self._tick()
        for node in path:
            node.used = now
            node.kind = max(node.kind, kind, key=_RANK.__getitem__)

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    # Growing

    def _split(self, node: _Node, at: int) -> _Node:
        """Cut a node in two; returns the upper one, which takes its place. States stay at the end."""
        assert node.parent is not None
        upper = _Node(node.tokens[:at].copy(), node.start, node.parent, node.kind, node.used)
        lower_tokens = node.tokens[at:].copy()
        if node.rows is not None:
            upper.rows, node.rows = split_rows(node.rows, at)
            evaluate([*upper.rows, *node.rows], [])
            self._live += 1
        node.parent.children[int(upper.tokens[0])] = upper
        node.tokens, node.start, node.parent = lower_tokens, node.start + at, upper
        upper.children[int(lower_tokens[0])] = node
        for part in (upper, node):
            self._weigh(part)
        return upper

    def _complete(
        self, path: list[_Node], stored: TokenArray, cache: list[Any], kind: Kind
    ) -> list[CacheChange]:
        """Add what the nodes of a path and their continuation lack: rows, and states at the end."""
        assert self._layout is not None
        known = path[-1].end if path else 0
        parent = path[-1] if path else self._root
        if known < len(stored):
            path = [*path, _Node(stored[known:].copy(), known, parent, kind, 0)]
        last = path[-1]
        rows = {node: rows_between(cache, node.start, node.end) for node in path if not node.is_live}
        states = states_of(cache) if self._layout.has_states and last.states is None else None
        added = sum(nbytes_of(span, []) for span in rows.values()) + nbytes_of([], states or [])
        new_node = last.tokens.nbytes + NODE_BYTES if known < len(stored) else 0
        tokens = sum(len(node.tokens) for node in rows)
        if tokens:
            self._row_bytes = sum(nbytes_of(span, []) for span in rows.values()) / tokens
        self._touch(path, kind)
        changes, fits = self._make_room(added + new_node, path)
        if not fits or not (rows or states):
            return changes
        evaluate([layer for span in rows.values() for layer in span], states or [])
        if known < len(stored):
            parent.children[int(last.tokens[0])] = last
        for node, span in rows.items():
            node.rows = span
            self._live += 1
        if states is not None:
            last.states, last.states_used = states, self._clock
            self._state_bytes = max(self._state_bytes, nbytes_of([], states))
        for node in {*rows, last}:
            self._weigh(node)
        self._counts.insertions += 1
        return [*changes, self._change("inserted", tokens, added)]

    def _weigh(self, node: _Node) -> None:
        self._bytes -= node.nbytes
        node.nbytes = nbytes_of(node.rows or [], node.states or []) + node.tokens.nbytes + NODE_BYTES
        self._bytes += node.nbytes

    def _cost(self, tokens: int) -> int:
        return int(tokens * self._row_bytes) + self._state_bytes

    # Evicting

    def _make_room(self, needed: int, path: Sequence[_Node]) -> tuple[list[CacheChange], bool]:
        """Evict until `needed` bytes fit beside what is kept; nothing of `path` but states inside of it."""
        changes: list[CacheChange] = []
        if needed > self._max_bytes:
            return changes, False
        kept = set(path)
        remembered = min(_GHOST_BYTES, int(self._max_bytes * _GHOST_SHARE))
        self._forget_ghosts(kept, remembered)
        while self._bytes + needed > self._max_bytes:
            victim = min(self._victims(kept), key=lambda victim: victim[0], default=None)
            if victim is not None:
                _, node, whole = victim
                changes.append(self._evict(node, whole=whole))
                self._forget_ghosts(kept, remembered)
            elif self._forget_ghosts(kept, 0) == 0:
                return changes, False
        return changes, True

    def _victims(self, kept: set[_Node]) -> Iterator[tuple[tuple[int, int], _Node, bool]]:
        """What may be evicted, each with its worth: leaves as a whole, of other nodes their states."""
        for node in self._nodes():
            if not node.is_live:
                continue
            if node.has_live_child or node in kept:
                if node.states is not None:
                    yield (_RANK[node.kind], node.states_used), node, False
            else:
                yield (_RANK[node.kind], node.used), node, True

    def _evict(self, node: _Node, *, whole: bool = True) -> CacheChange:
        """Drop the rows and states of a leaf, or a node's states alone."""
        before = node.nbytes
        node.states = None
        tokens = 0
        if whole:
            node.rows = None
            self._live -= 1
            tokens = len(node.tokens)
        self._weigh(node)
        self._counts.evictions += 1
        return self._change("evicted", tokens, before - node.nbytes)

    def _forget_ghosts(self, kept: set[_Node], most_bytes: int) -> int:
        """Forget the oldest ghosts until `most_bytes` are left of them; returns how many went."""
        ghosts = [node for node in self._nodes() if not node.is_live]
        held = sum(node.nbytes for node in ghosts)
        forgotten = 0
        while held > most_bytes:
            ends = [node for node in ghosts if not node.children and node not in kept]
            if not ends:
                break
            oldest = min(ends, key=lambda node: node.used)
            assert oldest.parent is not None
            del oldest.parent.children[int(oldest.tokens[0])]
            ghosts.remove(oldest)
            held -= oldest.nbytes
            self._bytes -= oldest.nbytes
            forgotten += 1
        return forgotten

    # Telling

    def _change(
        self, event: Literal["inserted", "evicted", "restored"], tokens: int, nbytes: int
    ) -> CacheChange:
        return CacheChange(event, tokens, nbytes, self._live, self._bytes, self._max_bytes)

    def _explain(self, prompt: TokenArray, matched: int, walk: _Walk) -> MissAt | None:
        if not self._root.children:
            return MissAt("cold", 0, (), _around(prompt, 0))
        walked = [*walk.whole, *([walk.part] if walk.part else [])]
        if any(not node.is_live for node in walked):
            return MissAt("evicted", matched, (), _around(prompt, matched))
        place = walk.length
        if place < len(prompt) - 1:
            stored = self._continuation(walk)
            if len(stored):
                before = (*_around(prompt[:place], place), *(int(token) for token in stored[: _AROUND[1]]))
                return MissAt("diverged", place, before, _around(prompt, place))
        if matched < place:
            # Stored, but in a state that cannot be cut back to where this prompt needs it.
            return MissAt("diverged", matched, _around(prompt, matched), _around(prompt, matched))
        return None

    def _continuation(self, walk: _Walk) -> TokenArray:
        """What is stored behind the place that a walk came to; of several, what was used last."""
        if walk.part is not None:
            return walk.part.tokens[walk.length - walk.part.start :]
        last = walk.whole[-1] if walk.whole else self._root
        newest = max(last.children.values(), key=lambda child: child.used, default=None)
        return newest.tokens if newest is not None else np.empty(0, np.int32)


def _around(tokens: TokenArray, place: int) -> tuple[int, ...]:
    before, behind = _AROUND
    return tuple(int(token) for token in tokens[max(0, place - before) : place + behind])
