"""Persistence of the tree: rebuild it from the files' headers, save spans, fetch spans."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from engine.prefix_cache.disk.encoding import NotSavable, layout_text
from engine.prefix_cache.disk.read_queue import PendingRead
from engine.prefix_cache.disk.span_files import Part, SpanFile
from engine.prefix_cache.disk.tier import DiskTier
from engine.prefix_cache.interface import Kind, TokenArray, last_evicted
from engine.prefix_cache.layers import KV, Checkpoint, Layout, dtypes_of, slice_kv
from engine.prefix_cache.tree import Node, RadixTree

_log = logging.getLogger(__name__)

OTHER_LAYOUT = "its cache has another layout"


def rebuild_tree(tree: RadixTree, found: Iterable[tuple[SpanFile, TokenArray]]) -> list[SpanFile]:
    """Add nodes for files to a tree, below their parents, in order of last use; returns files to remove.

    Those are of no use. A file whose parent is missing is neither added nor returned: it is of use again once
    the parent has been computed and saved anew.
    """
    in_order = sorted(found, key=lambda item: item[0].start)  # a file begins behind its parent's first token
    ranks = {
        file.id: rank for rank, (file, _) in enumerate(sorted(in_order, key=lambda item: item[0].used), 1)
    }
    ends: dict[str, Node] = {"": tree.root}
    orphans = set()
    for file, tokens in in_order:
        if file.parent not in ends:
            orphans.add(file.id)
            continue
        above = _node_ending_at(tree, ends.get(file.parent), file.start)
        if above is None:
            continue
        if file.part == "states":
            above.use_file(file)
            path = [above]
        else:
            path = _add_kv_file(tree, above, file, tokens)
            ends[file.id] = path[-1]
        _raise_use(path[-1], ranks[file.id], file.kind)
    tree.clock = max(tree.clock, len(ranks))
    parents = {file.parent for file, _ in in_order}
    kept = parents | orphans
    return [file for file, _ in in_order if not file.references and file.id not in kept]


def layout_text_for_files(layout: Layout, cache: Sequence[Any]) -> str:
    """The layout of a model's caches as files store it; empty if files cannot hold it."""
    try:
        return layout_text(layout, dtypes_of(cache))
    except NotSavable as error:
        _log.warning("the prefix cache of this model cannot be saved to disk: %s", error)
        return ""


def quarantine_other_layouts(disk: DiskTier, files: Iterable[SpanFile]) -> None:
    """Quarantine files whose layout is not the model's."""
    disk.quarantine(list(dict.fromkeys(files)), OTHER_LAYOUT)


def save_path(disk: DiskTier, path: Sequence[Node], layout: str, *, spare: bool) -> None:
    """Queue writes for the nodes of a path that are in memory only, until a parent cannot be saved.

    `spare`: as in `DiskTier.save`.
    """
    above: SpanFile | None = None
    for node in path:
        if node.kind == "once":
            return
        for file in node.files:
            file.kind = last_evicted(file.kind, node.kind)
        if node.kv_file is None or node.kv_file.state == "gone":
            if node.kv is None:
                return
            node.use_file(_saved(disk, above, node, layout, "rows", node.kv, spare))
        if node.kv_file is None or node.kv_file.state == "gone":
            return
        above = node.kv_file
        if node.checkpoint is not None and (
            node.checkpoint_file is None or node.checkpoint_file.state == "gone"
        ):
            node.use_file(_saved(disk, above, node, layout, "states", node.checkpoint, spare))
        for file in node.files:
            file.pinned = file.pinned or node.pinned


def _saved(
    disk: DiskTier,
    above: SpanFile | None,
    node: Node,
    layout: str,
    part: Part,
    content: KV | Checkpoint,
    spare: bool,
) -> SpanFile | None:
    """The file of a node's KV or checkpoint, queued unless it exists; None if it will not be saved."""
    start, tokens = (node.start, node.tokens) if part == "rows" else (node.end, node.tokens[:0])
    save = functools.partial(
        disk.save, above, start, tokens, content, part=part, kind=node.kind, layout=layout, spare=spare
    )
    file = save()
    if file is not None and file.layout != layout:  # its node was pruned before the layout was known
        disk.quarantine([file], OTHER_LAYOUT)
        file = save()
    return file


