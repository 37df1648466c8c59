"""What *Streams* shows of an answer whose text is held no longer, as after the host's restart."""

from __future__ import annotations

import pytest

from tests.tui.stage import Stage, drawn
from tui.client.records import RequestSnapshot
from tui.client.reducers.requests import SAID
from tui.client.store import Store
from tui.screen.panes.answer_view import AnswerView


@pytest.mark.parametrize(
    ("said", "told", "begins"),
    [
        ("All is well.", "Held here: the last text of this answer", "All is well."),
        ("x" * SAID, "Held here: the end of this answer's text", "…xxx"),
    ],
    ids=["whole", "cut"],
)
async def test_it_is_said_whether_a_text_is_whole(said: str, told: str, begins: str) -> None:
    view = AnswerView(Store())
    async with Stage(view).run_test(size=(110, 20)) as pilot:
        view.show(RequestSnapshot("req_1", 1.0, 2.0, phase="done", ended=2.0, said=said), 3.0)
        await pilot.pause()
        lines = [line.strip() for line in drawn(view.tail) if line.strip()]
    assert lines[0] == f"{told}, and its calls; its trace has all of it (t)."
    assert lines[1].startswith(begins)
