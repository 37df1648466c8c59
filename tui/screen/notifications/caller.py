"""Calls the user once for each occasion, and never more than once a minute for things of one kind."""

from __future__ import annotations

from collections.abc import Iterable

from tui.screen.notifications.needs import Kind, Need

PAUSE_S = 60.0


class Caller:
    """Remembers what was called. What was there when the screen began, it shows; that is not called."""

    def __init__(self) -> None:
        self._called: dict[Kind, str] = {}
        self._at: dict[Kind, float] = {}
        self._begun = False

    def due(self, found: Iterable[Need], now: float) -> list[Need]:
        """What to call at `now` (seconds of any clock)."""
        out: list[Need] = []
        for need in found:
            if self._called.get(need.kind) == need.key:
                continue
            if self._begun and now - self._at.get(need.kind, -PAUSE_S) < PAUSE_S:
                continue
            self._called[need.kind] = need.key
            if self._begun:
                self._at[need.kind] = now
                out.append(need)
        return out

    def begin(self) -> None:
        """From now on call: the state that the screen began with has been taken."""
        self._begun = True

    @property
    def begun(self) -> bool:
        """Whether it calls."""
        return self._begun
