from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.wire.feed import Miss
from proxy.backends.chat_stream import ChatStreamReader
from proxy.backends.mlx import EngineStreamReader
from proxy.backends.upstream import (
    CacheChange,
    Finish,
    Lookup,
    Note,
    OutputCount,
    PrefillProgress,
    Progress,
    PromptCount,
    Queued,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallOpen,
    ToolCallRaw,
    UpstreamEvent,
)
from proxy.events.errors import (
    ContextOverflow,
    UpstreamError,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from tests.proxy.live import FINISH, USAGE, delta


def read(*chunks: dict[str, Any], done: bool = True, max_tokens: int = 0) -> list[UpstreamEvent]:
    """All steps of a stream of these chunks, its Finish included."""
    stream = ChatStreamReader("it", max_tokens=max_tokens, stops=["END"])
    steps = [step for chunk in chunks for step in stream.read(orjson.dumps(chunk))]
    if done:
        stream.read(b"[DONE]")
    return [*steps, stream.finish()]


def test_a_plain_answer() -> None:
    assert read(delta(role="assistant", content=""), delta(content="hi"), FINISH, USAGE) == [
        TextDelta("hi"),
        Finish("stop", prompt_tokens=7, output_tokens=3),
    ]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_has_two_names(field: str) -> None:
    assert read(delta(**{field: "hm"}), FINISH)[0] == ThinkingDelta("hm")


def test_llama_cpp_counts_the_prompt_and_the_answer_on_their_way() -> None:
    def progress(done: Any, cached: Any = 21) -> dict[str, Any]:
        return {
            **delta(role="assistant"),
            "prompt_progress": {"total": 28, "cache": cached, "processed": done},
        }

    def timed(count: Any, **fields: Any) -> dict[str, Any]:
        return {**delta(**fields), "timings": {"predicted_n": count}}

    steps = read(
        progress(21), progress(28), timed(0), timed(4, content="hi"), timed("odd", content="!"), FINISH, USAGE
    )
    assert steps == [
        PromptCount(28, 21),
        PrefillProgress(21, 28, 21),
        PrefillProgress(28, 28, 21),
        TextDelta("hi"),
        OutputCount(4),
        TextDelta("!"),
        Finish("stop", prompt_tokens=7, output_tokens=3),
    ]
    assert read(progress(99, "odd"), FINISH)[:2] == [PromptCount(28), PrefillProgress(28, 28, 0)]


def test_thinking_comes_before_the_text_of_the_same_chunk() -> None:
    assert read(delta(content="so", reasoning="hm"), FINISH)[:2] == [ThinkingDelta("hm"), TextDelta("so")]


def test_content_in_parts_is_read() -> None:
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so"}, {"type": "x"}]
    assert read(delta(content=parts), FINISH)[:2] == [ThinkingDelta("hm"), TextDelta("so")]


def piece(arguments: Any = "", *, name: str | None = None, **call: Any) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return delta(tool_calls=[{"function": function, **call}])


CALLS: list[tuple[list[dict[str, Any]], list[ToolCallDelta]]] = [
    (
        [piece(name="Read", index=0, id="a"), piece('{"x"', index=0), piece(": 1}", index=0)],
        [ToolCallDelta(0, "", "a", "Read"), ToolCallDelta(0, '{"x"'), ToolCallDelta(0, ": 1}")],
    ),
    (
        [piece("{}", name="Read", id="a"), piece("{}", name="Read", id="b")],
        [ToolCallDelta(0, "{}", "a", "Read"), ToolCallDelta(1, "{}", "b", "Read")],
    ),
    (
        [piece("{", name="Read", id="a"), piece("}"), piece("{}", name="Now", id="b")],
        [ToolCallDelta(0, "{", "a", "Read"), ToolCallDelta(0, "}"), ToolCallDelta(1, "{}", "b", "Now")],
    ),
    (
        [piece("{}", name="Read", index=0, id="a"), piece("{}", name="Now", index=0, id="b")],
        [ToolCallDelta(0, "{}", "a", "Read"), ToolCallDelta(1, "{}", "b", "Now")],
    ),
    (
        [piece("{", name="Read", index=0, id="a"), piece("}", index=0, id="a")],
        [ToolCallDelta(0, "{", "a", "Read"), ToolCallDelta(0, "}", "a")],
    ),
    (  # a new id in each piece
        [piece(name="Read", index=0, id="a"), piece("{", index=0, id="b"), piece("}", index=0, id="c")],
        [ToolCallDelta(0, "", "a", "Read"), ToolCallDelta(0, "{", "b"), ToolCallDelta(0, "}", "c")],
    ),
    (  # the id comes late
        [piece(name="Read", index=0), piece("{}", index=0, id="a"), piece("{}", name="Now", index=0, id="b")],
        [ToolCallDelta(0, "", "", "Read"), ToolCallDelta(0, "{}", "a"), ToolCallDelta(1, "{}", "b", "Now")],
    ),
    (  # whole calls without ids, of the same tool and of another
        [piece("{}", name="Read"), piece("{}", name="Read"), piece('{"x"', name="Now"), piece(":1}")],
        [
            ToolCallDelta(0, "{}", name="Read"),
            ToolCallDelta(1, "{}", name="Read"),
            ToolCallDelta(2, '{"x"', name="Now"),
            ToolCallDelta(2, ":1}"),
        ],
    ),
    (
        [piece("{}", name="Read", index=0), piece("", name="Now", index=0), piece("{}", index=0)],
        [
            ToolCallDelta(0, "{}", name="Read"),
            ToolCallDelta(1, "", name="Now"),
            ToolCallDelta(1, "{}"),
        ],
    ),
    (  # calls without arguments, whole and next to each other
        [delta(tool_calls=[{"function": {"name": "Read"}}, {"function": {"name": "Read"}}])],
        [ToolCallDelta(0, "", name="Read"), ToolCallDelta(1, "", name="Read")],
    ),
    (  # the name again in each piece, one that holds a whole object among them
        [
            piece('{"x":', name="Read", index=0),
            piece("{}", name="Read", index=0),
            piece("}", name="Read", index=0),
        ],
        [
            ToolCallDelta(0, '{"x":', name="Read"),
            ToolCallDelta(0, "{}", name="Read"),
            ToolCallDelta(0, "}", name="Read"),
        ],
    ),
    (  # calls that alternate, told apart by their ids alone
        [
            piece("{", name="Read", index=0, id="a"),
            piece("{", name="Now", index=0, id="b"),
            piece("}", index=0, id="a"),
            piece("}", index=0, id="b"),
        ],
        [
            ToolCallDelta(0, "{", "a", "Read"),
            ToolCallDelta(1, "{", "b", "Now"),
            ToolCallDelta(0, "}", "a"),
            ToolCallDelta(1, "}", "b"),
        ],
    ),
    ([delta(tool_calls={"index": 0, "function": {"name": "Now"}})], [ToolCallDelta(0, "", name="Now")]),
    ([piece({"x": 1}, name="Read", index=0)], [ToolCallDelta(0, '{"x":1}', name="Read")]),
    ([piece(None, name="Now", index=0)], [ToolCallDelta(0, "", name="Now")]),
    (
        [delta(function_call={"name": "Read", "arguments": "{"}), delta(function_call={"arguments": "}"})],
        [ToolCallDelta(0, "{", name="Read"), ToolCallDelta(0, "}")],
    ),
]


@pytest.mark.parametrize(("chunks", "steps"), CALLS)
def test_tool_calls_of_all_dialects_are_told_apart(
    chunks: list[dict[str, Any]], steps: list[ToolCallDelta]
) -> None:
    assert read(*chunks, FINISH)[:-1] == steps


def finishing(reason: Any, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason, **choice}]}


