"""`python -m tests.engine.device_fuzz`: an engine under random requests whose device fails at random.

A fault is raised late, as Metal raises it: what the device computes is garbage first, later evaluations may
return as if nothing was, and only a wait for the device is sure to raise. At times it fails several times in
a row, or refuses all further work. No request may end well with other tokens than those that it gets where
nothing fails and nothing is kept; each has to end; the engine recovers, or ends and a new one goes on with
what is on disk. The last one has a device that is well, and is asked what was asked before: what it finds on
disk must be right. Prints what happened; exit code 1 if something was not as it has to be.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from engine.models.loading import LoadedModel, OnProgress
from engine.scheduling.faults import UNCONFIRMED
from engine.scheduling.requests.steps import FailStep, FinishStep, Step
from tests.engine.faulty_device import MEMORY, REFUSED, TIMEOUT, VICTIM, FaultyDevice
from tests.engine.fuzz import (
    POISON,
    Expected,
    Faults,
    Fuzz,
    ModelKind,
    Order,
    Report,
    Undisturbed,
)
from tests.engine.fuzz import _lines as lines_of
from tests.engine.model_thread import ask
from tests.models import ModelShelf

FAILS = 0.03  # of the model's calls
NOTICED = 0.1  # of the evaluations that follow a fault raise it
IN_A_ROW = 0.2  # of the faults are followed by another at the next call
TEXTS = [TIMEOUT] * 15 + [VICTIM] * 10 + [MEMORY] * 9 + [REFUSED]
WORDS = ("the GPU",)


class Harmless(Faults):
    """A model that fails at poison alone; all other faults are the device's."""

    def perhaps(self) -> None:
        pass


class Remembered:
    """What was asked before, the last first, once more."""

    def __init__(self, prompts: Sequence[list[int]]) -> None:
        self._prompts = [prompt for prompt in prompts if prompt and POISON not in prompt]

    def next(self) -> Order:
        prompt = self._prompts.pop() if self._prompts else [1]
        return Order(ask([*prompt, 3], 6))


class DeviceFuzz(Fuzz):
    """One run: some lives of an engine on one folder, the last with a device that does not fail."""

    def __init__(
        self,
        shelf: ModelShelf,
        folder: Path,
        kind: ModelKind,
        seed: int,
        *,
        patch: pytest.MonkeyPatch,
        life: int,
    ) -> None:
        super().__init__(shelf, folder, kind, seed, life=life)
        self._chance = Random(seed + 1000)
        self._device = FaultyDevice(patch, self._fault, notices=lambda: self._chance.random() < NOTICED)
        self._is_well = False
        self._more = False
        self._asked: list[list[int]] = []
        self._last = 0

    async def run(self, requests: int) -> Report:
        self._last = -(-requests // self._life)
        return await super().run(requests)

    def _fault(self) -> str:
        if self._is_well or not (self._more or self._chance.random() < FAILS):
            return ""
        self._more = self._chance.random() < IN_A_ROW
        return self._chance.choice(TEXTS)

    async def _live(self, undisturbed: Undisturbed, requests: int) -> None:
        self._is_well = self.report.lives + 1 == self._last
        if self._is_well:
            self._orders = Remembered(self._asked)  # type: ignore[assignment]
        before = self._device.thrown
        await super()._live(undisturbed, requests)
        self.report.thrown += self._device.thrown - before

    def _load(self, faults: Faults, on_progress: OnProgress) -> LoadedModel:
        loaded = super()._load(Harmless(0), on_progress)
        self._device.left = ""  # of another process
        self._more = False
        return replace(loaded, model=self._device.around(loaded.model))

    def _judge(
        self, order: Order, steps: Sequence[Step], expected: Expected | None, undisturbed: Undisturbed
    ) -> tuple[str, str]:
        if not order.is_bad:
            self._asked.append(order.request.prompt)
        last = steps[-1] if steps else None
        if isinstance(last, FailStep) and last.kind == "overloaded":
            if self._is_well:
                return "device", "the device is well"
            fits = last.message == UNCONFIRMED or last.message.startswith(WORDS)
            return "device", "" if fits and "try again" in last.message else "this does not say what happened"
        if not isinstance(last, FinishStep | FailStep) and order.cancel_after is not None:
            return "cancelled", "" if len(steps) == order.cancel_after else "it has no end"
        return super()._judge(order, steps, expected, undisturbed)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m tests.engine.device_fuzz`."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.device_fuzz")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--life", type=int, default=40, help="requests before the engine is stopped")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model-kind", choices=get_args(ModelKind), default="qwen3")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="anyclaude-fuzz-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        fuzz = DeviceFuzz(
            ModelShelf(folder / "models"),
            folder / "cache",
            chosen.model_kind,
            chosen.seed,
            patch=patch,
            life=chosen.life,
        )
        report = asyncio.run(fuzz.run(chosen.requests))
    for line in lines_of(report):
        print(line)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
