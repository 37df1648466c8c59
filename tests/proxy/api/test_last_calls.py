"""A call at the end of an answer's text: what may stand behind it, and how the answer must end."""

from __future__ import annotations

import pytest

from engine.tool_calls.quoted.call_forms import ANY_FAMILY
from proxy.backends.upstream import Finish, TextDelta, ThinkingDelta, ToolCallDelta, UpstreamEvent
from proxy.translate.thinking import ThinkingMode
from tests.proxy.translate.test_response import rebuilt
from tests.proxy.translate.test_tool_call_writer import DONE, STRAY, only, told


@pytest.mark.parametrize(
    ("then", "kinds"),
    [
        ([ThinkingDelta(" \n"), ThinkingDelta("No."), TextDelta("Do not run it.")], "text thinking text"),
        ([ThinkingDelta("No.")], "text thinking"),
        ([ToolCallDelta(0, "{}", name="no name"), TextDelta("Do not run it.")], "text"),
        ([ToolCallDelta(0, '{"path": "b"}', name="Read"), TextDelta("Done.")], "tool_use text"),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_call_in_text_stays_text_where_anything_follows_it(
    then: list[UpstreamEvent], kinds: str, streamed: bool
) -> None:
    mode = ThinkingMode(enabled=True)
    steps = [TextDelta(STRAY), *then, Finish("stop", output_tokens=1)]
    answer, events = told(*steps, call_forms=ANY_FAMILY, thinking=mode, streamed=streamed)
    blocks = rebuilt(events)
    assert " ".join(block["type"] for block in blocks) == kinds
    spoken = "".join(block.get("text", "") for block in blocks)
    assert STRAY in spoken
    assert spoken.endswith("".join(step.text for step in then if isinstance(step, TextDelta)))
    assert any("more follows it" in note or "sends calls apart" in note for note in answer.notes)


def test_a_call_in_text_is_a_call_where_nothing_but_white_space_follows_it_as_thinking() -> None:
    answer, _ = told(TextDelta(STRAY), ThinkingDelta("\n"), DONE, call_forms=ANY_FAMILY)
    assert only(answer).verdict == "valid"


@pytest.mark.parametrize("letters", range(20, len(STRAY) + 1))
def test_a_call_in_text_is_a_call_where_nobody_says_how_the_answer_ended_only_if_it_is_whole(
    letters: int,
) -> None:
    steps = [TextDelta(STRAY[:letters]), Finish("unreported", output_tokens=1)]
    answer, events = told(*steps, call_forms=ANY_FAMILY)
    whole = STRAY.index("}") < letters  # no argument can follow
    assert [block["type"] for block in rebuilt(events)] == ["tool_use" if whole else "text"]
    assert whole or any("the answer ended within" in note for note in answer.notes)