ENDS: list[tuple[dict[str, Any], Finish]] = [
    (finishing("stop"), Finish("stop")),
    (finishing("tool_calls"), Finish("tool_calls")),
    (finishing("function_call"), Finish("tool_calls")),
    (finishing("length"), Finish("length")),
    (finishing("content_filter"), Finish("content_filter")),
    (finishing("stop", stop_sequence="END"), Finish("stop_sequence", stop_sequence="END")),
    (finishing("stop", stop_reason="END"), Finish("stop_sequence", stop_sequence="END")),
    (finishing("stop", stop_reason=151643), Finish("stop")),
    (finishing("stop", stop_reason="<|im_end|>"), Finish("stop")),
    (finishing("length", stop_reason="END"), Finish("length")),
    (finishing("STOP"), Finish("stop")),
    (finishing("eos_token"), Finish("stop")),
    (finishing("eosFound"), Finish("stop")),
    (finishing("end_turn"), Finish("stop")),
    (finishing("tool-calls"), Finish("tool_calls")),
    (finishing("tool_call"), Finish("tool_calls")),
    (finishing("tool_use"), Finish("tool_calls")),
    (finishing("MAX_TOKENS"), Finish("length")),
    (finishing("model_length"), Finish("context_length")),
    (finishing("sensitive"), Finish("content_filter")),
    (finishing("SAFETY"), Finish("content_filter")),
    (finishing("repetition"), Finish("repetition")),
    (finishing({"type": "stop", "matched": 151645}), Finish("stop")),
    (finishing("stop", native_finish_reason="completed"), Finish("stop")),
]


