from __future__ import annotations

from typing import Any

import pytest

from engine.tool_calls.quoted.call_forms import ANY_FAMILY
from engine.tool_calls.reading.pieces import CallArguments, CallBegin, CallEnd
from proxy.backends.upstream import (
    Finish,
    TextDelta,
    ToolCallDelta,
    ToolCallOpen,
    ToolCallRaw,
    UpstreamEvent,
)
from proxy.events.tool_call import ToolCall
from proxy.traces.call_replay import INPUT_ALONE, STRUCTURED, CallReplay, offered_tools, replay
from tests.proxy.trace_making import body_of, call_of, trace_of
from tests.proxy.translate.test_tool_call_writer import TOOLS, only, told

DONE, CUT = Finish("tool_calls", output_tokens=3), Finish("length", output_tokens=3)


def hermes(arguments: str, name: str = "Read") -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def of_engine(arguments: str, name: str = "Read", **fields: Any) -> list[UpstreamEvent]:
    raw = ToolCallRaw(0, hermes(arguments, name), (1, 2), "hermes", **fields)
    return [raw, ToolCallDelta(0, arguments, name=name)]


def again(call: ToolCall) -> CallReplay:
    return replay(call, TOOLS.schemas)


ANSWERS: list[tuple[str, list[UpstreamEvent], Finish, bool]] = [
    ("of the engine", of_engine('{"path": "a"}', constrained=True), DONE, False),
    ("of the engine, with marks in a text", of_engine('{"path": "</tool_call>{\\""}'), DONE, False),
    ("of the engine, missing what is required", of_engine("{}"), DONE, False),
    (
        "passed on, and not fitting",
        [
            ToolCallOpen(0),
            ToolCallDelta(0, "{}", name="Read"),
            ToolCallRaw(0, hermes("{}"), (), "hermes", True),
        ],
        DONE,
        False,
    ),
    ("passed on, and cut", [ToolCallOpen(0), ToolCallDelta(0, '{"path": "', name="Read")], CUT, False),
    ("structured", [ToolCallDelta(0, '{"path": "a"}', name="Read")], DONE, False),
    ("structured, with nothing", [ToolCallDelta(0, "", name="Now")], DONE, False),
    ("structured, and repaired", [ToolCallDelta(0, "{'path': 'a',}", name="Read")], DONE, False),
    ("structured, its name repaired", [ToolCallDelta(0, '{"path": "a"}', name="read")], DONE, False),
    ("structured, and of no tool", [ToolCallDelta(0, '{"path": "a"}', name="Zebra")], DONE, False),
    ("structured, and cut", [ToolCallDelta(0, '{"path": "a', name="Read")], CUT, False),
    ("structured, and cut at once", [ToolCallDelta(0, "", name="Now")], CUT, False),
    ("in the text", [TextDelta("See: "), TextDelta(hermes('{"path": "a"}'))], DONE, True),
    ("in the text, and repaired", [TextDelta(hermes("{'path': 'a',}"))], DONE, True),
]


@pytest.mark.parametrize(
    ("steps", "end", "stray"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
def test_a_call_reads_again_as_it_was_read(steps: list[UpstreamEvent], end: Finish, stray: bool) -> None:
    answer, _ = told(*steps, end, call_forms=ANY_FAMILY if stray else None)
    call = only(answer)
    read = again(call)
    assert read.disagreements == ()
    assert (read.verdict, read.agrees) == (call.verdict, True)


def test_each_step_of_a_family_is_told() -> None:
    answer, _ = told(*of_engine('{"path": "a"}'), DONE)
    read = again(only(answer))
    assert read.read_by == "hermes"
    assert read.pieces == (
        CallBegin("Read"),
        CallArguments('{"path": "a"}'),
        CallEnd("Read", '{"path": "a"}', hermes('{"path": "a"}')),
    )
    assert (read.repairs, read.input) == ((), {"path": "a"})


@pytest.mark.parametrize(
    ("fields", "disagreement"),
    [
        ({"verdict": "invalid", "input": {"path": "a"}}, "the verdict is valid and was invalid"),
        ({"input": {"path": "b"}}, "the input is another"),
        ({"input": {"path": "a", "limit": 1}}, "the input is another"),
        ({"verdict": "cut"}, "the verdict is valid and was cut"),
    ],
)
def test_what_ends_elsewhere_is_told(fields: dict[str, Any], disagreement: str) -> None:
    call = call_of(**{"raw": hermes('{"path": "a"}'), "family": "hermes"} | fields)
    assert again(call).disagreements == (disagreement,)


def test_what_was_redacted_is_no_disagreement() -> None:
    call = call_of(raw=hermes('{"path": "[redacted]"}'), family="hermes", input={"path": "x [redacted]"})
    assert again(call).agrees


def test_a_call_that_only_passed_by_is_judged_and_not_repaired() -> None:
    assert again(call_of(raw='{"path":"a"}')).read_by == INPUT_ALONE
    wrong = again(call_of(raw='{"path":3}', input={"path": 3}, verdict="invalid"))
    assert (wrong.agrees, wrong.repairs) == (True, ())
    own = again(call_of(name="web_search", raw='{"query":"a"}', input={"query": "a"}, verdict="unchecked"))
    assert own.agrees


def test_a_trace_of_an_earlier_version_is_read_without_its_family() -> None:
    old = call_of(raw=hermes('{"path": "a"}'))
    assert again(old).agrees
    unknown = again(call_of(raw=hermes('{"path": "a"}'), family="tomorrow"))
    assert "does not know" in unknown.broken
    assert unknown.agrees


def test_arguments_told_apart_are_shown_as_they_came() -> None:
    answer, _ = told(ToolCallDelta(0, '{"path": "a",}', name="Read"), DONE)
    read = again(only(answer))
    assert (read.read_by, read.arguments) == (STRUCTURED, '{"path": "a",}')
    assert read.repairs


@pytest.mark.parametrize("tools", [None, "odd", [None, {"name": 3}]])
def test_a_body_without_tools_offers_none(tools: Any) -> None:
    trace = trace_of()
    trace.request.body = body_of("hi", tools=tools)
    assert list(offered_tools(trace).schemas) == []
    trace.request.body = "no JSON"
    assert list(offered_tools(trace).schemas) == []