class SpanFetch:
    """An `engine.prefix_cache.interface.Fetch` of the files that a prompt needs."""

    def __init__(
        self,
        disk: DiskTier,
        prompt: TokenArray,
        files: Sequence[SpanFile],
        tokens: int,
        on_done: Callable[[], None],
    ) -> None:
        """Start loading. `prompt`: the tokens to restore. `tokens`: how many of them are not in memory."""
        self.prompt = prompt
        self.tokens = tokens
        self.bytes = sum(file.nbytes for file in files)
        self._on_done = on_done
        self._missing = len(files)
        self._lock = threading.Lock()
        self._cancelled = False
        self._reads: list[PendingRead] = [disk.load(file, self._one_done, self._is_wanted) for file in files]

    @property
    def done(self) -> bool:
        return not self._missing

    def cancel(self) -> None:
        self._cancelled = True
        self._reads = []

    def take(
        self, path: Sequence[Node], *, exact: bool
    ) -> tuple[dict[Node, KV], Node | None, Checkpoint | None]:
        """What was loaded for a path: KV by node up to the first gap, the last node, and its checkpoint.

        The KV is not yet evaluated. This drops its own references.
        """
        contents = {read.file: read.content for read in self._reads if read.content is not None}
        self._reads = []
        kv: dict[Node, KV] = {}
        last: Node | None = None
        for node in path:
            if not node.in_memory:
                loaded = _kv_of(node, contents)
                if loaded is None:
                    break
                kv[node] = loaded
            last = node
        if not exact or last is None or last.checkpoint is not None or last.checkpoint_file is None:
            return kv, last, None
        return kv, last, contents.get(last.checkpoint_file)

    def _is_wanted(self) -> bool:
        return not self._cancelled

    def _one_done(self) -> None:
        with self._lock:
            self._missing -= 1
            done = not self._missing
        if done:
            self._on_done()


def files_to_load(nodes: Sequence[Node], *, exact: bool) -> list[SpanFile]:
    """The files to read to resume a path at the end of its last node."""
    files = [node.kv_file for node in nodes if node.kv is None]
    if exact and nodes[-1].checkpoint is None:
        files.append(nodes[-1].checkpoint_file)
    return list(dict.fromkeys(file for file in files if file is not None))


def _kv_of(node: Node, contents: dict[SpanFile, KV | Checkpoint]) -> KV | None:
    """The KV of a node from loaded files, not yet evaluated; None if it was not loaded."""
    file = node.kv_file
    kv = contents.get(file) if file is not None else None
    if file is None or kv is None:
        return None
    offset = node.start - file.start
    if offset == 0 and len(node.tokens) == file.length:
        return kv
    return slice_kv(kv, offset, offset + len(node.tokens))


def _node_ending_at(tree: RadixTree, last: Node | None, position: int) -> Node | None:
    """The node on the path to `last` that ends at a position, split if needed; None beyond it."""
    if last is None or last.end < position:
        return None
    node = last
    while node.parent is not None and node.start >= position:
        node = node.parent
    return node if node.end == position else tree.split(node, position - node.start)


def _add_kv_file(tree: RadixTree, above: Node, file: SpanFile, tokens: TokenArray) -> list[Node]:
    """The nodes of a KV file's tokens: existing ones, and a new one for the others."""
    walk = tree.walk(tokens, below=above)
    path = list(walk.whole)
    if walk.part is not None:
        path.append(tree.split(walk.part, above.end + walk.length - walk.part.start))
    if walk.length < len(tokens):
        parent = path[-1] if path else above
        node = Node(tokens[walk.length :].copy(), above.end + walk.length, parent, file.kind, 0)
        tree.add(node)
        path.append(node)
    for node in path:
        if node.kv_file is None:
            node.use_file(file)
    return path


def _raise_use(node: Node, used: int, kind: Kind) -> None:
    """Raise last use and kind of a node and its ancestors."""
    while node.parent is not None:
        node.used = max(node.used, used)
        node.kind = last_evicted(node.kind, kind)
        node = node.parent