@pytest.mark.parametrize(("chunk", "finish"), ENDS)
def test_ends_are_told_apart(chunk: dict[str, Any], finish: Finish) -> None:
    assert read(delta(content="x"), chunk)[-1] == finish


ODD: list[dict[str, Any]] = [
    {"choices": [None, 3], "usage": "much"},
    {"choices": {"index": 0, "delta": "text"}},
    delta(tool_calls=[None, "call"], function_call="call", content=[3]),
    delta(content=None) | {"service_tier": {}},
    {"choices": [], "usage": {"prompt_tokens": [], "prompt_tokens_details": 4, "completion_tokens": 2.5}},
]


@pytest.mark.parametrize("chunk", ODD)
def test_fields_of_a_kind_that_nobody_knows_count_as_none(chunk: dict[str, Any]) -> None:
    *before, finish = read(chunk)
    assert finish == Finish("unreported")
    assert not before


def test_numbers_may_be_texts() -> None:
    chunk = finishing("length") | {"usage": {"prompt_tokens": "7", "completion_tokens": "3"}}
    assert read(chunk, max_tokens=3)[-1] == Finish("length", prompt_tokens=7, output_tokens=3)


BAD: list[tuple[dict[str, Any], type[UpstreamError], str]] = [
    (finishing("abort"), UpstreamUnavailable, "broke off its answer (finish_reason 'abort')"),
    (finishing("cancelled"), UpstreamUnavailable, "'cancelled'"),
    (finishing("incomplete"), UpstreamUnavailable, "'incomplete'"),
    (finishing("insufficient_system_resource"), UpstreamUnavailable, "'insufficient_system_resource'"),
    (finishing("network_error"), UpstreamUnavailable, "'network_error'"),
    (finishing("error"), UpstreamFailed, "failed in the middle of its answer"),
    (finishing("MALFORMED_FUNCTION_CALL"), UpstreamFailed, "'MALFORMED_FUNCTION_CALL'"),
    (finishing("tired"), UpstreamFailed, "the unknown finish_reason 'tired'"),
    (finishing(["stop"]), UpstreamFailed, "the unknown finish_reason ['stop']"),
    (finishing("stop", native_finish_reason="MALFORMED_FUNCTION_CALL"), UpstreamFailed, "'MALFORMED"),
    (
        finishing("stop", provider_specific_fields={"native_finish_reason": "insufficient_system_resource"}),
        UpstreamUnavailable,
        "'insufficient_system_resource'",
    ),
    (finishing("error", error={"code": 502, "message": "gone"}), UpstreamUnavailable, "it: gone"),
    (finishing("error") | {"error": {"code": 429, "message": "slow"}}, UpstreamRateLimited, "it: slow"),
]


@pytest.mark.parametrize(("chunk", "kind", "says"), BAD)
def test_an_end_that_is_not_known_to_be_good_is_a_fault(
    chunk: dict[str, Any], kind: type[UpstreamError], says: str
) -> None:
    stream = ChatStreamReader("it")
    assert stream.read(orjson.dumps(delta(content="x"))) == [TextDelta("x")]
    assert stream.read(orjson.dumps(chunk)) == []
    assert stream.done
    with pytest.raises(kind) as caught:
        stream.finish()
    assert says in caught.value.message


def test_what_comes_with_a_fault_is_read() -> None:
    chunk = delta(content="the last words") | {"error": "boom"}
    stream = ChatStreamReader("it")
    assert stream.read(orjson.dumps(chunk)) == [TextDelta("the last words")]
    with pytest.raises(UpstreamFailed, match="boom"):
        stream.finish()


