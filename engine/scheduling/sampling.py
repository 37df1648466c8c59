"""OpenAI's sampling parameters, validated, as mlx-lm samplers and logits processors.

A sampler maps log-probabilities of shape (batch, vocabulary) to tokens of shape (batch,). Slots that share a
sampler object are sampled in one call, so requests without a seed share one for each set of parameters. A
seeded request has its own, whose random key depends on the seed and the token's number alone, not on the
batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mlx.core as mx
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p, greedy_sampler, make_sampler

from engine.scheduling.requests.steps import Sampling

Sampler = Callable[[Any], Any]
LogitsProcessor = Callable[[Any, Any], Any]

_SEEDS = 1 << 64
_MIN_TEMPERATURE = 1e-4  # below it sampling is greedy


def check_sampling(sampling: Sampling, vocab_size: int) -> str | None:
    """An error message for invalid parameters, or None."""
    ranges = (
        ("temperature", sampling.temperature, 0.0, 2.0),
        ("top_p", sampling.top_p, 0.0, 1.0),
        ("min_p", sampling.min_p, 0.0, 1.0),
        ("presence_penalty", sampling.presence_penalty, -2.0, 2.0),
        ("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0),
    )
    for name, value, low, high in ranges:
        if not low <= value <= high:  # also false for a NaN
            return f"{name} must be from {low:g} to {high:g}, not {value:g}"
    if sampling.top_k < 0:
        return f"top_k must be 0 (off) or more, not {sampling.top_k}"
    if not 0.0 < sampling.repetition_penalty <= 10.0:
        return f"repetition_penalty must be above 0 and at most 10, not {sampling.repetition_penalty:g}"
    for token, bias in sampling.logit_bias.items():
        if not 0 <= token < vocab_size:
            return f"logit_bias names token {token}, but tokens are 0 to {vocab_size - 1}"
        if not -100.0 <= bias <= 100.0:
            return f"logit_bias of token {token} must be from -100 to 100, not {bias:g}"
    return None


def is_greedy(sampling: Sampling) -> bool:
    """Whether sampling is greedy."""
    # A lower temperature would overflow, and top_p of 0 would leave no token.
    return sampling.temperature < _MIN_TEMPERATURE or sampling.top_p == 0


def build_sampler(sampling: Sampling, vocab_size: int, generated: int = 0) -> Sampler:
    """The sampler of one request; `generated` tokens exist already if it is resumed."""
    if is_greedy(sampling):
        return greedy_sampler  # type: ignore[no-any-return]
    top_k = sampling.top_k if sampling.top_k < vocab_size else 0
    settings = (sampling.temperature, sampling.top_p, sampling.min_p, top_k)
    if sampling.seed is None:
        return _shared_sampler(*settings)
    return _seeded_sampler(sampling.seed, generated, *settings)


@lru_cache(maxsize=64)
def _shared_sampler(temperature: float, top_p: float, min_p: float, top_k: int) -> Sampler:
    return make_sampler(temperature, top_p=top_p, min_p=min_p, top_k=top_k)  # type: ignore[no-any-return]


def _seeded_sampler(
    seed: int, generated: int, temperature: float, top_p: float, min_p: float, top_k: int
) -> Sampler:
    number = generated

    def sample(logprobs: Any) -> Any:
        nonlocal number
        if 0 < top_p < 1:
            logprobs = apply_top_p(logprobs, top_p)
        if min_p > 0:
            logprobs = apply_min_p(logprobs, min_p)
        if top_k > 0:
            logprobs = apply_top_k(logprobs, top_k)
        key = mx.random.key(_mix(seed, number))
        number += 1
        return mx.random.categorical(logprobs / temperature, key=key)

    return sample


def _mix(seed: int, number: int) -> int:
    """A 64-bit hash of a seed and a token's number: the finalizer of SplitMix64."""
    value = (seed * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03 + 1) % _SEEDS
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % _SEEDS
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % _SEEDS
    return value ^ (value >> 31)


def build_logits_processors(sampling: Sampling, prompt_tokens: int) -> list[LogitsProcessor]:
    """The processors of one request; each takes all tokens so far, shape (n,), and logits (1, vocabulary).

    Presence and frequency penalties count generated tokens, those from `prompt_tokens` on, as OpenAI defines
    them; the repetition penalty also counts the prompt, as Hugging Face defines it.
    """
    processors: list[LogitsProcessor] = []
    if sampling.logit_bias:
        ids = mx.array(list(sampling.logit_bias))
        biases = mx.array(list(sampling.logit_bias.values()))
        processors.append(lambda tokens, logits: logits.at[:, ids].add(biases.astype(logits.dtype)))
    if sampling.repetition_penalty != 1.0:
        processors.append(lambda tokens, logits: _penalize(tokens, logits, sampling.repetition_penalty))
    if sampling.presence_penalty or sampling.frequency_penalty:

        def penalize_generated(tokens: Any, logits: Any) -> Any:
            counts = mx.zeros(logits.shape[-1], logits.dtype).at[tokens[prompt_tokens:]].add(1)
            present = (counts > 0).astype(logits.dtype)
            return logits - sampling.frequency_penalty * counts - sampling.presence_penalty * present

        processors.append(penalize_generated)
    return processors


def _penalize(tokens: Any, logits: Any, penalty: float) -> Any:
    chosen = logits[:, tokens]
    logits[:, tokens] = mx.where(chosen < 0, chosen * penalty, chosen / penalty)
    return logits
