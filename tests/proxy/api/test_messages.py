"""One request's life over real sockets: a client, the proxy's application, an upstream that plays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anthropic
import httpx
import orjson
import pytest

from proxy.backends.openai import OpenAIBackend
from proxy.events.causes import RESTART_REQUESTED
from proxy.events.errors import UpstreamUnavailable
from proxy.events.types import Usage
from proxy.traces.schema import Trace
from proxy.translate.event_bytes import event
from tests.proxy.live import (
    BREAK,
    DONE,
    FINISH,
    USAGE,
    Proxy,
    Upstream,
    body,
    calls,
    delta,
    proxy,
    proxy_over,
    says,
    sse,
)

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
READ: dict[str, Any] = {"name": "Read", "description": "Read a file.", "input_schema": SCHEMA}
PATH = "/v1/messages?beta=true"


def feed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"object": "anyclaude.feed", "kind": kind, **fields}


LOOKUP = feed("lookup", prompt_tokens=90, matched_tokens=60, kept_tokens=20, tier="memory", miss=None)


def sdk(running: Proxy) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=running.url, api_key="any", max_retries=0)


async def test_a_stream_arrives_whole_and_on_record(tmp_path: Path) -> None:
    async with proxy_over(Upstream(says("Hel", "lo")), tmp_path) as running:
        response = await running.http.post(PATH, json=body(stream=True))
        events = sse(response.text)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events[0]["message"]["model"] == "claude-test"
    assert "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta") == "Hello"
    assert events[-1] == {"type": "message_stop"}
    (trace,) = running.traces()
    assert trace.id == response.headers["request-id"]
    assert trace.request.query == "beta=true"
    assert trace.upstream["messages"] == [{"role": "user", "content": "hello"}]
    assert trace.upstream_model == "tiny"
    assert trace.response.message is not None
    assert trace.response.message["content"] == [{"type": "text", "text": "Hello"}]
    assert (trace.usage.input_tokens, trace.usage.output_tokens) == (7, 3)
    assert trace.timings.first_byte is not None
    assert trace.timings.first_token is not None


async def test_a_whole_answer_is_one_message(tmp_path: Path) -> None:
    async with proxy_over(Upstream(says("Hello")), tmp_path) as running:
        response = await running.http.post(PATH, json=body())
    message = response.json()
    assert anthropic.types.Message.model_validate(message).stop_reason == "end_turn"
    assert message["content"] == [{"type": "text", "text": "Hello"}]
    assert message["usage"]["output_tokens"] == 3
    assert running.traces()[0].response.status == 200


async def test_the_answer_is_on_disk_before_the_client_sees_its_end(tmp_path: Path) -> None:
    async with (
        proxy_over(Upstream(says("Hello")), tmp_path) as running,
        running.http.stream("POST", PATH, json=body(stream=True)) as response,
    ):
        async for line in response.aiter_lines():
            # Claude Code takes a message for complete with its last block, and then reads its usage.
            if "content_block_stop" in line:
                assert running.traces()[0].response.status == 200
                break
        else:
            pytest.fail("no content_block_stop")


async def test_the_vendors_package_streams_tools_and_thinking(tmp_path: Path) -> None:
    upstream = Upstream(
        [
            delta(reasoning_content="hm"),
            delta(content="I read."),
            calls("Read", '{"path": "a"}'),
            FINISH,
            USAGE,
            DONE,
        ]
    )
    async with (
        proxy_over(upstream, tmp_path) as running,
        sdk(running) as client,
        client.messages.stream(
            model="claude-test",
            max_tokens=2000,
            messages=[{"role": "user", "content": "go"}],
            tools=[READ],  # type: ignore[list-item]
            thinking={"type": "enabled", "budget_tokens": 1024},
        ) as stream,
    ):
        message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[2].input == {"path": "a"}  # type: ignore[union-attr]
    assert message.stop_reason == "tool_use"
    (call,) = running.traces()[0].tool_calls
    assert (call.name, call.verdict) == ("Read", "valid")


async def test_the_vendors_package_gets_whole_messages_and_errors(tmp_path: Path) -> None:
    upstream = Upstream(
        [
            {
                "error": {
                    "message": "This model's maximum context length is 10 tokens. However, "
                    "your messages resulted in 20 tokens."
                }
            }
        ],
        status=400,
    )
    async with proxy_over(upstream, tmp_path) as running, sdk(running) as client:
        with pytest.raises(anthropic.BadRequestError, match="prompt is too long: 20 tokens > 10 maximum"):
            await client.messages.create(
                model="m", max_tokens=5, messages=[{"role": "user", "content": "go"}]
            )


async def test_the_engines_lookup_is_in_the_start_and_its_progress_on_record(tmp_path: Path) -> None:
    upstream = Upstream(
        [
            feed("queued", position=1, waiting_s=0.5),
            LOOKUP,
            feed("prefill", done=80, total=90, cached=60),
            feed("cache", event="inserted", tokens=20, bytes=9, entries=1, total_bytes=9, budget_bytes=99),
            feed("progress", output_tokens=4, text="<tool_call>"),
            feed("tool_raw", index=0, raw="<tool_call>Read a"),
            calls("Read", '{"path": "a"}'),
            feed("note", text="the model hesitated"),
            FINISH,
            {"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 12}},
            DONE,
        ]
    )
    async with proxy_over(upstream, tmp_path, kind="mlx") as running:
        events = sse((await running.http.post(PATH, json=body(stream=True, tools=[READ]))).text)
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 60}
    assert events[0]["message"]["usage"] == usage | {"output_tokens": 0}
    assert events[-2]["usage"] == usage | {"output_tokens": 12}
    sent = dict(upstream.requests[0]["headers"])
    assert (sent[b"x-anyclaude-feed"], sent[b"x-anyclaude-lane"]) == (b"1", b"main")
    assert running.told("request.queued")[0]["position"] == 1
    assert running.told("request.prefill")[0] == {"done": 80, "total": 90, "cached": 60}
    assert running.told("cache.inserted")[0]["tokens"] == 20
    assert running.told("request.tool_call")[0]["raw"] == "<tool_call>Read a"
    assert "<tool_call>" in "".join(told["text"] for told in running.told("request.delta"))
    (trace,) = running.traces()
    assert trace.cache is not None
    assert trace.cache.matched_tokens == 60
    assert "the model hesitated" in trace.notes


def opened(*pieces: str) -> list[Any]:
    """A call that the engine's grammar holds, in pieces, without what follows its arguments."""
    first = {"index": 0, "id": "call_0123456789abcdef", "function": {"name": "Read", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    return [
        LOOKUP,
        feed("progress", output_tokens=4, text="<tool_call>"),
        feed("tool_open", index=0, family="hermes", constrained=True),
        *(delta(tool_calls=[piece]) for piece in [first, *rest]),
    ]


WHOLE = feed(
    "tool_raw",
    index=0,
    raw="<tool_call>Read a",
    tokens=[3, 1, 4],
    family="hermes",
    constrained=True,
    relaxed="",
    repairs=[],
)


async def test_a_call_reaches_the_vendors_package_while_it_is_written(tmp_path: Path) -> None:
    seen = asyncio.Event()
    upstream = Upstream([*opened('{"path"', ': "a'), seen, *opened('bc"}')[-1:], WHOLE, FINISH, USAGE, DONE])
    pieces: list[str] = []
    async with (
        proxy_over(upstream, tmp_path, kind="mlx") as running,
        sdk(running) as client,
        client.messages.stream(
            model="claude-test",
            max_tokens=2000,
            messages=[{"role": "user", "content": "go"}],
            tools=[READ],  # type: ignore[list-item]
        ) as stream,
    ):
        async for step in stream:
            if step.type == "input_json":
                pieces.append(step.partial_json)
                if len(pieces) == 2:
                    seen.set()  # the upstream goes on only now
        message = await stream.get_final_message()
    assert pieces == ['{"path"', ': "a', 'bc"}']
    assert message.content[0].input == {"path": "abc"}  # type: ignore[union-attr]
    assert message.stop_reason == "tool_use"
    (call,) = running.traces()[0].tool_calls
    assert (call.raw, call.tokens, call.family) == ("<tool_call>Read a", [3, 1, 4], "hermes")
    assert (call.constrained, call.repairs, call.verdict) == (True, [], "valid")
    (event,) = running.told("request.tool_call")
    assert (event["raw_tokens"], event["family"], event["constrained"]) == (3, "hermes", True)
    assert "tokens" not in event
    assert "".join(told["text"] for told in running.told("request.delta")).endswith('{"path": "abc"}')


async def test_a_call_that_is_cut_while_it_is_passed_on_ends_as_max_tokens(tmp_path: Path) -> None:
    cut = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    async with proxy_over(Upstream([*opened('{"pa'), cut, DONE]), tmp_path, kind="mlx") as running:
        events = sse((await running.http.post(PATH, json=body(stream=True, tools=[READ]))).text)
        whole = (await running.http.post(PATH, json=body(tools=[READ]))).json()
    assert events[-2]["delta"]["stop_reason"] == whole["stop_reason"] == "max_tokens"
    assert events[-3]["type"] == "content_block_stop"
    assert [block["type"] for block in whole["content"]] == ["text"]
    assert '{"pa' in whole["content"][0]["text"]
    assert [call.verdict for trace in running.traces() for call in trace.tool_calls] == ["cut", "cut"]


@pytest.mark.parametrize("end", [[BREAK], [FINISH, DONE]], ids=["broke off", "ended"])
async def test_half_a_call_that_will_not_go_on_is_an_error(tmp_path: Path, end: list[Any]) -> None:
    seen = asyncio.Event()
    upstream = Upstream([*opened('{"pa'), seen, *end])
    async with proxy_over(upstream, tmp_path, kind="mlx") as running:
        asking = running.http.stream("POST", PATH, json=body(stream=True, tools=[READ]))
        async with asking as response:
            text = ""
            async for piece in response.aiter_text():
                text += piece
                if "tool_use" in text:
                    seen.set()  # the upstream goes on only now
    events = sse(text)
    assert events[-1]["type"] == "error"
    assert "message_stop" not in [event["type"] for event in events]
    (trace,) = running.traces()
    assert trace.response.error is not None
    assert trace.response.message is not None
    assert trace.response.message["content"][0]["input"] == {"_unparsed": '{"pa'}


async def test_a_call_that_another_server_sends_as_text_is_a_call(tmp_path: Path) -> None:
    text = '<tool_call>\n{"name": "Read", "arguments": {"path": "a"}}\n</tool_call>'
    async with proxy_over(Upstream(says("I read.", text[:20], text[20:])), tmp_path) as running:
        with_tools = (await running.http.post(PATH, json=body(tools=[READ]))).json()
        without = (await running.http.post(PATH, json=body())).json()
        forbidden = body(tools=[READ], tool_choice={"type": "none"})
        unwanted = (await running.http.post(PATH, json=forbidden)).json()
    assert [block["type"] for block in with_tools["content"]] == ["text", "tool_use"]
    assert with_tools["stop_reason"] == "tool_use"
    for message in (without, unwanted):
        assert "".join(block["text"] for block in message["content"]) == f"I read.{text}"
        assert message["stop_reason"] == "end_turn"


async def test_silence_is_filled_with_pings_before_and_after_the_start(tmp_path: Path) -> None:
    looked_up, answered = asyncio.Event(), asyncio.Event()
    upstream = Upstream([looked_up, LOOKUP, answered, *says("done")])
    seen: list[str] = []
    async with (
        proxy_over(upstream, tmp_path, kind="mlx", ping_s=0.02) as running,
        running.http.stream("POST", PATH, json=body(stream=True)) as response,
    ):
        async for line in response.aiter_lines():
            if not line.startswith("event: "):
                continue
            seen.append(line.removeprefix("event: "))
            if seen.count("ping") == 2:
                looked_up.set()
            if "message_start" in seen and seen[-3:] == ["ping"] * 3:
                answered.set()
    assert seen[:2] == ["ping", "ping"]
    assert seen[-1] == "message_stop"


async def test_a_call_that_fits_no_schema_is_the_clients_to_answer(tmp_path: Path) -> None:
    upstream = Upstream([calls("Read", '{"file": "a"}'), FINISH, USAGE, DONE])
    async with proxy_over(upstream, tmp_path) as running:
        message = (await running.http.post(PATH, json=body(tools=[READ]))).json()
    assert message["stop_reason"] == "tool_use"
    assert message["content"][0]["input"] == {"file": "a"}
    (trace,) = running.traces()
    assert trace.tool_calls[0].verdict == "invalid"
    assert any("path" in note for note in trace.notes)


REFUSALS: list[tuple[bytes, int, str]] = [
    (b"{", 400, "invalid_request_error"),
    (b"[]", 400, "invalid_request_error"),
    (b"", 400, "invalid_request_error"),
    (b'{"messages": "hi"}', 400, "invalid_request_error"),
    (orjson.dumps(body(max_tokens=-1, stream=True)), 400, "invalid_request_error"),
]


@pytest.mark.parametrize(("raw", "status", "kind"), REFUSALS)
async def test_broken_bodies_are_refused_and_on_record(
    raw: bytes, status: int, kind: str, tmp_path: Path
) -> None:
    async with proxy_over(Upstream(), tmp_path) as running:
        response = await running.http.post(PATH, content=raw)
    assert response.status_code == status
    told = response.json()
    assert told["type"] == "error"
    assert told["error"]["type"] == kind
    assert told["request_id"] == response.headers["request-id"]
    (trace,) = running.traces()
    assert trace.response.error is not None
    assert trace.response.error.message == told["error"]["message"]


async def test_a_body_that_is_too_big_is_refused_unread(tmp_path: Path) -> None:
    async with proxy_over(Upstream(), tmp_path, max_body_bytes=1000) as running:
        response = await running.http.post(PATH, json=body(system="x" * 2000))

        async def endless() -> Any:
            for _ in range(50):
                yield b"x" * 100

        chunked = await running.http.post(PATH, content=endless())
    for refused in (response, chunked):
        assert refused.status_code == 413
        assert refused.json()["error"]["type"] == "request_too_large"


async def test_while_the_engine_loads_the_client_is_told_to_come_back(tmp_path: Path) -> None:
    gate = UpstreamUnavailable("the model is loading (40 %)", retry_after_s=3)
    async with proxy_over(Upstream(says("no")), tmp_path, gate=gate) as running:
        for stream in (True, False):
            response = await running.http.post(PATH, json=body(stream=stream))
            assert response.status_code == 529
            assert response.headers["retry-after"] == "3"
            assert response.json()["error"] == {
                "type": "overloaded_error",
                "message": "the model is loading (40 %)",
            }
    assert [trace.response.status for trace in running.traces()] == [529, 529]


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("engine made no progress for 180 s; it is being restarted", "engine hung"),
        (f"{RESTART_REQUESTED}; it is being restarted", "engine restarting"),
        ("engine exited with signal 9 (out of memory?); it is being restarted", "engine died"),
        (None, "engine died"),
    ],
)
async def test_an_answer_that_breaks_off_as_the_host_ends_the_engine_says_so(
    end: str | None, cause: str, tmp_path: Path
) -> None:
    gates = iter([None, UpstreamUnavailable(end, retry_after_s=4) if end else None])
    upstream = Upstream([b""])  # it ends in the middle of its answer
    async with proxy_over(upstream, tmp_path, kind="mlx", gates=gates) as running:
        response = await running.http.post(PATH, json=body(stream=False))
        assert response.status_code == 529
    (trace,) = running.traces()
    assert trace.response.error is not None
    assert trace.response.error.cause == cause
    assert (response.headers["retry-after"] == "4") is (cause != "engine died")


