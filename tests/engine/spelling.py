"""A generation of given steps, and a detokenizer whose tokens are the pieces of a text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from engine.scheduling.requests.steps import Step


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
        self._steps = steps
        self.cancelled = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[Step]:
        for step in self._steps:
            if step is None:
                await asyncio.Event().wait()
            elif isinstance(step, Exception):
                raise step
            else:
                yield step

    def cancel(self) -> None:
        self.cancelled.set()
