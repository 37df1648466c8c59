"""The model's thread answers each request as if it were alone, whatever the others do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import mlx_lm
import pytest

from bench.random_model import Architecture
from engine.model_files.errors import WeightsMissing
from engine.prefix_cache.cache import RadixPrefixCache
from engine.scheduling.requests.steps import (
    CacheStep,
    FailStep,
    FinishStep,
    LookupStep,
    PrefillStep,
    QueuedStep,
    Sampling,
    TokenStep,
)
from engine.scheduling.scheduler import Scheduler
from tests.engine.model_thread import GREEDY, answer, answers, ask, collect, observed, running, steps_of
from tests.models import ModelShelf

SCRIPT = "The answer is forty two."
PROMPT = list(range(300, 340))


def prompt(seed: int, length: int = 40) -> list[int]:
    return [(seed * 7919 + position * 104729) % 1500 for position in range(length)]


@pytest.fixture(scope="module")
def scheduler(shelf: ModelShelf) -> Iterator[Scheduler]:
    with running(shelf.tiny(), prefill_chunk=16) as scheduler:
        yield scheduler


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """Stops the model's thread in the first call that has `token` in it, until it is opened."""

    def __init__(self, token: int) -> None:
        self._token = token
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, inputs: list[list[int]]) -> None:
        if any(self._token in slot for slot in inputs) and not self.opened.is_set():
            self.reached.set()
            assert self.opened.wait(60)


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "qwen3_5"])
async def test_greedy_answers_are_those_of_the_library(shelf: ModelShelf, architecture: Architecture) -> None:
    path = shelf.tiny(architecture)
    model, tokenizer = mlx_lm.load(str(path))
    expected = [part.token for part in mlx_lm.stream_generate(model, tokenizer, prompt(1), max_tokens=20)]
    with running(path) as scheduler:
        got = await answer(scheduler, ask(prompt(1), 20))
    assert got.tokens == expected
    assert got.end == FinishStep("length", 20)


async def test_a_request_tells_its_steps_in_order(scheduler: Scheduler) -> None:
    got = await answer(scheduler, ask(prompt(2), 3))
    kinds = [type(step).__name__ for step in got.steps]
    assert kinds == [
        *("QueuedStep", "LookupStep"),
        *("PrefillStep", "PrefillStep", "CacheStep", "PrefillStep", "PrefillStep"),
        *("TokenStep", "TokenStep", "TokenStep", "CacheStep", "FinishStep"),
    ]
    assert got.steps[0] == QueuedStep(0, 0.0)
    assert [step for step in got.steps if isinstance(step, PrefillStep)] == [
        PrefillStep(done, 40, got.lookup.matched_tokens) for done in (16, 32, 39, 40)
    ]


async def test_the_lookup_accounts_for_every_token_of_the_prompt(scheduler: Scheduler) -> None:
    first = await answer(scheduler, ask(prompt(3), 4))
    again = await answer(scheduler, ask([*prompt(3), *first.tokens, 7, 8, 9], 4))
    assert first.lookup.matched_tokens + first.lookup.kept_tokens == 40
    assert again.lookup.matched_tokens == 44
    assert again.lookup.kept_tokens == 3
    assert again.lookup.tier == "memory"
    assert again.lookup.restore_s > 0
    assert again.lookup.miss is None


async def test_a_repeated_prompt_is_reused_but_for_its_last_token(scheduler: Scheduler) -> None:
    first, *repeats = [await answer(scheduler, ask(prompt(4), 6)) for _ in range(3)]
    assert [repeat.lookup.matched_tokens for repeat in repeats] == [39, 39]
    assert [repeat.tokens for repeat in repeats] == [first.tokens] * 2


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


async def test_parallel_requests_with_one_head_compute_it_once(shelf: ModelShelf) -> None:
    head = prompt(7, 600)
    with running(shelf.tiny(), prefill_chunk=128) as scheduler:
        first, second, third = await answers(
            scheduler, *(ask([*head, *prompt(seed, 20)], 2) for seed in (1, 2, 3))
        )
        counts = scheduler.stats()["loop"]
    assert first.lookup.matched_tokens == 0
    assert second.lookup.matched_tokens >= 600
    assert third.lookup.matched_tokens >= 600
    assert counts["prefilled_tokens"] == 620 + 20 + 20


