"""Deadlines of reads from disk, which show whether the disk still answers.

A read from a detached network or USB disk may never return, and blocks all reads behind it. So each read has
a deadline, which grows with its size; while a read is past its deadline, prompts are computed instead.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable

from engine.prefix_cache.interface import Fetch

_log = logging.getLogger(__name__)

READ_WITHIN_S = 10.0
"""Seconds that a request waits for a read, beside the time for its size on a slow disk."""

_SLOW_DISK = 50 << 20  # bytes a second
_LONGEST_S = 120.0  # the supervisor kills an engine without progress for 180 s


class ReadDeadlines:
    """The pending fetches of all requests. Used on the model's thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Each with its deadline. The reader references a fetch; this must not keep one alive that no request
        # waits for.
        self._started: list[tuple[weakref.ref[Fetch], float]] = []
        self._logged = False

    def add(self, fetch: Fetch) -> None:
        """Add a fetch that was started; its deadline includes the fetches before it."""
        nbytes = fetch.bytes + sum(one.bytes for one, _ in self._open())
        within = min(READ_WITHIN_S + nbytes / _SLOW_DISK, _LONGEST_S)
        self._started.append((weakref.ref(fetch), self._clock() + within))

    def hang(self) -> bool:
        """Whether a read is past its deadline: until it returns, wait for no other."""
        still = self._open()
        self._started = [(weakref.ref(fetch), until) for fetch, until in still]
        now = self._clock()
        hang = any(now >= until for _, until in still)
        if hang and not self._logged:
            _log.warning(
                "the disk of the prefix cache does not answer; until it does, prompts are computed again"
            )
        self._logged = hang
        return hang

    def _open(self) -> list[tuple[Fetch, float]]:
        known = [(started(), until) for started, until in self._started]
        return [(fetch, until) for fetch, until in known if fetch is not None and not fetch.done]
