"""The ledger of the engine's memory: what is taken, what is promised, and whether one more request fits.

Pure arithmetic: nothing here measures or frees. A request's memory is set apart when it begins, for all of
its prompt and the next part of its answer, so that what was begun can go on. What nobody has claimed is the
prefix cache's.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Hashable

from engine.memory.costs import RequestCost, window_tokens


class Verdict(enum.Enum):
    """What becomes of a request that wants to begin."""

    FITS = "fits"
    WAITS = "waits"  # until another one has ended
    NEVER = "never"  # it would not fit if it were alone


class Reservations:
    """Who holds how much of `limit_bytes`; `fixed_bytes` are taken for good, by weights and the like."""

    def __init__(self, limit_bytes: int, fixed_bytes: int = 0, cost: RequestCost | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.fixed_bytes = fixed_bytes
        self.cost = cost or RequestCost()
        self.loading_bytes = 0  # on their way from disk, in no cache yet
        self._tokens: dict[Hashable, int] = {}  # what is set apart, by request

    def __contains__(self, request: Hashable) -> bool:
        return request in self._tokens

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def requests_bytes(self) -> int:
        """What is set apart for requests."""
        return self._requests(list(self._tokens.values()))

    @property
    def claimed_bytes(self) -> int:
        """All but the prefix cache."""
        return self.fixed_bytes + self.loading_bytes + self.requests_bytes

    @property
    def cache_room_bytes(self) -> int:
        """What is left to the prefix cache; it has to give up what it holds beyond."""
        return max(0, self.limit_bytes - self.claimed_bytes)

    def window(self, most: int) -> int:
        """The longest context that fits, in tokens."""
        return window_tokens(self.limit_bytes - self.fixed_bytes, self.cost, most)

    def tokens_of(self, request: Hashable) -> int:
        """The tokens that memory is set apart for."""
        return self._tokens.get(request, 0)

    def has_others(self, request: Hashable) -> bool:
        """Whether memory is set apart for any but this one."""
        return len(self._tokens) > (request in self._tokens)

    def admit(self, request: Hashable, least: int, wanted: int) -> Verdict:
        """Set memory apart for `wanted` tokens; for fewer, at least `least`, where no other is there."""
        others = [tokens for other, tokens in self._tokens.items() if other != request]
        if self.fixed_bytes + self.cost.bytes_alone(least) > self.limit_bytes:
            return Verdict.NEVER
        if not others:
            wanted = max(least, self.window(wanted))
        if self.fixed_bytes + self.loading_bytes + self._requests([*others, wanted]) > self.limit_bytes:
            return Verdict.WAITS
        self._tokens[request] = wanted
        return Verdict.FITS

    def grow(self, request: Hashable, least: int, wanted: int) -> bool:
        """Set apart more for a request; false where another one has to make way."""
        if self._tokens.get(request, 0) >= least:
            return True
        return self.admit(request, least, wanted) is Verdict.FITS

    def retain(self, requests: Collection[Hashable]) -> None:
        """Free what is set apart for all others."""
        if len(requests) < len(self._tokens) or any(one not in requests for one in self._tokens):
            self._tokens = {one: tokens for one, tokens in self._tokens.items() if one in requests}

    def _requests(self, tokens: list[int]) -> int:
        if not tokens:
            return 0
        alone = len(tokens) == 1
        kept = sum(self.cost.reserved_bytes(count, alone=alone) for count in tokens)
        return kept + self.cost.transient_bytes(max(tokens))
