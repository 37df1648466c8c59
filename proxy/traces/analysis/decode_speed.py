"""How fast an answer was generated."""

from __future__ import annotations

from proxy.events.types import Timings


def decode_speed(timings: Timings, output_tokens: int) -> float:
    """Output tokens after the first, per second of the time that they took; 0 where there are none."""
    if timings.first_token is None or timings.last_token is None or output_tokens < 2:
        return 0.0
    seconds = timings.last_token - timings.first_token
    return (output_tokens - 1) / seconds if seconds > 0 else 0.0
