"""A generation of given steps, and a detokenizer whose tokens are the pieces of a text."""

from __future__ import annotations

import asyncio

from engine.scheduling.requests.steps import FailStep, Step


class Spelling:
    """Token n is the n-th piece."""

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self.last_segment = ""

    def add_token(self, token: int) -> None:
        self.last_segment = self._pieces[token]

    def finalize(self) -> None:
        self.last_segment = ""


class Steps:
    """A generation of given steps; None waits until it is cancelled, an exception is raised."""

    def __init__(self, *steps: Step | Exception | None) -> None:
        self._steps = list(steps)
        self.cancelled = asyncio.Event()

    async def take(self) -> list[Step]:
        taken: list[Step] = []
        while self._steps and not self.cancelled.is_set():
            match self._steps[0]:
                case None | Exception() if taken:
                    break
                case None:
                    await self.cancelled.wait()
                case Exception() as error:
                    raise error
                case step:
                    taken.append(step)
            del self._steps[0]
        return [] if self.cancelled.is_set() else taken

    @property
    def untaken_failure(self) -> FailStep | None:
        last = self._steps[-1] if self._steps else None
        return last if isinstance(last, FailStep) else None

    def cancel(self) -> None:
        self.cancelled.set()

    def abandon(self) -> None:
        self.cancel()
