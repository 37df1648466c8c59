"""When the Cache pane asks what is held."""

from __future__ import annotations

from dataclasses import replace

from proxy.events.cache_facts import CacheHoldings
from proxy.events.totals import Totals
from proxy.events.types import EngineState
from tui.client.records import Link, Snapshot
from tui.screen.panes.cache_parts.asked_holdings import AFTER_FAULT_S, AGAIN_S, AskedHoldings

READY = Snapshot(link=Link("live"), engine=EngineState(state="ready", pid=1))


def after(state: str, pid: int = 1) -> Snapshot:
    return replace(READY, engine=EngineState.model_validate({"state": state, "pid": pid}))


def answered(at: float = 100.0) -> AskedHoldings:
    asked = AskedHoldings()
    asked.ask(READY, at)
    asked.take(CacheHoldings())
    return asked


def test_only_an_engine_that_is_up_is_asked_once_for_each_change() -> None:
    asked = AskedHoldings()
    assert not asked.is_due(after("loading"), 100.0)
    assert asked.is_due(READY, 100.0)
    asked.ask(READY, 100.0)
    assert not asked.is_due(READY, 100.0 + AGAIN_S)  # the answer is to come
    asked.take(CacheHoldings())
    changed = replace(READY, totals=Totals(cache_insertions=1))
    assert not asked.is_due(READY, 100.0 + AGAIN_S)
    assert not asked.is_due(changed, 100.0 + AGAIN_S / 2)
    assert asked.is_due(changed, 100.0 + AGAIN_S)


def test_a_question_without_an_answer_is_repeated_though_nothing_has_changed() -> None:
    asked = AskedHoldings()
    asked.ask(READY, 100.0)
    asked.fail("no answer in time", forget=False)
    assert not asked.is_due(READY, 100.0 + AGAIN_S)
    assert asked.is_due(READY, 100.0 + AFTER_FAULT_S)


def test_an_answer_is_forgotten_with_its_engine_and_stands_while_the_host_is_gone() -> None:
    for ended in (after("exited"), after("ready", pid=2)):
        asked = answered()
        asked.forget_ended(ended)
        assert asked.held is None
    asked = answered()
    asked.forget_ended(replace(after("exited"), link=Link("reconnecting")))
    assert asked.held is not None
    asked.forget_ended(READY)
    assert asked.held is not None
