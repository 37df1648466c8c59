"""`python -m tests.engine.memory_fuzz`: a loop with little memory whose device fails at random.

Requests of a few conversations come at random and are cancelled at random; there is room for one or some of
them, so that they wait and make way for one another, and faults of the device meet them at any point of that.
Each request ends with a verdict, none with other tokens than it gets where nothing is kept and nothing fails,
and when all have ended no memory is set apart for any. A test does the turns, so that a seed tells all that
happens, but for the disk's time. Exit code 1 if something was not as it has to be.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from engine.memory.guard import MemoryGuard
from engine.memory.pressure import Pressure, PressureWatch
from engine.memory_budget.limits import Machine
from engine.models.loading import LoadedModel, load_model
from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.layers import layout_of
from engine.process.device_faults import DeviceRefuses
from engine.scheduling.faults import UNCONFIRMED
from engine.scheduling.loop import DecodeLoop
from engine.scheduling.requests.request import ScheduledRequest
from engine.scheduling.requests.steps import FailStep, FinishStep, GenerationRequest, Lane, Step, TokenStep
from engine.scheduling.requests.stream import StepStream
from engine.scheduling.runner import ModelRunner
from engine.trials.memory_costs import arrays_of_a_request, request_cost, weight_bytes
from tests.engine.device_fuzz import FAILS, IN_A_ROW, NOTICED, TEXTS, WORDS
from tests.engine.disk_tiers import make_tier
from tests.engine.faulty_device import FaultyDevice
from tests.engine.fuzz import ModelKind, _quiet
from tests.engine.model_thread import ask, steps_of
from tests.engine.near_ties import is_tie
from tests.engine.scheduling.test_memory_admission import Since
from tests.models import ModelShelf

CHUNK = 32
LONGEST_PROMPT, LONGEST_ANSWER = 200, 80
CONTEXTS = (0.55, 1.05, 1.3, 1.9, 4.0)
REQUESTS = 12
SHORT = 0.02  # of the looks whether there is room for more of an answer find none
BOUND_S = 60.0
ENDED = "the engine ended; try again"


@dataclass
class Report:
    """What came of the runs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    loop: Counter[str] = field(default_factory=Counter)
    made_way: int = 0
    faults: list[str] = field(default_factory=list)


