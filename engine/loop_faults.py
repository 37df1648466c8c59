"""What becomes of the requests of a batch that failed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from engine.decode_batch import Batch
from engine.live_request import LiveRequest
from engine.loop_reporting import LoopReporting
from engine.request_places import RequestPlaces

_log = logging.getLogger(__name__)

_MAX_FAILURES = 3  # shared failures after which a request is given up


class Recovery:
    """Takes batches apart after a fault. Used on the model's thread."""

    def __init__(self, places: RequestPlaces, reporting: LoopReporting) -> None:
        self._places = places
        self._reporting = reporting

    def take_apart(
        self,
        batch: Batch,
        error: Exception,
        joining: Sequence[LiveRequest] = (),
        *,
        leaving: LiveRequest | None = None,
    ) -> None:
        """Give a batch up after a fault in it.

        Whose fault it was cannot be told when several were in it. Each then runs on alone from where it was,
        until it has passed the place; the one that fails alone is the one that fails.
        """
        affected = [live for live in {*self._places.members(batch), *joining} if live is not leaving]
        affected.sort(key=lambda live: live.arrived)
        _log.error("a batch of %d failed and is taken apart", len(affected), exc_info=error)
        self._reporting.counts.rebuilds += 1
        batch.rows.clear()
        alone = leaving is None and len(affected) == 1
        for live in affected:
            self._places.drop(live)
            live.failures += 1
            if alone or live.failures > _MAX_FAILURES:
                self._reporting.fail(live, "internal", fault_message(error))
            else:
                live.suspect = True
                self._places.wait(live)


def fault_message(error: Exception) -> str:
    """What the client of a request that failed reads."""
    detail = str(error).strip().splitlines() or [""]
    return f"generation failed ({type(error).__name__}: {detail[0]}); the engine goes on, try again"