async def test_an_upstream_that_is_not_there_can_be_retried(tmp_path: Path) -> None:
    async with proxy(tmp_path, OpenAIBackend("http://127.0.0.1:1/v1", "m")) as running:
        response = await running.http.post(PATH, json=body(stream=True))
    assert response.status_code == 529
    assert "cannot be reached" in response.json()["error"]["message"]


@pytest.mark.parametrize("broken", [[BREAK], []], ids=["cut", "ended without a verdict"])
async def test_a_break_in_the_middle_is_an_error_event_and_no_end(broken: list[Any], tmp_path: Path) -> None:
    async with proxy_over(Upstream([delta(content="half"), *broken]), tmp_path) as running:
        events = sse((await running.http.post(PATH, json=body(stream=True))).text)
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["type"] == "overloaded_error"
    assert not any(event["type"] in ("message_delta", "message_stop") for event in events)
    (trace,) = running.traces()
    assert trace.response.error is not None
    assert trace.response.message is not None
    assert trace.response.message["content"] == [{"type": "text", "text": "half"}]


async def test_an_answer_that_breaks_off_before_it_is_counted_is_estimated(tmp_path: Path) -> None:
    long = [{"role": "user", "content": "word " * 4000}]
    usage = {"choices": [], "usage": {"prompt_tokens": 5000, "completion_tokens": 100}}
    upstream = Upstream([delta(content="half"), BREAK])
    async with proxy_over(upstream, tmp_path) as running:

        async def ask() -> Trace:
            await running.http.post(PATH, json=body(stream=True, messages=long))
            return max(running.traces(), key=lambda trace: trace.time)

        first = await ask()
        assert (first.usage, first.usage_estimated) == (Usage(output_tokens=1), True)
        assert "usage is not known" in " ".join(first.notes)
        upstream.answer = [delta(content="abcd " * 80), FINISH, usage, DONE]
        whole = await ask()
        assert (whole.usage.input_tokens, whole.usage_estimated) == (5000, False)
        upstream.answer = [delta(content="abcd " * 40), BREAK]
        second = await ask()
        assert second.usage == Usage(input_tokens=5000, output_tokens=50)
        assert second.usage_estimated
        assert "usage is an estimate" in " ".join(second.notes)
        upstream.answer, upstream.status = [{"error": {"message": "no"}}], 400
        refused = await ask()
        assert (refused.usage, refused.usage_estimated) == (Usage(), False)


