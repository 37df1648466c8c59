"""Descriptors for a full queue of requests: a terminal of macOS gives a process 256 and no more."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

WANTED = 10_240
"""What macOS allows a process without further permission (OPEN_MAX)."""


def raise_descriptor_limit(wanted: int = WANTED) -> int:
    """Let this process, and those that it starts, have so many descriptors, or as many as the system allows.

    Returns the limit that holds then; a higher one stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft == resource.RLIM_INFINITY or soft >= target:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError):  # the kernel's own limit may be lower than both
        return soft
    return target


@contextmanager
def limits_kept() -> Iterator[None]:
    """A block in which libraries are imported that would set limits of their own.

    mlx-lm does: it lowers them for good, and raises an error where it may not have what it wants.
    """
    real = resource.setrlimit
    resource.setrlimit = lambda which, limits, /: None
    try:
        yield
    finally:
        resource.setrlimit = real
