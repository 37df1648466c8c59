from __future__ import annotations

import json
from typing import Any

import anthropic.types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from proxy.backends.upstream import (
    Broken,
    Finish,
    FinishReason,
    Lookup,
    Note,
    PrefillProgress,
    Progress,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallOpen,
    ToolCallRaw,
    UpstreamEvent,
)
from proxy.events.errors import UpstreamUnavailable
from proxy.translate.answer_spec import AnswerSpec
from proxy.translate.response import Answer
from proxy.translate.thinking import ThinkingMode, thinking_text
from proxy.translate.tools import tool_set
from tests.proxy.live import sse

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOLS = tool_set([{"name": "Read", "input_schema": SCHEMA}, {"name": "Now", "input_schema": {}}])
CACHE = Lookup(prompt_tokens=100, matched_tokens=60, kept_tokens=30, tier="memory")
STOP = Finish("stop", output_tokens=5)


def answer_spec(**fields: Any) -> AnswerSpec:
    given: dict[str, Any] = {"thinking": ThinkingMode(), "tools": TOOLS, **fields}
    return AnswerSpec(message_id="msg_1", model="claude-test", **given)


def answered(*steps: UpstreamEvent, **fields: Any) -> tuple[Answer, list[dict[str, Any]]]:
    """The answer made of these steps, and all events that the client gets of it."""
    answer = Answer(answer_spec(**fields))
    wire = b""
    for step in steps:
        answer.feed(step)
        wire += answer.take()
    return answer, sse((wire + answer.closing()).decode())


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def rebuilt(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content as a client adds it up; blocks must open, fill and close one after the other."""
    content: list[dict[str, Any]] = []
    pieces: list[str] = []
    open_index: int | None = None
    for event in events:
        if event["type"] == "content_block_start":
            assert open_index is None
            open_index = event["index"]
            assert open_index == len(content)
            content.append(dict(event["content_block"]))
            pieces = []
        elif event["type"] == "content_block_delta":
            assert event["index"] == open_index
            fields = dict(event["delta"])
            kind = fields.pop("type")
            if kind == "input_json_delta":
                pieces.append(fields["partial_json"])
                continue
            for name, value in fields.items():
                content[-1][name] += value
        elif event["type"] == "content_block_stop":
            assert event["index"] == open_index
            open_index = None
            if pieces:
                content[-1]["input"] = received("".join(pieces))
    assert open_index is None
    return content


def received(arguments: str) -> dict[str, Any]:
    """The input of a call as a client reads it; what was cut is no JSON."""
    try:
        parsed: dict[str, Any] = json.loads(arguments)
    except ValueError:
        return {"_unparsed": arguments}
    return parsed


def test_events_come_in_anthropics_order() -> None:
    _, events = answered(CACHE, TextDelta("Hel"), TextDelta("lo"), STOP)
    assert kinds(events) == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_every_event_and_the_message_fit_the_vendors_own_types() -> None:
    answer, events = answered(
        CACHE,
        ThinkingDelta("hm"),
        TextDelta("ok"),
        ToolCallDelta(0, '{"path": "a"}', id="call_0123456789abcdef", name="Read"),
        Finish("tool_calls", output_tokens=5),
        thinking=ThinkingMode(enabled=True),
    )
    known = TypeAdapter[Any](anthropic.types.RawMessageStreamEvent)
    for event in events:
        if event["type"] != "ping":
            assert known.validate_python(event, strict=False).type == event["type"]
    message = anthropic.types.Message.model_validate(answer.message())
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]


def test_the_start_has_the_real_usage_and_the_end_the_whole() -> None:
    answer, events = answered(CACHE, TextDelta("hi"), Finish("stop", output_tokens=5))
    told = {"input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 60}
    assert events[0]["message"]["usage"] == told | {"output_tokens": 0}
    assert events[0]["message"]["model"] == "claude-test"
    assert events[-2]["usage"] == told | {"output_tokens": 5}
    assert answer.usage.prompt_tokens == 100


def test_the_start_goes_out_with_the_lookup() -> None:
    answer = Answer(answer_spec())
    answer.feed(PrefillProgress(1, 2, 0))
    assert answer.take() == b""
    answer.feed(CACHE)
    assert kinds(sse(answer.take().decode())) == ["message_start", "ping"]
    assert not answer.produced


def test_an_upstream_without_lookup_tells_its_usage_at_the_end() -> None:
    finish = Finish("stop", prompt_tokens=100, cached_tokens=64, output_tokens=2)
    _, events = answered(TextDelta("hi"), finish)
    assert events[0]["message"]["usage"]["input_tokens"] == 0
    assert events[-2]["usage"] == {
        "input_tokens": 36,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 64,
        "output_tokens": 2,
    }


def test_without_any_usage_the_pieces_are_counted_and_that_is_noted() -> None:
    answer, _ = answered(TextDelta("a"), TextDelta("b"), Finish("stop"))
    assert answer.usage.output_tokens == 2
    assert any("no usage" in note for note in answer.notes)


REASONS = [
    (Finish("stop"), "end_turn", None),
    (Finish("tool_calls"), "end_turn", None),
    (Finish("length"), "max_tokens", None),
    (Finish("content_filter"), "refusal", None),
    (Finish("stop_sequence", stop_sequence="END"), "stop_sequence", "END"),
    (Finish("context_length"), "model_context_window_exceeded", None),
]


@pytest.mark.parametrize(("finish", "reason", "sequence"), REASONS)
def test_stop_reasons_are_mapped(finish: Finish, reason: str, sequence: str | None) -> None:
    answer, events = answered(TextDelta("x"), finish)
    assert events[-2]["delta"] == {"stop_reason": reason, "stop_sequence": sequence}
    assert answer.message()["stop_reason"] == reason


def test_an_answer_without_content_still_has_its_start_and_its_end() -> None:
    _, events = answered(STOP)
    assert kinds(events) == ["message_start", "ping", "message_delta", "message_stop"]


def test_pieces_of_parallel_calls_become_whole_blocks() -> None:
    answer, events = answered(
        TextDelta("Reading."),
        ToolCallDelta(0, "", id="call_aaaaaaaaaaaa", name="Read"),
        ToolCallDelta(0, '{"path"'),
        ToolCallDelta(0, ': "a"}'),
        ToolCallDelta(1, '{"path": "b"}', id="call_bbbbbbbbbbbb", name="Read"),
        Finish("tool_calls", output_tokens=9),
    )
    assert (
        rebuilt(events)
        == answer.message()["content"]
        == [
            {"type": "text", "text": "Reading."},
            {"type": "tool_use", "id": "call_aaaaaaaaaaaa", "name": "Read", "input": {"path": "a"}},
            {"type": "tool_use", "id": "call_bbbbbbbbbbbb", "name": "Read", "input": {"path": "b"}},
        ]
    )
    assert answer.stop_reason == "tool_use"
    assert [call.verdict for call in answer.calls] == ["valid", "valid"]


def test_a_call_goes_out_as_soon_as_the_next_begins() -> None:
    answer = Answer(answer_spec())
    answer.feed(ToolCallDelta(0, '{"path": "a"}', name="Read"))
    answer.take()
    answer.feed(ToolCallDelta(1, "{", name="Read"))
    assert b'"tool_use"' in answer.take()


def test_interleaved_pieces_find_their_calls() -> None:
    answer, _ = answered(
        ToolCallDelta(0, '{"path": ', name="Read"),
        ToolCallDelta(1, '{"path": ', name="Read"),
        ToolCallDelta(0, '"a"}'),
        ToolCallDelta(1, '"b"}'),
        STOP,
    )
    assert [block["input"]["path"] for block in answer.message()["content"]] == ["a", "b"]


MISFITS = [
    (ToolCallDelta(0, '{"file": "a"}', name="Read"), "invalid"),
    (ToolCallDelta(0, '{"path": "a"}', name="Zebra"), "unknown_tool"),
]


@pytest.mark.parametrize(("piece", "verdict"), MISFITS)
def test_a_whole_call_that_does_not_fit_is_the_clients_to_answer(piece: ToolCallDelta, verdict: str) -> None:
    answer, events = answered(TextDelta("Well. "), piece, Finish("tool_calls", output_tokens=3))
    said, block = rebuilt(events)
    assert said == {"type": "text", "text": "Well. "}
    assert (block["name"], block["input"]) == (piece.name, json.loads(piece.arguments))
    assert answer.stop_reason == "tool_use"
    (call,) = answer.calls
    assert (call.verdict, call.repairs) == (verdict, [])
    assert call.detail
    assert any("passed on" in note for note in answer.notes)


BAD_CALLS = [
    (ToolCallDelta(0, '["so be it"]', name="Read"), "unparsed"),
    (ToolCallDelta(0, '{"path": "a"', name="Zebra"), "unparsed"),
    (ToolCallDelta(0, "", name=""), "unknown_tool"),
    (ToolCallDelta(0, "{}", name="no name"), "unknown_tool"),
]


@pytest.mark.parametrize(("piece", "verdict"), BAD_CALLS)
def test_what_cannot_be_a_call_is_given_back_as_text(piece: ToolCallDelta, verdict: str) -> None:
    answer, events = answered(TextDelta("Well. "), piece, Finish("tool_calls", output_tokens=3))
    (block,) = rebuilt(events)
    assert block["type"] == "text"
    assert block["text"].startswith("Well. ")
    assert piece.arguments in block["text"]
    assert piece.name in block["text"]
    assert answer.stop_reason == "end_turn"
    (call,) = answer.calls
    assert call.verdict == verdict
    assert call.detail
    assert any("returned as text" in note for note in answer.notes)


def test_a_call_is_given_back_as_the_model_wrote_it_where_that_is_known() -> None:
    raw = "<tool_call>Zebra(path=a)</tool_call>"
    answer, _ = answered(ToolCallRaw(0, raw), ToolCallDelta(0, "path=a", name="Zebra"), STOP)
    assert answer.message()["content"] == [{"type": "text", "text": raw}]
    assert answer.calls[0].raw == raw


def test_one_good_call_among_bad_ones_is_still_a_call() -> None:
    answer, _ = answered(
        ToolCallDelta(0, "(", name="Read"), ToolCallDelta(1, '{"path": "b"}', name="Read"), STOP
    )
    assert [block["type"] for block in answer.message()["content"]] == ["text", "tool_use"]
    assert answer.stop_reason == "tool_use"


def test_ids_that_could_come_twice_are_replaced() -> None:
    used = frozenset({"call_0123456789abcdef"})
    for upstream_id in ("", "call_0", "call 0123456789", "call_0123456789abcdef", "x" * 80):
        answer, _ = answered(ToolCallDelta(0, "{}", id=upstream_id, name="Now"), STOP, used_ids=used)
        call_id = answer.message()["content"][0]["id"]
        assert call_id.startswith("toolu_")
        assert call_id == answer.calls[0].id


def test_thinking_is_shown_to_those_who_enabled_it() -> None:
    answer, events = answered(
        ThinkingDelta("let "), ThinkingDelta("me"), TextDelta("ok"), STOP, thinking=ThinkingMode(enabled=True)
    )
    thought, spoken = rebuilt(events)
    assert thought["thinking"] == "let me"
    assert thinking_text(thought) == "let me"
    assert spoken == {"type": "text", "text": "ok"}
    assert answer.message()["content"] == [thought, spoken]


def test_omitted_thinking_leaves_a_block_whose_signature_keeps_it() -> None:
    mode = ThinkingMode(enabled=True, shown=False)
    answer, events = answered(
        ThinkingDelta("let "), ThinkingDelta("me"), TextDelta("ok"), STOP, thinking=mode
    )
    thought, _ = rebuilt(events)
    assert thought["thinking"] == ""
    assert thinking_text(thought) == "let me"
    assert answer.message()["content"][0] == thought


def test_thinking_that_nobody_asked_for_is_left_out_and_noted() -> None:
    answer, events = answered(ThinkingDelta("secret"), TextDelta("ok"), STOP)
    assert rebuilt(events) == [{"type": "text", "text": "ok"}]
    assert any("6 characters of thinking" in note for note in answer.notes)


def test_thinking_between_texts_makes_blocks_of_its_own() -> None:
    steps = (TextDelta("a"), ThinkingDelta("b"), TextDelta("c"), STOP)
    _, events = answered(*steps, thinking=ThinkingMode(enabled=True))
    assert [block["type"] for block in rebuilt(events)] == ["text", "thinking", "text"]


def test_progress_starts_the_answer_and_counts() -> None:
    answer = Answer(answer_spec())
    answer.feed(Progress(17, "<tool"))
    assert answer.produced
    assert answer.usage_so_far().output_tokens == 17


def test_notes_of_the_upstream_are_kept() -> None:
    answer, _ = answered(Note("call repaired"), STOP)
    assert answer.notes[0] == "call repaired"


def test_a_broken_answer_can_be_seen_as_far_as_it_came() -> None:
    answer = Answer(answer_spec())
    answer.feed(TextDelta("half an ans"))
    message = answer.message()
    assert message["content"] == [{"type": "text", "text": "half an ans"}]
    assert message["stop_reason"] is None


def test_characters_cut_in_two_by_the_upstream_are_joined() -> None:
    _, events = answered(TextDelta("a\ud83d"), TextDelta("\ude00b"), TextDelta("\ud83d"), STOP)
    assert rebuilt(events) == [{"type": "text", "text": "a\U0001f600b\ufffd"}]


steps = st.one_of(
    st.text(max_size=6).map(TextDelta),
    st.text(max_size=6).map(ThinkingDelta),
    st.builds(ToolCallOpen, st.integers(0, 2)),
    st.builds(
        ToolCallDelta,
        index=st.integers(0, 2),
        arguments=st.sampled_from(["", "{", "}", '{"path": "a"}', '{"path": ["b"]}']),
        name=st.sampled_from(["", "Read", "Zebra"]),
    ),
    st.builds(ToolCallRaw, st.integers(0, 2), st.text(min_size=1, max_size=4)),
    st.builds(Progress, st.integers(0, 99), st.text(max_size=4)),
)
BREAKS: list[UpstreamEvent] = [Broken(UpstreamUnavailable("gone")), Finish("unreported", output_tokens=1)]


@given(st.lists(steps, max_size=12), st.sampled_from(BREAKS), st.booleans())
def test_of_an_answer_that_breaks_off_no_further_call_is_made_and_no_text_is_lost(
    given_steps: list[UpstreamEvent], end: UpstreamEvent, streamed: bool
) -> None:
    answer = Answer(answer_spec(streamed=streamed))
    for step in given_steps:
        answer.feed(step)
    before, settled = called(answer), len(answer.calls)
    answer.feed(end)
    if isinstance(end, Broken):
        assert answer.fault is end.error
    if answer.fault is None:
        assert all(call.input is not None for call in answer.calls if call.id in called(answer) - before)
        return
    assert answer.stop_reason == ""
    assert called(answer) == before
    assert all(call.verdict == "cut" for call in answer.calls[settled:])
    spoken = "".join(block.get("text", "") for block in answer.message()["content"])
    for step in given_steps:
        if isinstance(step, TextDelta):
            assert step.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") in spoken


def called(answer: Answer) -> set[str]:
    return {block["id"] for block in answer.message()["content"] if block["type"] == "tool_use"}


ENDS: list[FinishReason] = ["repetition", "stop", "tool_calls", "length", "stop_sequence"]


@given(st.lists(steps, max_size=12), st.sampled_from(ENDS), st.booleans(), st.booleans(), st.booleans())
def test_whatever_a_model_does_the_stream_and_the_message_agree(
    given_steps: list[UpstreamEvent], end: FinishReason, enabled: bool, shown: bool, streamed: bool
) -> None:
    mode = ThinkingMode(enabled=enabled, shown=shown)
    finish = Finish(end, output_tokens=1)
    answer, events = answered(*given_steps, finish, thinking=mode, streamed=streamed)
    content = rebuilt(events)
    assert content == answer.message()["content"]
    blocks = {block["id"]: block for block in content if block["type"] == "tool_use"}
    if answer.fault is not None:
        assert streamed
        assert answer.stop_reason == ""
    elif end == "length":
        assert answer.stop_reason == "max_tokens"
    else:
        whole = [call for call in answer.calls if call.id in blocks and call.input is not None]
        assert (answer.stop_reason == "tool_use") == bool(whole)
    if not streamed:
        assert not any("_unparsed" in block["input"] for block in blocks.values())
    assert len(answer.calls) == len({call.id for call in answer.calls})
    spoken = "".join(block["text"] for block in content if block["type"] == "text")
    for step in given_steps:
        if isinstance(step, TextDelta):
            assert step.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") in spoken
    for call in answer.calls:
        if call.id in blocks:
            assert call.input is not None or streamed
            assert call.input is None or call.input == blocks[call.id]["input"]
        else:
            assert call.verdict != "valid"
            assert call.raw in spoken
