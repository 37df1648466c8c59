"""`python -m tests.engine.fuzz`: an engine under random requests, cancels and faults, and what must hold.

Clients that know nothing of each other ask for prompts that are new, that were there before or that begin
like others, with good and bad parameters, and give some up at any step. The model throws errors, memory and
disk are short, and the engine is stopped now and then, in the midst of its work, to begin anew with what is
on disk. Every request has to end as it should, with the answer that it gets when nothing disturbs it; nothing
may be left of it; and memory stays within its budget. Prints what happened; exit code 1 if something was not
as it has to be.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

import mlx.core as mx

from bench.random_model import Architecture
from engine.models.loading import LoadedModel, OnProgress, load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.scheduling.requests.steps import (
    FailStep,
    FinishStep,
    GenerationRequest,
    Lane,
    Sampling,
    Step,
    TokenStep,
)
from engine.scheduling.scheduler import Scheduler
from tests.engine.disk_tiers import make_tier, running_on
from tests.engine.model_thread import GREEDY, Answer, Observed, answer, ask, running, steps_of
from tests.engine.near_ties import is_tie
from tests.models import ModelShelf

ModelKind = Literal["qwen3", "gemma3_text", "qwen3_5", "draft"]
""""draft" is qwen3 with a draft model."""

CLIENTS = 10
MAX_BATCH = 4
MAX_QUEUE = 6  # with those that run about as many as there are clients: some are refused
_AGAIN_S = 0.02  # after which a client that was refused comes again
CHUNK = 32
LONGEST_ANSWER = 24
LIFE = 250  # requests before the engine is stopped
MEMORY: dict[ModelKind, int] = {
    "qwen3": 400_000,
    "gemma3_text": 600_000,
    "qwen3_5": 1_500_000,
    "draft": 800_000,
}
"""Bytes, a few prompts of each kind."""
DISK = 3_000_000
LEFT_OVER = 1 << 20  # bytes that may be in use beside what the cache counts: buffers of samplers and the like
HEARTBEAT_S = 2.0  # a turn takes no longer: a chunk of `CHUNK` tokens, a token for all, what the cache does
THROWN = 0.008  # of the model's calls
POISON = 1499  # a token that the model cannot take


@dataclass(frozen=True)
class Order:
    """A request, and what is to become of it."""

    request: GenerationRequest
    cancel_after: int | None = None  # steps; 0: before it has begun
    is_bad: bool = False


class Orders:
    """Random requests, the same for the same seed."""

    def __init__(self, seed: int, *, seeded: bool) -> None:
        self._random = Random(seed)
        self._seeded = seeded
        self._prompts: list[list[int]] = []

    def next(self) -> Order:
        random = self._random
        if random.random() < 0.04:
            return Order(self._bad(), is_bad=True)
        prompt = self._prompt()
        fields: dict[str, Any] = {
            "max_tokens": random.randint(1, LONGEST_ANSWER),
            "lane": random.choice(get_args(Lane)),
            "boundaries": self._boundaries(prompt),
            "sampling": self._sampling(),
        }
        if random.random() < 0.04:
            place = random.randrange(len(prompt))
            prompt = [*prompt[:place], POISON, *prompt[place:]]
        cancel_after = random.choice([0, 1, random.randint(1, 8), random.randint(1, 40)])
        return Order(ask(prompt, **fields), cancel_after if random.random() < 0.3 else None)

    def _prompt(self) -> list[int]:
        """New, as before, or with the beginning of another."""
        random = self._random
        prompt = [random.randrange(POISON) for _ in range(self._length())]
        choice = random.random()
        if self._prompts and choice < 0.7:
            known = random.choice(self._prompts[-20:])
            prompt = known if choice < 0.25 else known[: random.randrange(len(known))] + prompt
        self._prompts.append(prompt[:900])
        return self._prompts[-1]

    def _length(self) -> int:
        random = self._random
        return random.choice([random.randint(1, 3), random.randint(1, 60), random.randint(1, 400)])

    def _boundaries(self, prompt: Sequence[int]) -> tuple[int, ...]:
        random = self._random
        count = min(random.randint(0, 4), max(0, len(prompt) - 1))
        return tuple(sorted(random.sample(range(1, len(prompt)), count)))

    def _sampling(self) -> Sampling:
        random = self._random
        others = [
            Sampling(temperature=0.0, repetition_penalty=1.3, frequency_penalty=0.5),
            Sampling(temperature=0.0, logit_bias={7: 3.0}),
            *([Sampling(temperature=0.8, top_p=0.9, seed=3)] if self._seeded else []),
        ]
        return random.choice(others) if random.random() < 0.2 else GREEDY

    def _bad(self) -> GenerationRequest:
        bad: list[dict[str, Any]] = [
            {"prompt": []},
            {"prompt": [3, -1]},
            {"prompt": [5, 1 << 30]},
            {"prompt": [5], "max_tokens": 0},
            {"prompt": [5], "sampling": Sampling(temperature=-1.0)},
            {"prompt": [5], "sampling": Sampling(top_p=float("nan"))},
            {"prompt": [5], "sampling": Sampling(logit_bias={1 << 20: 1.0})},
            {"prompt": [5], "lane": "nobody"},
        ]
        return ask(**self._random.choice(bad))


Expected = tuple[list[int], FinishStep]


class Undisturbed:
    """What each prompt is answered when it is alone and there is no cache; asked once."""

    def __init__(self, scheduler: Scheduler, model: Any) -> None:
        self._scheduler = scheduler
        self._model = model
        self._known: dict[tuple[Any, ...], Answer] = {}
        self.ties = 0

    async def answer(self, order: Order) -> Expected | None:
        """What a request has to be answered; None where it must not be."""
        request, sampling = order.request, order.request.sampling
        if order.is_bad or POISON in request.prompt:
            return None
        key = (*request.prompt, repr(sampling))
        if key not in self._known:
            plain = ask(request.prompt, LONGEST_ANSWER, sampling=sampling)
            self._known[key] = await answer(self._scheduler, plain)
        full = self._known[key]
        end = full.end
        assert isinstance(end, FinishStep), end
        if request.max_tokens >= end.generated:
            return full.tokens, end
        return full.tokens[: request.max_tokens], FinishStep("length", request.max_tokens)

    def is_tie(self, request: GenerationRequest, expected: Sequence[int], got: Sequence[int]) -> bool:
        """Whether a difference is one between logits that are as good as equal."""
        if request.sampling != GREEDY or not is_tie(self._model, request.prompt, expected, got):
            return False
        self.ties += 1
        return True


class Faults:
    """Errors of the model: of some of its calls, and of all that have the poison."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.thrown = 0

    def before(self, inputs: list[list[int]]) -> None:
        if any(POISON in row for row in inputs):
            raise RuntimeError("poisoned")
        self.perhaps()

    def perhaps(self) -> None:
        if self._random.random() < THROWN / 2:
            self.thrown += 1
            raise RuntimeError("thrown")


