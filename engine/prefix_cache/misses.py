"""Why a lookup restored no more: the reason, the position, and the tokens around it."""

from __future__ import annotations

from engine.prefix_cache.eviction import is_ghost
from engine.prefix_cache.interface import MissAt, TokenArray
from engine.prefix_cache.tree import Node, RadixTree, Walk, resumable

AROUND = (6, 16)  # tokens to show before and from the position of a miss


def explain(
    tree: RadixTree, prompt: TokenArray, restored: int, walk: Walk, *, exact: bool = False
) -> MissAt | None:
    """Why a prompt of which `restored` tokens were restored got no more; None if it got all it could.

    With `exact` it can be resumed only at checkpoints, so spans on disk without one are no miss.
    """
    if not tree.root.children:
        return MissAt("cold", 0, (), _around(prompt, 0))
    on_disk = resumable(walk, exact=exact, with_disk=True)[1]
    if on_disk > restored or any(is_ghost(node) for node in walk.path):
        return _evicted(prompt, restored, walk, exact=exact)
    position = walk.length
    if position < len(prompt) - 1:
        stored = _continuation(tree, walk)
        if len(stored):
            before = (*_around(prompt[:position], position), *stored)
            return MissAt("diverged", position, before, _around(prompt, position))
    if exact and any(_lost_checkpoint(node, restored) for node in walk.whole):
        return _evicted(prompt, restored, walk, exact=exact)
    # The nodes behind `restored` never had a checkpoint: nothing differs, and nothing was evicted.
    return None


def _evicted(prompt: TokenArray, restored: int, walk: Walk, *, exact: bool) -> MissAt:
    """A miss of what had been stored, with the first eviction that it is due to, if that is remembered."""
    ends = [node.end for node in walk.whole if node.checkpoint_used > 0] if exact else [walk.length]
    lost = max(0, max(ends, default=restored) - restored)
    gone = (node.evicted for node in walk.path if node.end > restored and not _is_there(node, exact=exact))
    first = next((eviction for eviction in gone if eviction is not None), None)
    return MissAt("evicted", restored, (), _around(prompt, restored), lost, first)


def _is_there(node: Node, *, exact: bool) -> bool:
    """Whether nothing of a node has left memory."""
    return node.in_memory and (node.checkpoint is not None or not exact or not node.checkpoint_used)


def _lost_checkpoint(node: Node, restored: int) -> bool:
    """Whether this node's checkpoint, which would have been used, was evicted."""
    return node.end > restored and node.checkpoint_used > 0 and not node.has_checkpoint


def _continuation(tree: RadixTree, walk: Walk) -> list[int]:
    """The stored tokens behind the end of a walk, along the most recently used nodes."""
    node = walk.path[-1] if walk.path else tree.root
    tokens: list[int] = walk.part.tokens[walk.length - walk.part.start :].tolist() if walk.part else []
    while len(tokens) < AROUND[1] and node.children:
        node = max(node.children.values(), key=lambda child: child.used)
        tokens += node.tokens.tolist()
    return tokens[: AROUND[1]]


def _around(tokens: TokenArray, position: int) -> tuple[int, ...]:
    before, behind = AROUND
    return tuple(int(token) for token in tokens[max(0, position - before) : position + behind])