@pytest.mark.parametrize("architecture", ["gemma3_text", "qwen3_5"])
async def test_caches_that_cannot_be_cut_back_keep_the_head_for_new_sessions(
    shelf: ModelShelf, architecture: Architecture
) -> None:
    head = prompt(8, 100)
    with running(shelf.tiny(architecture)) as scheduler:
        await answer(scheduler, ask([*head, *prompt(1, 30)], 2, boundaries=(100, 120)))
        other = await answer(scheduler, ask([*head, *prompt(2, 30)], 2, boundaries=(100, 120)))
    assert other.lookup.matched_tokens == 100
    assert other.lookup.miss is not None
    assert other.lookup.miss["reason"] == "diverged"
    assert other.lookup.miss["position"] == 100


@pytest.mark.parametrize("has_shared_prefix", [True, False])
async def test_the_first_message_is_kept_as_a_head_only_where_it_is_one(
    shelf: ModelShelf, has_shared_prefix: bool
) -> None:
    cache = RadixPrefixCache(max_bytes=1 << 24)
    with running(shelf.tiny("gemma3_text"), cache=cache) as scheduler:
        await answer(
            scheduler, ask(prompt(1, 130), 2, boundaries=(100, 120), has_shared_prefix=has_shared_prefix)
        )
    assert {node.end for node in cache._tree.nodes() if node.kind == "head"} == (
        {100} if has_shared_prefix else set()
    )


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


async def test_a_cancel_in_prefill_takes_one_chunk_and_keeps_what_was_computed(shelf: ModelShelf) -> None:
    long = prompt(10, 4000)
    with running(shelf.tiny(), prefill_chunk=32) as scheduler:
        generation = scheduler.submit(ask(long), asyncio.get_running_loop())
        async for step in steps_of(generation):
            if isinstance(step, PrefillStep):
                generation.cancel()
        after = await answer(scheduler, ask(PROMPT, 1))
        assert after.end == FinishStep("length", 1)
        computed = scheduler.stats()["loop"]["prefilled_tokens"] - len(PROMPT)
        again = await answer(scheduler, ask(long, 1))
    assert 32 <= computed < 2000
    assert again.lookup.matched_tokens == computed


async def test_a_cancel_while_decoding_frees_the_place_and_keeps_the_prefix(shelf: ModelShelf) -> None:
    with running(shelf.tiny(), max_batch=1) as scheduler:
        endless = scheduler.submit(ask(PROMPT, 30_000), asyncio.get_running_loop())
        seen = 0
        async for step in steps_of(endless):
            seen += isinstance(step, TokenStep)
            if seen == 5:
                endless.cancel()
        assert (await answer(scheduler, ask(prompt(1), 1))).end == FinishStep("length", 1)
        again = await answer(scheduler, ask([*PROMPT, 1, 2], 1))
        counts = scheduler.stats()["loop"]
    assert seen == 5
    assert again.lookup.matched_tokens == len(PROMPT)
    assert counts["cancelled"] == 1
    assert counts["generated_tokens"] < 1000


