"""Where in a prompt what was computed so far goes into the prefix cache.

The end of system and tools does, since other sessions begin with it, and every few thousand tokens, so that
a request that is cancelled or that another one follows leaves something. Rows of keys and values serve any
beginning of what they were computed for. A recurrent state or a sliding window does not: it can be resumed
only where it was kept, so there the ends of the first and of the last messages are kept as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.prefix_cache.interface import Kind
from engine.prefix_cache.layers import has_rows, leaves

_GRID = 4096  # tokens
_FIRST_CUTS = 2  # ends of what other sessions may begin with: system and tools, then the client's reminders
_LAST_CUTS = 2  # ends of messages that are kept: the newest, and the one before it for a message that changes


def needs_checkpoints(cache: Sequence[Any]) -> bool:
    """Whether some layer of this prompt cache cannot be cut back, now or once it has grown."""
    return not all(has_rows(layer) for layer in leaves(cache))


def checkpoints(
    cuts: Sequence[int], length: int, matched: int, exact_only: bool, *, has_head: bool = True
) -> dict[int, Kind]:
    """Positions between `matched` and the end at which to keep what was computed, and what it is kept for.

    The last is always `length` - 1, where prefill ends: the last token's step is the first of decoding.
    `cuts` are those of the request; with `has_head` the first ends what other sessions begin with. All of it
    depends on the prompt alone, so that a prompt is cut alike whoever sends it.
    """
    kept: dict[int, Kind] = dict.fromkeys(range(_GRID, length - 1, _GRID), "main")
    inside = [cut for cut in cuts if 0 < cut < length - 1]
    if exact_only:
        kept |= dict.fromkeys([*inside[:_FIRST_CUTS], *inside[-_LAST_CUTS:]], "main")
    if inside and has_head:
        kept[inside[0]] = "head"
    kept[length - 1] = "main"
    return {cut: kind for cut, kind in sorted(kept.items()) if cut > matched}
