"""Each station of a tool call that is broken fails by itself, and what comes after it is not checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tui.client.asking import StreamedAnswer
from tui.commands.invocation import Invocation
from tui.commands.verify.claims import Claims
from tui.commands.verify.tool_families import FAMILIES, verify_families
from tui.commands.verify.tool_use import (
    CALLED,
    FITS,
    QUESTION,
    SEEN,
    USED,
    PromptSight,
    after_result,
    judge_call,
    judge_result,
)

WHOLE = PromptSight(f"Read Write Bash {QUESTION}")


def quiet() -> Claims:
    return Claims("verify tools", lambda _: None)


def called(name: str = "Read", **arguments: Any) -> StreamedAnswer:
    block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments}
    return StreamedAnswer(blocks=[block], stop_reason="tool_use")


def text(said: str) -> StreamedAnswer:
    return StreamedAnswer(blocks=[{"type": "text", "text": said}], stop_reason="end_turn")


@pytest.mark.parametrize(
    ("answer", "sight", "failed", "evidence"),
    [
        (called(file_path="a"), PromptSight(f"Write Bash {QUESTION}"), SEEN, "lacks Read"),
        (StreamedAnswer(error="tools are not supported"), WHOLE, SEEN, "tools are not supported"),
        (text("I would read it."), WHOLE, CALLED, "I would read it."),
        (called(path="a"), WHOLE, FITS, "file_path"),
        (called("Grep", pattern="a"), WHOLE, FITS, "Grep"),
    ],
)
def test_a_broken_station_fails_and_the_rest_is_not_checked(
    answer: StreamedAnswer, sight: PromptSight, failed: str, evidence: str
) -> None:
    claims = quiet()
    assert not judge_call(claims, answer, sight)
    found = {claim.name: claim for claim in claims.found}
    names = [SEEN, CALLED, FITS, USED]
    before, behind = names[: names.index(failed)], names[names.index(failed) + 1 :]
    assert found[failed].status == "failed"
    assert evidence in found[failed].evidence
    assert found[failed].advice
    assert [found[name].status for name in before] == ["ok"] * len(before)
    assert [found[name].status for name in behind] == ["not checked"] * len(behind)


def test_a_prompt_that_nobody_shows_is_not_checked_and_the_call_decides() -> None:
    claims = quiet()
    assert judge_call(claims, called(file_path="a"), PromptSight(hidden="another server"))
    assert [claim.status for claim in claims.found] == ["not checked", "ok", "ok"]


@pytest.mark.parametrize(
    ("said", "passed"),
    [("It is 4711.", True), ("It is **4,711**, today.", True), ("It is 4, 711.", False), ("None.", False)],
)
def test_the_answer_has_to_have_what_only_the_result_says(said: str, passed: bool) -> None:
    claims = quiet()
    judge_result(claims, text(said), "4711")
    assert claims.passed is passed


def test_all_calls_of_an_answer_get_a_result() -> None:
    answer = called(file_path="a")
    answer.blocks += [{"type": "thinking", "thinking": "hm"}, answer.blocks[0] | {"id": "toolu_2"}]
    *_, assistant, results = after_result(answer, "done")
    assert [block["type"] for block in assistant["content"]] == ["tool_use", "tool_use"]
    assert [block["tool_use_id"] for block in results["content"]] == ["toolu_1", "toolu_2"]


@pytest.mark.parametrize(
    ("program", "claim", "evidence"),
    [
        ('print(\'{"family": "glm", "reader": "", "grammar": "no"}\'); exit(1)', "family glm", "no"),
        ("exit('no module')", FAMILIES, "no module"),
    ],
)
def test_a_family_that_is_broken_or_a_process_that_ends_fails(
    tmp_path: Path, program: str, claim: str, evidence: str
) -> None:
    claims = quiet()
    command = (sys.executable, "-c", program)
    verify_families(claims, Invocation(), tmp_path / "home", command=command)
    found = {each.name: each for each in claims.found}
    assert found[claim].status == "failed"
    assert evidence in found[claim].evidence
    assert "report it" in found[claim].advice
