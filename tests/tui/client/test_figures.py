"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.client import figures


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1.0k"), (1234, "1.2k"), (99_960, "100k"), (1.5e6, "1.5M"), (None, "·")],
)
def test_counts(number: float | None, text: str) -> None:
    assert figures.count(number) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0.0004, "0ms"),
        (0.042, "42ms"),
        (0.42, "0.42s"),
        (4.21, "4.2s"),
        (42.4, "42s"),
        (192, "3m12s"),
        (7500, "2h05m"),
        (273_600, "3d04h"),
        (-5, "0ms"),
        (None, "·"),
    ],
)
def test_durations(duration: float | None, text: str) -> None:
    assert figures.seconds(duration) == text


def test_sizes_and_rates() -> None:
    assert figures.size(8_000_000_000) == "8.0 GB"
    assert figures.size(512_000) == "512 kB"
    assert figures.size(12) == "12 B"
    assert figures.rate(41.26) == "41.3"
    assert figures.rate(0) == "·"


def test_only_exact_shares_are_none_or_all() -> None:
    assert figures.percent(1) == "100%"
    assert figures.percent(0.9999) == "99%"
    assert figures.percent(0.0001) == "1%"
    assert figures.percent(0) == "0%"
    assert figures.percent(0.7881, 1) == "78.8%"


def test_moments_are_local() -> None:
    assert figures.clock(1_790_000_000) == "14:13:20"
    assert figures.day_and_clock(1_790_000_000) == "2026-09-21 14:13:20"
    assert figures.clock(0) == figures.clock(1e30) == figures.NONE


@given(st.floats() | st.integers(-(10**30), 10**30))
def test_no_number_is_too_strange(number: float) -> None:
    for form in (figures.count, figures.size, figures.seconds, figures.rate, figures.percent, figures.clock):
        assert form(number)
    assert figures.ratio(number, 0) is None


def test_nothing_is_not_a_number() -> None:
    assert figures.count(math.nan) == figures.seconds(math.inf) == figures.NONE
    assert figures.plural(1, "miss", "misses") == "1 miss"
    assert figures.plural(1204, "trace") == "1,204 traces"
