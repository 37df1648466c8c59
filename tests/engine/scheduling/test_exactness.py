"""An answer is the same with any part of its prompt restored from memory or disk as without a cache."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from bench.random_model import Architecture
from engine.models.loading import LoadedModel, load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.scheduling.requests.steps import GenerationRequest, Lane, TokenStep
from engine.scheduling.scheduler import Scheduler
from tests.engine.disk_tiers import make_tier, running_on
from tests.engine.model_thread import Answer, answer, answers, ask, collect, running, steps_of
from tests.engine.near_ties import is_tie
from tests.models import ModelShelf

CONVERSATIONS = 44
AT_ONCE = 4  # conversations that take their turns together
LIVES = 4  # of the engine with a cache: each begins with what is on disk
CHUNK = 16
WHOLE = 512  # the chunk without a cache: each prompt at once
ANSWER = 5
BUDGETS: dict[Architecture, int] = {"qwen3": 250_000, "gemma3_text": 350_000, "qwen3_5": 700_000}
"""Bytes in memory: some conversations of the tiny models, never all."""


def tokens(random: Random, shortest: int, longest: int) -> list[int]:
    return [random.randrange(1500) for _ in range(random.randint(shortest, longest))]


@dataclass
class Conversation:
    """Messages behind a head that others have too; an answer is a message."""

    random: Random
    head: list[int]
    messages: list[list[int]] = field(default_factory=list)

    def turn(self) -> None:
        """Go on, or do what clients do to a history: change it, cut it, ask the same again."""
        random = self.random
        match random.choice(["on", "on", "on", "edit", "truncate", "again"]) if self.messages else "on":
            case "edit":
                self.messages[random.randrange(len(self.messages))] = tokens(random, 1, 25)
            case "truncate":
                del self.messages[random.randrange(len(self.messages)) :]
            case "again":
                return
        self.messages.append(tokens(random, 1, 25))

    def forked(self) -> Conversation:
        return replace(self, messages=[*self.messages[:-1], tokens(self.random, 1, 25)])

    def request(self) -> GenerationRequest:
        """What it asks now; of the ends of its messages perhaps not all are told."""
        prompt, boundaries = list(self.head), [len(self.head)]
        for message in self.messages:
            prompt += message
            boundaries.append(len(prompt))
        told = tuple(boundary for boundary in boundaries[:-1] if self.random.random() < 0.9)
        lanes: list[Lane] = ["main", "main", "main", "subagent", "auxiliary"]
        return ask(prompt, ANSWER, boundaries=told, lane=self.random.choice(lanes))


class Comparison:
    """Answers with a cache beside answers without; what differs must be a tie."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._model = loaded.model
        self.answers = self.ties = 0
        self.tiers: Counter[str] = Counter()

    def add(self, request: GenerationRequest, cold: Answer, got: Answer) -> None:
        self.answers += 1
        self.tiers[got.lookup.tier] += 1
        assert got.end == cold.end
        if got.tokens != cold.tokens:
            assert is_tie(self._model, request.prompt, cold.tokens, got.tokens), (request, got)
            self.ties += 1


async def cancelled_then_answered(scheduler: Scheduler, request: GenerationRequest, steps: int) -> Answer:
    """Give a request up after some of its steps, and ask again."""
    generation = scheduler.submit(request, asyncio.get_running_loop())
    async for step in steps_of(generation):
        steps -= 1
        if steps <= 0 or (isinstance(step, TokenStep) and steps % 3 == 0):
            generation.cancel()
    return await answer(scheduler, request)


async def take_turns(
    random: Random, talks: Sequence[Conversation], cold: Scheduler, warm: Scheduler, comparison: Comparison
) -> None:
    """One turn of each, together where there is a cache; one of them may be asked in two ways."""
    for talk in talks:
        talk.turn()
    asking = [*talks, *([talks[0].forked()] if random.random() < 0.3 else [])]
    requests = [talk.request() for talk in asking]
    expected = await answers(cold, *requests)
    loop = asyncio.get_running_loop()
    got = await asyncio.gather(
        *(
            cancelled_then_answered(warm, request, random.randint(1, 12))
            if random.random() < 0.15
            else collect(warm.submit(request, loop))
            for request in requests
        )
    )
    for talk, request, without, with_cache in zip(asking, requests, expected, got, strict=True):
        comparison.add(request, without, with_cache)
        talk.messages.append(without.tokens)


def visits(random: Random) -> list[list[Conversation]]:
    """Who takes a turn together: each conversation some times, with others and at times long after."""
    heads = [tokens(random, 10, 40) for _ in range(4)]
    times: list[tuple[float, Conversation]] = []
    for number in range(CONVERSATIONS):
        talk = Conversation(random, random.choice(heads))
        times += [
            (number + random.random() * random.choice([5, 40]), talk) for _ in range(random.randint(1, 3))
        ]
    in_order = [talk for _, talk in sorted(times, key=lambda item: item[0])]
    groups = [in_order[place : place + AT_ONCE] for place in range(0, len(in_order), AT_ONCE)]
    return [list({id(talk): talk for talk in group}.values()) for group in groups]


@pytest.mark.slow
@pytest.mark.timeout(300)  # some seconds, on cores of its own
@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
async def test_conversations_are_answered_as_without_a_cache(
    shelf: ModelShelf, tmp_path: Path, architecture: Architecture
) -> None:
    random = Random(20 + len(architecture))
    path = shelf.tiny(architecture)
    comparison = Comparison(load_model(path))
    groups = visits(random)
    evictions = 0
    with running(path, cache=RadixPrefixCache(max_bytes=0), prefill_chunk=WHOLE) as cold:
        for life in range(LIVES):
            tier, load = make_tier(tmp_path), functools.partial(load_model, path)
            with running_on(tier, load, max_bytes=BUDGETS[architecture], prefill_chunk=CHUNK) as warm:
                for group in groups[len(groups) * life // LIVES : len(groups) * (life + 1) // LIVES]:
                    await take_turns(random, group, cold, warm, comparison)
                    stats = warm.stats()["prefix_cache"]
                    assert stats["bytes"] <= stats["budget_bytes"]
            evictions += stats["evictions"]
    assert comparison.ties <= comparison.answers // 100
    assert evictions > 10
    assert comparison.tiers["disk"] > 5
    assert comparison.tiers["memory"] > 30
