"""The positions of a prompt at which its cache is inserted into the prefix cache.

These are the end of the shared prefix, which other sessions begin with, and every few thousand tokens, so
that a cancelled request leaves its work to the next one. KV serves any prefix of its tokens. A recurrent
state or a sliding window does not: it can be resumed only at its checkpoint, so models with such layers also
store at the ends of the first and the last messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.prefix_cache.interface import Kind
from engine.prefix_cache.layers import has_kv, leaves

_GRID = 4096  # tokens
_LAST_BOUNDARIES = 2  # the newest message, and the one before it in case the newest changes


def needs_checkpoints(cache: Sequence[Any]) -> bool:
    """Whether some layer of this prompt cache cannot be trimmed, now or once it has grown."""
    return not all(has_kv(layer) for layer in leaves(cache))


def store_positions(
    boundaries: Sequence[int],
    length: int,
    restored: int,
    exact_only: bool,
    *,
    has_shared_prefix: bool = True,
    shared: int = 2,
) -> dict[int, Kind]:
    """Positions behind `restored` at which to store the prompt's KV and checkpoint, each with its kind.

    The last is always `length` - 1, where prefill ends: the last token's step is the first of decoding.
    `boundaries` are those of the request; with `has_shared_prefix` the first one ends the shared prefix.
    Other sessions may begin with what the first `shared` end: system and tools, the client's reminders. The
    positions depend on the prompt alone, so that every client's prompt has the same ones.
    """
    positions: dict[int, Kind] = dict.fromkeys(range(_GRID, length - 1, _GRID), "main")
    inside = [boundary for boundary in boundaries if 0 < boundary < length - 1]
    if exact_only:
        positions |= dict.fromkeys([*inside[:shared], *inside[-_LAST_BOUNDARIES:]], "main")
    if inside and has_shared_prefix:
        positions[inside[0]] = "head"  # the stored name of a shared prefix
    positions[length - 1] = "main"
    return {boundary: kind for boundary, kind in sorted(positions.items()) if boundary > restored}
