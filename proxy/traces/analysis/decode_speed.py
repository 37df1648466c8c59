"""How fast a prompt was prefilled and an answer generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.events.types import Timings

# What came in one piece tells no speed: a buffered call, the few tokens of one network packet, or a whole
# answer that an upstream held back. No model is known to be faster than the most.
LEAST_S = 0.05
LEAST_TOKENS = 8  # after the first
MOST_PER_S = 5_000.0
LONG_PREFILL = 512  # tokens from which on the fixed cost of a prefill does not distort its speed


def prefill_time(timings: Timings) -> float | None:
    """Seconds from the start of prefill to the first token, by the engine's clock where it told them.

    Else the prefill starts with its first progress, or when the request was queued.
    """
    if timings.first_token is None:
        return None
    engine = timings.engine
    if engine is not None and engine.prefill_s is not None:
        return max(0.0, engine.prefill_s + (engine.first_token_s or 0.0))
    began = timings.prefill_start if timings.prefill_start is not None else timings.queued
    return max(0.0, timings.first_token - (began or 0.0))


def decode_speed(timings: Timings, output_tokens: int) -> float:
    """Output tokens after the first, per second of the time that they took; 0 where that is not known."""
    if timings.first_token is None or timings.last_token is None:
        return 0.0
    generated = output_tokens - timings.resumed_tokens
    return speed_after_first(generated, timings.last_token - timings.first_token)


def speed_after_first(output_tokens: int, seconds: float) -> float:
    """The speed of `output_tokens` of which all but the first took `seconds`; 0 where that tells none."""
    if output_tokens <= LEAST_TOKENS or seconds < LEAST_S:
        return 0.0
    speed = (output_tokens - 1) / seconds
    return speed if speed <= MOST_PER_S else 0.0
