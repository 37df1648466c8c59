from __future__ import annotations

import pytest

from proxy.events.tool_call import ToolCall
from tests.proxy.trace_making import call_of
from tui.client.records import ToolRecord
from tui.screen.calls.call_lines import call_lines
from tui.screen.calls.call_words import refusal
from tui.screen.panes.tool_call_cells import verdict
from tui.screen.styled_line import plain_text
from tui.screen.trace_detail.answer import _verdict
from tui.screen.trace_list.detail import _outcome


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("invalid", ("✗ invalid", "bad")),
        ("unparsed", ("✗ unparsed", "bad")),
        ("unknown_tool", ("✗ unknown tool", "bad")),
        ("cut", ("⊘ truncated", "warn")),
    ],
)
def test_a_call_that_no_tool_runs_has_one_sign_and_word_everywhere(name: str, said: tuple[str, str]) -> None:
    traced: ToolCall = call_of("c1", "Bash", verdict=name)
    shown = ToolRecord("c1", 1.0, name="Bash", input={}, verdict=name, detail="why")
    assert refusal(name) == verdict(shown) == _verdict(traced) == said
    assert said in _outcome(traced)
    assert f"{said[0]}: why" in "\n".join(map(plain_text, call_lines(shown)))


@pytest.mark.parametrize("name", ["valid", "unchecked"])
def test_any_other_call_has_none(name: str) -> None:
    assert refusal(name) is None
