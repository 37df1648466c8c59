"""The model's thread: its steps, its state, what it refuses, its beginning and its end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.model_files.errors import WeightsMissing
from engine.models.loading import load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.scheduling.requests.steps import FailStep, FinishStep, Sampling, TokenStep
from engine.scheduling.scheduler import LoopEnded, Scheduler
from engine.wire.feed import PrefillProgress, Queued
from tests.engine.model_thread import (
    PROMPT,
    Clock,
    Gate,
    answer,
    answers,
    ask,
    collect,
    observed,
    prompt,
    running,
    steps_of,
)
from tests.models import ModelShelf

SCRIPT = "The answer is forty two."


async def test_a_request_tells_its_steps_in_order(scheduler: Scheduler) -> None:
    got = await answer(scheduler, ask(prompt(2), 3))
    kinds = [type(step).__name__ for step in got.steps]
    assert kinds == [
        *("Queued", "Lookup", "PhaseTimes"),
        *("PrefillProgress", "PrefillProgress", "CacheChange", "PrefillProgress", "PrefillProgress"),
        *("PhaseTimes", "TokenStep", "TokenStep", "TokenStep", "CacheChange", "FinishStep"),
    ]
    assert got.steps[0] == Queued(0, 0.0)
    assert [step for step in got.steps if isinstance(step, PrefillProgress)] == [
        PrefillProgress(done, 40, got.lookup.matched_tokens) for done in (16, 32, 39, 40)
    ]


async def test_an_answer_ends_with_the_models_end_token_which_is_not_delivered(shelf: ModelShelf) -> None:
    path = shelf.scripted(SCRIPT)
    with running(path) as scheduler:
        tokenizer = scheduler.wait_until_loaded().tokenizer
        ids = tokenizer.apply_chat_template([{"role": "user", "content": "hm?"}], add_generation_prompt=True)
        got = await answer(scheduler, ask(ids, 100))
    assert tokenizer.decode(got.tokens) == SCRIPT
    assert got.end == FinishStep("stop", len(got.tokens) + 1)


async def test_an_answer_is_cut_where_the_context_ends(shelf: ModelShelf) -> None:
    with running(shelf.tiny(context_length=50)) as scheduler:
        got = await answer(scheduler, ask(prompt(1, 45), 1000))
        too_long = await answer(scheduler, ask(prompt(1, 50), 1))
    assert got.end == FinishStep("length", 5)
    assert isinstance(too_long.end, FailStep)
    assert too_long.end.kind == "invalid_request"
    assert "50 tokens long" in too_long.end.message


@pytest.mark.parametrize(
    ("request_fields", "says"),
    [
        ({"prompt": []}, "empty"),
        ({"prompt": [5, 1536]}, "outside 0 to 1535"),
        ({"prompt": [-1]}, "outside"),
        ({"prompt": [5], "max_tokens": 0}, "max_tokens"),
        ({"prompt": [5], "sampling": Sampling(temperature=3.0)}, "temperature"),
    ],
)
async def test_a_bad_request_fails_alone(
    scheduler: Scheduler, request_fields: dict[str, object], says: str
) -> None:
    bad, good = await answers(scheduler, ask(**request_fields), ask(PROMPT, 2))  # type: ignore[arg-type]
    assert isinstance(bad.end, FailStep)
    assert bad.end.kind == "invalid_request"
    assert says in bad.end.message
    assert good.end == FinishStep("length", 2)


async def test_a_loop_in_a_long_call_is_seen_as_stalled(shelf: ModelShelf) -> None:
    clock, gate = Clock(), Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate), clock=clock, stall_after_s=60) as scheduler:
        loaded = scheduler.health()
        assert (loaded.state, loaded.detail) == ("ready", f"{shelf.tiny().name} is loaded")
        stuck = scheduler.submit(ask(PROMPT, 1), asyncio.get_running_loop())
        assert await asyncio.to_thread(gate.reached.wait, 30)
        assert scheduler.health().state == "busy"
        clock.now += 61
        health = scheduler.health()
        assert (health.state, health.running, health.heartbeat_age_s) == ("stalled", 1, 61)
        gate.opened.set()
        await collect(stuck)
        done = scheduler.health()
        assert done.last_progress_s == 0.0
        assert done.progress == 1.0


async def test_stopping_fails_what_still_runs(shelf: ModelShelf) -> None:
    with running(shelf.tiny()) as scheduler:
        loop = asyncio.get_running_loop()
        endless = scheduler.submit(ask(PROMPT, 30_000), loop)
        async for step in steps_of(endless):
            if isinstance(step, TokenStep):
                break
        await asyncio.to_thread(scheduler.stop)
        ends = [step async for step in steps_of(endless)]
        late = await collect(scheduler.submit(ask(PROMPT), loop))
    assert isinstance(ends[-1], FailStep)
    assert "stopping" in ends[-1].message
    assert isinstance(late.end, FailStep)
    assert scheduler.health().state == "stopped"


async def test_a_model_that_cannot_be_loaded_is_told_to_all_who_ask(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with running(tmp_path, loaded=False) as scheduler:
        early = scheduler.submit(ask(PROMPT), asyncio.get_running_loop())
        with pytest.raises(WeightsMissing):
            scheduler.wait_until_loaded(30)
        health = scheduler.health()
        assert health.state == "failed"
        assert "no model*.safetensors" in health.detail
        for generation in (early, scheduler.submit(ask(PROMPT), asyncio.get_running_loop())):
            end = (await collect(generation)).end
            assert isinstance(end, FailStep)
            assert "no model*.safetensors" in end.message


async def test_a_question_is_put_on_the_models_thread_and_its_error_is_the_askers(
    scheduler: Scheduler,
) -> None:
    names = [scheduler.ask(lambda: threading.current_thread().name) for _ in range(3)]
    assert {await asyncio.wrap_future(name) for name in names} == {"model"}
    with pytest.raises(ZeroDivisionError):
        await asyncio.wrap_future(scheduler.ask(lambda: 1 // 0))
    assert (await answer(scheduler, ask(prompt(3), 2))).tokens


def test_a_question_to_a_loop_that_does_not_run_is_refused(tmp_path: Path) -> None:
    scheduler = Scheduler(lambda on_progress: load_model(tmp_path / "gone"), RadixPrefixCache(max_bytes=0))
    with pytest.raises(LoopEnded, match="try again later"):
        scheduler.ask(lambda: 1).result(timeout=5)


def test_a_process_that_stopped_its_scheduler_ends_in_peace(shelf: ModelShelf) -> None:
    code = f"""
import asyncio
from pathlib import Path
from tests.engine.model_thread import answer, ask, running, steps_of

for _ in range(2):
    with running(Path({str(shelf.tiny())!r})) as scheduler:
        asyncio.run(answer(scheduler, ask(range(40), 4)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def test_stats_tell_in_what_chunks_prompts_are_computed(shelf: ModelShelf) -> None:
    with running(shelf.tiny(), loaded=False) as scheduler:
        assert set(scheduler.stats()) >= {"loop", "prefill", "prefix_cache"}
    asked_for = {"chunk_tokens": 96, "fixed_s": None, "per_token_s": None, "measured_for": ""}
    with running(shelf.tiny(), prefill_chunk=96) as scheduler:
        assert scheduler.stats()["prefill"] == asked_for


async def test_requests_may_come_while_the_model_loads(shelf: ModelShelf) -> None:
    with running(shelf.tiny(), loaded=False) as scheduler:
        assert (await answer(scheduler, ask(PROMPT, 1))).end == FinishStep("length", 1)