async def test_a_cancel_in_the_queue_costs_nothing(shelf: ModelShelf) -> None:
    gate = Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate)) as scheduler:
        loop = asyncio.get_running_loop()
        first = scheduler.submit(ask(PROMPT, 2), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        waiting = scheduler.submit(ask(prompt(1), 2), loop)
        waiting.cancel()
        waiting.cancel()
        gate.opened.set()
        assert (await collect(first)).end == FinishStep("length", 2)
        assert (await collect(waiting)).steps == []
        last = await answer(scheduler, ask(prompt(2), 1))
        assert last.end == FinishStep("length", 1)
        assert scheduler.stats()["loop"]["prefilled_tokens"] == 80


async def test_those_who_wait_are_told_so_each_second(shelf: ModelShelf) -> None:
    clock = Clock()
    with running(shelf.tiny(), max_batch=1, clock=clock) as scheduler:
        loop = asyncio.get_running_loop()
        endless = scheduler.submit(ask(PROMPT, 30_000), loop)
        async for step in steps_of(endless):
            if isinstance(step, TokenStep):
                break
        waiting = [scheduler.submit(ask(prompt(seed), 1), loop) for seed in (1, 2)]
        news: list[list[QueuedStep]] = [[], []]
        for steps, generation in zip(news, waiting, strict=True):
            async for step in steps_of(generation):
                if isinstance(step, QueuedStep):
                    steps.append(step)
                    clock.now += 1.25
                if len(steps) == 3:
                    break
        endless.cancel()
        ends = [(await collect(generation)).end for generation in waiting]
    assert [(step.position, step.waiting_s) for step in news[0]] == [(0, 0.0), (0, 1.25), (0, 2.5)]
    assert news[1][0] == QueuedStep(1, 0.0)
    assert news[1][1].waiting_s >= 1.0
    assert ends == [FinishStep("length", 1)] * 2


async def test_a_full_queue_refuses_at_once(shelf: ModelShelf) -> None:
    gate = Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate), max_batch=1, max_queue=2) as scheduler:
        loop = asyncio.get_running_loop()
        first = scheduler.submit(ask(PROMPT, 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        waiting = [scheduler.submit(ask(prompt(seed), 1), loop) for seed in (1, 2)]
        refused = (await collect(scheduler.submit(ask(prompt(3), 1), loop))).end
        gate.opened.set()
        served = [(await collect(one)).end for one in (first, *waiting)]
    assert refused == FailStep("overloaded", "2 requests wait already; try again in a moment")
    assert served == [FinishStep("length", 1)] * 3


async def test_a_request_that_was_refused_and_then_given_up_is_counted_once(shelf: ModelShelf) -> None:
    gate = Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate), max_batch=1, max_queue=1) as scheduler:
        loop = asyncio.get_running_loop()
        first = scheduler.submit(ask(PROMPT, 2), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        waiting = scheduler.submit(ask(prompt(1), 2), loop)
        refused = scheduler.submit(ask(prompt(2)), loop)
        assert isinstance((await collect(refused)).end, FailStep)
        refused.cancel()
        gate.opened.set()
        assert [(await collect(one)).end for one in (first, waiting)] == [FinishStep("length", 2)] * 2
        counts = scheduler.stats()["loop"]
    assert [counts[name] for name in ("overloaded", "received", "finished", "cancelled")] == [1, 2, 2, 0]


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


async def test_a_late_cancel_ends_no_other_request(shelf: ModelShelf) -> None:
    poison, first_token = 1490, 1491
    gate = Gate(first_token)

    def before(inputs: list[list[int]]) -> None:
        gate(inputs)
        if any(poison in slot for slot in inputs):
            raise RuntimeError("poisoned")

    with running(observed(shelf.tiny(), before)) as scheduler:
        loop = asyncio.get_running_loop()
        ended = scheduler.submit(ask(PROMPT, 1), loop)  # nobody has read its end
        failed = await answer(scheduler, ask([*prompt(1), poison, 7], 1))  # its generator is made anew
        other = scheduler.submit(ask([first_token, *prompt(2)], 4), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        ended.cancel()
        gate.opened.set()
        assert isinstance(failed.end, FailStep)
        assert (await collect(other)).end == FinishStep("length", 4)


async def test_a_reader_whose_event_loop_is_gone_is_dropped(scheduler: Scheduler) -> None:
    lost = asyncio.new_event_loop()
    scheduler.submit(ask(prompt(11), 30_000), lost)
    lost.close()
    before = scheduler.stats()["loop"]["cancelled"]
    for seed in range(20, 40):
        await answer(scheduler, ask(prompt(seed), 2))
        if scheduler.stats()["loop"]["cancelled"] > before and not scheduler.health().running:
            return
    pytest.fail("the request still runs")


async def test_a_loop_in_a_long_call_is_seen_as_stalled(shelf: ModelShelf) -> None:
    clock, gate = Clock(), Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate), clock=clock, stall_after_s=60) as scheduler:
        assert scheduler.health().state == "ready"
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


