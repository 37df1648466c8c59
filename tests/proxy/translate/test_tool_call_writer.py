from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tool_calls.quoted.call_forms import ANY_FAMILY
from proxy.backends.upstream import (
    Finish,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallOpen,
    ToolCallRaw,
    UpstreamEvent,
)
from proxy.events.tool_call import ToolCall
from proxy.events.types import ToolVerdict
from proxy.translate.response import Answer
from proxy.translate.thinking import ThinkingMode
from proxy.translate.tools import ToolSet, tool_set
from tests.proxy.live import sse
from tests.proxy.translate.test_response import answer_spec, answered, kinds, rebuilt

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TEXT = {"type": "object", "properties": {"path": {"type": "string"}, "text": {"type": "string"}}}
TOOLS = tool_set(
    [
        {"name": "Read", "input_schema": SCHEMA},
        {"name": "Write", "input_schema": TEXT},
        {"name": "Now", "input_schema": {}},
    ]
)
ID = "call_0123456789abcdef"
DONE = Finish("tool_calls", output_tokens=9)
CUT = Finish("length", output_tokens=9)
RAW = ToolCallRaw(0, "<call>", (5, 6), "hermes", True)


def streamed(arguments: str, cuts: list[int], name: str = "Write") -> list[UpstreamEvent]:
    """A call as a grammar-bound engine sends it, its arguments cut at these places."""
    places = [0, *sorted({cut % (len(arguments) + 1) for cut in cuts}), len(arguments)]
    pieces = [arguments[a:b] for a, b in itertools.pairwise(places)]
    return [
        ToolCallOpen(0, "hermes"),
        ToolCallDelta(0, "", id=ID, name=name),
        *(ToolCallDelta(0, piece) for piece in pieces),
        RAW,
    ]


def told(*steps: UpstreamEvent, **fields: Any) -> tuple[Answer, list[dict[str, Any]]]:
    return answered(*steps, **{"tools": TOOLS, **fields})


def only(answer: Answer) -> ToolCall:
    (call,) = answer.calls
    return call


class TestACallThatAGrammarHolds:
    def test_is_passed_on_while_it_is_written(self) -> None:
        answer = Answer(answer_spec(tools=TOOLS))
        sent = []
        for step in streamed('{"path": "a"}', [4, 9]):
            answer.feed(step)
            if data := answer.take():
                sent.append(kinds(sse(data.decode())))
        assert sent == [
            ["message_start", "ping"],
            ["content_block_start"],
            ["content_block_delta"],
            ["content_block_delta"],
            ["content_block_delta"],
            ["content_block_stop"],
        ]

    def test_is_on_record_with_all_that_is_known_of_it(self) -> None:
        answer, events = told(*streamed('{"path": "a"}', []), DONE)
        assert only(answer) == ToolCall(
            id=ID,
            name="Write",
            raw="<call>",
            tokens=[5, 6],
            family="hermes",
            constrained=True,
            input={"path": "a"},
            verdict="valid",
        )
        assert rebuilt(events)[0]["id"] == ID
        assert answer.stop_reason == "tool_use"

    @given(
        st.dictionaries(st.sampled_from(["path", "text"]), st.text(max_size=40)),
        st.lists(st.integers(0, 300), max_size=12),
        st.booleans(),
    )
    def test_gives_the_same_message_however_it_is_cut(
        self, arguments: dict[str, str], cuts: list[int], ascii_only: bool
    ) -> None:
        text = json.dumps(arguments, ensure_ascii=ascii_only)
        answer, events = told(TextDelta("So:"), *streamed(text, cuts), DONE)
        content = [
            {"type": "text", "text": "So:"},
            {"type": "tool_use", "id": ID, "name": "Write", "input": arguments},
        ]
        assert rebuilt(events) == answer.message()["content"] == content
        assert [call.verdict for call in answer.calls] == ["valid"]

    def test_leaves_room_for_what_follows(self) -> None:
        second = [ToolCallOpen(1), ToolCallDelta(1, '{"path": "b"}', name="Read"), ToolCallRaw(1, "<b>")]
        answer, events = told(*streamed('{"path": "a"}', [3], "Read"), *second, TextDelta("ok"), DONE)
        assert [block["type"] for block in rebuilt(events)] == ["tool_use", "tool_use", "text"]
        assert [call.raw for call in answer.calls] == ["<call>", "<b>"]

    def test_follows_a_held_one_in_its_order(self) -> None:
        held = [ToolCallRaw(0, "<a>"), ToolCallDelta(0, '{"path": "a"}', name="Read")]
        live = [ToolCallOpen(1), ToolCallDelta(1, '{"path": "b"}', name="Read"), ToolCallRaw(1, "<b>")]
        answer, events = told(*held, *live, DONE)
        assert [block["input"]["path"] for block in rebuilt(events)] == ["a", "b"]
        assert [call.raw for call in answer.calls] == ["<a>", "<b>"]

    def test_is_held_for_a_client_that_wants_one_message(self) -> None:
        answer = Answer(answer_spec(tools=TOOLS, streamed=False))
        for step in streamed('{"path": "a"}', [4])[:-1]:
            answer.feed(step)
        assert answer.message()["content"] == []
        answer.feed(RAW)
        answer.feed(DONE)
        assert answer.message()["content"][0]["input"] == {"path": "a"}
        assert (only(answer).raw, only(answer).constrained) == ("<call>", True)

    def test_without_arguments_is_a_call(self) -> None:
        answer, events = told(*streamed("", [], "Now"), DONE)
        assert rebuilt(events)[0]["input"] == {}
        assert only(answer).verdict == "valid"
        assert answer.stop_reason == "tool_use"

    def test_that_does_not_fit_after_all_is_noted(self) -> None:
        answer, _ = told(*streamed('{"path": 3}', [], "Read"), DONE)
        assert only(answer).verdict == "invalid"
        assert answer.stop_reason == "tool_use"
        assert any("does not fit" in note for note in answer.notes)


