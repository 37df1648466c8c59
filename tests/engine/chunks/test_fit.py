"""The chunk size is chosen by the measured times of two lengths."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.chunks.fit import ON_CPU, ON_GPU, ChunkFit, ChunkLimits, chosen_chunk, fitted, measured_fit

VOCABULARY = 300

# /fixed seconds, seconds a token/ that published speeds of Qwen3-30B-A3B, 4 bits, fit to.
M4_MAX = (0.067, 0.00054)
M1_PRO = (0.519, 0.00367)


class Machine:
    """Stands for a model on a machine with a clock: a step of n tokens takes `fixed_s + per_token_s * n`."""

    def __init__(
        self, fixed_s: float, per_token_s: float, *, cold_s: float = 0.0, disturbed: float = 1
    ) -> None:
        self.now = 0.0
        self.lengths: list[int] = []
        self._fixed_s = fixed_s
        self._per_token_s = per_token_s
        self._cold_s = cold_s  # until so much time has passed, all takes three times as long
        self._disturbed = disturbed  # how much longer every other step takes

    def __call__(self, inputs: mx.array, cache: list[Any]) -> None:
        assert cache == [], "each step begins a prompt"
        assert mx.min(inputs).item() >= 0
        assert mx.max(inputs).item() < VOCABULARY
        took = self._fixed_s + self._per_token_s * inputs.size
        if self.now < self._cold_s:
            took *= 3
        elif len(self.lengths) % 2:
            took *= self._disturbed
        self.now += took
        self.lengths.append(inputs.size)

    def measured(self, within: ChunkLimits, **options: Any) -> ChunkFit:
        return measured_fit(self, list, lambda: self.now, vocab_size=VOCABULARY, within=within, **options)


@pytest.mark.parametrize("machine", [M4_MAX, M1_PRO])
def test_a_mixture_of_experts_is_read_in_long_chunks_on_a_gpu(machine: tuple[float, float]) -> None:
    """Taken 128 tokens for proportional, it was 128 and 64: half and a third of the speed."""
    fit = Machine(*machine).measured(ON_GPU)
    assert fit.chunk_tokens == 1024
    assert (fit.fixed_s, fit.per_token_s) == pytest.approx(machine)
    assert fit.speed(fit.chunk_tokens) >= 0.9 * fit.speed(2048)
    assert fit.speed(512) < 0.9 * fit.speed(2048)


@pytest.mark.parametrize(("tokens_per_s", "chunk"), [(10_000, 512), (700, 128), (320, 64), (50, 64)])
def test_without_a_fixed_part_a_chunk_is_what_is_computed_in_a_fifth_of_a_second(
    tokens_per_s: int, chunk: int
) -> None:
    assert Machine(0.0, 1 / tokens_per_s).measured(ON_CPU).chunk_tokens == chunk


@pytest.mark.parametrize(("tokens_per_s", "chunk"), [(20_000, 2048), (6_000, 1024), (700, 512), (20, 512)])
def test_a_gpu_is_never_given_less_than_it_needs_to_be_busy(tokens_per_s: int, chunk: int) -> None:
    assert Machine(0.0, 1 / tokens_per_s).measured(ON_GPU).chunk_tokens == chunk


@given(
    fixed_s=st.floats(0, 5),
    per_token_s=st.floats(1e-6, 0.1),
    within=st.sampled_from([ON_GPU, ON_CPU]),
    before=st.none() | st.sampled_from([1, 64, 96, 256, 512, 1024, 2048, 4096]),
)
def test_a_chunk_is_as_fast_as_any_and_no_longer_than_that_takes(
    fixed_s: float, per_token_s: float, within: ChunkLimits, before: int | None
) -> None:
    chunk = chosen_chunk(fixed_s, per_token_s, within, before)
    fit = ChunkFit(chunk, fixed_s, per_token_s, (128, 512), (1000.0, 1000.0))
    best = fit.speed(within.largest)
    assert within.smallest <= chunk <= within.largest
    assert chunk & (chunk - 1) == 0
    if chunk == before:
        assert fit.speed(chunk) >= 0.8 * best
        return
    assert fit.speed(chunk) >= 0.9 * best
    shorter_is_slow = fit.speed(chunk // 2) < 0.9 * best
    assert chunk == within.smallest or shorter_is_slow or fit.seconds(chunk) <= 0.2


def test_a_size_that_prompts_on_disk_belong_to_stays_while_it_is_nearly_as_fast() -> None:
    assert Machine(*M4_MAX).measured(ON_GPU, before=512).chunk_tokens == 512  # 85 % of the best
    assert Machine(*M4_MAX).measured(ON_GPU, before=2048).chunk_tokens == 2048
    assert Machine(0.2, 0.00054).measured(ON_GPU, before=512).chunk_tokens == 2048  # 67 %
    assert Machine(*M4_MAX).measured(ON_GPU, before=96).chunk_tokens == 1024  # none of ours


def test_a_gpu_is_warmed_up_before_it_is_measured() -> None:
    machine = Machine(0.01, 0.0002, cold_s=1.0)
    fit = machine.measured(ON_GPU)
    assert (fit.fixed_s, fit.per_token_s) == pytest.approx((0.01, 0.0002))
    assert Machine(0.01, 0.0002, cold_s=1.0).measured(ON_CPU).fixed_s > 0.01  # no such thing is waited for


def test_a_step_that_something_else_delayed_does_not_count() -> None:
    assert Machine(0.01, 0.0002, disturbed=4).measured(ON_GPU).fixed_s == pytest.approx(0.01)


def test_a_slow_machine_is_not_measured_for_longer_than_needed() -> None:
    slow = Machine(0.0, 1 / 76)  # tokens a second, as without a fast BLAS
    assert slow.measured(ON_CPU).lengths == (128, 256)
    assert slow.lengths == [128, 128, 256]
    slow = Machine(*M1_PRO)
    assert slow.measured(ON_GPU).lengths == (128, 512)
    assert slow.lengths == [128, 128, 128, 128, 128, 512, 512]
    assert Machine(*M4_MAX).measured(ON_GPU).lengths == (128, 1024)


def test_a_clock_that_stands_still_ends_no_start() -> None:
    assert Machine(0.0, 0.0).measured(ON_GPU).chunk_tokens == 2048


@pytest.mark.parametrize(
    ("most", "lengths"), [(1, (1, 1)), (16, (8, 16)), (300, (128, 300)), (9999, (128, 512))]
)
def test_no_more_tokens_are_tried_than_the_model_has_positions_for(
    most: int, lengths: tuple[int, int]
) -> None:
    machine = Machine(0.01, 0.001)
    fit = machine.measured(ON_CPU, most=most)
    assert fit.lengths == lengths
    assert max(machine.lengths) == lengths[1]
    assert fit.seconds(lengths[1]) == pytest.approx(0.01 + 0.001 * lengths[1])


@given(few=st.integers(1, 200), more=st.integers(0, 2000), short=st.floats(0, 9), long=st.floats(1e-6, 9))
def test_what_is_fitted_has_no_negative_part_and_meets_the_longer_step(
    few: int, more: int, short: float, long: float
) -> None:
    fixed_s, per_token_s = fitted((few, short), (few + more, long))
    assert fixed_s >= 0
    assert per_token_s >= 0
    assert fixed_s + per_token_s * (few + more) == pytest.approx(long)


def test_the_log_has_the_size_and_the_speeds_it_was_chosen_by() -> None:
    text = str(Machine(*M4_MAX).measured(ON_GPU))
    assert text == (
        "chunks of 1024 tokens, at 1652 tokens a second"
        " (measured: 940 in steps of 128, 1652 in steps of 1024)"
    )
    off_the_line = ChunkFit(512, 0.0, 0.001, (128, 512), (1100.0, 1000.0))
    assert "1100 in steps of 128, 1000 in steps of 512" in str(off_the_line)
