"""How an upstream ends its answer, and what becomes of the calls in it: over real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.traces.schema import Trace
from tests.proxy.live import BREAK, DONE, Proxy, Upstream, body, delta, proxy_over, sse

SCHEMA = {
    "type": "object",
    "properties": {"table": {"type": "string"}, "where": {"type": "string"}},
    "required": ["table"],
}
DELETE: dict[str, Any] = {"name": "delete_rows", "input_schema": SCHEMA}
HALF, WHOLE = '{"table": "customers"', '{"table": "customers"}'
TEXT = "I look at the rows. "
IN_TEXT = '<tool_call>\n{"name": "delete_rows", "arguments": {"table": "customers"'


def ending(reason: Any, **choice: Any) -> list[Any]:
    return [{"choices": [{"index": 0, "delta": {}, "finish_reason": reason, **choice}]}, DONE]


def call(arguments: str, index: int = 0) -> dict[str, Any]:
    function = {"name": "delete_rows", "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": f"a{index}", "type": "function", "function": function}])


# What is not known to be a good end, and the error that the client repeats its request for.
BAD: list[tuple[str, list[Any], int]] = [
    *((word, ending(word), 529) for word in ("abort", "cancelled", "canceled", "aborted", "incomplete")),
    *((word, ending(word), 529) for word in ("insufficient_system_resource", "network_error", "unload")),
    *((word, ending(word), 500) for word in ("error", "unknown", "failed", "MALFORMED_FUNCTION_CALL")),
    *((word, ending(word), 500) for word in ("tired", "finish")),
    ("no word", ending({"why": "x"}), 500),
    ("error beside it", ending("error", error={"code": 502, "message": "gone"}), 529),
    ("error chunk", [{"error": {"code": 502, "message": "gone"}}, DONE], 529),
    ("native word", ending("stop", native_finish_reason="MALFORMED_FUNCTION_CALL"), 500),
    ("null and no end", ending(None)[:1], 529),
    ("closed", [], 529),
    ("cut", [BREAK], 529),
]
UNSAID: list[tuple[str, list[Any]]] = [
    *(("[DONE]", [DONE]), ("null", ending(None)), ("empty", ending(""))),
    *(("text", ending("null")), ("Python's", ending("None"))),
]


async def asked(running: Proxy, *, stream: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The message or error, and the blocks that the client got."""
    answer = await running.http.post("/v1/messages", json=body(stream=stream, tools=[DELETE]))
    if answer.headers["content-type"].startswith("application/json"):
        said = answer.json()
        assert (answer.status_code == 200) == (said["type"] == "message")
        return said, said.get("content", [])
    events = sse(answer.text)
    blocks: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
        elif event["type"] == "message_delta":
            return {"stop_reason": event["delta"]["stop_reason"]}, blocks
    assert events[-1]["type"] == "error"
    return events[-1], blocks


def newest(running: Proxy) -> Trace:
    return max(running.traces(), key=lambda trace: trace.time)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("arguments", [HALF, WHOLE, ""], ids=["half", "whole", "begun"])
async def test_no_call_is_made_of_an_answer_that_broke_off(
    tmp_path: Path, arguments: str, stream: bool
) -> None:
    upstream = Upstream()
    async with proxy_over(upstream, tmp_path) as running:
        for name, end, status in BAD:
            upstream.answer = [delta(content=TEXT), call(arguments), *end]
            said, blocks = await asked(running, stream=stream)
            assert "error" in said, name
            assert said["error"]["type"] == {529: "overloaded_error", 500: "api_error"}[status], name
            assert said["error"]["message"], name
            assert "tool_use" not in [block["type"] for block in blocks], name
            trace = newest(running)
            assert trace.response.error is not None
            assert trace.response.status == status, name
            assert trace.response.message is not None
            assert trace.response.message["content"] == [{"type": "text", "text": TEXT}], name
            assert [(one.verdict, one.input) for one in trace.tool_calls] == [("cut", None)], name
            assert arguments in trace.tool_calls[0].raw, name


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_half_of_a_text_is_no_answer_and_stays_on_record(tmp_path: Path, stream: bool) -> None:
    upstream = Upstream()
    async with proxy_over(upstream, tmp_path) as running:
        for name, end, status in BAD:
            for text in (TEXT, TEXT + IN_TEXT):
                upstream.answer = [delta(content=text), *end]
                said, blocks = await asked(running, stream=stream)
                assert "error" in said, name
                assert {block["type"] for block in blocks} <= {"text"}, name
                trace = newest(running)
                assert trace.response.status == status, name
                assert trace.response.message is not None
                assert trace.response.message["content"] == [{"type": "text", "text": text}], name


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("name", "end"), UNSAID)
async def test_an_answer_that_is_closed_without_a_word_is_taken_where_it_is_whole(
    tmp_path: Path, name: str, end: list[Any], stream: bool
) -> None:
    upstream = Upstream()
    async with proxy_over(upstream, tmp_path) as running:
        upstream.answer = [delta(content=TEXT), *end]
        said, _ = await asked(running, stream=stream)
        assert said["stop_reason"] == "end_turn"
        assert "without a finish_reason" in " ".join(newest(running).notes)

        upstream.answer = [call(WHOLE), *end]
        said, blocks = await asked(running, stream=stream)
        assert (said["stop_reason"], [block["type"] for block in blocks]) == ("tool_use", ["tool_use"])
        assert newest(running).tool_calls[0].input == {"table": "customers"}

        for answer in (
            [call(HALF)],
            [call("")],
            [call(WHOLE), call(HALF, 1)],
            [delta(content=TEXT), call(HALF)],
        ):
            upstream.answer = [*answer, *end]
            said, blocks = await asked(running, stream=stream)
            assert said["error"]["type"] == "overloaded_error"
            assert "within a call, which was not sent" in said["error"]["message"]
            assert newest(running).tool_calls[-1].verdict == "cut"

        for nothing in ([], [delta(reasoning_content="hm")]):
            upstream.answer = [*nothing, *end]
            said, _ = await asked(running, stream=stream)
            assert "before it said anything" in said["error"]["message"]

        upstream.answer = [delta(content=IN_TEXT), *end]
        said, blocks = await asked(running, stream=stream)
        assert (said["stop_reason"], [block["type"] for block in blocks]) == ("end_turn", ["text"])


