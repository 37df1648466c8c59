"""After a device fault no unconfirmed result is used, and other requests are not affected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import mlx.core as mx
import pytest

from engine.models.loading import load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.interface import as_token_array
from engine.prefix_cache.layers import evaluate, layout_of
from engine.process.device_faults import DeviceFault, DeviceRefuses
from engine.scheduling.faults import ADVICE, UNCONFIRMED
from engine.scheduling.requests.request import ScheduledRequest
from engine.scheduling.requests.steps import FailStep, FinishStep, Sampling
from engine.scheduling.runner import ModelRunner
from tests.engine.disk_tiers import FINGERPRINT, files_in, make_tier
from tests.engine.faulty_device import MEMORY, REFUSED, TIMEOUT, VICTIM, FaultyDevice, Script
from tests.engine.model_thread import ask
from tests.engine.scheduling.test_loop import CHUNK, Driven, prompt
from tests.engine.telling_caches import computed
from tests.models import ModelShelf


@pytest.mark.parametrize("kind", get_args(DeviceFault))
def test_each_kind_of_fault_has_advice(kind: DeviceFault) -> None:
    assert "try again" in ADVICE[kind]


LONG = prompt(1, 5 * CHUNK + 10)


async def right_answer(shelf: ModelShelf, tokens: Sequence[int], count: int) -> list[int]:
    """What a prompt is answered where nothing fails and nothing is kept."""
    driven = Driven(shelf, cache=RadixPrefixCache(max_bytes=0))
    live = driven.come(ask(tokens, count))
    driven.finish()
    return await driven.tokens(live)


async def ended_well(driven: Driven, live: ScheduledRequest, expected: list[int]) -> bool:
    steps = await driven.steps(live)
    assert steps[-1] == FinishStep("length", len(expected)), steps[-1]
    driven.loop.flush()
    return [step.token for step in steps if hasattr(step, "token")] == expected


def failing_once(text: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """A function that raises at its first call."""
    texts = [text]

    def wrapped(*arguments: Any) -> Any:
        if texts:
            raise RuntimeError(texts.pop())
        return run(*arguments)

    return wrapped


async def test_a_device_fault_while_a_prompt_is_stored_is_no_fault_of_the_cache(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await right_answer(shelf, LONG, 4)
    monkeypatch.setattr("engine.prefix_cache.cache.evaluate", failing_once(MEMORY, evaluate))
    driven = Driven(shelf)
    live = driven.come(ask(LONG, 4, boundaries=(CHUNK,)))
    driven.until(lambda: driven.loop.counts.device_faults == 1)
    assert driven.cache.stats()["insertions"] == 0
    assert live.suspect
    driven.finish()
    assert await ended_well(driven, live, expected)


@pytest.mark.parametrize("call", [1, 3, 6])
async def test_a_chunk_that_was_not_computed_is_neither_restored_nor_stored(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    expected = await right_answer(shelf, LONG, 4)
    device = FaultyDevice(monkeypatch, Script({call: TIMEOUT}))
    driven = Driven(shelf, around=device.around)
    for _ in range(2):
        live = driven.come(ask(LONG, 4, boundaries=(CHUNK, 2 * CHUNK, 3 * CHUNK)))
        driven.finish()
        assert await ended_well(driven, live, expected)
    assert device.thrown == driven.loop.counts.device_faults == 1
    assert live.restored == len(LONG) - 1


async def test_spans_stored_before_a_late_fault_are_removed_from_memory_and_disk(
    shelf: ModelShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier = make_tier(tmp_path)
    cache = RadixPrefixCache(max_bytes=1 << 26)
    cache.attach(tier, layout_of(ModelRunner(load_model(shelf.tiny())).new_cache()))
    device = FaultyDevice(monkeypatch, Script())
    driven = Driven(shelf, around=device.around, cache=cache)
    try:
        proven = driven.come(ask(LONG[:CHUNK], 1))
        driven.finish()
        tier.flush()
        before = files_in(tmp_path, FINGERPRINT)
        live = driven.come(ask(LONG, 4, boundaries=(2 * CHUNK,)))
        driven.until(lambda: live.prefilled == 2 * CHUNK)
        assert cache.restorable(as_token_array(LONG)) == 2 * CHUNK
        tier.flush()
        assert len(files_in(tmp_path, FINGERPRINT)) > len(before)
        device.left = VICTIM
        driven.loop.turn()
        assert driven.loop.counts.device_faults == 1
        assert CHUNK - 1 <= cache.restorable(as_token_array(LONG)) <= CHUNK
        tier.flush()
        assert files_in(tmp_path, FINGERPRINT) == before
        driven.finish()
        assert await ended_well(driven, live, await right_answer(shelf, LONG, 4))
        assert isinstance((await driven.steps(proven))[-1], FinishStep)
    finally:
        cache.close()


@pytest.mark.parametrize("call", range(2, 10))
async def test_no_answer_ends_well_with_tokens_that_were_not_computed(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    tokens = prompt(2)
    expected = await right_answer(shelf, tokens, 8)
    device = FaultyDevice(monkeypatch, Script({call: TIMEOUT}))
    driven = Driven(shelf, around=device.around)
    live = driven.come(ask(tokens, 8))
    driven.finish()
    steps = await driven.steps(live)
    got = [step.token for step in steps if hasattr(step, "token")]
    if isinstance(steps[-1], FinishStep):
        assert got == expected
    else:
        assert steps[-1] == FailStep("overloaded", UNCONFIRMED)
    again = driven.come(ask(tokens, 8))
    driven.finish()
    assert await ended_well(driven, again, expected)


async def test_a_fault_that_is_noticed_at_the_next_step_costs_nobody_the_answer(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [await right_answer(shelf, prompt(seed), 12) for seed in (1, 2)]
    script = Script()
    device = FaultyDevice(monkeypatch, script, notices=lambda: True)
    driven = Driven(shelf, around=device.around)
    lives = [driven.come(ask(prompt(seed), 12)) for seed in (1, 2)]
    driven.until(lambda: all(len(live.generated) > 3 for live in lives))
    script.faults = {script.calls + 1: TIMEOUT}
    driven.finish()
    assert device.thrown == 1
    assert [await driven.tokens(live) for live in lives] == expected
    assert driven.ends == (2, 0, 0)


async def test_an_unseeded_answer_resumes_behind_the_sent_tokens(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    device = FaultyDevice(monkeypatch, script, notices=lambda: True)
    driven = Driven(shelf, around=device.around)
    live = driven.come(ask(prompt(1), 12, sampling=Sampling(temperature=1.0)))
    driven.until(lambda: len(live.generated) > 3)
    sent = list(live.generated)
    script.faults = {script.calls + 1: TIMEOUT}
    driven.finish()
    tokens = await driven.tokens(live)
    assert tokens[: len(sent)] == sent
    assert len(tokens) == 12


class Raising:
    """Raises texts before the next calls of the model, as a device does that noticed at once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, inputs: list[list[int]]) -> None:
        if self.texts:
            raise RuntimeError(self.texts.pop(0))


