"""The size of a prompt's first chunk, fitted to the times of two lengths on this machine.

A step has a fixed part, such as reading the weights (for a mixture of experts nearly all of them, from some
hundred tokens on), and a part that grows with the tokens. One length cannot predict a longer one; two can, as
`fixed_s + per_token_s * tokens`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from engine.chunks.boundaries import SMALLEST
from engine.prefix_cache.layers import cache_arrays

_WAIT_S = 0.2  # about the longest delay of decoding by a chunk, if speed allows it
_ENOUGH = 0.9  # of the best speed
_STILL_ENOUGH = 0.8  # of the best speed, for the size of prompts on disk
_SAMPLES, _MOST_SAMPLES = 3, 8  # of each length; the fastest counts, others may be disturbed
_SHORT_SAMPLES_S = 0.5  # take more than three samples while their sum is below this
_LONG_SAMPLE_S = 2.0  # fewer are enough once their sum is above this
_MOST_WARM_UPS = 200
_SPREAD = 997  # distance of a sample's token ids, so that they go to many experts
_TICK_S = 1e-9  # the shortest step, for a coarse clock


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """Lengths to measure and choose from on one kind of device, in tokens; `warm_up_s` in seconds."""

    smallest: int
    largest: int  # a longer chunk makes prefill no faster
    short: int
    long: int  # at most
    warm_up_s: float


ON_GPU = ChunkLimits(smallest=512, largest=2048, short=128, long=1024, warm_up_s=1.0)
"""A GPU is underused below the smallest chunk, and clocked down after idling (hence the warm-up)."""

ON_CPU = ChunkLimits(smallest=SMALLEST, largest=512, short=128, long=512, warm_up_s=0.0)


@dataclass(frozen=True, slots=True)
class ChunkFit:
    """A chunk size and why: a step of n tokens at a prompt's start takes `fixed_s + per_token_s * n` seconds.

    `lengths`: the two measured lengths in tokens. `speeds`: theirs, in tokens a second. `measured_for`: the
    name of the machine.
    """

    chunk_tokens: int
    fixed_s: float
    per_token_s: float
    lengths: tuple[int, int]
    speeds: tuple[float, float]
    measured_for: str = ""

    def seconds(self, tokens: int) -> float:
        """Seconds of a step of so many tokens at a prompt's start."""
        return _seconds(self.fixed_s, self.per_token_s, tokens)

    def speed(self, tokens: int) -> float:
        """Tokens a second in steps of `tokens`."""
        return tokens / self.seconds(tokens)

    def __str__(self) -> str:
        """For the log: the size, and the measured speeds."""
        timed = zip(self.speeds, self.lengths, strict=True)
        measured = ", ".join(f"{speed:.0f} in steps of {length}" for speed, length in timed)
        return (
            f"chunks of {self.chunk_tokens} tokens, at {self.speed(self.chunk_tokens):.0f} tokens a second"
            f" (measured: {measured})"
        )


def limits() -> ChunkLimits:
    """The limits for this process's device."""
    return ON_GPU if mx.default_device().type == mx.DeviceType.gpu else ON_CPU


def largest_chunk() -> int:
    """Tokens of the largest useful chunk on this device."""
    return limits().largest


def chosen_chunk(fixed_s: float, per_token_s: float, within: ChunkLimits, before: int | None = None) -> int:
    """The chunk size, a power of two, for `fixed_s + per_token_s * n` seconds for a step of n tokens.

    It is the smallest size with 90 % of the best speed, or a larger one that delays others by at most about
    200 ms. `before`, an earlier choice, is kept while it has 80 % of the best speed: prompts on disk belong
    to it.
    """
    sizes = [within.smallest]
    while sizes[-1] * 2 <= within.largest:
        sizes.append(sizes[-1] * 2)
    seconds = {size: _seconds(fixed_s, per_token_s, size) for size in sizes}
    speeds = {size: size / seconds[size] for size in sizes}
    best = max(speeds.values())
    if before in speeds and speeds[before] >= _STILL_ENOUGH * best:
        return before
    fast = next(size for size in sizes if speeds[size] >= _ENOUGH * best)
    return max(fast, *(size for size in sizes if size == fast or seconds[size] <= _WAIT_S))


def fitted(first: tuple[int, float], second: tuple[int, float]) -> tuple[float, float]:
    """Fixed seconds and seconds a token of the line through two measurements, (tokens, seconds) each.

    If the line has a negative part, the longer measurement is taken as proportional.
    """
    (few, short_s), (many, long_s) = first, second
    if many > few and long_s > short_s:
        per_token_s = (long_s - short_s) / (many - few)
        fixed_s = short_s - per_token_s * few
        if fixed_s >= 0:
            return fixed_s, per_token_s
    return 0.0, long_s / many


def measured_fit(
    model: Any,
    new_cache: Callable[[], list[Any]],
    clock: Callable[[], float] = time.perf_counter,
    *,
    vocab_size: int,
    most: int | None = None,
    within: ChunkLimits | None = None,
    before: int | None = None,
    measured_for: str = "",
) -> ChunkFit:
    """Warm up the device, measure two lengths, and choose the chunk size.

    `model` takes tokens of shape (1, n) and `cache`, at most `most` tokens. `before` is as in `chosen_chunk`.
    """
    within = within or limits()
    most = min(within.long, most or within.long)
    short = max(1, min(within.short, most // 2))

    def run(length: int) -> float:
        tokens = (mx.arange(length) * _SPREAD % vocab_size)[None]
        cache = new_cache()
        mx.eval(tokens, cache_arrays(cache))
        began = clock()
        model(tokens, cache=cache)
        mx.eval(cache_arrays(cache))
        return clock() - began

    warm = 0.0
    for _ in range(_MOST_WARM_UPS):
        if warm >= within.warm_up_s:
            break
        warm += run(short)
    least = 2 if within.warm_up_s else 1  # a GPU compiles kernels in the first step of a length
    short_s = _fastest(run, short, least)
    long = max(1, most)
    while long // 2 >= max(2 * short, within.smallest) and short_s * long / short > _LONG_SAMPLE_S:
        long //= 2  # on a slow machine fewer tokens are enough
    long_s = _fastest(run, long, least)
    fixed_s, per_token_s = fitted((short, short_s), (long, long_s))
    return ChunkFit(
        chosen_chunk(fixed_s, per_token_s, within, before),
        fixed_s,
        per_token_s,
        (short, long),
        (short / max(short_s, _TICK_S), long / max(long_s, _TICK_S)),
        measured_for,
    )


def _fastest(run: Callable[[int], float], length: int, least: int) -> float:
    fastest, spent = math.inf, 0.0
    for number in range(1, _MOST_SAMPLES + 1):
        took = run(length)
        fastest, spent = min(fastest, took), spent + took
        if spent >= (_SHORT_SAMPLES_S if number >= _SAMPLES else _LONG_SAMPLE_S) and number >= least:
            break
    return fastest


def _seconds(fixed_s: float, per_token_s: float, tokens: int) -> float:
    return max(fixed_s + per_token_s * tokens, _TICK_S)
