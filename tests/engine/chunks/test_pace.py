"""Prefills that differ from the fit are reported once, and others are not."""

from __future__ import annotations

from random import Random

import pytest

from engine.chunks.fit import ChunkFit
from engine.chunks.pace import PrefillPace, prefill_stats

FIT = ChunkFit(1024, 0.067, 0.00054, (128, 1024), (940.0, 1652.0), "a Mac")


class Prompts:
    """Chunks on a machine that takes `times` as long as measured, and longer far into a prompt."""

    def __init__(self, times: float, *, per_position: float = 0.0) -> None:
        self.reports: list[float] = []
        self.pace = PrefillPace(FIT, self.reports.append)
        self._times = times
        self._per_position = per_position  # of a step's time, by which it grows with each token before it

    def read(self, begin: int, end: int, *, times: float | None = None) -> None:
        depth = 1 + self._per_position * begin
        self.pace.add(begin, end, FIT.seconds(end - begin) * (times or self._times) * depth)


@pytest.mark.parametrize("times", [0.1, 0.4, 2.5, 30.0])
def test_prompts_that_are_off_by_more_than_two_times_are_reported_once(times: float) -> None:
    prompts = Prompts(times)
    for _ in range(6):
        prompts.read(1024, 2048)
    assert prompts.reports == []
    for _ in range(20):
        prompts.read(1024, 2048)
    assert prompts.reports == [pytest.approx(times)]


@pytest.mark.parametrize("times", [0.6, 1.0, 1.9])
def test_prompts_that_are_about_as_fast_as_measured_are_not(times: float) -> None:
    prompts = Prompts(times, per_position=1 / 8192)
    for _ in range(5):
        for begin in range(0, 131_072, 1024):
            prompts.read(begin, begin + 1024, times=times if begin > 4096 else 1.0)
    assert prompts.reports == []


def test_a_few_chunks_that_something_else_delayed_are_not() -> None:
    random, prompts = Random(1), Prompts(1.0)
    for _ in range(200):
        prompts.read(0, 1024, times=8.0 if random.random() < 0.15 else 1.0)
    assert prompts.reports == []


def test_a_machine_that_is_faster_than_measured_shows_it_at_any_depth() -> None:
    prompts = Prompts(0.2, per_position=1 / 65_536)
    for begin in range(20_480, 40_960, 1024):
        prompts.read(begin, begin + 1024)
    assert prompts.reports == [pytest.approx(0.27, abs=0.02)]


def test_short_steps_are_not_compared_with_the_fit() -> None:
    prompts = Prompts(9.0)
    for _ in range(50):
        prompts.read(0, 100)
    assert prompts.reports == []
    quick: list[float] = []
    pace = PrefillPace(ChunkFit(512, 0.0, 1e-5, (128, 512), (1000.0, 1000.0)), quick.append)
    for _ in range(50):
        pace.add(0, 512, 0.04)
    assert quick == []


def test_stats_have_the_fit_that_the_chunk_was_chosen_by() -> None:
    pace = PrefillPace(FIT, print)
    assert prefill_stats(1024, pace) == {
        "chunk_tokens": 1024,
        "fixed_s": 0.067,
        "per_token_s": 0.00054,
        "measured_for": "a Mac",
    }
    asked_for = {"chunk_tokens": 96, "fixed_s": None, "per_token_s": None, "measured_for": ""}
    assert prefill_stats(96, pace) == asked_for
    assert prefill_stats(96, None) == asked_for
