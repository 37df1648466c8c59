"""The cases: what a program does with the SDK, and what must come of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from bench.agent_sdk.host import SdkHost

CaseFunction = Callable[[SdkHost], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """One row of the table; `run` does it on a host and raises AssertionError with what is wrong."""

    name: str
    shows: str
    run: CaseFunction


@dataclass(frozen=True)
class Outcome:
    """How a case ended; `said` is empty if it passed."""

    name: str
    shows: str
    ok: bool
    seconds: float
    said: str


CASES: dict[str, Case] = {}


def case(shows: str) -> Callable[[CaseFunction], CaseFunction]:
    """Registers a function as the case of its name; `shows` says what it shows."""

    def register(function: CaseFunction) -> CaseFunction:
        name = getattr(function, "__name__", "")
        CASES[name] = Case(name, shows, function)
        return function

    return register


def run_cases(cases: Iterable[Case], host: SdkHost) -> Iterator[Outcome]:
    """Run cases one after the other; a failure does not end the run."""
    for one in cases:
        began, said = time.monotonic(), ""
        try:
            asyncio.run(_run(one, host))
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        yield Outcome(one.name, one.shows, not said, time.monotonic() - began, said)


async def _run(one: Case, host: SdkHost) -> None:
    await one.run(host)