def test_a_window_that_is_full_is_no_limit_that_was_asked_for() -> None:
    short = {"choices": [], "usage": {"prompt_tokens": 30000, "completion_tokens": 2768}}
    assert read(finishing("length"), short, max_tokens=128000)[-1] == Finish(
        "context_length", prompt_tokens=30000, output_tokens=2768
    )
    assert isinstance(read(finishing("length"), short, max_tokens=2768)[-1], Finish)
    assert read(finishing("length"), short, max_tokens=2768)[-1].reason == "length"  # type: ignore[union-attr]


def test_cached_tokens_have_two_names() -> None:
    openai = {"choices": [], "usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}}}
    deepseek = {"choices": [], "usage": {"prompt_tokens": 9, "prompt_cache_hit_tokens": 8}}
    for usage in (openai, deepseek):
        assert read(FINISH, usage)[-1] == Finish("stop", prompt_tokens=9, cached_tokens=8)


@pytest.mark.parametrize("count", [-1, 2**64 - 1, "18446744073709551615"])
def test_a_count_that_no_answer_has_is_not_reported(count: int | str) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": count}}
    usage = {"choices": [], "usage": {"prompt_tokens": count, "completion_tokens": count} | details}
    assert read(FINISH, usage)[-1] == Finish("stop")


def test_an_end_without_done_is_an_end_once_a_reason_was_given() -> None:
    assert read(delta(content="x"), FINISH, done=False)[-1] == Finish("stop")


@pytest.mark.parametrize("reason", [None, ""])
def test_done_without_a_reason_is_told_as_such(reason: str | None) -> None:
    assert read(delta(content="x"), finishing(reason))[-1] == Finish("unreported")


def test_an_end_without_either_is_a_break() -> None:
    with pytest.raises(UpstreamUnavailable, match="broke off"):
        read(delta(content="x"), done=False)


def test_a_second_choice_is_not_ours() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}]}
    assert read(delta(content="yes"), other, FINISH) == [TextDelta("yes"), Finish("stop")]


ERRORS: list[tuple[Any, type[UpstreamError]]] = [
    ({"error": {"message": "boom", "type": "server_error"}}, UpstreamFailed),
    ({"error": "boom"}, UpstreamFailed),
    ({"error": {"message": "slow", "code": 429}}, UpstreamRateLimited),
    ({"error": {"message": "busy", "code": 503}}, UpstreamUnavailable),
    ({"error": {"message": "busy", "type": "overloaded"}}, UpstreamUnavailable),
    ({"error": {"message": "odd", "type": "invalid_request_error"}}, UpstreamRejected),
    ({"object": "error", "message": "old form", "code": 400}, UpstreamRejected),
    ({"error": {"message": "full", "code": "context_length_exceeded"}}, ContextOverflow),
    ({"error": {"message": "busy", "code": "503"}}, UpstreamUnavailable),
    ({"error": {"message": "slow", "code": "rate_limit_exceeded"}}, UpstreamRateLimited),
    ({"code": "InvalidParameter", "message": "Range of input length"}, UpstreamRejected),
    ({"code": 1113, "msg": "the balance is exhausted", "success": False}, UpstreamFailed),
    ({"error_code": 18, "error_msg": "too many queries"}, UpstreamFailed),
    ({"detail": "Not authenticated"}, UpstreamFailed),
    ({"status": "failed", "message": "quota exceeded"}, UpstreamFailed),
]


@pytest.mark.parametrize(("chunk", "kind"), ERRORS)
def test_errors_inside_the_stream_are_raised(chunk: Any, kind: type[UpstreamError]) -> None:
    with pytest.raises(kind):
        read(delta(content="x"), chunk)


@pytest.mark.parametrize("chunk", [{"type": "status", "message": "loading"}, {"code": 0, "msg": "success"}])
def test_an_object_that_says_something_else_is_no_error(chunk: dict[str, Any]) -> None:
    assert read(chunk, delta(content="x"), FINISH) == [TextDelta("x"), Finish("stop")]


@pytest.mark.parametrize("data", [b"{", b"[]", b"<html>"])
def test_what_is_no_chunk_is_a_fault_that_can_be_retried(data: bytes) -> None:
    with pytest.raises(UpstreamUnavailable):
        ChatStreamReader("it").read(data)