async def test_a_fault_and_the_victims_that_follow_it_cost_nobody_the_answer(shelf: ModelShelf) -> None:
    raising = Raising()
    expected = [await right_answer(shelf, tokens, 4) for tokens in (prompt(1), LONG)]
    driven = Driven(shelf, before_call=raising)
    first = driven.come(ask(prompt(1), 4))
    driven.until(lambda: bool(first.generated))
    second = driven.come(ask(LONG, 4))
    raising.texts = [TIMEOUT, VICTIM]
    driven.finish()
    assert driven.ends == (2, 0, 0)
    assert [await driven.tokens(live) for live in (first, second)] == expected


async def test_a_prompt_that_the_device_cannot_compute_fails_alone_with_a_reason(
    shelf: ModelShelf,
) -> None:
    bad = [7, *prompt(3, 3 * CHUNK)]

    def too_long(inputs: list[list[int]]) -> None:
        if inputs[0][0] == 7:
            raise RuntimeError(TIMEOUT)

    expected = [await right_answer(shelf, prompt(seed), 20) for seed in (1, 2)]
    driven = Driven(shelf, before_call=too_long)
    good = [driven.come(ask(prompt(seed), 20)) for seed in (1, 2)]
    driven.until(lambda: all(live.generated for live in good))
    failing = driven.come(ask(bad, 4))
    driven.finish()
    assert driven.ends == (2, 1, 0)
    assert [await driven.tokens(live) for live in good] == expected
    (*_, end) = await driven.steps(failing)
    assert isinstance(end, FailStep)
    assert end.kind == "overloaded"
    assert end.message.startswith("the GPU watchdog of macOS ended what was computed for this request")
    assert "compact the conversation" in end.message


async def test_after_a_fault_of_memory_half_of_the_cache_goes_and_fewer_run_for_a_while(
    shelf: ModelShelf,
) -> None:
    raising, now = Raising(), [0.0]
    driven = Driven(shelf, before_call=raising, clock=lambda: now[0])
    for seed in range(6):
        driven.come(ask(prompt(seed, 200), 1))
    driven.finish()
    held = driven.cache.stats()["bytes"]
    assert driven.loop._recovery.max_batch == 8
    driven.come(ask(prompt(9), 4))
    raising.texts = [MEMORY]
    driven.until(lambda: driven.loop.counts.device_faults == 1)
    assert 0 < driven.cache.stats()["bytes"] <= held // 2
    assert driven.loop._recovery.max_batch == 4
    driven.finish()
    assert driven.ends == (7, 0, 0)
    now[0] = 3600.0
    assert driven.loop._recovery.max_batch == 8