async def test_a_break_of_a_whole_answer_is_a_status(tmp_path: Path) -> None:
    async with proxy_over(Upstream([delta(content="half"), BREAK]), tmp_path) as running:
        response = await running.http.post(PATH, json=body())
    assert response.status_code == 529
    assert response.json()["error"]["type"] == "overloaded_error"


async def test_an_error_object_before_any_output_is_a_status(tmp_path: Path) -> None:
    upstream = Upstream([{"error": {"message": "boom", "type": "server_error"}}])
    async with proxy_over(upstream, tmp_path) as running:
        response = await running.http.post(PATH, json=body(stream=True))
    assert (response.status_code, response.json()["error"]["type"]) == (500, "api_error")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_that_a_person_cancels_gets_an_error_that_is_not_repeated(
    stream: bool, tmp_path: Path
) -> None:
    upstream = Upstream([delta(content="half"), asyncio.Event()])
    async with proxy_over(upstream, tmp_path) as running:
        asking = asyncio.create_task(running.http.post(PATH, json=body(stream=stream)))
        await running.until("request.first_token")
        request_id = str(running.events[0].request)
        assert running.recorder.cancel(request_id)
        response = await asking
        async with asyncio.timeout(10):
            await upstream.left.wait()
        assert not running.recorder.cancel(request_id)
        # Claude Code asks for a stream that broke again, without a stream, whatever the error says.
        if stream:
            assert (await running.http.post(PATH, json=body())).status_code == 499
        asked = len(upstream.bodies)
        once_more = asyncio.create_task(running.http.post(PATH, json=body()))
        for _ in range(asked + 1):
            await upstream.arrivals.acquire()
        once_more.cancel()
    assert asked == 1
    error = sse(response.text)[-1]["error"] if stream else response.json()["error"]
    assert error["message"].startswith("you cancelled this request")
    if not stream:
        assert (response.status_code, response.headers["x-should-retry"]) == (499, "false")
    told = running.told("request.failed")[0]
    assert (told["cancelled"], told["error"]["cause"]) == (True, "cancelled by you")
    trace = running.traces()[0]
    assert trace.response.message is not None
    assert trace.response.message["content"][0]["text"] == "half"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_the_work_upstream(stream: bool, tmp_path: Path) -> None:
    counted = {"usage": {"prompt_tokens": 9, "completion_tokens": 4}}
    upstream = Upstream([delta(content="half") | counted, asyncio.Event()])
    async with proxy_over(upstream, tmp_path) as running:
        asking = asyncio.create_task(running.http.post(PATH, json=body(stream=stream)))
        await running.until("request.first_token")
        asking.cancel()
        await asyncio.wait([asking])
        async with asyncio.timeout(10):
            await upstream.left.wait()
        told = await running.until("request.failed")
    assert told["cancelled"] is True
    (trace,) = running.traces()
    assert trace.response.cancelled
    assert trace.response.message is not None
    assert trace.response.message["content"][0]["text"] == "half"
    assert trace.usage == Usage(input_tokens=9, output_tokens=4)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_for_no_token_only_computes_the_prompt(stream: bool, tmp_path: Path) -> None:
    looked = feed("lookup", prompt_tokens=9, matched_tokens=0, kept_tokens=9, tier="none")
    upstream = Upstream([looked, delta(content="I"), *says()])
    async with proxy_over(upstream, tmp_path, kind="mlx") as running:
        answer = await running.http.post(PATH, json=body(max_tokens=0, stream=stream))
    if stream:
        events = sse(answer.text)
        assert [one["type"] for one in events] == ["message_start", "ping", "message_delta", "message_stop"]
        message = events[2]["delta"] | {
            "content": events[0]["message"]["content"],
            "usage": events[2]["usage"],
        }
    else:
        message = answer.json()
    assert (message["content"], message["stop_reason"]) == ([], "max_tokens")
    assert (message["usage"]["cache_creation_input_tokens"], message["usage"]["output_tokens"]) == (9, 0)
    assert upstream.bodies[0]["max_tokens"] == 1
    assert dict(upstream.requests[0]["headers"])[b"x-anyclaude-lane"] == b"main"


