from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.events.types import CacheMiss, CacheVerdict, Timings, Usage
from proxy.traces.analysis.comparing.diff import diff, segments
from proxy.traces.analysis.comparing.diff_facts import compare
from proxy.traces.schema import CountedPart, Trace, TraceRequest
from tests.proxy.trace_making import body_of, trace_of

SYSTEM = {"role": "system", "content": "Be careful."}
READ = {"type": "function", "function": {"name": "Read", "parameters": {}}}


def sent(*texts: str, system: str = "Be careful.", tools: tuple[Any, ...] = (READ,), **fields: Any) -> Trace:
    rows = [
        {"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(texts)
    ]
    upstream = {"messages": [{"role": "system", "content": system}, *rows], "tools": list(tools)}
    return trace_of(1, upstream=upstream, **fields)


def names(trace: Trace) -> list[str]:
    return [segment.name for segment in segments(trace)]


def test_the_segments_are_those_that_were_sent_upstream() -> None:
    assert names(sent("hi", "ho")) == ["system", "tool Read", "message 1 (user)", "message 2 (assistant)"]


def test_without_them_the_client_s_own_body_counts() -> None:
    trace = trace_of(1)
    trace.request.body["system"] = [
        {"type": "text", "text": "x-anthropic-billing-header: a;"},
        {"type": "text", "text": "S"},
    ]
    assert names(trace) == ["system", "tool Read", "message 1 (user)"]
    assert segments(trace)[0].text == "S"


def test_tools_that_the_messages_show_are_no_parts() -> None:
    late = {**READ, "defer_loading": True}
    assert names(sent("hi", tools=(READ, late))) == ["system", "tool Read", "message 1 (user)"]


@pytest.mark.parametrize("body", [None, [], "text", {"messages": 3, "tools": {}}, {"tools": [3]}])
def test_a_body_of_any_shape_can_be_compared(body: Any) -> None:
    trace = trace_of(1)
    trace.request.body = body
    assert diff(trace, trace).first is None


def test_equal_prompts_have_no_difference() -> None:
    found = diff(sent("a", "b"), sent("a", "b"))
    assert (found.first, found.around()) == (None, ("", "", ""))
    assert {part.kind for part in found.segments} == {"same"}


def test_content_in_another_form_is_the_same_content() -> None:
    a, b = trace_of(1), trace_of(2)
    b.request.body["messages"] = [{"role": "user", "content": "Who are you?"}]
    b.request.body["messages"][0]["cache_control"] = {"type": "ephemeral"}
    assert diff(a, b).first is None


def test_a_refused_request_is_compared_in_the_form_that_both_have() -> None:
    refused, answered = trace_of(1), trace_of(2, upstream=sent("Who are you?").upstream)
    for pair in ((refused, answered), (answered, refused)):
        found = diff(*pair)
        assert (found.first, found.segments[-1].kind) == (None, "same")


def test_it_opens_at_the_first_difference() -> None:
    found = diff(sent("on branch main", "b"), sent("on branch dev", "b", "c"))
    assert found.first == 2
    assert [part.kind for part in found.segments] == ["same", "same", "changed", "same", "only in B"]
    assert found.around() == ("user:\non branch ", "main", "dev")
    assert found.shared == sum(len(part.b) for part in found.segments[:2]) + len("user:\non branch ")


@pytest.mark.parametrize(
    ("a", "b", "kinds"),
    [
        (sent("x"), sent("x", system="Other."), ["changed", "same", "same"]),
        (sent("x"), sent("x", tools=()), ["same", "only in A", "same"]),
        (sent("x", "y"), sent("x"), ["same", "same", "same", "only in A"]),
    ],
    ids=["system", "tools", "shorter"],
)
def test_each_kind_of_difference_is_named(a: Trace, b: Trace, kinds: list[str]) -> None:
    assert [part.kind for part in diff(a, b).segments] == kinds


def tool(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


BASH, EDIT, GREP, READ_FILE = (tool(name) for name in ("Bash", "Edit", "Grep", "Read"))


@pytest.mark.parametrize(
    ("a", "b", "kinds"),
    [
        ((BASH, READ_FILE), (BASH, GREP, READ_FILE), "= = +Grep = ="),
        ((BASH, GREP, READ_FILE), (BASH, READ_FILE), "= = -Grep = ="),
        ((BASH, EDIT, READ_FILE), (BASH, GREP, READ_FILE), "= = -Edit +Grep = ="),
        ((BASH, EDIT, GREP), (GREP, BASH, EDIT), "= +Grep = = -Grep ="),
        ((BASH, EDIT), (GREP, BASH, tool("Edit", x=1)), "= +Grep = ≠Edit ="),
        ((BASH, BASH), (BASH, tool("Bash", x=1), BASH), "= = ≠Bash +Bash ="),
    ],
    ids=["added", "removed", "replaced", "moved", "added and changed", "of one name"],
)
def test_a_tool_that_is_new_or_gone_leaves_the_others_what_they_are(
    a: tuple[Any, ...], b: tuple[Any, ...], kinds: str
) -> None:
    signs = {"same": "=", "changed": "≠", "only in A": "-", "only in B": "+"}
    one, other = sent("x", tools=a), sent("x", tools=b)
    found = diff(one, other)
    told = [
        signs[part.kind] + (part.name.removeprefix("tool ") if part.kind != "same" else "")
        for part in found.segments
    ]
    assert " ".join(told) == kinds
    # Each segment of both, in their order, and where they part is a place in the text.
    for side, trace in (("a", one), ("b", other)):
        texts = [text for part in found.segments if (text := getattr(part, side))]
        assert texts == [segment.text for segment in segments(trace)]
    whole = ["".join(segment.text for segment in segments(trace)) for trace in (one, other)]
    assert whole[0][: found.shared] == whole[1][: found.shared]
    assert whole[0][found.shared] != whole[1][found.shared]


def test_where_a_had_a_tool_more_is_counted_too() -> None:
    parts = {name: CountedPart(name=name, tokens=40) for name in ("tool Bash", "tool Grep", "tool Read")}
    system, end = CountedPart(name="system", tokens=100), CountedPart(name="message 1 (user)", tokens=20)
    a = sent("x", tools=(BASH, GREP, READ_FILE), prompt_parts=[system, *parts.values(), end])
    del parts["tool Grep"]
    b = sent("x", tools=(BASH, READ_FILE), prompt_parts=[system, *parts.values(), end])
    b.usage = Usage(input_tokens=200)
    found = diff(a, b)
    assert found.first is not None
    assert found.segments[found.first].name == "tool Grep"
    assert 140 < (found.position or 0) < 180
    shorter = diff(sent("x", "y", tools=(BASH, READ_FILE), prompt_parts=b.prompt_parts), b)
    assert (shorter.position, shorter.recomputed, shorter.estimated) == (200, 0, False)


def test_the_cache_s_own_figure_is_taken_where_there_is_one() -> None:
    miss = CacheMiss(reason="diverged", position=640, segment="message 1")
    b = sent(
        "a" * 600 + "b" * 400,
        cache=CacheVerdict(prompt_tokens=1000, matched_tokens=600, miss=miss),
        usage=Usage(input_tokens=100, cache_creation_input_tokens=300, cache_read_input_tokens=600),
        timings=Timings(prefill_start=1.0, first_token=5.0),
    )
    found = diff(sent("a" * 1000), b)
    assert (found.position, found.estimated, found.recomputed) == (640, False, 360)
    assert found.cost_s == pytest.approx(4.0 * 360 / 400)
    assert (
        found.told == "600 of 1,000 tokens were in the cache; it missed: diverged at token 640 in message 1"
    )


def test_without_it_the_characters_tell_about_where() -> None:
    found = diff(sent("a" * 500), sent("a" * 250 + "b" * 250, usage=Usage(input_tokens=1000)))
    assert found.estimated
    assert found.position == round(1000 * found.shared / found.characters)
    assert found.recomputed == 1000 - (found.position or 0)


@given(
    st.lists(st.text(max_size=8), min_size=1, max_size=5),
    st.lists(st.text(max_size=8), min_size=1, max_size=5),
)
def test_what_stands_before_the_first_difference_is_the_same_in_both(a: list[str], b: list[str]) -> None:
    one, other = sent(*a), sent(*b)
    found = diff(one, other)
    whole = ["".join(segment.text for segment in segments(trace)) for trace in (one, other)]
    assert whole[0][: found.shared] == whole[1][: found.shared]
    assert (found.first is None) == (a == b)


RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}


@pytest.mark.parametrize(
    ("block", "other"),
    [
        ({"type": "image", "source": {"data": "AAAA"}}, {"type": "image", "source": {"data": "AAAB"}}),
        ({"type": "document", "source": {"data": "AAAA"}}, {"type": "text", "text": ""}),
        (RESULT, RESULT | {"is_error": True}),
        (RESULT, RESULT | {"content": [{"type": "image", "source": {"data": "AAAA"}}]}),
    ],
    ids=["image", "document", "error", "result"],
)
def test_what_is_no_text_differs_as_well(block: dict[str, Any], other: dict[str, Any]) -> None:
    a, b = (trace_of(request=TraceRequest(body=body_of("see", system="s"))) for _ in range(2))
    a.request.body["messages"][0]["content"].append(block)
    b.request.body["messages"][0]["content"].append(other)
    assert diff(a, b).first == 2
    b.request.body["messages"][0]["content"][-1] = block | {"cache_control": {"type": "ephemeral"}}
    assert diff(a, b).first is None


def counted(**more: int) -> list[CountedPart]:
    names = {"system": "system", "look": "tool Read", "one": "message 1 (user)", "two": "message 2 (user)"}
    parts = [CountedPart(name=names[name], tokens=tokens) for name, tokens in more.items()]
    return [*parts, CountedPart(name="the answer's beginning", tokens=3)]


def test_segments_have_the_tokens_that_the_engine_counted() -> None:
    a = sent("on branch main", prompt_parts=counted(system=100, look=50, one=20))
    b = sent(
        "on branch dev",
        "and",
        prompt_parts=counted(system=100, look=50, one=24, two=6),
        usage=Usage(input_tokens=183),
    )
    found = diff(a, b)
    assert [(part.a_tokens, part.b_tokens) for part in found.segments][:1] == [(100, 100)]
    assert sum(part.b_tokens or 0 for part in found.segments) == 183
    assert found.segments[-1].b_tokens == 6 + 3
    begin = sum(part.b_tokens or 0 for part in found.segments[:2])
    assert found.first == 2
    assert begin <= (found.position or 0) <= begin + 24
    facts = compare(a, b)
    assert facts.counted
    assert [part.b_tokens for part in facts.segments] == [part.b_tokens for part in found.segments]


def diverged(position: int) -> CacheVerdict:
    miss = CacheMiss(reason="diverged", position=position)
    return CacheVerdict(prompt_tokens=1000, matched_tokens=position, miss=miss)


@pytest.mark.parametrize(
    ("told", "position", "estimated"),
    [
        (430, 430, False),  # within the message: the cache knows it better than a share of characters
        (20, 450, True),  # in the system text, which is the same: it compared B with another prompt
        (980, 450, True),  # behind the message
        (None, 450, True),
    ],
)
def test_of_counted_segments_the_cache_tells_the_place_in_the_one_that_differs(
    told: int | None, position: int, estimated: bool
) -> None:
    fields: dict[str, Any] = {
        "prompt_parts": counted(system=300, look=100, one=100, two=497),
        "usage": Usage(input_tokens=1000),
    }
    text = "x" * 94  # with the six characters of its role a hundred
    a = sent(text[:44] + "a" * 50, text, **fields)
    b = sent(text[:44] + "b" * 50, text, **fields, cache=None if told is None else diverged(told))
    found = diff(a, b)
    assert (found.first, found.position, found.estimated) == (2, position, estimated)


@pytest.mark.parametrize(("told", "position", "estimated"), [(560, 560, False), (100, 504, True)])
def test_of_uncounted_segments_the_cache_is_believed_near_the_share_of_characters(
    told: int, position: int, estimated: bool
) -> None:
    told_of: dict[str, Any] = {"usage": Usage(input_tokens=1000), "cache": diverged(told)}
    b = sent("", system="a" * 500 + "b" * 494, tools=(), **told_of)
    found = diff(sent("", system="a" * 994, tools=()), b)
    assert (found.first, found.position, found.estimated) == (0, position, estimated)


def test_what_is_the_same_in_both_is_of_one_size() -> None:
    """Their parts give equal texts unequal shares: A's last message has the answer's beginning in it."""
    a = sent("x", prompt_parts=counted(system=101, look=50, one=24))
    b = sent(
        "x", "y", prompt_parts=counted(system=100, look=51, one=24, two=6), usage=Usage(input_tokens=184)
    )
    found = diff(a, b)
    same = [part for part in found.segments if part.kind == "same"]
    assert len(same) == 3
    assert [part.a_tokens for part in same] == [part.b_tokens for part in same]
    assert sum(part.b_tokens or 0 for part in found.segments) == 184
    uncounted = diff(sent("x"), b)
    assert [part.a_tokens for part in uncounted.segments[:3]] == [part.b_tokens for part in same]


def test_a_segment_that_is_new_is_exact() -> None:
    parts = counted(system=100, look=50, one=24)
    a = sent("x", prompt_parts=parts)
    b = sent("x", "y", prompt_parts=[*parts, CountedPart(name="message 2 (user)", tokens=6)])
    b.usage = Usage(input_tokens=183)
    found = diff(a, b)
    assert (found.first, found.estimated) == (3, False)


def test_system_blocks_are_segments_where_both_have_as_many() -> None:
    def blocks(*texts: str) -> Trace:
        trace = sent("Hi", system="\n".join(texts))
        trace.request.body = {"system": [{"type": "text", "text": text} for text in texts]}
        return trace

    three = diff(blocks("I am.", "Do.", "branch: main"), blocks("I am.", "Do.", "branch: dev"))
    assert [part.name for part in three.segments][:3] == ["system 1 of 3", "system 2 of 3", "system 3 of 3"]
    assert three.first == 2
    assert diff(blocks("a", "b"), blocks("a")).segments[0].name == "system"


def test_where_b_goes_on_from_a_what_stands_before_is_all_of_a_also_uncounted() -> None:
    # Another server's prompt has tools that its body shows no text of: shares of characters would miss them.
    a = sent("x" * 400, usage=Usage(input_tokens=17_163))
    b = sent("x" * 400, "y" * 600, usage=Usage(input_tokens=17_324))
    found = diff(a, b)
    assert (found.position, found.recomputed, found.estimated) == (17_163, 161, True)
    back = diff(b, a)
    assert (back.position, back.recomputed) == (17_163, 0)
