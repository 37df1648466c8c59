"""The README's table of contexts that fit each size of Mac, computed with the guard's functions.

python -m engine.memory.table    prints it
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from engine.memory_budget.costs import RequestCost, window_tokens
from engine.memory_budget.estimate import default_working_set
from engine.memory_budget.limits import GB, Machine, memory_limit

_GIB = 1 << 30
_MACS = (8, 16, 24, 32, 36, 48, 64, 96, 128, 256, 512)  # GB, as Apple counts them
_ROUND = 1000  # tokens


@dataclass(frozen=True, slots=True)
class Sample:
    """A model: bytes of weights, bytes of a token, and its context."""

    name: str
    weights_bytes: int
    kv_bytes: int
    context_tokens: int
    chunk_bytes: int  # transient, for each token of a chunk


# Weights in 4 bits; KV in 16 bits: 2 x layers x KV heads x head size x 2.
SAMPLES = (
    Sample("Qwen3-4B", 2_300_000_000, 2 * 36 * 8 * 128 * 2, 262_144, 150_000),
    Sample("Qwen3-Coder-30B-A3B", 17_200_000_000, 2 * 48 * 4 * 128 * 2, 262_144, 200_000),
    Sample("GLM-4.5-Air", 60_200_000_000, 2 * 46 * 8 * 128 * 2, 131_072, 300_000),
)


def mac(gigabytes: int) -> Machine:
    """A Mac with so much memory and macOS's defaults."""
    return Machine(gigabytes * _GIB, working_set_bytes=default_working_set(gigabytes * _GIB))


def window_of(sample: Sample, machine: Machine) -> int:
    """The longest context of one request, in tokens; 0: it does not fit."""
    cost = RequestCost(
        kv_bytes=sample.kv_bytes, chunk_bytes=sample.chunk_bytes, chunk_size_at=lambda position: 2048
    )
    room = memory_limit(machine).bytes - sample.weights_bytes
    return window_tokens(room, cost, sample.context_tokens)


def table() -> str:
    """The table in Markdown."""
    heads = ["Mac", "for the engine", *(sample.name for sample in SAMPLES)]
    lines = [heads, ["---", "---", *("---" for _ in SAMPLES)]]
    for gigabytes in _MACS:
        machine = mac(gigabytes)
        windows = [_shown(sample, window_of(sample, machine)) for sample in SAMPLES]
        lines.append([f"{gigabytes} GB", f"{memory_limit(machine).bytes / GB:.1f} GB", *windows])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(sample: Sample, tokens: int) -> str:
    if tokens < _ROUND:
        return "–"
    return "all" if tokens == sample.context_tokens else f"{tokens // _ROUND * _ROUND:,}"


if __name__ == "__main__":
    sys.stdout.write(table())