async def test_the_start_has_usage_where_the_upstream_counts_early(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 4}}
    first = delta(role="assistant", content="") | {"usage": usage}
    async with proxy_over(Upstream([first, *says("hi")]), tmp_path) as running:
        events = sse((await running.http.post(PATH, json=body(stream=True))).text)
    start, end = events[0]["message"]["usage"], events[-2]["usage"]
    assert (start["input_tokens"], start["cache_read_input_tokens"], start["output_tokens"]) == (5, 4, 0)
    assert (end["input_tokens"], end["output_tokens"]) == (7, 3)  # the last count is the upstream's own


@pytest.mark.parametrize("kind", ["openai", "claude"])
async def test_a_proxy_that_stops_tells_its_clients(kind: str, tmp_path: Path) -> None:
    start = event("message_start", {"message": {"id": "msg_1", "content": []}})
    text = event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "half"}})
    half = [start + text] if kind == "claude" else [delta(content="half")]
    async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
        async with proxy_over(Upstream([*half, asyncio.Event()]), tmp_path, kind=kind) as running:
            url = f"{running.url}{PATH}"
            asking = asyncio.create_task(http.post(url, json=body(stream=True)))
            await running.until("request.first_token")
        events = sse((await asking).text)
    assert events[-1]["error"]["type"] == "overloaded_error"
    assert "stopped" in events[-1]["error"]["message"]
    (trace,) = running.traces()
    assert trace.response.error is not None


async def test_a_fault_of_our_own_is_an_error_with_a_verdict(tmp_path: Path) -> None:
    class Broken(OpenAIBackend):
        async def model_name(self) -> str:
            raise LookupError("oh")

    async with proxy(tmp_path, Broken("http://127.0.0.1:1/v1", "m")) as running:
        response = await running.http.post(PATH, json=body(stream=True))
    assert response.status_code == 500
    assert "LookupError" in response.json()["error"]["message"]
    assert running.told("request.failed")


async def test_requests_do_not_wait_for_each_other(tmp_path: Path) -> None:
    gate = asyncio.Event()
    upstream = Upstream([gate, *says("ok")])
    async with proxy_over(upstream, tmp_path) as running:
        asked = [asyncio.create_task(running.http.post(PATH, json=body(stream=True))) for _ in range(20)]
        for _ in asked:
            async with asyncio.timeout(10):
                await upstream.arrivals.acquire()
        gate.set()
        responses: list[httpx.Response] = await asyncio.gather(*asked)
    assert all("message_stop" in response.text for response in responses)
    assert len({response.headers["request-id"] for response in responses}) == 20
