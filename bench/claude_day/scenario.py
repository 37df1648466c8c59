"""A scenario: its row of the table, and what plays it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.claude_day.stage import Stage


@dataclass(frozen=True)
class Scenario:
    """`checked` is what must be true beside what holds in all; `test` the test that covers it in CI."""

    name: str
    checked: str
    play: Callable[[Stage], None]
    test: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    scripted_model: bool = True
    errors_shown: bool = False  # the client rightly shows one


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str,
    checked: str,
    *,
    test: str = "",
    settings: Mapping[str, Any] | None = None,
    scripted_model: bool = True,
    errors_shown: bool = False,
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Register the decorated function as a row of the table; rows stand in the order of registration."""

    def register(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
        SCENARIOS[name] = Scenario(name, checked, play, test, settings or {}, scripted_model, errors_shown)
        return play

    return register
