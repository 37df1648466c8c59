"""The parts of a trace: what they show, whatever it holds."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.wire.feed import PhaseTimes
from proxy.events.tool_call import ToolCall
from proxy.events.types import ErrorInfo, Timings, Usage
from proxy.traces.listing.turns import SessionTurns
from proxy.traces.request_replay import stored_answer
from proxy.traces.schema import CountedPart, Trace, TraceRequest, TraceResponse, TraceSummary, WrittenPart
from tests.proxy.trace_making import trace_of
from tui.client.wire_text import wrap_lines
from tui.screen.styled_line import line_width, plain_text
from tui.screen.trace_detail.conversation import pieces_said
from tui.screen.trace_detail.opened_trace import OpenedTrace
from tui.screen.trace_detail.parts import PARTS
from tui.screen.trace_detail.replay import beside
from tui.screen.trace_detail.waterfall import steps, waterfall
from tui.screen.trace_detail.why_part import opens, tokens
from tui.screen.trace_detail.wrapped_calls import wrapped_call
from tui.screen.widgets.block_layout import Block, lay_out_body


def shown(trace: Trace, name: str, cells: int = 100) -> str:
    """All of a part as text."""
    blocks = next(part.blocks for part in PARTS if part.name == name)(OpenedTrace(trace))
    return "\n".join(
        part
        for block in blocks
        for part in (plain_text(block.title), block.note, block.text_at(cells))
        if part
    )


CALL = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/a.py"}}
FAILED = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such file", "is_error": True}
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "first `<system-reminder>`\n<system-reminder>be brief</system-reminder>"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, CALL]},
    {"role": "user", "content": [FAILED, {"type": "text", "text": "go on"}]},
]
OPENAI: list[dict[str, Any]] = [
    {"role": "system", "content": "You are careful."},
    {"role": "user", "content": "first"},
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [
            {"id": "toolu_1", "function": {"name": "Read", "arguments": '{"file_path": "/a.py"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "toolu_1", "content": "no such file"},
]


def test_a_conversation_is_read_in_both_dialects() -> None:
    anthropic = [(said.kind, said.name or said.text) for said in pieces_said(MESSAGES)]
    assert anthropic == [
        ("text", "first `<system-reminder>`"),
        ("reminder", "<system-reminder>be brief</system-reminder>"),
        ("thinking", "hm"),
        ("call", "Read"),
        ("result", "Read /a.py"),
        ("text", "go on"),
    ]
    openai = list(pieces_said(OPENAI, frozenset({"toolu_1"})))
    assert [said.kind for said in openai] == ["text", "text", "thinking", "call", "result"]
    assert openai[3].given == {"file_path": "/a.py"}
    assert (openai[4].name, openai[4].failed) == ("Read /a.py", True)


def test_a_reminder_is_named_by_its_words_alone() -> None:
    trace = trace_of(1, request=TraceRequest(body={"messages": MESSAGES}))
    titles = [plain_text(block.title) for block in PARTS[1].blocks(OpenedTrace(trace))]
    assert [title.split() for title in titles if "reminder" in title] == [["1", "reminder", "be", "brief"]]


def test_what_is_new_begins_where_the_reader_does() -> None:
    trace = trace_of(1, request=TraceRequest(body={"messages": MESSAGES}), upstream={"messages": OPENAI})
    blocks = PARTS[1].blocks(OpenedTrace(trace))
    place = next(place for place, block in enumerate(blocks) if block.here)
    assert "result of Read /a.py" in plain_text(blocks[place + 1].title)
    assert "✗" in plain_text(blocks[place + 1].title)  # the client's body says so, the upstream's does not


def test_a_piece_has_its_share_of_the_part_that_the_engine_counted() -> None:
    """A template may leave most of the system text out: its characters say nothing of the messages."""
    system = {"role": "system", "content": "left out " * 5000}
    counted = [("system and tools", 100), ("message 1 (user)", 12), ("message 2 (assistant)", 20)]
    counted += [("message 3 (tool result)", 30), ("the answer's beginning", 1)]
    parts = [CountedPart(name=name, tokens=tokens) for name, tokens in counted]
    upstream = {"messages": [system, *OPENAI[1:]]}
    trace = trace_of(1, upstream=upstream, usage=Usage(input_tokens=163), prompt_parts=parts)
    blocks = [block for block in PARTS[1].blocks(OpenedTrace(trace)) if block.note.startswith("~")]
    notes = [int(block.note.removeprefix("~")) for block in blocks]
    assert (len(notes), sum(notes)) == (5, 163)
    assert [notes[1], notes[2] + notes[3]] == [12, 20]
    assert notes[4] == 31


@pytest.mark.parametrize(
    ("name", "arguments", "lines"),
    [
        ("Edit", {"file_path": "/a", "old_string": "b", "new_string": "c"}, ["- b", "+ c"]),
        ("Bash", {"command": "make " + 60 * "x"}, ["$ make x", 31 * "x"]),  # wrapped
        ("Other", {"one": "two\nthree", "four\n": 5}, ["one  two", "  three", "four  5"]),
        ("Bash", "no object", ['"no object"']),
        ("Other", {}, ["(no arguments)"]),
    ],
)
def test_a_call_is_shown_as_what_it_is(name: str, arguments: Any, lines: list[str]) -> None:
    drawn = [plain_text(line) for line in wrapped_call(name, arguments, 40)]
    assert all(len(line) <= 40 for line in drawn)
    assert all(any(line in one for one in drawn) for line in lines), drawn


TIMES = Timings(queued=0.1, prefill_start=0.5, first_token=2.5, last_token=4.5, done=4.6)
WRITTEN = [
    WrittenPart(kind="thinking", start=2.5, end=3.0, tokens=20),
    WrittenPart(kind="tool", start=3.0, end=4.5, tokens=30, call="toolu_1"),
]


def turns_of(trace: Trace, *others: TraceSummary) -> SessionTurns:
    own = TraceSummary(id=trace.id, time=trace.time, session=trace.session)
    rows = sorted([own, *others], key=lambda row: row.time)
    return SessionTurns(turns=rows, place=rows.index(own), number=7, total=9)


def test_the_waterfall_has_each_step_and_then_the_client() -> None:
    call = ToolCall(id="toolu_1", name="Read", input={"path": "a"}, is_error=True, duration_s=1.0)
    silent = ToolCall(id="toolu_2", name="Bash", input={"command": "ls"}, is_error=False)
    unanswered = ToolCall(id="toolu_3", name="Edit", input={})
    trace = trace_of(1, timings=TIMES, written=WRITTEN, tool_calls=[call, silent, unanswered])
    following = TraceSummary(id="req_0002", time=trace.time + 6.0)
    opened = OpenedTrace(trace, turns=turns_of(trace, following))
    lines = [plain_text(line) for line in waterfall(opened, 80)]
    assert [line[:19].split() for line in lines[1:]] == [
        ["sending", "0.10s"],
        ["waiting", "0.40s"],
        ["prefill", "2.0s"],
        ["first", "token"],
        ["thinking", "0.50s"],
        ["call", "1", "1.5s"],
        ["finishing", "0.10s"],
        [],
        ["Read", "1.0s"],
        ["Bash", "≤1.4s"],
        ["next", "request"],
    ]
    assert lines[0].rstrip().endswith("6.0s")  # the axis goes on to the next request
    assert "✗ a" in lines[9]
    assert lines[3].index("▒") < lines[5].index("┊") < lines[6].index("▬") < lines[9].index("▚")


SECONDS = st.floats(0, 1e5) | st.none() | st.just(0.0)


@pytest.mark.parametrize(
    ("written", "resumed", "notes"),
    [
        ([("text", 0.0, 2.0, 41)], 0, ["41 tokens, 20.0 tok/s"]),  # as the answer's own line says
        ([("text", 0.0, 2.0, 541)], 500, ["541 tokens, 20.0 tok/s"]),
        (
            [("text", 0.0, 1.0, 11), ("text", 1.0, 2.0, 10)],
            0,
            ["11 tokens, 10.0 tok/s", "10 tokens, 10.0 tok/s"],
        ),
        ([("text", 0.0, 0.06, 5000)], 0, ["5,000 tokens"]),  # all at once tells no speed
    ],
)
def test_the_speed_of_what_was_written_is_that_of_the_answer(
    written: list[tuple[Any, float, float, int]], resumed: int, notes: list[str]
) -> None:
    parts = [WrittenPart(kind=kind, start=a, end=b, tokens=n) for kind, a, b, n in written]
    times = Timings(first_token=0.0, last_token=2.0, done=2.0, resumed_tokens=resumed)
    told = steps(OpenedTrace(trace_of(1, timings=times, written=parts)))
    assert [step.note for step in told if step.name == "text"] == notes


OTHERS = ("received", "engine", "resumed_tokens")
MOMENTS = {name: SECONDS for name in Timings.model_fields if name not in OTHERS}
PHASES = dict.fromkeys([field.name for field in fields(PhaseTimes)], SECONDS)


@settings(deadline=None, max_examples=40)
@given(
    times=st.builds(Timings, **MOMENTS, engine=st.none() | st.builds(PhaseTimes, **PHASES)),
    cells=st.integers(40, 200),
)
def test_a_waterfall_fits_its_width_whatever_the_times(times: Timings, cells: int) -> None:
    opened = OpenedTrace(trace_of(1, timings=times, written=WRITTEN))
    assert all(line_width(line) <= cells for line in waterfall(opened, cells))


def test_tools_say_whether_they_were_used() -> None:
    tools = [{"name": "Read", "description": "Reads."}, {"name": "Bash"}]
    text = shown(
        trace_of(1, request=TraceRequest(body={"messages": MESSAGES, "tools": tools})), "Tools offered"
    )
    assert re.search(r"2 tools.* 1 never used", text)
    assert re.search(r"Read .*used 1 ×.*Reads\.", text)
    assert re.search(r"Bash .*never used", text)


def test_system_and_tools_take_the_tokens_that_the_engine_counted() -> None:
    tools = [{"name": "Read", "description": "Reads."}, {"name": "Bash"}]
    body = {"system": [{"type": "text", "text": text} for text in ("one", "three")], "tools": tools}
    counts = {"system": 800, "tool Read": 90, "tool Bash": 30, "message 1 (user)": 7, "tools": 0}
    parts = [CountedPart(name=name, tokens=tokens) for name, tokens in counts.items()]
    trace = trace_of(1, request=TraceRequest(body={**body, "messages": MESSAGES[:1]}), prompt_parts=parts)
    offered = shown(trace, "Tools offered")
    assert re.search(r"2 tools +120 tokens +2 never used in this conversation 120 tokens", offered)
    assert re.search(r"Read +90 tokens", offered)
    system = [block.note for block in PARTS[2].blocks(OpenedTrace(trace))]
    assert system == ["800 tokens", "~300 tokens", "~500 tokens"]


def test_system_blocks_have_their_breakpoints_and_say_what_was_not_sent() -> None:
    system = [
        {"type": "text", "text": "billing"},
        {"type": "text", "text": "You are careful.", "cache_control": {"type": "ephemeral"}},
    ]
    trace = trace_of(1, request=TraceRequest(body={"system": system}), upstream={"messages": OPENAI})
    first, second = (plain_text(block.title) for block in PARTS[2].blocks(OpenedTrace(trace))[1:])
    assert "not sent as it is" in first
    assert "cache breakpoint" in second
    assert "not sent" not in second


def test_events_are_in_order_with_their_gaps() -> None:
    text = shown(trace_of(1, timings=TIMES, written=WRITTEN), "Events")
    words = ["received", "accepted upstream", "prefill begins", "first token", "thinking written", "ended"]
    places = [text.index(word) for word in words]
    assert places == sorted(places)
    assert re.search(r"2\.0s ▒+ +first token", text)


HOSTILE = (
    "\x1b]52;c;aGk=\x07",
    "[/]",
    "[@click=app.quit]x[/]",
    "\x9b2J",
    "\u202eabc",
    "a\r\nb\x00",
    "\ud800",
    "漢" * 40,
)


@pytest.mark.parametrize("part", [part.name for part in PARTS])
def test_hostile_text_is_safe_in_every_part(part: str) -> None:
    evil = "".join(HOSTILE)
    call = {"type": "tool_use", "id": evil, "name": evil, "input": {evil: [evil, {evil: evil}]}}
    body = {
        "model": evil,
        "system": [{"type": "text", "text": evil}, evil],
        "tools": [{"name": evil, "description": evil, "input_schema": {evil: evil}}, evil, None],
        "messages": [
            {"role": evil, "content": evil},
            {"role": "assistant", "content": [call, {"type": evil, evil: evil}, evil, 5]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": evil, "content": [evil, {"text": evil}]}],
            },
            {
                "role": "assistant",
                "tool_calls": [{"id": evil, "function": {"name": evil, "arguments": '{"a": "\\u001b[2J"}'}}],
            },
            evil,
        ],
    }
    trace = trace_of(
        1,
        session=evil,
        agent=evil,
        agent_type=evil,
        model=evil,
        upstream_model=evil,
        retry_of=evil,
        backend=evil,
        request=TraceRequest(path=evil, query=evil, headers={evil: evil}, body=body),
        upstream=body,
        response=TraceResponse(
            status=500,
            message={"content": [call, {"type": "text", "text": evil}], "stop_reason": evil},
            error=ErrorInfo(type=evil, message=evil),
        ),
        tool_calls=[
            ToolCall(
                id=evil,
                name=evil,
                raw=evil,
                input={evil: evil},
                repairs=[evil],
                detail=evil,
                result=evil,
                is_error=True,
                duration_s=1.0,
            )
        ],
        notes=[evil],
        timings=TIMES,
    )
    opened = OpenedTrace(trace, turns=turns_of(trace, TraceSummary(id=evil, time=trace.time + 1, error=evil)))
    for block in next(one.blocks for one in PARTS if one.name == part)(opened):
        layout = lay_out_body(block, 60, whole=True)
        drawn = [
            plain_text(block.title),
            block.note,
            *(line if isinstance(line, str) else plain_text(line) for line in layout.lines),
        ]
        assert all(line.isprintable() for line in drawn), drawn
        styles = [
            style for line in [block.title, *(layout.lines)] if not isinstance(line, str) for _, style in line
        ]
        assert not any(
            "quit" in style or "'" in style.replace("@screen.open('req_", "").replace("')", "")
            for style in styles
        )
    answer = stored_answer(trace)
    assert all(plain_text(line).isprintable() for line in beside(answer, answer, 60))


WORDS = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "text",
        "thinking",
        "tool_use",
        "tool_result",
        "input",
        "name",
        "id",
        "tools",
        "messages",
        "system",
        "user",
        "assistant",
        "tool",
        "tool_calls",
        "function",
        "arguments",
        "is_error",
        "tool_use_id",
        "reasoning_content",
        "{",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)
BODY = st.fixed_dictionaries({}, optional=dict.fromkeys(("messages", "system", "tools", "model"), ANYTHING))


@settings(deadline=None, max_examples=40)
@given(body=BODY | ANYTHING, upstream=BODY | ANYTHING, content=ANYTHING)
def test_every_part_shows_whatever_json_a_trace_holds(body: Any, upstream: Any, content: Any) -> None:
    response = TraceResponse(status=200, message={"content": content})
    trace = trace_of(1, request=TraceRequest(body=body), upstream=upstream, response=response)
    for part in PARTS:
        for block in part.blocks(OpenedTrace(trace)):
            for whole in (True, False):
                lay_out_body(block, 40, whole=whole)


@pytest.mark.parametrize(
    ("trace_id", "leads"), [("req_01", True), ("x')+quit('", False), ("a b", False), ("", False)]
)
def test_only_an_id_becomes_part_of_an_action(trace_id: str, leads: bool) -> None:
    assert bool(opens(trace_id)) is leads


@pytest.mark.parametrize("line", ["word of text, and more\n", "漢字かな"])
def test_of_megabytes_only_the_beginning_is_wrapped(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped: list[int] = []

    def counted(text: str, cells: int) -> list[str]:
        wrapped.append(len(text))
        return wrap_lines(text, cells)

    monkeypatch.setattr("tui.screen.widgets.block_layout.wrap_lines", counted)
    text = line * (1_000_000 // len(line))
    layout = lay_out_body(Block([("big", "")], text, preview=8), 100, whole=False)
    assert len(layout.lines) == 8
    assert layout.more
    assert text.replace("\n", "").startswith("".join(map(str, layout.lines)))
    assert sum(wrapped) < 1000


def test_of_another_server_it_is_said_what_it_reports_of_its_cache_and_no_more() -> None:
    usage = Usage(input_tokens=6200, cache_read_input_tokens=6200, output_tokens=5)
    told = shown(trace_of(usage=usage), "Why")
    assert "█ restored 6,200   ▒ prefilled 6,200" in told
    assert "it says how much was restored, and no more" in told
    assert "not kept" not in told
    assert "reports no cache" not in told
    assert "reports no cache" in shown(trace_of(usage=Usage(input_tokens=6200)), "Why")


def test_a_request_that_got_no_prompt_counted_has_no_empty_bar() -> None:
    told = shown(trace_of(usage=Usage()), "Why")
    assert "not counted: it did not get that far" in told
    assert "░" not in told


def test_parts_that_were_counted_together_are_named_together() -> None:
    counted = [
        CountedPart(name="system and tools", tokens=137),
        CountedPart(name="message 1 (user)", tokens=8),
    ]
    told = shown(trace_of(usage=Usage(input_tokens=145), prompt_parts=counted), "Why")
    assert "system and tools 137   your messages 8" in told


def test_what_a_prompt_is_made_of_takes_the_lines_that_it_needs() -> None:
    names = ("system", "tools", "message 1 (user)", "message 2 (assistant)", "message 3 (tool)", "x")
    counted = [CountedPart(name=name, tokens=1_000) for name in names]
    trace = trace_of(usage=Usage(input_tokens=6_000), prompt_parts=counted)
    for width in range(40, 140):
        lines = tokens(trace, width)
        made = [plain_text(line) for line in lines if (line[1:] or [("", "")])[0][1] == "muted"]
        assert max(map(len, made)) <= max(width, 30)
        said = " ".join(" ".join(made).split())
        assert said == "made of system 1.0k tools 1.0k your messages 2.0k answers 1.0k other 1.0k"
