"""A disk that does not answer delays requests once, and fails none."""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from engine.models.loading import load_model
from engine.prefix_cache.disk.read_deadlines import READ_WITHIN_S, ReadDeadlines
from engine.prefix_cache.disk.span_files import read_span
from engine.prefix_cache.disk.tier import DiskTier
from engine.scheduling.requests.steps import FinishStep
from engine.wire.feed import Lookup, Queued
from tests.engine.disk_tiers import make_tier, running_on
from tests.engine.model_thread import answer, ask, steps_of
from tests.models import ModelShelf


class Read:
    """A fetch that is done when a test says so."""

    tokens = 0

    def __init__(self, nbytes: int) -> None:
        self.bytes = nbytes
        self.done = False


def test_deadlines_grow_with_the_size_of_reads_up_to_a_limit() -> None:
    now = [0.0]
    reads = ReadDeadlines(lambda: now[0])
    large, small, huge = Read(1000 << 20), Read(0), Read(1 << 40)
    for now[0], read in ((0.0, large), (1.0, small)):
        reads.add(read)
    now[0] = 29.9
    assert not reads.hang()
    now[0] = 30.0
    assert reads.hang()
    large.done = True
    assert not reads.hang()
    now[0] = 31.0
    assert reads.hang()
    small.done = True
    reads.add(huge)
    now[0] += 119.9
    assert not reads.hang()
    now[0] += 0.1
    assert reads.hang()


def test_each_hang_of_the_disk_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    reads = ReadDeadlines(lambda: now[0])
    for times in (1, 2):
        read = Read(0)
        reads.add(read)
        now[0] += READ_WITHIN_S
        assert [reads.hang(), reads.hang()] == [True, True]
        assert caplog.text.count("does not answer") == times
        read.done = True
        assert not reads.hang()


def test_a_read_that_no_request_waits_for_is_not_kept_alive() -> None:
    reads, read = ReadDeadlines(lambda: 0.0), Read(0)
    reads.add(read)
    held = weakref.ref(read)
    del read
    assert held() is None
    assert not reads.hang()


async def test_an_engine_answers_while_its_disk_hangs_and_uses_it_again_after(
    tmp_path: Path, shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, now = threading.Event(), [0.0]

    def hanging(path: Path, file: Any, is_wanted: Any) -> Any:
        assert go.wait(30)
        return read_span(path, file, is_wanted)

    prompts = [[seed * 100 + n for n in range(60)] for seed in (1, 2, 3)]
    load = functools.partial(load_model, shelf.tiny())
    with running_on(tier := make_tier(tmp_path), load, max_bytes=1 << 26) as scheduler:
        wanted = [(await answer(scheduler, ask(prompt, 4))).tokens for prompt in prompts]
        assert tier.flush()
    monkeypatch.setattr("engine.prefix_cache.disk.tier.read_span", hanging)
    tier = make_tier(tmp_path)
    with running_on(tier, load, max_bytes=1 << 26, clock=lambda: now[0]) as scheduler:
        try:
            waiting = scheduler.submit(ask(prompts[0], 4), asyncio.get_running_loop())
            assert isinstance((await waiting.take())[0], Queued)  # its read has begun
            assert scheduler.health().state == "busy"
            now[0] = 2 * READ_WITHIN_S
            steps = [step async for step in steps_of(waiting)]
            assert [step.matched_tokens for step in steps if isinstance(step, Lookup)] == [0]
            assert steps[-1] == FinishStep("length", 4)
            computed = await answer(scheduler, ask(prompts[1], 4))
            assert (computed.lookup.matched_tokens, computed.tokens) == (0, wanted[1])
        finally:
            go.set()
        await asyncio.to_thread(_wait_for_reads, tier)
        read = await answer(scheduler, ask(prompts[2], 4))
        assert (read.lookup.matched_tokens, read.lookup.tier, read.tokens) == (59, "disk", wanted[2])


def _wait_for_reads(tier: DiskTier) -> None:
    """What is read is told of in the order in which it was asked for: then all before is read as well."""
    for file in tier._index.files():
        done = threading.Event()
        tier.load(file, done.set)
        assert done.wait(30)
