"""The requests of one run of a host, for `/metrics` and the report at its end; also where traces are off."""

from __future__ import annotations

import threading
from collections.abc import Callable

from proxy.events.metrics import Estimates
from proxy.traces.analysis.facts import Row, request_row
from proxy.traces.analysis.groups import Group, Percentiles
from proxy.traces.analysis.prices import PriceTable, money
from proxy.traces.analysis.sums import Choice, RequestSums, request_sums
from proxy.traces.index_tables import storable_row
from proxy.traces.metrics.request_table import RequestTable
from proxy.traces.schema import Trace


class HostRun:
    """Counts each request that ends; `clock` is in epoch seconds. May be asked from any thread."""

    def __init__(self, prices: PriceTable, *, clock: Callable[[], float]) -> None:
        self._prices = prices
        self._clock = clock
        self._started = clock()
        self._new: list[Row] = []
        self._failed: set[str] = set()  # requests
        self._repeated: set[str] = set()  # requests that a later one repeats
        self._lock = threading.Lock()  # of what follows
        self._table = RequestTable()
        self._sums = self._all = request_sums(self._table, prices=prices)

    def ended(self, trace: Trace) -> None:
        """Count a request that has ended; for the event loop, so it does no more than to note it."""
        self._new.append(storable_row(request_row(trace)))
        if trace.own_command:
            return
        if trace.retry_of:
            self._repeated.add(trace.retry_of)
        if trace.response.error is not None and not trace.response.cancelled:
            self._failed.add(trace.id)

    def sums(self, *, own: bool = False) -> RequestSums:
        """The sums of this run; `own`: also of what commands of this program asked."""
        with self._lock:
            if new := self._new[:]:
                del self._new[: len(new)]
                self._table.add(new)
                self._sums = self._all = request_sums(self._table, prices=self._prices)
                if self._sums.left_out:
                    self._all = request_sums(self._table, Choice(own=True), self._prices)
            return self._all if own else self._sums

    def estimates(self) -> Estimates:
        """What cannot be counted event by event; of all requests, as what can."""
        total = self.sums(own=True).total
        return Estimates(total.saved_s or 0.0, total.cost or 0.0, total.unpriced)

    def report(self) -> list[str]:
        """A few lines for people about this run; none where it had no request."""
        sums = self.sums()
        total = sums.total
        if not total.requests:
            return []
        own = f"; {sums.left_out:,} of verify, doctor and replay not counted" if sums.left_out else ""
        requests = _requests(total, len(self._failed & self._repeated))
        lines = [
            f"this run: {requests} in {_duration(self._clock() - self._started)}{own}",
            f"cache: {_share(total.request_hit_rate)} of requests and {_share(total.token_hit_rate)} of"
            f" {total.prompt:,} prompt tokens hit ({total.read:,} restored, {_computed(total)});"
            f" {total.output:,} tokens out",
            f"TTFT: warm {_spread(total.ttft_warm_s)}; cold {_spread(total.ttft_cold_s)}",
        ]
        saved = [
            *([f"about {_duration(total.saved_s)} of prefill saved"] if total.saved_s else []),
            *(
                [f"the same tokens would have cost {money(total.cost)} by the configuration's prices"]
                if total.cost is not None
                else []
            ),
        ]
        return [*lines, "; ".join(saved)] if saved else lines


def _computed(total: Group) -> str:
    """What was prefilled; most servers do not tell what they keep of it."""
    if not total.created:
        return f"{total.input:,} prefilled"
    return f"{total.created:,} cached, {total.input:,} not kept"


def _requests(total: Group, repeated: int) -> str:
    """Their number; `repeated` of those that failed were asked again: the others failed for good."""
    failed = total.failed - repeated
    parts = [f"{total.requests:,} request{'s' if total.requests != 1 else ''}"]
    parts += [f"{failed:,} failed"] if failed > 0 else []
    parts += [f"{repeated:,} failed and repeated"] if repeated else []
    parts += [f"{total.cancelled:,} cancelled"] if total.cancelled else []
    return ", ".join(parts)


def _share(rate: float | None) -> str:
    return "none" if rate is None else f"{100 * rate:.1f}%"


def _spread(values: Percentiles | None) -> str:
    if values is None:
        return "not measured"
    return f"{values.p50:.2f} s (90%: {values.p90:.2f} s) in {values.count:,}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0.0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:.0f} h {minutes:02.0f} min"
    return f"{minutes:.0f} min {rest:02.0f} s" if minutes else f"{rest:.1f} s"
