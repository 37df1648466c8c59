"""Memory reservations of requests: what is reserved, and whether one more request fits.

Pure arithmetic: nothing here measures or frees. A request reserves memory when it starts, for its whole
prompt and the next part of its answer, so that it can continue. The prefix cache may use what is not
reserved.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Hashable

from engine.memory_budget.costs import RequestCost, window_tokens


class Admission(enum.Enum):
    """Whether a request may start."""

    FITS = "fits"
    WAITS = "waits"  # until another request ends
    NEVER = "never"  # it does not fit even alone


class Reservations:
    """Reservations within `limit_bytes`; `fixed_bytes` are taken permanently, by weights for example."""

    def __init__(self, limit_bytes: int, fixed_bytes: int = 0, cost: RequestCost | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.fixed_bytes = fixed_bytes
        self.cost = cost or RequestCost()
        self.loading_bytes = 0  # being read from disk, in no cache yet
        self._tokens: dict[Hashable, int] = {}  # reserved tokens by request

    def __contains__(self, request: Hashable) -> bool:
        return request in self._tokens

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def requests_bytes(self) -> int:
        """Bytes reserved for requests."""
        return self._requests(list(self._tokens.values()))

    @property
    def claimed_bytes(self) -> int:
        """All bytes in use or reserved, without the prefix cache."""
        return self.fixed_bytes + self.loading_bytes + self.requests_bytes

    @property
    def cache_room_bytes(self) -> int:
        """The bytes that the prefix cache may hold; it evicts what is above."""
        return max(0, self.limit_bytes - self.claimed_bytes)

    def window(self, most: int) -> int:
        """The longest context that fits, in tokens, at most `most`."""
        return window_tokens(self.limit_bytes - self.fixed_bytes, self.cost, most)

    def tokens_of(self, request: Hashable) -> int:
        """The tokens that a request has reserved."""
        return self._tokens.get(request, 0)

    def has_others(self, request: Hashable) -> bool:
        """Whether another request has a reservation."""
        return len(self._tokens) > (request in self._tokens)

    def admit(self, request: Hashable, least: int, wanted: int) -> Admission:
        """Reserve memory for `wanted` tokens; for a request alone fewer are enough, at least `least`."""
        others = [tokens for other, tokens in self._tokens.items() if other != request]
        if self.fixed_bytes + self.cost.bytes_alone(least) > self.limit_bytes:
            return Admission.NEVER
        if not others:
            wanted = max(least, self.window(wanted))
        if self.fixed_bytes + self.loading_bytes + self._requests([*others, wanted]) > self.limit_bytes:
            return Admission.WAITS
        self._tokens[request] = wanted
        return Admission.FITS

    def grow(self, request: Hashable, least: int, wanted: int) -> bool:
        """Reserve more for a request; false if another one has to be preempted."""
        if self._tokens.get(request, 0) >= least:
            return True
        return self.admit(request, least, wanted) is Admission.FITS

    def retain(self, requests: Collection[Hashable]) -> None:
        """Release the reservations of all other requests."""
        if len(requests) < len(self._tokens) or any(one not in requests for one in self._tokens):
            self._tokens = {one: tokens for one, tokens in self._tokens.items() if one in requests}

    def _requests(self, tokens: list[int]) -> int:
        if not tokens:
            return 0
        alone = len(tokens) == 1
        kept = sum(self.cost.reserved_bytes(count, alone=alone) for count in tokens)
        return kept + self.cost.transient_bytes(max(tokens))
