"""Never above the limit, never a refusal of what would have fitted: over Macs of 8 to 512 GB."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.memory.costs import RequestCost
from engine.memory.ledger import Ledger, Verdict
from engine.memory.limits import GB, Machine, memory_limit

GIB = 1 << 30
COST = RequestCost(row_bytes=1000, chunk_bytes=1000, step_bytes=10_000, chunk_at=lambda position: 256)


@dataclass(frozen=True)
class Case:
    """A Mac, a model's weights and what a token of it takes."""

    ram_gib: int
    share: float
    weights_gb: int
    cost: RequestCost

    def ledger(self) -> Ledger:
        ram = self.ram_gib * GIB
        limit = memory_limit(Machine(ram, working_set_bytes=int(ram * self.share)))
        return Ledger(limit.bytes, self.weights_gb * GB, self.cost)


cases = st.builds(
    Case,
    ram_gib=st.sampled_from([8, 16, 18, 24, 32, 36, 48, 64, 96, 128, 192, 256, 384, 512]),
    share=st.floats(0.6, 1.0),
    weights_gb=st.integers(1, 200),
    cost=st.builds(
        RequestCost,
        row_bytes=st.integers(1_000, 400_000),
        state_bytes=st.integers(0, GB),
        chunk_bytes=st.integers(0, 500_000),
        pair_bytes=st.floats(0, 64),
        step_bytes=st.integers(0, 50_000_000),
        chunk_at=st.sampled_from([lambda position: 2048, lambda position: 256]),
    ),
)


@settings(deadline=None)
@given(cases, st.randoms(use_true_random=False))
def test_what_is_promised_and_kept_never_exceeds_the_limit(case: Case, chance: random.Random) -> None:
    """Requests come, grow, end; the prefix cache takes all that is left to it after each step."""
    ledger = case.ledger()
    window = ledger.window(262_144)
    running: dict[int, int] = {}
    for name in range(60):
        step = chance.random()
        if step < 0.5:
            tokens = chance.randint(1, 262_144)
            verdict = ledger.admit(name, tokens, tokens + chance.randint(0, 1024))
            assert (verdict is Verdict.NEVER) == (tokens > window)
            if verdict is Verdict.WAITS:
                assert running
            if verdict is Verdict.FITS:
                running[name] = tokens
        elif running and step < 0.8:
            name = chance.choice(list(running))
            if ledger.grow(name, running[name] + 256, running[name] + 1280):
                running[name] += 256
        elif running:
            del running[chance.choice(list(running))]
            ledger.retain(running)
        padded = sum(case.cost.kept(tokens) for tokens in running.values()) * (
            1.25 if len(running) > 1 else 1.125
        )
        passing = case.cost.in_passing(max(running.values(), default=0)) if running else 0
        used = case.weights_gb * GB + padded + passing + ledger.cache_room_bytes
        assert used <= ledger.limit_bytes + 1 or not (running or ledger.cache_room_bytes)


@given(cases, st.integers(1, 262_144))
def test_a_prompt_is_refused_only_where_it_would_not_fit_if_it_were_alone(case: Case, tokens: int) -> None:
    ledger = case.ledger()
    fits = case.weights_gb * GB + case.cost.alone(tokens) <= ledger.limit_bytes
    assert (ledger.admit("a", tokens, tokens) is not Verdict.NEVER) == fits
    assert (tokens <= ledger.window(262_144)) == fits


@given(cases, st.lists(st.integers(1, 100_000), min_size=2, max_size=8))
def test_all_that_fit_alone_get_their_turn(case: Case, prompts: list[int]) -> None:
    ledger = case.ledger()
    waiting = [(name, tokens) for name, tokens in enumerate(prompts) if tokens <= ledger.window(100_000)]
    turns = 0
    while waiting:
        begun = [name for name, tokens in waiting if ledger.admit(name, tokens, tokens) is Verdict.FITS]
        assert begun
        waiting = [one for one in waiting if one[0] not in begun]
        ledger.retain(())
        turns += 1
    assert turns <= len(prompts)


def test_who_runs_alone_has_what_there_is_when_it_is_less_than_wanted() -> None:
    ledger = Ledger(3_000_000, 0, COST)
    window = ledger.window(10**6)
    assert ledger.admit("a", window - 10, window + 5000) is Verdict.FITS
    assert ledger.tokens_of("a") == window
    assert not ledger.grow("a", window + 1, window + 1)


def test_what_is_read_from_disk_has_its_place() -> None:
    ledger = Ledger(3_000_000, 0, COST)
    ledger.loading_bytes = 2_000_000
    assert ledger.admit("a", 1024, 1024) is Verdict.WAITS
    assert ledger.cache_room_bytes == 1_000_000
    ledger.loading_bytes = 0
    assert ledger.admit("a", 1024, 1024) is Verdict.FITS


def test_who_is_gone_holds_nothing() -> None:
    ledger = Ledger(2_500_000, 0, COST)
    ledger.admit("a", 1024, 1024)
    assert ledger.admit("b", 1024, 1024) is Verdict.WAITS
    assert ledger.has_others("b")
    ledger.retain(["b"])
    assert ledger.requests_bytes == 0
    assert ledger.admit("b", 1024, 1024) is Verdict.FITS


@pytest.mark.parametrize("tokens", [1, 255, 256, 257])
def test_growing_within_what_was_promised_asks_nobody(tokens: int) -> None:
    ledger = Ledger(3_000_000, 0, COST)
    ledger.admit("a", 1, 257)
    ledger.loading_bytes = 10**9
    assert ledger.grow("a", tokens, 10**6)
