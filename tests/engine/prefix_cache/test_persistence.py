"""Spans are read from disk as they were computed, and answers do not change."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import make_prompt_cache

from bench.random_model import Architecture
from engine.models.loading import LoadedModel, OnProgress, load_model
from engine.prefix_cache.interface import Kind, as_token_array, common_prefix
from engine.prefix_cache.layers import layout_of
from engine.scheduling.scheduler import Scheduler
from tests.engine.disk_tiers import Fetching, cache_on, make_tier
from tests.engine.model_thread import Answer, answer, ask, running
from tests.engine.telling_caches import computed, holds
from tests.models import ModelShelf

ARCHITECTURES: list[Architecture] = ["qwen3", "gemma3_text", "qwen3_5"]

KINDS = st.sampled_from(["subagent", "main", "head"])
NEW = st.lists(st.integers(0, 2), max_size=6)
PROMPTS = st.tuples(st.just("ask"), KINDS, st.integers(0, 9), st.floats(0, 1), NEW)
STEPS = st.lists(
    st.one_of(PROMPTS, PROMPTS, st.sampled_from([("restart",), ("clear",)])), min_size=6, max_size=16
)
"""A prompt is a part of an earlier one and what it says beside."""


def reach(known: list[int], prompt: list[int], with_state: bool) -> int:
    shared = common_prefix(as_token_array(known), as_token_array(prompt))
    return shared if not with_state or shared == len(known) else 0


@settings(max_examples=60)
@given(steps=STEPS, with_state=st.booleans(), budget=st.sampled_from([1 << 22, 20_000, 6_000]))
def test_whatever_happens_what_is_restored_is_what_was_computed(
    steps: list[Any], with_state: bool, budget: int
) -> None:
    layout = layout_of(computed([0], with_state=with_state))
    inserted: list[list[int]] = []

    def look(tokens: list[int]) -> None:
        match = cache.lookup(tokens)
        if match.cache is not None:
            assert holds(match.cache, tokens[: match.restored])
        best = max((reach(known, tokens[:-1], with_state) for known in inserted), default=0)
        assert match.restored == best if budget == 1 << 22 else match.restored <= best

    with tempfile.TemporaryDirectory() as folder:
        tier, cache = make_tier(Path(folder)), Fetching(max_bytes=budget)
        cache.attach(tier, layout)
        try:
            for step in steps:
                assert tier.flush()
                if step[0] == "restart":
                    cache.close()
                    tier, cache = make_tier(Path(folder)), Fetching(max_bytes=budget)
                    cache.attach(tier, layout)
                elif step[0] == "clear":
                    cache.clear()
                else:
                    _, kind, which, share, new = step
                    earlier = inserted[which % len(inserted)] if inserted else [0, 1, 2, 2, 1, 0]
                    tokens = [*earlier[: round(share * len(earlier))], *new] or earlier
                    look(tokens)
                    cache.insert(tokens, computed(tokens, with_state=with_state), kind)
                    inserted.append(tokens)
                if step[0] != "ask":
                    for tokens in inserted[-4:]:
                        look([*tokens, 0])
                stats = cache.stats()
                assert stats["bytes"] <= budget
                assert stats["bytes"] == sum(node.nbytes for node in cache._tree.nodes())
                assert stats["entries"] == sum(node.in_memory for node in cache._tree.nodes())
                assert stats["disk_set_aside"] == 0
        finally:
            cache.close()


class Engine:
    """A model with a cache on a disk, which can be started again; and the same model without any cache."""

    def __init__(self, path: Path, root: Path, max_bytes: int = 1 << 28) -> None:
        self.path, self.root, self.max_bytes = path, root, max_bytes

    @contextmanager
    def started(self, *, saved: bool = True) -> Iterator[Scheduler]:
        cache = Fetching(max_bytes=self.max_bytes if saved else 0)
        self.tier = make_tier(self.root)

        def load(on_progress: OnProgress) -> LoadedModel:
            loaded = load_model(self.path, on_progress)
            cache.attach(self.tier, layout_of(make_prompt_cache(loaded.model)))
            return loaded

        try:
            with running(load, cache=cache, prefill_chunk=32) as scheduler:
                yield scheduler
        finally:
            cache.close()


def said(scheduler: Scheduler, prompt: list[int], boundaries: tuple[int, ...] = (), **fields: Any) -> Answer:
    return asyncio.run(answer(scheduler, ask(prompt, 6, boundaries=boundaries, **fields)))


SYSTEM = [*range(10, 50)]  # past gemma3_text's window of 32


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_answers_from_memory_from_disk_and_without_a_cache_are_equal(
    shelf: ModelShelf, tmp_path: Path, architecture: Architecture
) -> None:
    engine = Engine(shelf.tiny(architecture), tmp_path)
    first = [*SYSTEM, 5, 6, 7]
    with engine.started() as scheduler:
        one = said(scheduler, first, (40,)).tokens
        second = [*first, *one, 8, 9]
        warm = said(scheduler, second, (40, 43))
        third = [*second, *warm.tokens, 3, 4]
        unbroken = said(scheduler, third, (40, 43))
        fork = said(scheduler, [*SYSTEM, 1, 2], (40,))
    with engine.started() as scheduler:
        restored = said(scheduler, third, (40, 43))
        assert restored.tokens == unbroken.tokens
        assert restored.lookup.tier == "disk"
        prefilled = len(third) - restored.lookup.matched_tokens
        assert prefilled <= 1.05 * (len(third) - unbroken.lookup.matched_tokens)
        other = said(scheduler, [*SYSTEM, 1, 2], (40,))
        assert other.tokens == fork.tokens
        assert other.lookup.matched_tokens == len(SYSTEM) + 1  # its own, kept before the restart
        assert said(scheduler, [*SYSTEM, 2], (40,)).lookup.matched_tokens == len(SYSTEM)
    with engine.started(saved=False) as scheduler:
        assert said(scheduler, third).tokens == unbroken.tokens
        assert said(scheduler, second).tokens == warm.tokens
        assert said(scheduler, [*SYSTEM, 1, 2]).tokens == fork.tokens


TURNS = st.lists(
    st.tuples(
        st.sampled_from(["extend", "fork", "repeat", "restart"]),
        st.lists(st.integers(0, 5), min_size=1, max_size=20),
    ),
    min_size=2,
    max_size=5,
)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(turns=TURNS, small=st.booleans())
def test_sessions_with_restarts_and_evictions_answer_as_cold_ones(
    shelf: ModelShelf, architecture: Architecture, turns: list[tuple[str, list[int]]], small: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(shelf.tiny(architecture), Path(folder), 100_000 if small else 1 << 28)
        prompts: list[tuple[list[int], list[int]]] = []
        prompt, answered = [*SYSTEM], [1]
        waiting = list(turns)
        while waiting:
            with engine.started() as scheduler:
                while waiting:
                    how, new = waiting.pop(0)
                    prompt = {"extend": [*prompt, *answered, *new], "fork": [*SYSTEM, *new]}.get(how, prompt)
                    answered = said(scheduler, prompt, (20, 40) if len(prompt) > 40 else (20,)).tokens
                    prompts.append((prompt, answered))
                    if how == "restart":
                        break
        with engine.started(saved=False) as scheduler:
            for asked, before in prompts:
                assert said(scheduler, asked).tokens == before


def test_a_kind_outlasts_a_restart(tmp_path: Path) -> None:
    layout = layout_of(computed([0], with_state=False))
    kinds: list[Kind] = ["main", "head"]
    with cache_on(tier := make_tier(tmp_path), layout) as cache:
        for length, kind in zip((3, 5), kinds, strict=True):
            tokens = list(range(length))
            cache.insert(tokens, computed(tokens, with_state=False), kind)
        assert tier.flush()
    with cache_on(make_tier(tmp_path), layout) as cache:
        assert [node.kind for node in cache._tree.nodes()] == ["head", "head"]


KILLED = """
import asyncio, sys
from pathlib import Path
from engine.scheduling.requests.steps import TokenStep
from tests.engine.model_thread import ask, steps_of
from tests.engine.prefix_cache.test_persistence import Engine, session