class Undisturbed:
    """What requests are answered where nothing is kept, limited or fails."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._known: dict[tuple[int, ...], list[int]] = {}

    async def answer(self, request: GenerationRequest) -> list[int]:
        key = (*request.prompt, request.max_tokens)
        if key not in self._known:
            loop = DecodeLoop(self._loaded, RadixPrefixCache(max_bytes=0), prefill_chunk=CHUNK)
            live = ScheduledRequest(
                ask(request.prompt, request.max_tokens),
                StepStream(asyncio.get_running_loop(), lambda: None),
                0.0,
            )
            loop.arrive(live)
            while loop.turn():
                pass
            loop.flush()
            self._known[key] = [
                step.token async for step in steps_of(live.stream) if isinstance(step, TokenStep)
            ]
        return self._known[key]

    def is_tie(self, request: GenerationRequest, expected: Sequence[int], got: Sequence[int]) -> bool:
        return is_tie(self._loaded.model, request.prompt, expected, got)


class Episode:
    """One loop from its start until all its requests have ended."""

    def __init__(
        self,
        loaded: LoadedModel,
        undisturbed: Undisturbed,
        report: Report,
        seed: int,
        patch: pytest.MonkeyPatch,
        folder: Path | None,
    ) -> None:
        self._chance = Random(seed)
        self._seed = seed
        self._undisturbed = undisturbed
        self._report = report
        self._more = False
        self._now = 0.0
        self._woken = threading.Event()
        patch.setattr("engine.scheduling.memory_admission._AHEAD", self._chance.choice([33, 33, 48, 1024]))
        device = FaultyDevice(patch, self._fault, notices=lambda: self._chance.random() < NOTICED)
        self._fails = self._chance.choice([0.003, 0.01, FAILS])
        self.cache = RadixPrefixCache(max_bytes=1 << 26)
        if folder is not None:
            self.cache.attach(make_tier(folder), layout_of(ModelRunner(loaded).new_cache()))
        cost = request_cost(loaded, lambda position: CHUNK)
        tokens = LONGEST_PROMPT + LONGEST_ANSWER
        room = cost.transient_bytes(tokens) + int(
            self._chance.choice(CONTEXTS) * cost.reserved_bytes(tokens, alone=False)
        )
        meter = Since()
        self.guard = MemoryGuard(
            self.cache,
            Machine(1 << 50),
            asked=sum(weight_bytes(loaded)[:2]) + room,
            meter=meter,
            pressure=PressureWatch(self._pressure, lambda: self._now),
        )
        self.guard.set_up(loaded.name, weight_bytes(loaded), cost, arrays_of_a_request(loaded), tokens)
        self.loop = DecodeLoop(
            replace(loaded, model=device.around(loaded.model)),
            self.cache,
            prefill_chunk=CHUNK,
            clock=lambda: self._now,
            memory=self.guard,
            wake=self._woken.set,
        )
        self._prompts: list[list[int]] = [[]]
        preempt = self.loop._memory_admission._preempt

        def makes_way(live: ScheduledRequest) -> None:
            report.made_way += 1
            preempt(live)

        grow = self.guard.grow

        def grows(request: Hashable, least: int, wanted: int) -> bool:
            return self._chance.random() > SHORT and grow(request, least, wanted)

        patch.setattr(self.guard, "grow", grows)
        patch.setattr(self.loop._memory_admission, "_preempt", makes_way)
        self._lives: list[ScheduledRequest] = []

    async def run(self) -> None:
        ended = False
        try:
            ended = self._turns()
        except DeviceRefuses:
            self._report.outcomes["refusals"] += 1
        try:
            if not ended:
                self.loop.fail_all("the GPU refused further work; " + ENDED)
            self.loop.flush()
            if ended:
                self._nothing_left()
            for live in self._lives:
                await self._judge(live)
        finally:
            self.guard.close()
            self.cache.close()
        counts = self.loop.counts
        if counts.received != counts.finished + counts.failed + counts.cancelled:
            self._fault_found(f"not all have ended: {counts}")
        for name in ("finished", "failed", "cancelled", "device_faults", "rebuilds"):
            self._report.loop[name] += getattr(counts, name)

    def _turns(self) -> bool:
        """Whether all was ended by turns."""
        chance, until = self._chance, time.monotonic() + BOUND_S
        to_come = REQUESTS
        while time.monotonic() < until:
            if to_come and chance.random() < 0.2:
                to_come -= 1
                self._come()
            if chance.random() < 0.01 and self._lives:
                self.loop.cancel(chance.choice(self._lives))
            self._woken.clear()
            busy = self.loop.turn()
            self._now += chance.choice([0.001, 0.001, 0.5])
            if not to_come and not self.loop.running and not self.loop.queued:
                return True
            if not busy and self.loop.queued and not to_come:
                self._woken.wait(0.01)
        self._fault_found(f"{self.loop.running} run and {self.loop.queued} wait after {BOUND_S} s")
        return False

    def _nothing_left(self) -> None:
        self.loop.turn()
        reservations = self.guard.reservations
        if len(reservations) or reservations.requests_bytes or reservations.loading_bytes:
            self._fault_found(
                f"{reservations.requests_bytes} bytes are set apart, {reservations.loading_bytes} loading"
            )

    def _come(self) -> None:
        chance = self._chance
        start = chance.choice(self._prompts)
        if len(start) > LONGEST_PROMPT // 2 or chance.random() < 0.3:
            start = start[: chance.randint(0, len(start))]
        prompt = [*start, *(chance.randrange(1490) for _ in range(chance.randint(1, LONGEST_PROMPT // 2)))]
        self._prompts.append(prompt)
        request = ask(prompt, chance.randint(1, LONGEST_ANSWER), lane=chance.choice(get_args(Lane)))
        live = ScheduledRequest(request, StepStream(asyncio.get_running_loop(), lambda: None), self._now)
        self._lives.append(live)
        self.loop.arrive(live)

    async def _judge(self, live: ScheduledRequest) -> None:
        if live.state.value == "cancelled":
            self._report.outcomes["cancelled"] += 1
            return
        try:
            async with asyncio.timeout(2):
                steps: list[Step] = [step async for step in steps_of(live.stream)]
        except TimeoutError:
            self._fault_found(f"{live.spec.request_id} has no end: {live}")
            return
        got = [step.token for step in steps if isinstance(step, TokenStep)]
        wanted = await self._undisturbed.answer(live.spec)
        match steps[-1]:
            case FinishStep():
                if got == wanted:
                    self._report.outcomes["finished"] += 1
                elif self._undisturbed.is_tie(live.spec, wanted, got):
                    self._report.outcomes["tie"] += 1
                else:
                    self._fault_found(f"another answer: {got}, not {wanted}, {live.spec.request_id}")
            case FailStep("overloaded", message) if message == UNCONFIRMED or message.startswith(WORDS):
                self._report.outcomes["device"] += 1
            case other:
                self._fault_found(f"it must not end so: {other}")

    def _fault(self) -> str:
        if not (self._more or self._chance.random() < self._fails):
            return ""
        self._more = self._chance.random() < IN_A_ROW
        return self._chance.choice(TEXTS)

    def _pressure(self) -> Pressure:
        return "warning" if self._chance.random() < 0.05 else "normal"

    def _fault_found(self, what: str) -> None:
        self._report.faults.append(f"seed {self._seed}: {what}")


async def run(
    shelf: ModelShelf, folder: Path, kind: ModelKind, seeds: Sequence[int], *, patch: pytest.MonkeyPatch
) -> Report:
    """An episode for each seed; every third one has a disk."""
    report = Report()
    path = shelf.tiny("qwen3" if kind == "draft" else kind)
    loaded = load_model(path)
    undisturbed = Undisturbed(loaded)
    if kind == "draft":
        loaded = replace(loaded, draft=load_model(path))
    with _quiet():
        for seed in seeds:
            with patch.context() as within:
                disk = folder / f"disk{seed}" if seed % 3 == 0 else None
                await Episode(loaded, undisturbed, report, seed, within, disk).run()
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m tests.engine.memory_fuzz`."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.memory_fuzz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--model-kind", choices=get_args(ModelKind), default="qwen3")
    chosen = parser.parse_args(arguments)
    seeds = range(chosen.seed, chosen.seed + chosen.episodes)
    with tempfile.TemporaryDirectory(prefix="anyclaude-fuzz-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        report = asyncio.run(
            run(ModelShelf(folder / "models"), folder, chosen.model_kind, seeds, patch=patch)
        )
    for line in (
        f"outcomes: {dict(report.outcomes)}",
        f"loop: {dict(report.loop)}",
        f"made way: {report.made_way}",
        *report.faults[:20],
    ):
        print(line)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
