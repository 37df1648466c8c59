"""How fast an answer was generated."""

from __future__ import annotations

from proxy.events.types import Timings

LEAST_S = 0.001  # of decoding; what came in one piece, such as a buffered call, took less and tells no speed


def decode_speed(timings: Timings, output_tokens: int) -> float:
    """Output tokens after the first, per second of the time that they took; 0 where that is not known."""
    if timings.first_token is None or timings.last_token is None or output_tokens < 2:
        return 0.0
    seconds = timings.last_token - timings.first_token
    return (output_tokens - 1) / seconds if seconds >= LEAST_S else 0.0
