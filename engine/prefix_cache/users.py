"""Who stored a span of the prefix cache, and who has used it since the engine started."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from engine.prefix_cache.interface import NOBODY, CacheUser

_MOST_SESSIONS = 32  # that are remembered of one span; of more the newest


class Use(NamedTuple):
    """One use of a span; `at` in epoch seconds."""

    user: CacheUser
    at: float


@dataclass(slots=True)
class SpanUsers:
    """The sessions that use a span, and how often it spared them a prefill."""

    stored: Use | None = None
    sessions: dict[str, Use] = field(default_factory=dict)  # the last use of each; the newest is the last
    reused: int = 0  # lookups that restored some of it
    restored: int = 0  # tokens that they restored
    part: tuple[int, Use] | None = None  # the last lookup that restored only so many of its first tokens

    @property
    def last(self) -> Use | None:
        """The last use, storing included."""
        return next(reversed(self.sessions.values()), self.stored)

    def note(self, use: Use, *, stores: bool = False) -> None:
        """Record a use; nothing of a use that nobody answers for."""
        if use.user == NOBODY:
            return
        self.sessions.pop(use.user.session, None)
        self.sessions[use.user.session] = use
        if len(self.sessions) > _MOST_SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        if stores:
            self.stored = use

    def restore(self, use: Use, tokens: int, length: int) -> None:
        """Record a lookup that restored so many tokens of a span of `length`.

        Of a part it is recorded once the span is split there, as it is when the prompt is stored.
        """
        if tokens < length:
            self.part = tokens, use
            return
        self.note(use)
        self.reused += 1
        self.restored += tokens

    def upper_part(self, at: int, length: int) -> SpanUsers:
        """The same for the first `at` of a span's `length` tokens, with their share of what was restored."""
        restored = self.restored * at // length
        self.restored -= restored
        upper = SpanUsers(self.stored, dict(self.sessions), self.reused, restored)
        if self.part is not None and self.part[0] <= at:
            upper.restore(self.part[1], self.part[0], self.part[0])
            self.part = None
        return upper
