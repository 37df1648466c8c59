"""Why a prompt could not reuse more of the prefix cache; in the engine feed, in events and in traces."""

from __future__ import annotations

from typing import Literal

MissReason = Literal["cold", "diverged", "evicted", "disabled"]

EvictionCause = Literal["room", "memory", "fault", "dropped", "flushed"]
"""Why a span left memory: another span needed the room, requests needed the memory, the device failed, or a
person dropped it, or flushed the cache."""
