"""The orders of the list of sessions, and which one the user chose last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast, get_args

from textual.app import App

from tui.client.records import AgentSnapshot, RequestSnapshot, SessionSnapshot
from tui.screen.choices.remembered import Remembered
from tui.screen.panes.session_cells import runs_tool

SessionOrder = Literal["activity", "name", "context", "requests", "failed", "tokens"]
ORDERS: tuple[SessionOrder, ...] = get_args(SessionOrder)
LIVE_S = 60.0  # after its last event a session stays above those that rest
TOOL_S = 600.0  # a tool, or a question to the user, counts as work for so long
_NAME = "sessionOrder"  # in what is remembered


def order_key(order: SessionOrder, now: float) -> Callable[[SessionSnapshot], tuple[object, ...]]:
    """What sessions are sorted by: names from A on, figures from the largest; equal ones by activity."""

    def key(found: SessionSnapshot) -> tuple[object, ...]:
        match order:
            case "activity":
                return _activity(found, now)
            case "name":
                return (not found.name, found.name.casefold(), *_activity(found, now))
        return (-_figure(found, order), *_activity(found, now))

    return key


def _activity(found: SessionSnapshot, now: float) -> tuple[bool, bool, float]:
    """Those at work, those that just were, the others: who follows the first row sees work, if there is any.

    Those of the first two stand in the order of their beginnings, so that a turn does not move them.
    """
    rests_s = now - found.updated
    works = bool(found.active) or (rests_s < TOOL_S and any(map(_runs_tool, found.agents)))
    live = works or rests_s < LIVE_S
    return not works, not live, -found.started if live else -found.updated


def _runs_tool(agent: AgentSnapshot) -> bool:
    return runs_tool(agent.requests[-1])


def _figure(found: SessionSnapshot, order: SessionOrder) -> int:
    match order:
        case "context":
            return found.context_tokens
        case "requests":
            return len(found.requests)
        case "failed":
            return sum(_failed_for_good(record) for record in found.requests)
    return sum(record.prompt_tokens + record.output_tokens for record in found.requests)


def _failed_for_good(record: RequestSnapshot) -> bool:
    return record.phase == "failed" and record.repeat is None


def next_order(order: SessionOrder) -> SessionOrder:
    """The order that the key leads to from this one."""
    return ORDERS[(ORDERS.index(order) + 1) % len(ORDERS)]


def remembered_order(app: App[None]) -> SessionOrder:
    """The order that was chosen last; by activity where none was."""
    told = _of(app).get(_NAME)
    return cast(SessionOrder, told) if told in ORDERS else ORDERS[0]


def keep_order(app: App[None], order: SessionOrder) -> None:
    """Remember it for the next start."""
    _of(app).keep(_NAME, order)


def _of(app: App[None]) -> Remembered:
    remembered = getattr(app, "remembered", None)
    return remembered if isinstance(remembered, Remembered) else Remembered()
