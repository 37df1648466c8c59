"""What the engine was last found to hold, and when it has to be asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.client.records import Snapshot

if TYPE_CHECKING:
    from proxy.events.cache_facts import CacheHoldings

AGAIN_S = 1.0  # between two questions, while what is held changes
AFTER_FAULT_S = 5.0  # until the next one, where there was no answer
ANSWERING = ("ready", "busy", "stalled")  # states of an engine that can say what it holds


class AskedHoldings:
    """The answer to the last question, `held`, or the `fault` that came in its place."""

    def __init__(self) -> None:
        self.held: CacheHoldings | None = None
        self.fault = ""
        self.asked_at = 0.0
        self._asked_for: tuple[Any, ...] = ()
        self._asked_engine: int | None = None  # its process
        self._awaited = False

    def forget_ended(self, snapshot: Snapshot) -> None:
        """Forget what an engine held that is there no longer: another one begins with what is on disk."""
        engine = snapshot.engine
        if engine is None or snapshot.link.gone:  # then the last answer stands, with its time
            return
        if engine.state not in ANSWERING or (self._asked_for and engine.pid != self._asked_engine):
            self.held, self.fault, self._asked_for = None, "", ()

    def is_due(self, snapshot: Snapshot, now: float) -> bool:
        """Whether what is held may have changed since the last question, or that had no answer."""
        engine = snapshot.engine
        if self._awaited or snapshot.link.gone or engine is None or engine.state not in ANSWERING:
            return False
        if self.fault:  # what is played may have its answer a little later
            pause = AGAIN_S if snapshot.link.recorded else AFTER_FAULT_S
        elif self._wanted(snapshot) == self._asked_for:
            return False
        else:
            pause = AGAIN_S
        return not 0.0 <= now - self.asked_at < pause

    def ask(self, snapshot: Snapshot, now: float) -> None:
        """Note that the engine is being asked."""
        self._asked_for, self.asked_at = self._wanted(snapshot), now
        self._asked_engine = snapshot.engine.pid if snapshot.engine is not None else None
        self._awaited = True

    def take(self, held: CacheHoldings) -> None:
        """Note the answer."""
        self.held, self.fault, self._awaited = held, "", False

    def fail(self, fault: str, *, forget: bool) -> None:
        """Note why there is no answer; `forget` the one before, too, which is of another time."""
        self.fault, self._awaited = fault, False
        if forget:
            self.held = None

    @staticmethod
    def _wanted(snapshot: Snapshot) -> tuple[Any, ...]:
        """What an answer depends on."""
        totals, engine = snapshot.totals, snapshot.engine
        return (
            *(totals.cache_insertions, totals.cache_evictions, totals.cache_entries, totals.cache_bytes),
            *(totals.finished, totals.failed, len(snapshot.active), engine.pid if engine else None),
            snapshot.cache_acts,
        )