HALF = '{"path": "a", "text": "and th'


class TestACallThatIsCut:
    @pytest.mark.parametrize("last", [[], [RAW]], ids=["in silence", "with its raw text"])
    def test_while_it_is_passed_on_ends_its_block(self, last: list[UpstreamEvent]) -> None:
        answer, events = told(*streamed(HALF, [5])[:-1], *last, CUT)
        assert kinds(events)[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert answer.stop_reason == "max_tokens"
        call = only(answer)
        assert (call.verdict, call.input) == ("cut", None)
        assert call.raw == ("<call>" if last else f'{{"name": "Write", "arguments": {HALF}}}')

    def test_is_text_in_a_message_that_is_sent_whole(self) -> None:
        answer, _ = told(*streamed(HALF, [5])[:-1], CUT, streamed=False)
        (block,) = answer.message()["content"]
        assert block == {"type": "text", "text": only(answer).raw}
        assert (answer.stop_reason, only(answer).verdict) == ("max_tokens", "cut")

    @pytest.mark.parametrize("arguments", [HALF, "", '{"path": "a"', '{"path": "a",'])
    @pytest.mark.parametrize(
        ("end", "reason", "as_it_is"),
        [
            (CUT, "max_tokens", True),
            (Finish("context_length"), "model_context_window_exceeded", True),
            (Finish("content_filter"), "refusal", False),
            (Finish("stop_sequence", stop_sequence="END"), "stop_sequence", False),
            (Finish("repetition"), "end_turn", False),
        ],
        ids=lambda value: value.reason if isinstance(value, Finish) else "",
    )
    def test_while_it_is_held_is_never_mended_and_is_a_call_where_the_client_goes_on(
        self, arguments: str, end: Finish, reason: str, as_it_is: bool
    ) -> None:
        answer, events = told(ToolCallDelta(0, arguments, name="write"), end)
        (block,) = rebuilt(events)
        if as_it_is:
            assert block["type"] == "tool_use"
            assert (block["name"], block["input"]) == ("Write", {"_unparsed": arguments or "{"})
        else:
            assert block["type"] == "text"
            assert arguments in block["text"]
        assert answer.stop_reason == reason
        assert (only(answer).verdict, only(answer).repairs, only(answer).input) == ("cut", [], None)
        assert any("ended within" in note for note in answer.notes)

    @pytest.mark.parametrize("name", ["", "Zebra"])
    def test_of_a_tool_that_is_not_known_is_text(self, name: str) -> None:
        answer, events = told(ToolCallDelta(0, HALF, name=name), CUT)
        assert [block["type"] for block in rebuilt(events)] == ["text"]
        assert (answer.stop_reason, only(answer).verdict) == ("max_tokens", "cut")

    @pytest.mark.parametrize("last", [[], [RAW]], ids=["in silence", "with its raw text"])
    def test_before_its_arguments_is_no_call_without_arguments(self, last: list[UpstreamEvent]) -> None:
        answer, events = told(*streamed("", [], "Now")[:-1], *last, CUT)
        assert [block["input"] for block in rebuilt(events)] == [{"_unparsed": "{"}]
        assert (only(answer).verdict, only(answer).input) == ("cut", None)

    def test_leaves_a_whole_one_before_it_a_call(self) -> None:
        whole = ToolCallDelta(0, '{"path": "a"}', name="Read")
        answer, events = told(whole, ToolCallDelta(1, '{"path": "b', name="Read"), CUT)
        assert [block["input"] for block in rebuilt(events)] == [{"path": "a"}, {"_unparsed": '{"path": "b'}]
        assert [call.verdict for call in answer.calls] == ["valid", "cut"]
        assert answer.stop_reason == "max_tokens"

    def test_that_was_whole_just_in_time_is_a_call(self) -> None:
        answer, events = told(ToolCallDelta(0, '{"path": "a"}', name="Read"), CUT)
        assert rebuilt(events)[0]["type"] == "tool_use"
        assert (only(answer).verdict, answer.stop_reason) == ("valid", "max_tokens")

    def test_without_a_cause_is_a_fault_of_the_upstream(self) -> None:
        answer, _ = told(*streamed(HALF, [])[:-1], DONE)
        assert answer.fault is not None
        assert "'Write' broke off" in answer.fault.info.message
        assert answer.message()["stop_reason"] is None
        assert only(answer).verdict == "unparsed"


HERMES_HALF = '<tool_call>\n{"name": "Write", "arguments": ' + HALF
CODER_HALF = "<tool_call>\n<function=Write>\n<parameter=text>\nand th"


class TestACallInTheTextThatIsCut:
    @pytest.mark.parametrize("half", [HERMES_HALF, CODER_HALF], ids=["hermes", "qwen3_coder"])
    @pytest.mark.parametrize(
        "end",
        [CUT, Finish("content_filter")],
        ids=["limit", "filter"],
    )
    def test_is_the_clients_to_answer_at_the_limit(self, half: str, end: Finish) -> None:
        answer, events = told(TextDelta("So: "), TextDelta(half), end, call_forms=ANY_FAMILY)
        blocks = rebuilt(events)
        if end is CUT:
            assert blocks[0]["text"].strip() == "So:"
            assert (blocks[1]["name"], blocks[1]["input"]) == ("Write", {"_unparsed": half})
            assert (only(answer).verdict, only(answer).raw) == ("cut", half)
        else:
            assert "".join(block["text"] for block in blocks).endswith(half)

    @pytest.mark.parametrize(
        "text",
        [
            HERMES_HALF.replace("Write", "Zebra"),
            HERMES_HALF[:20],
            f"```\n{HERMES_HALF}",
            HERMES_HALF.partition("\n")[2],
        ],
        ids=["another tool", "no name yet", "in code", "without a mark"],
    )
    def test_is_text_where_it_may_be_none(self, text: str) -> None:
        _, events = told(TextDelta(text), CUT, call_forms=ANY_FAMILY)
        assert "".join(block["text"] for block in rebuilt(events)) == text


class TestArgumentsThatAreNoJson:
    WORDS = '{"path": so be it}'

    def test_are_the_clients_to_answer_and_no_tool_use(self) -> None:
        answer, events = told(ToolCallDelta(0, self.WORDS, name="Read"), DONE)
        assert [block["input"] for block in rebuilt(events)] == [{"_unparsed": self.WORDS}]
        assert answer.stop_reason == "end_turn"  # clients that run what they can read of it stop here
        assert only(answer).verdict == "unparsed"

    @pytest.mark.parametrize("calls", [[WORDS, '{"path": "a"}'], ['{"path": "a"}', WORDS], [WORDS, WORDS]])
    def test_are_text_beside_another_call(self, calls: list[str]) -> None:
        steps = [ToolCallDelta(index, written, name="Read") for index, written in enumerate(calls)]
        _, events = told(*steps, DONE)
        assert not any("_unparsed" in block.get("input", ()) for block in rebuilt(events))

    @pytest.mark.parametrize("fields", [{"streamed": False}, {"most_calls": 0}], ids=["whole", "no calls"])
    def test_are_text_where_they_cannot_be_sent(self, fields: dict[str, Any]) -> None:
        answer, _ = told(ToolCallDelta(0, self.WORDS, name="Read"), DONE, **fields)
        assert [block["type"] for block in answer.message()["content"]] == ["text"]


MENDED: list[tuple[str, str, dict[str, Any]]] = [
    ("Read", '{"path": "a",}', {"path": "a"}),
    ("Read", "{'path': 'a'}", {"path": "a"}),
    ("Read", '{"path": "a"', {"path": "a"}),
    ("Read", '{"path": 3}', {"path": "3"}),
]


class TestACallThatIsBroken:
    @pytest.mark.parametrize(("name", "arguments", "mended"), MENDED)
    def test_is_mended_where_it_can_be(self, name: str, arguments: str, mended: dict[str, Any]) -> None:
        answer, events = told(ToolCallDelta(0, arguments, id=ID, name=name), DONE)
        assert rebuilt(events) == [{"type": "tool_use", "id": ID, "name": name, "input": mended}]
        call = only(answer)
        assert (call.verdict, call.input) == ("valid", mended)
        assert call.repairs
        assert arguments in call.raw
        assert answer.stop_reason == "tool_use"

    def test_keeps_the_repairs_that_the_upstream_made(self) -> None:
        raw = ToolCallRaw(0, "<call", family="hermes", constrained=False, relaxed="a", repairs=("a mark",))
        answer, _ = told(raw, ToolCallDelta(0, '{"path": "a"}', name="Read"), DONE)
        call = only(answer)
        assert (call.repairs, call.relaxed, call.constrained) == (["a mark"], "a", False)


@pytest.mark.parametrize(
    "names",
    [("Read", "", ""), ("Read", "Read", "Read"), ("Re", "ad", ""), ("Re", "Read", ""), ("", "R", "ead")],
    ids=["once", "again", "in pieces", "with all before", "late"],
)
def test_a_name_comes_in_any_way(names: tuple[str, ...]) -> None:
    pieces = [ToolCallDelta(0, "", name=name) for name in names]
    arguments = ToolCallDelta(0, '{"path": "a"}', name="Read" if names[1] == "Read" else "")
    answer, _ = told(*pieces, arguments, DONE)
    assert (only(answer).name, only(answer).verdict) == ("Read", "valid")


def test_a_name_may_come_behind_the_arguments() -> None:
    answer, _ = told(ToolCallDelta(0, '{"path": "a"}'), ToolCallDelta(0, "", name="Read"), DONE)
    assert (only(answer).name, only(answer).verdict) == ("Read", "valid")


def test_a_call_whose_pieces_alternate_with_thinking_is_whole() -> None:
    pieces = ['{"path"', ': "a}"', "  ", "}", "\n"]
    steps = [step for piece in pieces for step in (ToolCallDelta(0, piece, name="Read"), ThinkingDelta("."))]
    answer, _ = told(*steps, CUT)
    assert (only(answer).input, only(answer).verdict) == ({"path": "a}"}, "valid")


# Calls are taken from a text's end only.
def in_text(*texts: str, tools: ToolSet = TOOLS, end: Finish = DONE) -> tuple[Answer, list[dict[str, Any]]]:
    return told(*map(TextDelta, texts), end, tools=tools, call_forms=ANY_FAMILY)


STRAY = '<tool_call>\n{"name": "Read", "arguments": {"path": "a"}}\n</tool_call>'


class TestACallThatComesAsText:
    @given(st.lists(st.integers(0, 200), max_size=8))
    def test_becomes_a_call_however_it_is_cut(self, cuts: list[int]) -> None:
        whole = f"I read it. {STRAY}"
        places = [0, *sorted({cut % len(whole) for cut in cuts}), len(whole)]
        answer, events = in_text(*(whole[a:b] for a, b in itertools.pairwise(places)))
        said, call = rebuilt(events)
        assert said["text"].strip() == "I read it."
        assert (call["name"], call["input"]) == ("Read", {"path": "a"})
        assert answer.message()["content"] == [said, call]
        assert (only(answer).verdict, only(answer).family) == ("valid", "hermes")
        assert only(answer).repairs[0] == "took it out of the text"
        assert answer.stop_reason == "tool_use"

    def test_that_is_no_call_stays_text(self) -> None:
        text = '<tool_call>{"name": "Read", "arguments": "path"}</tool_call>'
        answer, events = in_text("Behold ", text, end=Finish("stop"))
        assert "".join(block["text"] for block in rebuilt(events)) == f"Behold {text}"
        assert answer.stop_reason == "end_turn"
        assert any("stayed text" in note for note in answer.notes)

    @pytest.mark.parametrize(
        ("name", "arguments", "verdict"),
        [("Read", "{}", "invalid"), ("Zebra", '{"path": "a"}', "unknown_tool")],
    )
    def test_and_does_not_fit_is_the_clients_to_answer(self, name: str, arguments: str, verdict: str) -> None:
        text = f'<tool_call>{{"name": "{name}", "arguments": {arguments}}}</tool_call>'
        answer, events = in_text("Behold ", text, end=Finish("stop"))
        block = rebuilt(events)[-1]
        assert (block["name"], block["input"]) == (name, json.loads(arguments))
        assert (only(answer).verdict, only(answer).family) == (verdict, "hermes")
        assert answer.stop_reason == "tool_use"

    @pytest.mark.parametrize(
        "text", ['{"name": "Zebra", "arguments": {"path": "a"}}', "<tool_call>Zebra</tool_call>"]
    )
    def test_of_an_unknown_tool_in_no_certain_form_stays_text(self, text: str) -> None:
        answer, events = in_text("Behold ", text, end=Finish("stop"))
        assert "".join(block["text"] for block in rebuilt(events)) == f"Behold {text}"
        assert answer.stop_reason == "end_turn"

    def test_and_is_cut_stays_text(self) -> None:
        answer, events = in_text("Well. ", STRAY[:40], end=CUT)
        assert "".join(block["text"] for block in rebuilt(events)) == f"Well. {STRAY[:40]}"
        assert answer.stop_reason == "max_tokens"
        assert answer.calls == []

    def test_stays_text_where_more_follows(self) -> None:
        steps = [TextDelta("a <"), ThinkingDelta("hm"), TextDelta(f"b {STRAY}"), TextDelta("c <tool")]
        native = ToolCallDelta(0, '{"path": "d"}', name="Read")
        mode = ThinkingMode(enabled=True)
        answer, events = told(*steps, native, DONE, call_forms=ANY_FAMILY, thinking=mode)
        blocks = rebuilt(events)
        assert [block["type"] for block in blocks] == ["text", "thinking", "text", "tool_use"]
        assert (blocks[0]["text"], blocks[2]["text"]) == ("a <", f"b {STRAY}c <tool")
        assert any("more follows it" in note for note in answer.notes)

    def test_is_left_alone_where_the_upstream_tells_calls_apart(self) -> None:
        answer, events = told(TextDelta(STRAY), Finish("stop"))
        assert rebuilt(events) == [{"type": "text", "text": STRAY}]
        assert answer.calls == []


def text_call(path: str) -> TextDelta:
    return TextDelta(f'<tool_call>\n{{"name": "Read", "arguments": {{"path": "{path}"}}}}\n</tool_call>')


def structured_call(path: str, index: int) -> ToolCallDelta:
    return ToolCallDelta(index, f'{{"path":"{path}"}}', name="Read")


class TestACallThatComesBothAsTextAndStructured:
    @pytest.mark.parametrize("text_first", [True, False])
    @pytest.mark.parametrize("in_one", [True, False])
    def test_is_sent_once(self, text_first: bool, in_one: bool) -> None:
        calls = [text_call("a"), structured_call("a", 0)]
        answer, events = told(
            *(calls if text_first else calls[::-1]), DONE, call_forms=ANY_FAMILY, streamed=not in_one
        )
        blocks = answer.message()["content"]
        assert in_one or rebuilt(events) == blocks
        assert [block["type"] for block in blocks] == ["tool_use"]
        assert only(answer).input == {"path": "a"}
        assert answer.stop_reason == "tool_use"
        assert [note for note in answer.notes if "sent it once" in note]

    @pytest.mark.parametrize("text_first", [True, False])
    def test_and_is_another_stays_text(self, text_first: bool) -> None:
        calls = [text_call("a"), structured_call("b", 0)]
        answer, events = told(*(calls if text_first else calls[::-1]), DONE, call_forms=ANY_FAMILY)
        blocks = rebuilt(events)
        assert [block["input"]["path"] for block in blocks if block["type"] == "tool_use"] == ["b"]
        assert [block["text"] for block in blocks if block["type"] == "text"] == [text_call("a").text]
        assert any("sends calls apart" in note for note in answer.notes)

    def test_and_is_mended_is_sent_once(self) -> None:
        broken = ToolCallDelta(0, "{'path': 'a',}", name="read")
        answer, events = told(text_call("a"), broken, DONE, call_forms=ANY_FAMILY)
        assert [block["type"] for block in rebuilt(events)] == ["tool_use"]
        assert only(answer).name == "Read"

    def test_and_streams_before_its_text_is_sent_once(self) -> None:
        steps = [*streamed('{"path": "a"}', [3], "Read"), text_call("a")]
        answer, events = told(*steps, DONE, call_forms=ANY_FAMILY)
        assert [block["type"] for block in rebuilt(events)] == ["tool_use"]
        assert only(answer).raw == "<call>"

    @given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab")), max_size=8))
    def test_is_no_other_than_those_told_apart(self, calls: list[tuple[bool, str]]) -> None:
        steps = [
            text_call(path) if as_text else structured_call(path, index)
            for index, (as_text, path) in enumerate(calls)
        ]
        answer, events = told(*steps, DONE, call_forms=ANY_FAMILY)
        sent = [block["input"]["path"] for block in rebuilt(events) if block["type"] == "tool_use"]
        structured = [path for as_text, path in calls if not as_text]
        assert sent == (structured or [path for _, path in calls])
        assert len(answer.calls) == len(sent)

    def test_twice_in_the_same_way_are_two(self) -> None:
        for calls in ([text_call("a")] * 2, [structured_call("a", 0), structured_call("a", 1)]):
            answer, _ = told(*calls, DONE, call_forms=ANY_FAMILY)
            assert len(answer.calls) == 2


def test_a_call_that_is_nested_as_deeply_as_json_is_read_ends_in_no_error() -> None:
    for depth in range(850, 1000):
        deep = "[" * depth + "]" * depth
        answer, _ = told(ToolCallDelta(0, f'{{"a": {deep}}}', name="Now"), DONE)
        assert answer.stop_reason


VERDICTS: list[tuple[ToolVerdict, str]] = [("valid", '{"path": "a"}'), ("invalid", "{}")]


@pytest.mark.parametrize(("verdict", "arguments"), VERDICTS)
def test_a_call_is_judged_the_same_whether_held_or_passed_on(verdict: ToolVerdict, arguments: str) -> None:
    held, _ = told(ToolCallDelta(0, arguments, name="Read"), DONE)
    live, _ = told(*streamed(arguments, [], "Read"), DONE)
    assert only(held).verdict == only(live).verdict == verdict


TWO = [
    ToolCallDelta(0, '{"path": "a"}', id=ID, name="Read"),
    ToolCallDelta(1, "{}", id=ID + "b", name="Now"),
]


class TestCallsBeyondWhatTheRequestTakes:
    @pytest.mark.parametrize("most", [0, 1, 2, None])
    def test_are_text(self, most: int | None) -> None:
        answer, events = told(*TWO, DONE, most_calls=most)
        sent = [block["type"] for block in rebuilt(events)]
        allowed = 2 if most is None else most
        assert sent[:allowed] == ["tool_use"] * allowed
        assert sent[allowed:] == (["text"] if allowed < 2 else [])
        assert len(answer.calls) == 2
        assert answer.stop_reason == ("tool_use" if allowed else "end_turn")
        assert len([note for note in answer.notes if "returned as text: the request" in note]) == 2 - allowed

    def test_are_counted_with_those_that_came_as_text(self) -> None:
        call = '<tool_call>\n{"name": "Read", "arguments": {"path": "b"}}\n</tool_call>'
        _, events = told(TextDelta(call), *TWO, DONE, most_calls=1, call_forms=ANY_FAMILY)
        assert [block["type"] for block in rebuilt(events)] == ["tool_use", "text"]
