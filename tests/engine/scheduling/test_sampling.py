"""OpenAI's sampling parameters do what OpenAI defines, and an invalid one is refused with a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import mlx.core as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scheduling.requests.steps import Sampling
from engine.scheduling.sampling import build_logits_processors, build_sampler, check_sampling

VOCAB = 50


def logprobs(*weights: float) -> mx.array:
    """Log-probabilities of shape (1, VOCAB); tokens beyond `weights` are next to impossible."""
    padded = mx.array([*weights, *([1e-9] * (VOCAB - len(weights)))])
    return mx.log(padded / padded.sum())[None]


def draw(sampling: Sampling, distribution: mx.array, count: int = 200) -> list[int]:
    sampler = build_sampler(sampling, VOCAB)
    return [sampler(distribution).item() for _ in range(count)]


@pytest.mark.parametrize(
    ("sampling", "says"),
    [
        (Sampling(temperature=-0.1), "temperature must be from 0 to 2, not -0.1"),
        (Sampling(temperature=2.5), "temperature must be from 0 to 2, not 2.5"),
        (Sampling(temperature=float("nan")), "temperature must be from 0 to 2, not nan"),
        (Sampling(top_p=1.01), "top_p must be from 0 to 1, not 1.01"),
        (Sampling(min_p=-1), "min_p must be from 0 to 1, not -1"),
        (Sampling(top_k=-1), "top_k must be 0 (off) or more, not -1"),
        (Sampling(presence_penalty=3), "presence_penalty must be from -2 to 2, not 3"),
        (Sampling(frequency_penalty=-3), "frequency_penalty must be from -2 to 2, not -3"),
        (Sampling(repetition_penalty=0), "repetition_penalty must be above 0 and at most 10, not 0"),
        (Sampling(logit_bias={50: 1.0}), "logit_bias names token 50, but tokens are 0 to 49"),
        (Sampling(logit_bias={5: 101.0}), "logit_bias of token 5 must be from -100 to 100, not 101"),
    ],
)
def test_a_parameter_out_of_range_is_named_with_its_range(sampling: Sampling, says: str) -> None:
    assert check_sampling(sampling, VOCAB) == says


def test_the_limits_themselves_are_fine() -> None:
    for sampling in (
        Sampling(),
        Sampling(0.0, 0.0, 0, 0.0, -2.0, -2.0, 0.1, {0: -100.0}),
        Sampling(2.0, 1.0, 10**9, 1.0, 2.0, 2.0, 10.0, {49: 100.0}, seed=-(2**70)),
    ):
        assert check_sampling(sampling, VOCAB) is None
        assert 0 <= build_sampler(sampling, VOCAB)(logprobs(0.5, 0.5)).item() < VOCAB


@pytest.mark.parametrize(
    "sampling", [Sampling(temperature=0), Sampling(temperature=1e-40), Sampling(top_p=0), Sampling(top_k=1)]
)
def test_greedy_takes_the_likeliest(sampling: Sampling) -> None:
    for seed in (None, 5):
        assert set(draw(replace(sampling, seed=seed), logprobs(0.2, 0.41, 0.39), 20)) == {1}


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize(
    ("limit", "left"),
    [
        (Sampling(top_k=2), {0, 1}),
        (Sampling(top_p=0.7), {0, 1}),
        (Sampling(min_p=0.5), {0, 1}),
        (Sampling(), {0, 1, 2}),
    ],
)
def test_unlikely_tokens_are_cut_off(limit: Sampling, left: set[int], seed: int | None) -> None:
    assert set(draw(replace(limit, seed=seed), logprobs(0.45, 0.35, 0.2))) == left


@pytest.mark.parametrize("seed", [None, 7])
def test_temperature_sharpens_and_flattens(seed: int | None) -> None:
    cold, warm = (
        Counter(draw(Sampling(temperature=temperature, seed=seed), logprobs(0.6, 0.4), 400))[0]
        for temperature in (0.2, 2.0)
    )
    assert cold > 330
    assert 180 < warm < 270


@given(seed=st.integers(-(2**70), 2**70), generated=st.integers(0, 30))
def test_a_seed_gives_one_sequence_that_can_be_resumed_anywhere(seed: int, generated: int) -> None:
    distribution = logprobs(*([1.0] * VOCAB))
    sampling = Sampling(seed=seed)
    whole = [sampler(distribution).item() for sampler in [build_sampler(sampling, VOCAB)] for _ in range(32)]
    resumed = build_sampler(sampling, VOCAB, generated)
    assert [resumed(distribution).item() for _ in range(32 - generated)] == whole[generated:]


def test_seeds_and_tokens_draw_independently() -> None:
    distribution = logprobs(*([1.0] * VOCAB))
    drawn = [tuple(draw(Sampling(seed=seed), distribution, 20)) for seed in range(20)]
    assert len(set(drawn)) == 20
    assert len(Counter(token for sequence in drawn for token in sequence)) > 40


def test_requests_without_a_seed_share_a_sampler_and_so_one_call() -> None:
    first, second = (build_sampler(Sampling(0.7, 0.9), VOCAB) for _ in range(2))
    assert first is second
    assert build_sampler(Sampling(0.7, 0.9, seed=1), VOCAB) is not first


def apply(sampling: Sampling, prompt: list[int], generated: list[int]) -> list[float]:
    logits = mx.ones((1, VOCAB))
    for processor in build_logits_processors(sampling, len(prompt)):
        logits = processor(mx.array([*prompt, *generated], dtype=mx.int32), logits)
    changed: list[float] = logits[0, :5].tolist()  # type: ignore[assignment]
    return changed


def test_presence_and_frequency_count_what_was_generated_and_not_the_prompt() -> None:
    assert apply(Sampling(presence_penalty=0.5), [0, 0], [1, 2, 2]) == [1, 0.5, 0.5, 1, 1]
    assert apply(Sampling(frequency_penalty=0.5), [0, 0], [1, 2, 2]) == [1, 0.5, 0, 1, 1]
    assert apply(Sampling(presence_penalty=0.5), [0, 0], []) == [1, 1, 1, 1, 1]


def test_the_repetition_penalty_counts_the_prompt_too() -> None:
    assert apply(Sampling(repetition_penalty=2.0), [0], [2, 2]) == [0.5, 1, 0.5, 1, 1]


def test_a_bias_is_added_and_nothing_asked_for_costs_nothing() -> None:
    assert apply(Sampling(logit_bias={3: -7.0, 4: 2.0}), [0], []) == [1, 1, 1, -6, 3]
    assert build_logits_processors(Sampling(), 5) == []
