"""The result of recovering a call: a call that fits its tool's schema, or text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from engine.tool_calls.schemas.tools import Verdict


@dataclass(frozen=True, slots=True)
class RecoveredCall:
    """A call to send to the client: `arguments` is JSON text with its keys in the model's order.

    `repairs` says for people, in order, what was changed; `()` for nothing. `verdict` is usable.
    """

    name: str
    arguments: str
    repairs: tuple[str, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Unrecovered:
    """Text to return as text: why, and the repairs that were tried; both for people."""

    why: str
    repairs: tuple[str, ...] = ()


RecoveryOutcome = tuple[RecoveredCall, ...] | Unrecovered
"""All calls of a text, or why it is returned as text."""


def one_call(outcome: RecoveredCall | Unrecovered) -> RecoveryOutcome:
    """The outcome of a text that is one call."""
    return outcome if isinstance(outcome, Unrecovered) else (outcome,)


def with_repairs(
    outcome: RecoveredCall | Unrecovered, before: tuple[str, ...]
) -> RecoveredCall | Unrecovered:
    """An outcome with the repairs that came before it."""
    if isinstance(outcome, Unrecovered):
        return Unrecovered(outcome.why, (*before, *outcome.repairs))
    return RecoveredCall(outcome.name, outcome.arguments, (*before, *outcome.repairs), outcome.verdict)


def only_outcome(outcomes: Sequence[tuple[RecoveryOutcome, bool]]) -> RecoveryOutcome:
    """The common outcome of several readings of a text; `Unrecovered` where they give different calls.

    Each outcome comes with a flag: a suspect one casts doubt on the others and is not taken itself.
    """
    usable = [(outcome, suspect) for outcome, suspect in outcomes if not isinstance(outcome, Unrecovered)]
    if not usable:
        return outcomes[0][0]
    said = {tuple((call.name, _canonical(call.arguments)) for call in calls) for calls, _ in usable}
    if len(said) > 1 or all(suspect for _, suspect in usable):
        return Unrecovered("it can be read in more than one way", usable[0][0][0].repairs)
    return next(calls for calls, suspect in usable if not suspect)


def _canonical(arguments: str) -> str:
    return json.dumps(json.loads(arguments), sort_keys=True)
