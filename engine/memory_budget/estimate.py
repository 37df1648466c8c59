"""How much context fits beside a model, estimated without it in memory; free of mlx.

Transient memory of a chunk cannot be known so; `CHUNK_BYTES` is assumed, as in the README's table. The engine
measures it when it loads the model.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Sequence

import psutil

from engine.memory_budget.control_group import group_limit
from engine.memory_budget.costs import RequestCost, window_tokens
from engine.memory_budget.limits import Machine

CHUNK_BYTES = 200_000  # transient, for each token of a chunk
_GPU_CHUNK, _CPU_CHUNK = 2048, 512  # tokens of the largest chunk, as in `engine.chunks.fit`
_MB = 1 << 20
# The GPU's default working set on macOS: two thirds up to 36 GB, three quarters above.
_SMALL_SHARE, _LARGE_SHARE, _SMALL_BYTES = 2 / 3, 3 / 4, 36 << 30


def default_working_set(ram_bytes: int) -> int:
    """What a Mac's GPU recommends at most, in bytes, if nobody changed it."""
    return int(ram_bytes * (_SMALL_SHARE if ram_bytes <= _SMALL_BYTES else _LARGE_SHARE))


def estimated_machine(
    system: str = "", ram_bytes: int = 0, wired_limit_mb: Callable[[], int] | None = None
) -> Machine:
    """This machine, with the GPU's working set from macOS's setting or its default.

    Of a GPU of another maker nothing is known, and nothing is counted.
    """
    ram_bytes = ram_bytes or int(psutil.virtual_memory().total)
    group = group_limit()
    group = group if group < ram_bytes else 0
    if (system or platform.system()) != "Darwin":
        return Machine(ram_bytes, group_bytes=group)
    own = (wired_limit_mb or _wired_limit_mb)() * _MB
    return Machine(ram_bytes, working_set_bytes=own or default_working_set(ram_bytes))


def assumed_cost(kv_bytes: int, windows: Sequence[tuple[int, int]], chunk: int) -> RequestCost:
    """The cost of a request of a model with so many bytes a token, in chunks of `chunk` tokens."""
    return RequestCost(
        kv_bytes=kv_bytes,
        windows=tuple(windows),
        chunk_bytes=CHUNK_BYTES,
        chunk_size_at=lambda position: chunk,
    )


def fitting_tokens(
    room_bytes: int,
    kv_bytes: int,
    windows: Sequence[tuple[int, int]],
    most: int,
    *,
    kv_bits: int = 0,
    on_gpu: bool,
) -> int:
    """The longest context in tokens, at most `most`, that fits into `room_bytes` beside the weights."""
    share = kv_bits / 16 if kv_bits else 1.0
    cost = assumed_cost(int(share * kv_bytes), windows, _GPU_CHUNK if on_gpu else _CPU_CHUNK)
    return window_tokens(room_bytes, cost, most) if room_bytes > 0 else 0


def _wired_limit_mb() -> int:
    """What the user set with `sysctl iogpu.wired_limit_mb`; 0 for nothing."""
    try:
        said = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "iogpu.wired_limit_mb"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    text = said.stdout.strip()
    return int(text) if text.isascii() and text.isdigit() else 0