def test_halves_of_characters_survive_the_parser() -> None:
    half = b'{"choices": [{"delta": {"content": "\\ud83d"}}]}'
    assert ChatStreamReader("it").read(half) == [TextDelta("\ud83d")]


def feed(kind: str, **fields: Any) -> bytes:
    return orjson.dumps({"object": "anyclaude.feed", "kind": kind, **fields})


CHANGE = {"tokens": 5, "bytes": 50, "entries": 2, "total_bytes": 70, "budget_bytes": 100}
MISS = {"reason": "diverged", "position": 3, "segment": "tools", "before": "a", "now": "b"}
FEED: list[tuple[bytes, UpstreamEvent | None]] = [
    (feed("queued", position=2, waiting_s=1.5), Queued(2, 1.5)),
    (
        feed("lookup", prompt_tokens=9, matched_tokens=3, kept_tokens=5, tier="memory", miss=MISS),
        Lookup(9, 3, 5, "memory", Miss("diverged", 3, "tools", "a", "b")),
    ),
    (
        feed("lookup", prompt_tokens=9, matched_tokens=0, kept_tokens=9, tier="none", miss=None),
        Lookup(9, 0, 9, "none"),
    ),
    (feed("prefill", done=4, total=9, cached=3), PrefillProgress(4, 9, 3)),
    (feed("progress", output_tokens=7, text="<tool"), Progress(7, "<tool")),
    (feed("tool_open", index=1, family="hermes", constrained=True), ToolCallOpen(1, "hermes")),
    (feed("tool_raw", index=0, raw="<call>"), ToolCallRaw(0, "<call>")),
    (
        feed(
            "tool_raw",
            index=2,
            raw="<call>",
            tokens=[7, 9],
            family="hermes",
            constrained=True,
            relaxed="a pattern",
            repairs=["a brace"],
        ),
        ToolCallRaw(2, "<call>", (7, 9), "hermes", True, "a pattern", ("a brace",)),
    ),
    (feed("note", text="repaired"), Note("repaired")),
    (feed("cache", event="inserted", **CHANGE), CacheChange("inserted", **CHANGE)),
    (feed("cache", event="evicted", **CHANGE), CacheChange("evicted", **CHANGE)),
    (feed("cache", event="restored", **CHANGE), CacheChange("restored", **CHANGE)),
    (feed("cache", event="saved", **CHANGE), CacheChange("saved", **CHANGE)),
    (feed("cache", event="loaded", **CHANGE), CacheChange("loaded", **CHANGE)),
    (feed("cache", event="set_aside", **CHANGE), CacheChange("set_aside", **CHANGE)),
    (feed("cache", event="tomorrow", **CHANGE), None),
    (feed("tomorrow", light=1), None),
]


@pytest.mark.parametrize(("data", "step"), FEED)
def test_the_engines_feed_is_read(data: bytes, step: UpstreamEvent | None) -> None:
    assert EngineStreamReader("it").read(data) == ([step] if step else [])


def test_an_error_of_the_feed_is_raised() -> None:
    with pytest.raises(UpstreamUnavailable, match="full"):
        EngineStreamReader("it").read(feed("error", type="overloaded", message="full"))


def test_a_feed_chunk_that_cannot_be_read_breaks_the_answer_off() -> None:
    with pytest.raises(UpstreamUnavailable, match="the engine wrote a feed chunk that cannot be read"):
        EngineStreamReader("it").read(feed("queued"))


def test_a_model_that_writes_the_feeds_mark_is_only_a_model() -> None:
    said = orjson.dumps(delta(content='"anyclaude.feed"'))
    assert EngineStreamReader("it").read(said) == [TextDelta('"anyclaude.feed"')]


def test_counts_beside_the_deltas_are_read_as_they_come() -> None:
    """vLLM's `continuous_usage_stats`, and the engine's own, which leaves the prompt to its lookup."""
    first = delta(content="a b") | {"usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    second = delta(content=" c") | {"usage": {"completion_tokens": 3}}
    assert read(first, second, FINISH, USAGE)[:-1] == [
        PromptCount(7),
        TextDelta("a b"),
        OutputCount(2),
        TextDelta(" c"),
        OutputCount(3),
    ]
    assert read(second, FINISH, USAGE)[:-1] == [TextDelta(" c"), OutputCount(3)]
