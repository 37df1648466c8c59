"""Reservations never exceed the limit, and no request that fits is refused: Macs of 8 to 512 GB."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.memory.reservations import Admission, Reservations
from engine.memory_budget.costs import RequestCost
from engine.memory_budget.limits import GB, Machine, memory_limit

GIB = 1 << 30
COST = RequestCost(kv_bytes=1000, chunk_bytes=1000, step_bytes=10_000, chunk_size_at=lambda position: 256)


@dataclass(frozen=True)
class Case:
    """A Mac, a model's weights and what a token of it takes."""

    ram_gib: int
    share: float
    weights_gb: int
    cost: RequestCost

    def reservations(self) -> Reservations:
        ram = self.ram_gib * GIB
        limit = memory_limit(Machine(ram, working_set_bytes=int(ram * self.share)))
        return Reservations(limit.bytes, self.weights_gb * GB, self.cost)


cases = st.builds(
    Case,
    ram_gib=st.sampled_from([8, 16, 18, 24, 32, 36, 48, 64, 96, 128, 192, 256, 384, 512]),
    share=st.floats(0.6, 1.0),
    weights_gb=st.integers(1, 200),
    cost=st.builds(
        RequestCost,
        kv_bytes=st.integers(1_000, 400_000),
        state_bytes=st.integers(0, GB),
        chunk_bytes=st.integers(0, 500_000),
        pair_bytes=st.floats(0, 64),
        step_bytes=st.integers(0, 50_000_000),
        chunk_size_at=st.sampled_from([lambda position: 2048, lambda position: 256]),
    ),
)


@settings(deadline=None)
@given(cases, st.randoms(use_true_random=False))
def test_reservations_and_the_prefix_cache_never_exceed_the_limit(case: Case, chance: random.Random) -> None:
    """Requests come, grow, end; the prefix cache takes all that is left to it after each step."""
    reservations = case.reservations()
    window = reservations.window(262_144)
    running: dict[int, int] = {}
    for name in range(60):
        step = chance.random()
        if step < 0.5:
            tokens = chance.randint(1, 262_144)
            verdict = reservations.admit(name, tokens, tokens + chance.randint(0, 1024))
            assert (verdict is Admission.NEVER) == (tokens > window)
            if verdict is Admission.WAITS:
                assert running
            if verdict is Admission.FITS:
                running[name] = tokens
        elif running and step < 0.8:
            name = chance.choice(list(running))
            if reservations.grow(name, running[name] + 256, running[name] + 1280):
                running[name] += 256
        elif running:
            del running[chance.choice(list(running))]
            reservations.retain(running)
        padded = sum(case.cost.cache_bytes(tokens) for tokens in running.values()) * (
            1.25 if len(running) > 1 else 1.125
        )
        passing = case.cost.transient_bytes(max(running.values(), default=0)) if running else 0
        used = case.weights_gb * GB + padded + passing + reservations.cache_room_bytes
        assert used <= reservations.limit_bytes + 1 or not (running or reservations.cache_room_bytes)


@given(cases, st.integers(1, 262_144))
def test_a_prompt_is_refused_only_where_it_would_not_fit_if_it_were_alone(case: Case, tokens: int) -> None:
    reservations = case.reservations()
    fits = case.weights_gb * GB + case.cost.bytes_alone(tokens) <= reservations.limit_bytes
    assert (reservations.admit("a", tokens, tokens) is not Admission.NEVER) == fits
    assert (tokens <= reservations.window(262_144)) == fits


@given(cases, st.lists(st.integers(1, 100_000), min_size=2, max_size=8))
def test_all_that_fit_alone_get_their_turn(case: Case, prompts: list[int]) -> None:
    reservations = case.reservations()
    waiting = [
        (name, tokens) for name, tokens in enumerate(prompts) if tokens <= reservations.window(100_000)
    ]
    turns = 0
    while waiting:
        begun = [
            name for name, tokens in waiting if reservations.admit(name, tokens, tokens) is Admission.FITS
        ]
        assert begun
        waiting = [one for one in waiting if one[0] not in begun]
        reservations.retain(())
        turns += 1
    assert turns <= len(prompts)


def test_a_request_alone_reserves_what_there_is_if_less_than_wanted() -> None:
    reservations = Reservations(3_000_000, 0, COST)
    window = reservations.window(10**6)
    assert reservations.admit("a", window - 10, window + 5000) is Admission.FITS
    assert reservations.tokens_of("a") == window
    assert not reservations.grow("a", window + 1, window + 1)


def test_what_is_read_from_disk_has_its_place() -> None:
    reservations = Reservations(3_000_000, 0, COST)
    reservations.loading_bytes = 2_000_000
    assert reservations.admit("a", 1024, 1024) is Admission.WAITS
    assert reservations.cache_room_bytes == 1_000_000
    reservations.loading_bytes = 0
    assert reservations.admit("a", 1024, 1024) is Admission.FITS


def test_an_ended_request_has_no_reservation() -> None:
    reservations = Reservations(2_500_000, 0, COST)
    reservations.admit("a", 1024, 1024)
    assert reservations.admit("b", 1024, 1024) is Admission.WAITS
    assert reservations.has_others("b")
    reservations.retain(["b"])
    assert reservations.requests_bytes == 0
    assert reservations.admit("b", 1024, 1024) is Admission.FITS


@pytest.mark.parametrize("tokens", [1, 255, 256, 257])
def test_growth_within_a_reservation_reserves_nothing(tokens: int) -> None:
    reservations = Reservations(3_000_000, 0, COST)
    reservations.admit("a", 1, 257)
    reservations.loading_bytes = 10**9
    assert reservations.grow("a", tokens, 10**6)
