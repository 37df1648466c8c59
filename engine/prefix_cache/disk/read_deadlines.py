"""What is being read from disk for prompts, and whether the disk still answers.

A read from a network or USB disk that has gone may never return, and all others wait behind it on the
loader's thread. So reads have a time limit, which grows with their size, and while one is beyond it prompts
are computed instead.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable

from engine.prefix_cache.interface import Fetch

_log = logging.getLogger(__name__)

READ_WITHIN_S = 10.0
"""Within this time, and what its size takes on a slow disk, a read returns or is not waited for."""

_SLOW_DISK = 50 << 20  # bytes a second
_LONGEST_S = 120.0  # the supervisor ends an engine that gets nowhere for 180 s


class ReadDeadlines:
    """The fetches that have not ended yet, whoever they are for. Used on the model's thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Each with the time until which it may take. Its reader holds it; once it is read and nobody waits
        # for it any more, it must not be kept in memory from here.
        self._begun: list[tuple[weakref.ref[Fetch], float]] = []
        self._has_told = False

    def add(self, fetch: Fetch) -> None:
        """A fetch has begun; it waits for those before it."""
        nbytes = fetch.bytes + sum(one.bytes for one, _ in self._open())
        within = min(READ_WITHIN_S + nbytes / _SLOW_DISK, _LONGEST_S)
        self._begun.append((weakref.ref(fetch), self._clock() + within))

    def hang(self) -> bool:
        """Whether a read takes longer than it may: until it returns, no other should be waited for."""
        still = self._open()
        self._begun = [(weakref.ref(fetch), until) for fetch, until in still]
        now = self._clock()
        hang = any(now >= until for _, until in still)
        if hang and not self._has_told:
            _log.warning(
                "the disk of the prompt cache does not answer; until it does, what is on it is computed again"
            )
        self._has_told = hang
        return hang

    def _open(self) -> list[tuple[Fetch, float]]:
        known = [(begun(), until) for begun, until in self._begun]
        return [(fetch, until) for fetch, until in known if fetch is not None and not fetch.done]
