"""What a screen without a request says, and what its keys copy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from proxy.events.types import EngineMemory, EngineState
from tests.tui.stage import drawn
from tests.tui.trace_samples import SampleHost
from tests.tui.traffic import Morning
from tui.client.records import RECORDED, HostFacts, Link, ModelFit, Snapshot
from tui.screen.app import ControlCenter
from tui.screen.panes.first_run import better_model, first_steps
from tui.screen.panes.session_tree import SessionTree
from tui.screen.styled_line import plain_text
from tui.screen.widgets.key_bar import KeyBar

FIT = ModelFit("org/Big-30B-4bit", 17.5, 64, "anyclaude-tui models pull org/Big-30B-4bit", here=False)
PROGRAM = "anyclaude-tui --port 23000"
CLAUDE = f"{PROGRAM} claude"


def running(**more: Any) -> Snapshot:
    return Snapshot(link=Link("live"), engine=EngineState(state="ready", **more))


def weights(size: float) -> EngineMemory:
    return EngineMemory(weights_bytes=int(size * 1e9))


@pytest.mark.parametrize(
    ("snapshot", "fit", "better"),
    [
        (running(), FIT, True),  # the bundled model has no name
        (running(model="/x/engine/bundled_model"), FIT, True),
        (running(model="bundled demo model"), None, False),
        (running(model="org/Small-4B", memory=weights(2.9)), FIT, True),
        (running(model="org/Other-24B", memory=weights(13)), FIT, False),
        (running(model="org/Unknown"), FIT, False),
        (running(model="/models/org/Big-30B-4bit", memory=weights(3)), FIT, False),
        (Snapshot(link=Link("live")), FIT, False),
        (replace(running(), link=Link("ended", "", 5.0)), FIT, False),
    ],
)
def test_a_model_is_suggested_where_a_lesser_one_runs(
    snapshot: Snapshot, fit: ModelFit | None, better: bool
) -> None:
    assert (better_model(snapshot, fit) is not None) is better
    text = "\n".join(plain_text(line) for line in first_steps(snapshot, CLAUDE, fit))
    assert (FIT.command in text) is better
    assert CLAUDE in text


@asynccontextmanager
async def first_run(size: tuple[int, int], **engine: str) -> AsyncIterator[tuple[ControlCenter, Pilot[None]]]:
    """The app on a host that has had no request yet; `engine` are fields of its engine's state."""
    app = ControlCenter(clock=lambda: 2000.0, program=PROGRAM, suggest=lambda: FIT)
    app.client = SampleHost([])
    async with app.run_test(size=size) as pilot:
        while app.model_fit is None:
            await pilot.pause()
        morning = Morning()
        morning.start_engine()
        state = morning.state()
        app.inbox.put(state.model_copy(update={"engine": state.engine.model_copy(update=engine)}))
        app.inbox.put(Link("live"))
        app.frame()
        yield app, pilot


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_an_empty_screen_leads_to_a_model_and_to_claude_code_by_a_key_each(
    size: tuple[int, int],
) -> None:
    async with first_run(size, model="bundled demo model") as (app, pilot):
        said = "\n".join(drawn(app.main.current.query_one(SessionTree)))
        assert all(words in said for words in (f"P copies  {FIT.command}", f"c copies  {CLAUDE}"))
        await pilot.press("P")
        assert app.clipboard == FIT.command
        await pilot.press("c")
        assert app.clipboard == CLAUDE


async def test_an_empty_list_offers_the_command_for_claude_code_and_nothing_that_needs_a_request() -> None:
    async with first_run((80, 24)) as (app, pilot):
        assert CLAUDE in "\n".join(drawn(app.main.current.query_one(SessionTree)))
        for pane in "1235":
            await pilot.press(pane)
            keys = drawn(app.main.query_one(KeyBar))[0]
            assert ("c copy the command" in keys) is (pane == "1")
            offered = {words.strip() for words in keys.split("  ")}
            assert not {"t trace", "w why", "d diff", "c context", "m mark"} & offered, pane


def test_a_recording_offers_no_client_for_a_host_that_is_not_there() -> None:
    for link, there in ((Link("live"), True), (Link("live", RECORDED), False)):
        said = "\n".join(map(plain_text, first_steps(replace(running(), link=link), CLAUDE, None)))
        assert (CLAUDE in said) is there
        assert ("space goes on" in said) is not there


@pytest.mark.parametrize(
    ("engine", "host", "said"),
    [("", "/m/org/Big-30B-4bit", "Big-30B-4bit"), ("Tiny", "/m/Big", "Tiny"), ("", "", "bundled demo model")],
)
def test_the_model_is_the_one_of_the_title_also_before_the_engine_is_up(
    engine: str, host: str, said: str
) -> None:
    snapshot = replace(running(model=engine), host=HostFacts(backend="mlx", model=host))
    lines = [plain_text(line) for line in first_steps(snapshot, CLAUDE, FIT)]
    assert any(line.startswith(f"runs      {said}  ●") for line in lines), lines
    assert (better_model(snapshot, FIT) is not None) is (said == "bundled demo model")
