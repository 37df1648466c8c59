"""What a terminal gets in a second, on fast and on slow links."""

from __future__ import annotations

import pytest

from tui.screen.frames.frame_budget import BURST_BYTES, BYTES_PER_S, LEAST_BYTES_PER_S, FrameBudget


class Link:
    """A terminal at `speed` bytes a second, and a screen that would draw `frame` bytes ten times a second."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.budget = FrameBudget()
        self.queued = self.written = 0.0
        self.now = 1000.0

    def run(self, seconds: float, frame: int) -> float:
        """Bytes a second that were written."""
        before = self.written
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.queued = max(0.0, self.queued - self.speed / 10)
            if self.budget.allows(self.now, behind=self.queued > 8_000):
                self.write(frame)
        return (self.written - before) / seconds

    def write(self, size: int) -> None:
        self.queued += size
        self.written += size
        self.budget.wrote(size)


def test_small_frames_are_all_drawn() -> None:
    assert Link(1e9).run(10, 900) == pytest.approx(9_000)


@pytest.mark.parametrize("frame", [2_500, 6_000, 20_000])
def test_large_frames_come_less_often(frame: int) -> None:
    assert Link(1e9).run(60, frame) <= BYTES_PER_S + (BURST_BYTES + frame) / 60


@pytest.mark.parametrize("speed", [4_000, 10_000])
def test_a_slow_link_is_not_filled(speed: float) -> None:
    link = Link(speed)
    link.run(60, 1_500)
    assert LEAST_BYTES_PER_S <= link.budget.rate <= speed * 1.6
    assert link.queued < 12_000


def test_a_link_that_is_fast_again_gets_the_whole_rate_again() -> None:
    link = Link(4_000)
    link.run(30, 1_500)
    link.speed = 1e9
    link.run(30, 1_500)
    assert link.budget.rate == BYTES_PER_S


def test_what_a_key_drew_delays_the_frames_behind_it() -> None:
    link = Link(1e9)
    link.run(1, 100)
    link.write(round(BYTES_PER_S))
    assert not link.budget.allows(link.now + 0.1, behind=False)
    assert link.budget.allows(link.now + 1.0, behind=False)


def test_many_screens_that_keys_drew_stop_the_frames_for_one_of_them() -> None:
    link = Link(1e9)
    link.run(1, 100)
    for _ in range(20):
        link.write(round(BYTES_PER_S))
    assert not link.budget.allows(link.now + 0.5, behind=False)
    assert link.budget.allows(link.now + 1.1, behind=False)
