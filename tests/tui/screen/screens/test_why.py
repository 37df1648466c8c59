"""The box that explains a request says which one it is, also where another one is on the screen below it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.traces.analysis.why_facts import Why
from tests.tui.screen.test_app import scene
from tui.client.figures import day_and_clock
from tui.screen.screens.why import WhyScreen, why_lines
from tui.screen.styled_line import plain_text


@pytest.mark.parametrize(
    ("lane", "more", "who"),
    [
        ("main", {}, "main"),
        ("subagent", {"agent_type": "Explore"}, "Explore"),
        ("auxiliary", {"purpose": "title"}, "title"),
    ],
)
def test_it_begins_with_the_moment_the_session_and_who_asked(
    lane: str, more: dict[str, str], who: str
) -> None:
    found = Why.model_validate(
        {"trace": "req_1", "time": 1000.0, "session": "a" * 36, "lane": lane, "verdict": "usual"} | more
    )
    assert plain_text(why_lines(found, 90)[0]).strip() == f"{day_and_clock(1000.0)}  aaaaaa  {who}"


def test_a_host_that_does_not_tell_it_leaves_it_out() -> None:
    [only] = why_lines(Why(trace="req_1", verdict="usual"), 90)
    assert plain_text(only).strip() == "Nothing stands out."


async def test_from_a_session_that_runs_it_names_the_request_that_ended_last() -> None:
    async with scene() as it:
        running, before = it.app.main.current.request, it.app.main.current.ended_request
        assert running != before
        ended = next(one for one in it.app.store.snapshot().requests if one.id == before)
        await it.press("w")
        assert isinstance(it.app.screen, WhyScreen)
        assert f"{day_and_clock(ended.received)}  {ended.session[:6]}  {ended.who}" in it.text()


async def test_what_the_screen_knows_of_a_repeat_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene() as it:
        snapshot = it.app.store.snapshot()
        known = replace(snapshot.requests[0], repeat=(snapshot.requests[0].received + 60, "decode"))
        monkeypatch.setattr(it.app.store, "snapshot", lambda: replace(snapshot, requests=(known,)))
        found = await it.app.load_why(known.id)
    assert found.repeat is not None
    assert found.repeat.runs