class Breaking(Observed):
    """Throws before a call, or after it, when the cache has changed already."""

    def __init__(self, model: Any, faults: Faults) -> None:
        super().__init__(model, faults.before)
        self._faults = faults

    def __call__(self, inputs: mx.array, **kwargs: Any) -> Any:
        logits = super().__call__(inputs, **kwargs)
        self._faults.perhaps()
        return logits


@dataclass
class Watch:
    """Looks at an engine from another thread, as its web side does."""

    scheduler: Scheduler
    oldest_heartbeat_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    def look(self) -> None:
        self.oldest_heartbeat_s = max(self.oldest_heartbeat_s, self.scheduler.health().heartbeat_age_s)
        stats = self.scheduler.stats()["prefix_cache"]
        for held, budget in (("bytes", "budget_bytes"), ("disk_bytes", "disk_budget_bytes")):
            if stats[budget] and stats[held] > stats[budget]:
                self.faults.append(f"{held} is {stats[held]}, more than the {stats[budget]} that it may be")

    @contextmanager
    def watching(self) -> Iterator[None]:
        ended = threading.Event()

        def run() -> None:
            while not ended.wait(0.002):
                self.look()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@dataclass
class Report:
    """What came of a run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    thrown: int = 0
    lives: int = 0
    oldest_heartbeat_s: float = 0.0
    left_over: int = 0  # bytes in use beside the cache's own, at most
    loop: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    ties: int = 0
    took_s: float = 0.0


class Fuzz:
    """One run: some lives of an engine, one after another, on one folder."""

    def __init__(
        self, shelf: ModelShelf, folder: Path, kind: ModelKind, seed: int, *, life: int = LIFE
    ) -> None:
        architecture: Architecture = "qwen3" if kind == "draft" else kind
        self._path = shelf.tiny(architecture, eos_every=40)
        self._draft = shelf.tiny(architecture) if kind == "draft" else None
        self._folder = folder
        self._kind = kind
        self._seed = seed
        self._life = life
        self._random = Random(seed)
        self._orders = Orders(seed, seeded=kind != "draft")
        self._stopping = False
        self.report = Report()

    async def run(self, requests: int) -> Report:
        """Raises TimeoutError where a request never ends."""
        began = time.monotonic()
        with (
            _quiet(),
            running(self._path, cache=RadixPrefixCache(max_bytes=0), prefill_chunk=CHUNK) as alone,
        ):
            undisturbed = Undisturbed(alone, load_model(self._path).model)
            while requests > 0:
                count = min(requests, self._life)
                async with asyncio.timeout(300):
                    await self._live(undisturbed, count)
                requests -= count
            self.report.ties = undisturbed.ties
        self.report.took_s = time.monotonic() - began
        return self.report

    async def _live(self, undisturbed: Undisturbed, requests: int) -> None:
        """One life of the engine; every other ends while it is at work."""
        report, self._stopping = self.report, False
        report.lives += 1
        faults = Faults(self._seed + report.lives)
        tier = make_tier(self._folder, max_bytes=DISK)
        load = functools.partial(self._load, faults)
        options = {"prefill_chunk": CHUNK, "max_batch": MAX_BATCH, "max_queue": MAX_QUEUE}
        with running_on(tier, load, max_bytes=MEMORY[self._kind], **options) as scheduler:
            in_use = mx.get_active_memory()
            watch = Watch(scheduler)
            orders = [self._orders.next() for _ in range(requests)]
            asked = [(order, await undisturbed.answer(order)) for order in orders]
            stop_at = requests - self._random.randint(1, 20) if report.lives % 2 == 0 else None
            with watch.watching():
                await self._serve(scheduler, undisturbed, asked, stop_at)
            if stop_at is None:
                await self._settled(scheduler)
                tier.flush()
                held = scheduler.stats()["prefix_cache"]["bytes"]
                if scheduler.failure is not None:  # its traceback has arrays; the process ends now
                    held = mx.get_active_memory()
                left_over = mx.get_active_memory() - in_use - held
                if left_over > LEFT_OVER:
                    report.faults.append(f"{left_over} bytes are in use that nobody counts")
                report.left_over = max(report.left_over, left_over)
        self._add_up(scheduler, watch)
        report.thrown += faults.thrown

    def _load(self, faults: Faults, on_progress: OnProgress) -> LoadedModel:
        loaded = load_model(self._path, on_progress)
        draft = load_model(self._draft, on_progress) if self._draft else None
        return replace(loaded, model=Breaking(loaded.model, faults), draft=draft)

    async def _serve(
        self,
        scheduler: Scheduler,
        undisturbed: Undisturbed,
        orders: Sequence[tuple[Order, Expected | None]],
        stop_at: int | None,
    ) -> None:
        left = iter(enumerate(orders))

        async def client() -> None:
            for number, (order, expected) in left:
                if number == stop_at:
                    self._stopping = True
                    await asyncio.to_thread(scheduler.stop)
                while _is_refusal(steps := await self._ask(scheduler, order)):
                    self.report.outcomes["refused"] += 1
                    await asyncio.sleep(_AGAIN_S)
                outcome, fault = self._judge(order, steps, expected, undisturbed)
                self.report.outcomes[outcome] += 1
                if fault:
                    self.report.faults.append(f"{fault}: {order}, expected {expected}, got {steps}")

        await asyncio.gather(*(client() for _ in range(CLIENTS)))

    async def _ask(self, scheduler: Scheduler, order: Order) -> list[Step]:
        generation = scheduler.submit(order.request, asyncio.get_running_loop())
        if order.cancel_after == 0:
            generation.cancel()
        steps: list[Step] = []
        async for step in steps_of(generation):
            steps.append(step)
            if len(steps) == order.cancel_after:
                generation.cancel()
        return steps

    def _judge(
        self,
        order: Order,
        steps: Sequence[Step],
        expected: Expected | None,
        undisturbed: Undisturbed,
    ) -> tuple[str, str]:
        """What became of a request, and what is wrong with that."""
        got = [step.token for step in steps if isinstance(step, TokenStep)]
        wanted = expected[0] if expected else []
        if expected and got != wanted[: len(got)]:
            tie = undisturbed.is_tie(order.request, wanted, got)
            return ("tie", "") if tie else ("wrong", "this is another answer")
        match steps[-1] if steps else None:
            case FinishStep() as end:
                right = expected is not None and (got, end) == expected
                return "finished", "" if right else "it must not end so"
            case FailStep(kind, message):
                tokens = [*order.request.prompt, *wanted]
                return self._judge_failure(order, kind, message, has_poison=POISON in tokens)
            case _:
                given_up = order.cancel_after is not None and len(steps) == order.cancel_after
                return "cancelled", "" if given_up else "it has no end"

    def _judge_failure(self, order: Order, kind: str, message: str, *, has_poison: bool) -> tuple[str, str]:
        if kind == "invalid_request" or "nobody" in message:
            return "bad", "" if order.is_bad else "there is nothing wrong with it"
        if self._stopping and "stop" in message:
            return "stopped", ""
        if has_poison and "poisoned" in message:
            return "poisoned", ""
        return "failed", "" if "thrown" in message else "nothing was thrown at it"

    async def _settled(self, scheduler: Scheduler) -> None:
        """Let the engine come to its end: a cancel is heard before the turn of a request that comes later."""
        while (await answer(scheduler, ask([1], 1))).end != FinishStep("length", 1):
            if scheduler.failure is not None:
                return
        health = scheduler.health()
        if health.running or health.queue:
            self.report.faults.append(f"{health.running} requests run and {health.queue} wait for ever")

    def _add_up(self, scheduler: Scheduler, watch: Watch) -> None:
        report, stats = self.report, scheduler.stats()
        counts = stats["loop"]
        ended = counts["finished"] + counts["failed"] + counts["cancelled"]
        if counts["received"] != ended:
            report.faults.append(f"{counts['received']} requests were received and {ended} ended: {counts}")
        report.faults += watch.faults
        report.oldest_heartbeat_s = max(report.oldest_heartbeat_s, watch.oldest_heartbeat_s)
        report.loop.update(counts)
        report.cache.update(stats["prefix_cache"])


def _is_refusal(steps: Sequence[Step]) -> bool:
    return len(steps) == 1 and isinstance(steps[0], FailStep) and "wait already" in steps[0].message


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the engine's log: it tells of every fault, and a test's log would hold on to its arrays."""
    log = logging.getLogger("engine")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m tests.engine.fuzz`."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.fuzz")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model-kind", choices=get_args(ModelKind), default="qwen3")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="anyclaude-fuzz-") as name:
        folder = Path(name)
        shelf = ModelShelf(folder / "models")
        fuzz = Fuzz(shelf, folder / "cache", chosen.model_kind, chosen.seed)
        report = asyncio.run(fuzz.run(chosen.requests))
    for line in _lines(report):
        print(line)
    return 1 if report.faults or report.oldest_heartbeat_s > HEARTBEAT_S else 0


def _lines(report: Report) -> Iterator[str]:
    requests = report.outcomes.total() - report.outcomes["refused"]
    yield f"{requests} requests in {report.took_s:.0f} s, {report.lives} lives"
    yield f"outcomes: {dict(report.outcomes)}; ties: {report.ties}; errors thrown: {report.thrown}"
    yield f"loop: {dict(report.loop)}"
    yield f"cache: {dict(report.cache)}"
    yield f"oldest heartbeat: {report.oldest_heartbeat_s * 1000:.0f} ms; left over: {report.left_over} bytes"
    yield f"{len(report.faults)} faults"
    yield from report.faults[:10]


if __name__ == "__main__":
    sys.exit(main())