async def test_a_warm_turn_passes_a_cold_prompt_after_at_most_one_chunk(shelf: ModelShelf) -> None:
    warm, calls = prompt(3, 500), list[list[int]]()
    gate = Gate(1490)

    def before(inputs: list[list[int]]) -> None:
        calls.extend(inputs)
        gate(inputs)

    cold = [token for token in prompt(4, 4000) if token != 1490]
    cold[300] = 1490
    with running(observed(shelf.tiny(), before), prefill_chunk=64) as scheduler:
        await answer(scheduler, ask(warm, 1))
        loop = asyncio.get_running_loop()
        long = scheduler.submit(ask(cold, 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        short = scheduler.submit(ask([*warm, 11, 12, 13], 1), loop)
        start = len(calls)
        gate.opened.set()
        ends = [(await collect(generation)).end for generation in (short, long)]
    assert calls[start : start + 2] == [[11, 12], [13]]
    assert ends == [FinishStep("length", 1)] * 2


async def test_a_token_is_delivered_before_someone_elses_chunk_is_computed(shelf: ModelShelf) -> None:
    gate = Gate(1490)
    cold = [token for token in prompt(4, 400) if token != 1490]
    cold[300] = 1490
    with running(observed(shelf.tiny(), gate), prefill_chunk=64) as scheduler:
        loop = asyncio.get_running_loop()
        stream = scheduler.submit(ask(PROMPT, 30_000), loop)
        steps = steps_of(stream)
        while not isinstance(await anext(steps), TokenStep):
            pass
        scheduler.submit(ask(cold, 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        generated = scheduler.stats()["loop"]["generated_tokens"]
        for _ in range(generated - 1):
            async with asyncio.timeout(30):
                assert isinstance(await anext(steps), TokenStep | CacheStep)
        gate.opened.set()
        stream.cancel()


async def test_one_who_waits_for_a_running_prefill_starts_once_it_is_past_their_beginning(
    shelf: ModelShelf,
) -> None:
    head, gate = [token for token in prompt(5, 640) if token != 1490], Gate(1490)
    with running(observed(shelf.tiny(), gate), prefill_chunk=64) as scheduler:
        loop = asyncio.get_running_loop()
        long = scheduler.submit(ask([*head[:32], 1490, *head[33:], *prompt(6, 3000)], 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        short = scheduler.submit(ask([*head[:32], 1490, *head[33:], *prompt(7, 20)], 1), loop)
        gate.opened.set()
        got = await collect(short)
        long.cancel()
        computed = scheduler.stats()["loop"]["prefilled_tokens"]
    assert got.lookup.matched_tokens == len(head)
    assert computed < 1500


async def test_stats_tell_in_what_chunks_prompts_are_computed(shelf: ModelShelf) -> None:
    with running(shelf.tiny(), loaded=False) as scheduler:
        assert set(scheduler.stats()) >= {"loop", "prefill", "prefix_cache"}
    asked_for = {"chunk_tokens": 96, "fixed_s": None, "per_token_s": None, "measured_for": ""}
    with running(shelf.tiny(), prefill_chunk=96) as scheduler:
        assert scheduler.stats()["prefill"] == asked_for


async def test_requests_may_come_while_the_model_loads(shelf: ModelShelf) -> None:
    with running(shelf.tiny(), loaded=False) as scheduler:
        assert (await answer(scheduler, ask(PROMPT, 1))).end == FinishStep("length", 1)


async def test_the_cache_lookup_comes_before_the_prefill_of_those_ahead_is_done(shelf: ModelShelf) -> None:
    gate = Gate(PROMPT[0])
    with running(observed(shelf.tiny(), gate)) as scheduler:
        loop = asyncio.get_running_loop()
        # Two chunks: the second request arrives while the first is computed.
        first = scheduler.submit(ask(prompt(1, 600) + PROMPT + prompt(2, 600), 1), loop)
        assert await asyncio.to_thread(gate.reached.wait, 30)
        second = scheduler.submit(ask(prompt(3), 1, sampling=GREEDY), loop)
        gate.opened.set()
        async for step in steps_of(second):
            if isinstance(step, LookupStep):
                break
        first.cancel()
        assert (await collect(first)).steps == []
