"""One trace on the screen: the way to other turns, search, export, replay."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from proxy.events.types import Timings, Usage
from proxy.traces.request_replay import stored_answer
from proxy.traces.schema import TraceResponse
from tests.proxy.trace_making import trace_of
from tests.tui.screen.test_app import scene
from tests.tui.traffic import MODEL
from tui.screen.styled_line import plain_text
from tui.screen.trace_detail.replay import ReplayQuestion, answer_facts, beside
from tui.screen.widgets.collapsible_blocks import CollapsibleBlocks


async def test_digits_lead_to_the_parts_and_arrows_to_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "cat")
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    async with scene() as it:
        await it.press("5", "enter", "9")
        assert "moments" in it.text()
        await it.press("1")
        first = it.text()
        await it.press("left")
        assert re.search(r"turn 16 of 17", it.text())
        await it.press("right")
        assert it.text() == first
        await it.press("right")
        assert "No turn of this session after it." in list(it.app._notifications)[-1].message
        await it.press("down", "down", "down", "down", "y")
        assert re.search(r"^prefill [\d.]+s [\d,]+ tokens", it.app.clipboard, re.MULTILINE)
        assert "▒" not in it.app.clipboard
        await it.press("o")
        assert "cannot leave its terminal" in list(it.app._notifications)[-1].message
        await it.press("v")
        assert "Neither $VISUAL nor $EDITOR is set" in list(it.app._notifications)[-1].message
        await it.press("escape")
        assert it.app.screen is it.app.main


async def test_a_search_marks_counts_goes_on_and_ends() -> None:
    async with scene() as it:
        await it.press("5", "enter", "7", "slash", *"TOOL")
        assert "enter keep the marks" in it.text()
        await it.press("enter")
        assert "n N place" in it.text()
        blocks = it.app.screen.query_one(CollapsibleBlocks)
        _, total = blocks.found
        assert total > 9
        assert f"/TOOL  1 of {total}" in it.text()
        await it.press("n", "n", "N")
        assert f"2 of {total}" in it.text()
        await it.press("N", "N")
        assert f"{total} of {total}" in it.text()
        assert blocks.current is not None
        assert plain_text(blocks.current.title).startswith("Answer body")  # folded until then
        await it.press("9")
        assert "/TOOL  not in this part" not in it.text()  # the answer ended for a tool
        await it.press("escape")
        assert "/TOOL" not in it.text()
        before = it.app.screen.subject  # type: ignore[attr-defined]
        await it.press("n")
        assert it.app.screen.subject != before  # type: ignore[attr-defined]


async def test_a_trace_is_exported_to_a_private_file_that_is_named(tmp_path: Path) -> None:
    async with scene() as it:
        it.app.state_folder = tmp_path
        await it.press("5", "enter")
        for key, suffix, begins in (
            ("enter", "json", '{"schema_version":1'),
            ("2", "sh", "#!/bin/sh"),
            ("4", "har", '{"log"'),
        ):
            await it.press("E", key)
            await it.app.workers.wait_for_complete()
            [file] = (tmp_path / "exports").glob(f"*.{suffix}")
            assert file.name.endswith(f"{it.host.rows[0].id}.{suffix}")
            assert file.read_text("utf-8").startswith(begins)
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert str(file) in list(it.app._notifications)[-1].message
        await it.press("E", "down", "y")
        await it.app.workers.wait_for_complete()
        assert it.app.clipboard.startswith("#!/bin/sh")
        it.app.state_folder = file  # no folder
        await it.press("E", "1")
        await it.app.workers.wait_for_complete()
        assert "The trace was not exported: " in list(it.app._notifications)[-1].message


async def test_a_request_is_asked_again_and_both_answers_stand_side_by_side() -> None:
    async with scene() as it:
        await it.press("5", "enter", "R")
        await it.settle()
        assert f"traces replay {it.host.rows[0].id} --model NAME" in it.text()
        await it.press("M")  # the list of models
        await it.settle()
        assert it.app.crumbs[-1] == "Models"
        await it.press("escape", "R", "enter")
        await it.app.workers.wait_for_complete()
        await it.settle()
        [body] = it.host.bodies
        assert body["model"] == MODEL
        assert "metadata" not in body
        text = it.text()
        assert re.search(r"then .*│ now ", text)
        assert "The answers differ from line 1 on." in text
        assert "took 3.0s" in text
        assert " ≠ " in text
        it.host.refuses = "HTTP 529: [/] the queue is full"
        await it.press("R")
        await it.app.workers.wait_for_complete()
        await it.settle()
        assert "HTTP 529: [/] the queue is full" in it.text()
        await it.press("escape")
        assert it.app.screen.subject.startswith("trace ")  # type: ignore[attr-defined]


def test_lines_of_both_answers_stand_beside_each_other_and_differing_ones_are_marked() -> None:
    answer = stored_answer(
        trace_of(
            1, response=TraceResponse(status=200, message={"content": [{"type": "text", "text": "a\nb"}]})
        )
    )
    assert [plain_text(line).split() for line in beside(answer, answer, 40)] == [
        ["a", "│", "a"],
        ["b", "│", "b"],
    ]


def test_a_replay_tells_no_speed_of_what_came_at_once_and_no_cache_that_is_not_reported() -> None:
    times = Timings(first_token=0.046, last_token=0.0463, done=0.0463)
    usage = Usage(input_tokens=1000, output_tokens=2)
    message = {"stop_reason": "end_turn", "content": []}
    response = TraceResponse(status=200, message=message)
    answer = stored_answer(trace_of(1, response=response, usage=usage, timings=times, cache=None))
    said = "\n".join(plain_text(line) for line in answer_facts("then", answer, "14:00:00"))
    assert "✓ answered" in said
    assert "1.0k in, 2 out" in said
    assert "tok/s" not in said


def test_a_replay_elsewhere_says_what_it_may_cost_and_offers_nothing_that_would_fail() -> None:
    question = ReplayQuestion(trace_of(1), ["opus"], 2, "the command", loads=False, payee="openrouter")
    text = " ".join(plain_text(line).strip() for line in question.lines(70))
    assert "goes to openrouter, which may charge for it" in text
    assert "2 secrets of it [redacted]" in text
    assert "loads another model" not in text