async def test_an_answer_whose_chunks_all_have_null_as_text_is_read_to_its_end(tmp_path: Path) -> None:
    upstream = Upstream()
    async with proxy_over(upstream, tmp_path) as running:
        upstream.answer = [*ending("null")[:1], delta(content=TEXT), call(WHOLE), *ending("tool_calls")]
        said, blocks = await asked(running, stream=False)
    assert (said["stop_reason"], [one["type"] for one in blocks]) == ("tool_use", ["text", "tool_use"])


AS_IT_IS = "half a call in a stream, else text"
GOOD: list[tuple[str, str, str]] = [
    *(
        (word, "tool_use", "tool_use")
        for word in ("stop", "tool_calls", "function_call", "STOP", "eos_token")
    ),
    *((word, "tool_use", "tool_use") for word in ("end_turn", "tool_use", "tool_call", "tool-calls")),
    *((word, "max_tokens", AS_IT_IS) for word in ("length", "max_tokens", "MAX_TOKENS")),
    *((word, "refusal", "text") for word in ("content_filter", "SAFETY", "sensitive")),
    ("model_length", "model_context_window_exceeded", AS_IT_IS),
    ("repetition", "end_turn", "text"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_good_end_keeps_its_meaning_and_half_a_call_is_mended_only_where_the_model_ended_it(
    tmp_path: Path, stream: bool
) -> None:
    upstream = Upstream()
    async with proxy_over(upstream, tmp_path) as running:
        for word, stop_reason, block in GOOD:
            upstream.answer = [call(HALF), *ending(word)]
            said, blocks = await asked(running, stream=stream)
            kind = ("tool_use" if stream else "text") if block == AS_IT_IS else block
            assert (said["stop_reason"], [one["type"] for one in blocks]) == (stop_reason, [kind]), word


async def test_words_that_arrive_together_with_the_fault_are_on_record(tmp_path: Path) -> None:
    last = {"choices": [{"index": 0, "delta": {"content": TEXT}, "finish_reason": "error"}]}
    async with proxy_over(Upstream([last, DONE]), tmp_path) as running:
        said, blocks = await asked(running, stream=True)
        assert said["error"]["type"] == "api_error"
        assert blocks == []  # a status: the client repeats the request as it is
        trace = newest(running)
        assert trace.response.message is not None
        assert trace.response.message["content"] == [{"type": "text", "text": TEXT}]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", ["mlx", "openai"])
async def test_an_answer_that_an_upstream_sends_as_one_object_is_judged_alike(
    tmp_path: Path, stream: bool, kind: str
) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "delete_rows"}}]}
    message["tool_calls"][0]["function"]["arguments"] = HALF  # type: ignore[index]
    upstream = Upstream(content_type="application/json")
    async with proxy_over(upstream, tmp_path, kind=kind) as running:
        for reason in ("abort", "error", None, "tired"):
            whole = {"object": "chat.completion", "choices": [{"message": message, "finish_reason": reason}]}
            upstream.answer = [orjson.dumps(whole)]
            said, blocks = await asked(running, stream=stream)
            assert "error" in said
            assert blocks == []


async def test_an_error_object_in_place_of_an_answer_is_told_in_its_own_words(tmp_path: Path) -> None:
    upstream = Upstream(content_type="application/json")
    async with proxy_over(upstream, tmp_path) as running:
        upstream.answer = [b'{"code": 1113, "msg": "the balance is exhausted", "success": false}']
        said, _ = await asked(running, stream=False)
    assert said["error"]["type"] == "api_error"
    assert "the balance is exhausted" in said["error"]["message"]
