"""Why a lookup reused less than it might have: the place, and the tokens around it."""

from __future__ import annotations

import numpy as np

from engine.eviction import is_ghost
from engine.prefix_cache import MissAt, TokenArray
from engine.radix_tree import RadixTree, Walk, resumable

_AROUND = (6, 16)  # tokens shown before and from the place where a prompt left what is stored


def explain(
    tree: RadixTree, prompt: TokenArray, matched: int, walk: Walk, *, exact: bool = False
) -> MissAt | None:
    """What stood in the way of a prompt of which `matched` tokens are reused; None: nothing did.

    With `exact` it can be resumed only where states are, and what is on disk without them is no loss.
    """
    if not tree.root.children:
        return MissAt("cold", 0, (), _around(prompt, 0))
    on_disk = resumable(walk, exact=exact, cold=True)[1]
    if on_disk > matched or any(is_ghost(node) for node in walk.path):
        return MissAt("evicted", matched, (), _around(prompt, matched))
    place = walk.length
    if place < len(prompt) - 1:
        stored = _continuation(tree, walk)
        if len(stored):
            before = (*_around(prompt[:place], place), *(int(token) for token in stored[: _AROUND[1]]))
            return MissAt("diverged", place, before, _around(prompt, place))
    if matched < place:
        # Stored, but in a state that cannot be cut back to where this prompt needs it.
        return MissAt("diverged", matched, _around(prompt, matched), _around(prompt, matched))
    return None


def _continuation(tree: RadixTree, walk: Walk) -> TokenArray:
    """What is stored behind the place that a walk came to; of several, what was used last."""
    if walk.part is not None:
        return walk.part.tokens[walk.length - walk.part.start :]
    last = walk.whole[-1] if walk.whole else tree.root
    newest = max(last.children.values(), key=lambda child: child.used, default=None)
    return newest.tokens if newest is not None else np.empty(0, np.int32)


def _around(tokens: TokenArray, place: int) -> tuple[int, ...]:
    before, behind = _AROUND
    return tuple(int(token) for token in tokens[max(0, place - before) : place + behind])
