"""Requests put together by what they have in common: counts, tokens, percentiles, what was saved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from proxy.traces.analysis.prices import PriceTable


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of `count` values, by linear interpolation between the two nearest."""

    count: int
    p10: float
    p50: float
    p90: float
    p99: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles | None:
        """None where there are no values."""
        ordered = sorted(values)
        if not ordered:
            return None
        p10, p50, p90, p99 = (quantile(ordered, share) for share in (0.1, 0.5, 0.9, 0.99))
        return cls(len(ordered), p10, p50, p90, p99)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which this share of them lies, by linear interpolation; of one value at least."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


@dataclass(slots=True)
class Cell:
    """The requests of one backend, model, session and lane within a quarter of an hour."""

    backend: str
    model: str  # as the client asked for it
    upstream: str  # as it was sent upstream
    session: str
    lane: str
    quarter: int  # of an hour, since the epoch: every time zone's days begin at one
    requests: int
    failed: int
    cancelled: int
    prompts: int  # requests with a counted prompt
    hits: int  # of these, with tokens that were read from the cache
    input: int
    created: int
    read: int
    output: int
    measured_tokens: int  # computed in long prefills, and how long these took
    measured_s: float
    restore_s: float
    warm_ttft: list[float]  # of those hits
    cold_ttft: list[float]  # of the other prompts
    other_ttft: list[float]  # of requests whose upstream did not count the prompt
    speed: list[float]

    @property
    def answering(self) -> str:
        """The model that answered."""
        return self.upstream or self.model


@dataclass(frozen=True, slots=True)
class Group:
    """Requests with one name in common, such as a session's.

    Hit rates are None without a prompt. A warm prompt had tokens in the prefix cache, a cold one none.
    `saved_s` is the prefill time that reading from the cache saved, by the speed of that model's long
    prefills; None where none was measured. `cost` is None where no model of the group has a price, `unpriced`
    counts requests whose model has none.
    """

    name: str
    requests: int
    failed: int
    cancelled: int
    input: int
    created: int
    read: int
    output: int
    request_hit_rate: float | None
    token_hit_rate: float | None
    ttft_s: Percentiles | None
    ttft_warm_s: Percentiles | None
    ttft_cold_s: Percentiles | None
    tokens_per_s: Percentiles | None
    saved_s: float | None
    cost: float | None
    unpriced: int

    @property
    def prompt(self) -> int:
        """All tokens of the prompts."""
        return self.input + self.created + self.read


Rates = Mapping[tuple[str, str], float]  # seconds a token, by backend and model


def prefill_rates(measured: Iterable[tuple[str, str, int, float]]) -> dict[tuple[str, str], float]:
    """How long a token takes in a long prefill, for each backend and model that had one.

    `measured` has backends, models that answered, and the tokens and seconds of their long prefills.
    """
    sums: dict[tuple[str, str], tuple[int, float]] = {}
    for backend, answering, more_tokens, more_s in measured:
        tokens, took = sums.get((backend, answering), (0, 0.0))
        sums[backend, answering] = (tokens + more_tokens, took + more_s)
    return {key: took / tokens for key, (tokens, took) in sums.items() if tokens}


def group(name: str, cells: Sequence[Cell], rates: Rates, prices: PriceTable) -> Group:
    """The sums of these cells."""
    read = sum(cell.read for cell in cells)
    prompt = sum(cell.input + cell.created for cell in cells) + read
    prompts = sum(cell.prompts for cell in cells)
    cost, unpriced = _cost(cells, prices)
    # Sorted once: sorting what consists of sorted parts takes next to no time.
    warm = sorted(chain.from_iterable(cell.warm_ttft for cell in cells))
    cold = sorted(chain.from_iterable(cell.cold_ttft for cell in cells))
    other = sorted(chain.from_iterable(cell.other_ttft for cell in cells))
    return Group(
        name=name,
        requests=sum(cell.requests for cell in cells),
        failed=sum(cell.failed for cell in cells),
        cancelled=sum(cell.cancelled for cell in cells),
        input=sum(cell.input for cell in cells),
        created=sum(cell.created for cell in cells),
        read=read,
        output=sum(cell.output for cell in cells),
        request_hit_rate=sum(cell.hits for cell in cells) / prompts if prompts else None,
        token_hit_rate=read / prompt if prompt else None,
        ttft_s=Percentiles.of([*warm, *cold, *other]),
        ttft_warm_s=Percentiles.of(warm),
        ttft_cold_s=Percentiles.of(cold),
        tokens_per_s=Percentiles.of(chain.from_iterable(cell.speed for cell in cells)),
        saved_s=_saved(cells, rates),
        cost=cost,
        unpriced=unpriced,
    )


def _saved(cells: Iterable[Cell], rates: Rates) -> float | None:
    known = [
        cell.read * rates[cell.backend, cell.answering] - cell.restore_s
        for cell in cells
        if (cell.backend, cell.answering) in rates
    ]
    return max(0.0, sum(known)) if known else None


def _cost(cells: Iterable[Cell], prices: PriceTable) -> tuple[float | None, int]:
    if not prices:
        return None, sum(cell.requests for cell in cells)
    costs, unpriced = [], 0
    for cell in cells:
        price = prices.price(cell.model, cell.upstream)
        if price is None:
            unpriced += cell.requests
        else:
            costs.append(price.cost(cell.input, cell.created, cell.read, cell.output))
    return (sum(costs) if costs else None), unpriced
