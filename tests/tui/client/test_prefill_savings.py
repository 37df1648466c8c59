"""The time that restored tokens saved: as `traces analyze` has it, of what a screen has seen."""

from __future__ import annotations

import pytest

from proxy.events.types import CacheVerdict, RequestFinished, Timings, Usage
from tui.client.records import RequestSnapshot
from tui.client.reducers.prefill_savings import MOST_MODELS, PrefillSavings


def ended(prefilled: int, took: float | None, restored: int = 0, restore_s: float = 0.0) -> RequestFinished:
    return RequestFinished(
        usage=Usage(input_tokens=prefilled, cache_read_input_tokens=restored),
        timings=Timings(queued=0.5, first_token=None if took is None else 0.5 + took),
        cache=CacheVerdict(restore_s=restore_s),
    )


def request(model: str, backend: str = "mlx") -> RequestSnapshot:
    return RequestSnapshot("r", 0.0, 0.0, model=model, backend=backend)


def test_restored_tokens_times_the_time_of_one() -> None:
    savings = PrefillSavings()
    savings.note(request("a"), ended(511, 9.0, restored=1000), of_this_host=True)
    savings.note(request("a"), ended(9000, None), of_this_host=True)
    assert savings.speed() == 0
    assert savings.seconds(1000) is None  # too short to measure, and one without a first token
    savings.note(request("b"), ended(2000, 1.0, restored=500, restore_s=0.25), of_this_host=True)
    assert savings.speed() == 2000
    assert savings.seconds(1500) == pytest.approx(1500 / 2000 - 0.25)  # one engine, two names of its model
    assert savings.seconds(3500) == pytest.approx(3500 / 2000 - 0.25)  # 2000 were restored unseen


def test_an_earlier_host_measured_and_saved_nothing_for_this_one() -> None:
    savings = PrefillSavings()
    savings.note(request("a"), ended(1000, 1.0, restored=9_000_000), of_this_host=False)
    assert savings.seconds(0) == 0.0
    assert savings.seconds(4000) == pytest.approx(4.0)


def test_what_took_longer_to_restore_than_to_prefill_saved_nothing() -> None:
    savings = PrefillSavings()
    savings.note(request("a"), ended(1000, 1.0, restored=100, restore_s=9.0), of_this_host=True)
    assert savings.seconds(100) == 0.0


def test_another_model_of_our_engine_has_its_own_speed() -> None:
    savings = PrefillSavings()
    savings.note(request("a"), ended(1000, 1.0), of_this_host=False)  # before the engine's model is known
    assert savings.speed("first") == 1000
    savings.note(request("a"), ended(1000, 1.0, restored=100), of_this_host=True, engine_model="first")
    assert savings.speed("other") == 0
    savings.note(request("a"), ended(1000, 4.0, restored=100), of_this_host=True, engine_model="other")
    assert (savings.speed("first"), savings.speed("other")) == (1000, 250)
    assert savings.seconds(200) == pytest.approx(0.1 + 0.4)


def test_other_servers_are_measured_model_by_model() -> None:
    savings = PrefillSavings()
    savings.note(request("fast", "openai"), ended(1000, 0.1, restored=1000), of_this_host=True)
    savings.note(request("slow", "openai"), ended(1000, 10.0, restored=1000), of_this_host=True)
    savings.note(request("new", "openai"), ended(0, None, restored=1000), of_this_host=True)
    assert savings.seconds(3000) == pytest.approx(10.1)


def test_any_number_and_any_name() -> None:
    savings = PrefillSavings()
    for number in range(MOST_MODELS * 2):
        savings.note(request(f"model {number}", "openai"), ended(10**400, 1.0, 10**400), of_this_host=True)
    savings.note(None, ended(1000, float("inf"), restore_s=float("nan")), of_this_host=True)
    assert savings.seconds(10**400) is None
    assert len(savings._models) == MOST_MODELS + 1
