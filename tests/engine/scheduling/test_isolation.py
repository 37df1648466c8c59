"""Each request is answered as if it were alone, whatever runs beside it."""

from __future__ import annotations

import mlx_lm
import pytest

from bench.random_model import Architecture
from engine.scheduling.requests.steps import (
    FailStep,
    FinishStep,
    Sampling,
)
from engine.scheduling.scheduler import Scheduler
from tests.engine.model_thread import (
    PROMPT,
    answer,
    answers,
    ask,
    observed,
    prompt,
    running,
)
from tests.models import ModelShelf


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
async def test_greedy_answers_are_those_of_the_library(shelf: ModelShelf, architecture: Architecture) -> None:
    path = shelf.tiny(architecture)
    model, tokenizer = mlx_lm.load(str(path))
    expected = [part.token for part in mlx_lm.stream_generate(model, tokenizer, prompt(1), max_tokens=20)]
    with running(path) as scheduler:
        got = await answer(scheduler, ask(prompt(1), 20))
    assert got.tokens == expected
    assert got.end == FinishStep("length", 20)


async def test_requests_of_a_batch_get_the_answers_that_they_get_alone(shelf: ModelShelf) -> None:
    requests = [ask(prompt(seed, 20 + 11 * seed), 5 + 4 * seed) for seed in range(5)]
    with running(shelf.tiny("gemma3_text")) as scheduler:
        alone = [await answer(scheduler, request) for request in requests]
    with running(shelf.tiny("gemma3_text")) as scheduler:
        together = await answers(scheduler, *requests)
    assert [one.tokens for one in together] == [one.tokens for one in alone]


async def test_a_seed_gives_the_same_answer_alone_and_in_a_batch(scheduler: Scheduler) -> None:
    seeded = Sampling(temperature=1.5, top_p=0.9, seed=11)
    alone = await answer(scheduler, ask(prompt(5), 12, sampling=seeded))
    greedy_alone = await answer(scheduler, ask(prompt(6), 12))
    together = await answers(
        scheduler,
        ask(prompt(6), 12),
        ask(prompt(5), 12, sampling=Sampling(temperature=1.5, top_p=0.9)),
        ask(prompt(5), 12, sampling=seeded),
        ask(prompt(5), 12, sampling=Sampling(temperature=1.5, top_p=0.9, seed=12)),
    )
    assert together[2].tokens == alone.tokens
    assert together[3].tokens != alone.tokens
    assert together[0].tokens == greedy_alone.tokens


@pytest.mark.parametrize("architecture", ["qwen3", "qwen3_5"])
async def test_a_fault_in_prefill_fails_its_request_and_no_other(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    poison = 1490

    def fail_on_poison(inputs: list[list[int]]) -> None:
        if any(poison in slot for slot in inputs):
            raise RuntimeError("poisoned")

    good = [[token for token in prompt(seed) if token != poison] for seed in (1, 2, 3)]
    with running(observed(shelf.tiny(architecture), fail_on_poison)) as scheduler:
        alone = [(await answer(scheduler, ask(tokens, 30))).tokens for tokens in good]
        together = await answers(
            scheduler, ask(good[0], 30), ask([*PROMPT, poison, 7], 30), ask(good[1], 30), ask(good[2], 30)
        )
        assert scheduler.health().state in ("busy", "ready")
    failed = together.pop(1).end
    assert isinstance(failed, FailStep)
    assert failed.kind == "internal"
    assert "poisoned" in failed.message
    assert [one.tokens for one in together] == alone


async def test_a_fault_while_decoding_is_found_among_the_batch(shelf: ModelShelf) -> None:
    path = shelf.tiny()
    with running(path) as scheduler:
        alone = [(await answer(scheduler, ask(prompt(seed), 24))).tokens for seed in (1, 2, 3)]
    others = {*alone[0], *alone[2], *prompt(1), *prompt(2), *prompt(3)}
    place = next(n for n in range(8, 23) if alone[1][n] not in others | {*alone[1][:n]})

    def fail_on_poison(inputs: list[list[int]]) -> None:
        if any(alone[1][place] in slot for slot in inputs):
            raise ValueError("bad kernel")

    with running(observed(path, fail_on_poison)) as scheduler:
        together = await answers(scheduler, *(ask(prompt(seed), 24) for seed in (1, 2, 3)))
        rebuilds = scheduler.stats()["loop"]["rebuilds"]
    assert [one.tokens for one in (together[0], together[2])] == [alone[0], alone[2]]
    assert together[1].tokens == alone[1][: len(together[1].tokens)]
    assert len(together[1].tokens) >= place - 1
    assert isinstance(together[1].end, FailStep)
    assert 2 <= rebuilds <= 4
