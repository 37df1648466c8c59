"""The prefill time that restored tokens saved, by the estimate of `proxy.traces.analysis.groups`.

Restored tokens of a model, times what a token took in its long prefills, less the time to restore them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from proxy.configuration.known_backends import backend_kind
from proxy.traces.analysis.decode_speed import LONG_PREFILL, prefill_time
from tui.client.records import RequestSnapshot

MOST_MODELS = 100  # names come from the client; more distinct ones than this are counted as one


@dataclass(slots=True)
class _Model:
    """Long prefills of all requests that are known, and what those of this host restored."""

    measured_tokens: int = 0
    measured_s: float = 0.0
    restored: int = 0
    restore_s: float = 0.0


class PrefillSavings:
    """Counts requests that ended."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], _Model] = {}
        self._first = ""  # the first model of our engine that is known, to which what came before counts

    def note(
        self, request: RequestSnapshot | None, data: Any, *, of_this_host: bool, engine_model: str = ""
    ) -> None:
        """Count the end of `request` (`RequestFinished`, `RequestFailed`); earlier hosts give speeds only.

        Of our engine its own model counts, whatever the client calls it.
        """
        backend, model = (request.backend, request.model) if request is not None else ("", "")
        key = (backend, self._of_engine(engine_model) if backend_kind(backend) == "mlx" else model)
        if key not in self._models and len(self._models) >= MOST_MODELS:
            key = ("", "")
        sums = self._models.setdefault(key, _Model())
        prefilled = data.usage.input_tokens + data.usage.cache_creation_input_tokens
        took = prefill_time(data.timings)
        if prefilled >= LONG_PREFILL and took and math.isfinite(took):
            sums.measured_tokens += prefilled
            sums.measured_s += took
        if of_this_host:
            sums.restored += data.usage.cache_read_input_tokens
            cache = getattr(data, "cache", None)
            if cache is not None and math.isfinite(cache.restore_s):
                sums.restore_s += cache.restore_s

    def _of_engine(self, model: str) -> str:
        self._first = self._first or model
        return "" if model == self._first else model

    def speed(self, engine_model: str = "") -> float:
        """Tokens a second of the long prefills that were measured; 0 where there were none.

        Of our engine only those by this model count.
        """
        named = self._of_engine(engine_model)
        counted = [
            sums
            for (backend, model), sums in self._models.items()
            if backend_kind(backend) != "mlx" or model == named
        ]
        took = sum(sums.measured_s for sums in counted)
        tokens = sum(sums.measured_tokens for sums in counted)
        return tokens / took if took > 0 and tokens < 1e15 else 0.0

    def seconds(self, restored: int) -> float | None:
        """What `restored` tokens saved, all those of this host; None as long as no long prefill was measured.

        Tokens of requests whose end was not seen count at the mean speed.
        """
        try:
            rates = {
                key: sums.measured_s / sums.measured_tokens
                for key, sums in self._models.items()
                if sums.measured_tokens
            }
            if not rates:
                return None
            known = self._models.values()
            mean = sum(sums.measured_s for sums in known) / sum(sums.measured_tokens for sums in known)
            saved = sum(
                self._models[key].restored * rate - self._models[key].restore_s for key, rate in rates.items()
            )
            return max(0.0, saved + max(0, restored - sum(sums.restored for sums in known)) * mean)
        except OverflowError:  # an event may hold any number
            return None