async def third(scheduler, prompt):
    generation = scheduler.submit(ask(prompt, 10_000, boundaries=(40, 43)), asyncio.get_running_loop())
    async for step in steps_of(generation):
        if isinstance(step, TokenStep):
            print("decoding", flush=True)
            sys.stdin.read()

engine = Engine(Path(sys.argv[1]), Path(sys.argv[2]))
with engine.started() as scheduler:
    prompt = session(scheduler)
    engine.tier.flush()
    asyncio.run(third(scheduler, prompt))
"""


def session(scheduler: Scheduler) -> list[int]:
    """Two turns of a session; the prompt of the third."""
    prompt = [*SYSTEM, 5, 6, 7]
    for said_next in ([8, 9], [3, 4]):
        prompt = [*prompt, *said(scheduler, prompt, (40, 43)).tokens, *said_next]
    return prompt


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_engine_that_is_killed_in_mid_session_has_not_lost_it(
    shelf: ModelShelf, tmp_path: Path, architecture: Architecture
) -> None:
    model = shelf.tiny(architecture)
    with Engine(model, tmp_path / "unbroken").started() as scheduler:
        prompt = session(scheduler)
        unbroken = said(scheduler, prompt, (40, 43))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(model), str(tmp_path / "killed")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "decoding\n"
        process.kill()
    with Engine(model, tmp_path / "killed").started() as scheduler:
        again = said(scheduler, prompt, (40, 43))
        assert again.tokens == unbroken.tokens
        assert again.lookup.tier == "disk"
        prefilled = len(prompt) - again.lookup.matched_tokens
        assert prefilled <= 1.05 * (len(prompt) - unbroken.lookup.matched_tokens)
        assert said(scheduler, [*SYSTEM, 2], (40,)).lookup.matched_tokens >= len(SYSTEM)
