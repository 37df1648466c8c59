"""Why a lookup reused less than it might have: the place, and the tokens around it."""

from __future__ import annotations

from engine.prefix_cache.eviction import is_ghost
from engine.prefix_cache.interface import MissAt, TokenArray
from engine.prefix_cache.tree import Node, RadixTree, Walk, resumable

AROUND = (6, 16)  # tokens shown before and from the place where a prompt left what is stored


def explain(
    tree: RadixTree, prompt: TokenArray, matched: int, walk: Walk, *, exact: bool = False
) -> MissAt | None:
    """What stood in the way of a prompt of which `restored` tokens are reused; None: nothing did.

    With `exact` it can be resumed only where states are, and what is on disk without them is no loss.
    """
    if not tree.root.children:
        return MissAt("cold", 0, (), _around(prompt, 0))
    on_disk = resumable(walk, exact=exact, with_disk=True)[1]
    if on_disk > matched or any(is_ghost(node) for node in walk.path):
        return MissAt("evicted", matched, (), _around(prompt, matched))
    place = walk.length
    if place < len(prompt) - 1:
        stored = _continuation(tree, walk)
        if len(stored):
            before = (*_around(prompt[:place], place), *stored)
            return MissAt("diverged", place, before, _around(prompt, place))
    if exact and any(_lost_states(node, matched) for node in walk.whole):
        return MissAt("evicted", matched, (), _around(prompt, matched))
    # What is known beyond `restored` has no state of its own: nothing differs and nothing went.
    return None


def _lost_states(node: Node, matched: int) -> bool:
    """Whether a prompt could have been resumed behind this node, had its states not been evicted."""
    return node.end > matched and node.checkpoint_used > 0 and not node.has_checkpoint


def _continuation(tree: RadixTree, walk: Walk) -> list[int]:
    """What is shown of what is stored behind the place that a walk came to; of several, the last used."""
    node = walk.path[-1] if walk.path else tree.root
    tokens: list[int] = walk.part.tokens[walk.length - walk.part.start :].tolist() if walk.part else []
    while len(tokens) < AROUND[1] and node.children:
        node = max(node.children.values(), key=lambda child: child.used)
        tokens += node.tokens.tolist()
    return tokens[: AROUND[1]]


def _around(tokens: TokenArray, place: int) -> tuple[int, ...]:
    before, behind = AROUND
    return tuple(int(token) for token in tokens[max(0, place - before) : place + behind])