async def test_the_third_fault_with_nothing_computed_in_between_ends_the_loop(shelf: ModelShelf) -> None:
    raising = Raising()
    driven = Driven(shelf, before_call=raising)
    raising.texts = [TIMEOUT, VICTIM, TIMEOUT]
    lives = [driven.come(ask(prompt(seed), 4)) for seed in (1, 2, 3)]
    with pytest.raises(DeviceRefuses, match="the GPU refused further work"):
        driven.finish()
    driven.loop.fail_all("told why")
    assert driven.is_idle
    assert driven.ends == (0, 3, 0)
    for live in lives:
        assert (await driven.steps(live))[-1] == FailStep("overloaded", "told why")


async def test_chunks_in_between_are_a_sign_of_life(shelf: ModelShelf) -> None:
    raising = Raising()
    driven = Driven(shelf, before_call=raising)
    for seed in range(5):
        live = driven.come(ask(prompt(seed, 3 * CHUNK), 2))
        driven.until(lambda live=live: live.prefilled >= CHUNK)
        raising.texts = [TIMEOUT]
        driven.finish()
    assert driven.ends == (5, 0, 0)
    assert driven.loop.counts.device_faults == 5


async def test_a_device_that_ignores_submissions_ends_the_loop_at_once(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise RuntimeError(REFUSED)

    driven = Driven(shelf)
    live = driven.come(ask(LONG, 4))
    driven.until(lambda: live.prefilled == 2 * CHUNK)
    waiting = driven.come(ask(prompt(2), 4))
    with monkeypatch.context() as patch:
        patch.setattr(mx, "synchronize", refuse)
        with pytest.raises(DeviceRefuses, match="SubmissionsIgnored"):
            driven.loop.turn()
        driven.loop.fail_all("told why")
    assert driven.ends == (0, 2, 0)
    assert driven.cache.restorable(as_token_array(LONG)) == 0
    for one in (live, waiting):
        assert (await driven.steps(one))[-1] == FailStep("overloaded", "told why")


async def test_a_late_error_of_a_fault_can_be_a_refusal(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising = Raising()
    device = FaultyDevice(monkeypatch, Script())
    driven = Driven(shelf, before_call=raising, around=device.around)
    driven.come(ask(LONG, 4))
    raising.texts = [TIMEOUT]
    device.left = REFUSED
    with pytest.raises(DeviceRefuses):
        driven.loop.turn()
    driven.loop.fail_all("told why")
    assert driven.ends == (0, 1, 0)


async def test_a_fault_that_shows_when_one_is_cancelled_leaves_the_others_their_answers(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await right_answer(shelf, prompt(2), 12)
    device = FaultyDevice(monkeypatch, Script())
    driven = Driven(shelf, around=device.around)
    gone, stays = (driven.come(ask(prompt(seed), 12)) for seed in (1, 2))
    driven.until(lambda: bool(gone.generated and stays.generated))
    device.left = TIMEOUT
    driven.loop.cancel(gone)
    driven.finish()
    assert driven.ends == (1, 0, 1)
    assert await driven.tokens(stays) == expected


async def test_the_device_has_no_work_when_a_loop_has_ended(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FaultyDevice(monkeypatch, Script())
    driven = Driven(shelf, around=device.around)
    live = driven.come(ask(prompt(1), 100))
    driven.until(lambda: len(live.generated) > 2)
    device.left = VICTIM
    driven.loop.fail_all("it is stopping")
    assert device.left == ""
    assert (await driven.steps(live))[-1] == FailStep("internal", "it is stopping")
    device.left = VICTIM  # of a copy that was kept, say
    driven.loop.fail_all("it is stopping")
    assert device.left == ""


async def test_a_split_that_fails_leaves_the_tree_as_it_was(
    shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven = Driven(shelf)
    driven.come(ask(LONG, 1))
    driven.finish()
    fork = [*LONG[:100], *prompt(5, 200)]
    expected = [await right_answer(shelf, tokens, 4) for tokens in (fork, LONG)]
    with monkeypatch.context() as patch:
        patch.setattr("engine.prefix_cache.tree.evaluate", failing_once(TIMEOUT, evaluate))
        live = driven.come(ask(fork, 4))
        driven.finish()
    again = driven.come(ask(LONG, 4))
    driven.finish()
    assert [await driven.tokens(one) for one in (live, again)] == expected
    assert again.restored >= len(LONG) - 1
    assert driven.loop.counts.device_faults == 1


def test_a_span_that_was_evicted_and_stored_anew_since_confirmation_is_rolled_back_whole() -> None:
    """The rows that it had before were proven; they went when memory was short."""
    cache = RadixPrefixCache(max_bytes=1 << 20)
    head = [1, 2, 3, 4, 5]
    for tokens in ([*head, 6, 7], [*head, 8, 9]):
        cache.insert(tokens, computed(tokens, with_state=True), "main")
    cache.confirm()
    cache.insert(head, computed(head, with_state=True), "main")  # its rows are there, its state is not
    cache.set_limit(0)
    cache.set_limit(1 << 20)
    cache.insert(head, computed(head, with_state=True), "main")
    assert cache.restorable(as_token_array([*head, 10])) == len(head)
    cache.roll_back()
    assert cache.memory().array_bytes == 0
