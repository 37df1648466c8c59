"""Pass-through over real sockets: the same bytes out and back, and a record of what they said."""

from __future__ import annotations

import asyncio
import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.backends.claude import ClaudeBackend
from proxy.events.types import Usage
from proxy.translate.event_bytes import event
from proxy.translate.message_tap import Decoder, MessageTap
from tests.proxy.live import BREAK, Upstream, body, proxy, proxy_over, serve

USAGE = {
    "input_tokens": 5,
    "cache_creation_input_tokens": 20,
    "cache_read_input_tokens": 70,
    "output_tokens": 1,
}
START = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-real",
    "content": [],
    "usage": USAGE,
}
TOOL: dict[str, Any] = {
    "name": "Read",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    opened = event("content_block_start", {"index": index, "content_block": start})
    filled = [event("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
    return opened + b"".join(filled) + event("content_block_stop", {"index": index})


STREAM = (
    event("message_start", {"message": START})
    + event("ping", {})
    + block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "Eq"},
    )
    + block(
        1,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "Rea"},
        {"type": "text_delta", "text": "d☃"},
    )
    + block(
        2,
        {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"pa'},
        {"type": "input_json_delta", "partial_json": 'th": "a"}'},
    )
    + event("message_delta", {"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}})
    + event("message_stop", {})
)
CONTENT = [
    {"type": "thinking", "thinking": "hm", "signature": "Eq"},
    {"type": "text", "text": "Read☃"},
    {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a"}},
]


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=6))
def test_the_message_is_read_however_the_bytes_are_cut(cuts: list[int]) -> None:
    tap = MessageTap()
    places = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(places):
        tap.feed(STREAM[start:end])
    message = tap.message()
    assert message is not None
    assert message["content"] == CONTENT
    assert (tap.complete, tap.stop_reason) == (True, "tool_use")
    assert tap.usage.model_dump() == USAGE | {"output_tokens": 9}
    assert tap.calls == [CONTENT[2]]


@given(
    st.binary(max_size=40), st.dictionaries(st.sampled_from(["type", "index", "delta"]), st.text(max_size=3))
)
def test_nothing_that_passes_disturbs_the_tap(noise: bytes, odd: dict[str, str]) -> None:
    tap = MessageTap()
    for kind in ("message_start", "content_block_delta", "content_block_stop", "message_delta", "error"):
        tap.feed(b"data: " + orjson.dumps({**odd, "type": kind}) + b"\n\n")
    tap.feed(b"data: " + noise + b"\n\n")
    tap.message()


def test_a_coding_that_cannot_be_read_is_left_alone() -> None:
    assert Decoder("gzip").feed(gzip.compress(b"hello")) == b"hello"
    assert Decoder("").feed(b"hello") == b"hello"
    for decoder in (Decoder("br"), Decoder("gzip")):
        assert decoder.feed(b"\x00garbage") == b""
        assert not decoder.readable


async def test_a_stream_passes_untouched_and_is_on_record(tmp_path: Path) -> None:
    upstream = Upstream([STREAM[:700], STREAM[700:]], headers={"request-id": "req_theirs", "x-theirs": "1"})
    raw = b'{"model":"claude-real",  "stream":true,"max_tokens":9,'
    raw += b'"messages":[{"role":"user","content":"\\u00e9"}],"tools":' + orjson.dumps([TOOL]) + b"}"
    async with proxy_over(upstream, tmp_path, kind="claude") as running:
        response = await running.http.post(
            "/v1/messages?beta=true",
            content=raw,
            headers={"x-api-key": "sk-theirs", "anthropic-beta": "a,b", "x-odd": "2"},
        )
    assert response.content == STREAM
    assert (response.headers["request-id"], response.headers["x-theirs"]) == ("req_theirs", "1")
    (sent,) = upstream.requests
    assert (sent["method"], sent["path"], sent["raw"]) == ("POST", "/v1/messages?beta=true", raw)
    headers = dict(sent["headers"])
    assert (headers[b"x-api-key"], headers[b"anthropic-beta"], headers[b"x-odd"]) == (
        b"sk-theirs",
        b"a,b",
        b"2",
    )
    (trace,) = running.traces()
    assert trace.response.message is not None
    assert trace.response.message["content"] == CONTENT
    assert trace.usage.prompt_tokens == 95
    assert trace.cache is not None
    assert trace.cache.matched_tokens == 70
    assert [(call.name, call.verdict) for call in trace.tool_calls] == [("Read", "valid")]
    assert "sk-theirs" not in trace.model_dump_json()


async def test_compressed_answers_stay_compressed_and_are_read(tmp_path: Path) -> None:
    packed = gzip.compress(STREAM)
    upstream = Upstream([packed], headers={"content-encoding": "gzip"})
    async with proxy_over(upstream, tmp_path, kind="claude") as running:
        sent = {"accept-encoding": "br, gzip;q=0.8, zstd"}
        async with running.http.stream("POST", "/v1/messages", json=body(), headers=sent) as response:
            passed = b"".join([data async for data in response.aiter_raw()])
    assert passed == packed
    assert dict(upstream.requests[0]["headers"])[b"accept-encoding"] == b"gzip;q=0.8"
    assert running.traces()[0].usage.output_tokens == 9


async def test_whole_messages_pass_and_are_on_record(tmp_path: Path) -> None:
    message = START | {"content": CONTENT, "stop_reason": "tool_use"}
    raw = orjson.dumps(message)
    upstream = Upstream([raw], content_type="application/json")
    async with proxy_over(upstream, tmp_path, kind="claude") as running:
        response = await running.http.post("/v1/messages", json=body())
    assert response.content == raw
    (trace,) = running.traces()
    assert trace.response.message == message
    assert trace.tool_calls[0].verdict == "unchecked"  # the request names no tools: the endpoint's own


async def test_errors_pass_with_their_status_and_headers(tmp_path: Path) -> None:
    refusal = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    upstream = Upstream([refusal], status=429, headers={"retry-after": "17", "x-should-retry": "true"})
    async with proxy_over(upstream, tmp_path, kind="claude") as running:
        response = await running.http.post("/v1/messages", json=body(stream=True))
    assert (response.status_code, response.json()) == (429, refusal)
    assert (response.headers["retry-after"], response.headers["x-should-retry"]) == ("17", "true")
    (trace,) = running.traces()
    assert trace.response.error is not None
    assert (trace.response.status, trace.response.error.message) == (429, "slow down")


async def test_other_paths_only_pass(tmp_path: Path) -> None:
    upstream = Upstream(other={"/v1/models": {"data": []}, "/v1/messages/count_tokens": {"input_tokens": 3}})
    async with proxy_over(upstream, tmp_path, kind="claude") as running:
        assert (await running.http.get("/v1/models?limit=1000")).json() == {"data": []}
        counted = await running.http.post("/v1/messages/count_tokens", content=b"{not json")
        assert counted.json() == {"input_tokens": 3}
        assert (await running.http.head("/")).status_code == 200
        assert (await running.http.get("/elsewhere")).json()["error"]["type"] == "not_found_error"
    assert [sent["path"] for sent in upstream.requests] == [
        "/v1/models?limit=1000",
        "/v1/messages/count_tokens",
    ]
    assert not running.events


async def test_bodies_that_are_no_json_pass_too(tmp_path: Path) -> None:
    refusal = {"type": "error", "error": {"type": "invalid_request_error", "message": "no JSON"}}
    upstream = Upstream([refusal], status=400)
    upstream.other = {"/v1/messages": refusal}
    async with proxy_over(upstream, tmp_path, kind="claude") as running:
        await running.http.post("/v1/messages", content=b"{broken")
    assert upstream.requests[0]["raw"] == b"{broken"
    assert running.traces()[0].request.body == "{broken"


@pytest.mark.parametrize("broken", [[BREAK], []], ids=["cut", "ended without a verdict"])
async def test_a_stream_that_breaks_ends_with_an_error(broken: list[Any], tmp_path: Path) -> None:
    async with proxy_over(Upstream([STREAM[:900], *broken]), tmp_path, kind="claude") as running:
        response = await running.http.post("/v1/messages", json=body(stream=True))
    passed, _, error = response.content.partition(b"event: error\ndata: ")
    assert passed == STREAM[: STREAM.rindex(b"\n\n", 0, 900) + 2]  # half an event would hide the error
    assert orjson.loads(error)["error"]["type"] == "overloaded_error"
    (trace,) = running.traces()
    assert trace.response.error is not None
    assert trace.response.error.type == "overloaded_error"
    assert trace.response.message is not None


async def test_a_stream_that_breaks_counts_the_pieces_that_it_sent(tmp_path: Path) -> None:
    usage = {"input_tokens": 7, "output_tokens": 1}
    said = event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "word "}})
    script: list[Any] = [
        event("message_start", {"message": {"id": "msg_1", "content": [], "usage": usage}}),
        event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        *[said] * 5,
        BREAK,
    ]
    async with proxy_over(Upstream(script), tmp_path, kind="claude") as running:
        await running.http.post("/v1/messages", json=body(stream=True))
    (trace,) = running.traces()
    assert (trace.usage, trace.usage_estimated) == (Usage(input_tokens=7, output_tokens=5), True)
    assert "the pieces that it sent" in " ".join(trace.notes)


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
async def test_each_event_passes_as_soon_as_it_is_whole(line_break: bytes, tmp_path: Path) -> None:
    events = [part + b"\n\n" for part in STREAM.split(b"\n\n")[:3]]
    sent = [whole.replace(b"\n", line_break) for whole in events]
    script = [sent[0], sent[1] + sent[2][:20], asyncio.Event()]
    got = b""
    async with (
        proxy_over(Upstream(script), tmp_path, kind="claude") as running,
        running.http.stream("POST", "/v1/messages", json=body(stream=True)) as response,
    ):
        async for chunk in response.aiter_raw():
            got += chunk
            if len(got) >= len(sent[0] + sent[1]):
                break
    assert got == sent[0] + sent[1]


async def test_a_comment_passes_at_once(tmp_path: Path) -> None:
    script: list[Any] = [b": alive\n", asyncio.Event()]
    async with (
        proxy_over(Upstream(script), tmp_path, kind="claude") as running,
        running.http.stream("POST", "/v1/messages", json=body(stream=True)) as response,
    ):
        assert await anext(response.aiter_raw()) == b": alive\n"


async def test_an_endpoint_that_is_not_there_can_be_retried(tmp_path: Path) -> None:
    async with proxy(tmp_path, ClaudeBackend("http://127.0.0.1:1")) as running:
        response = await running.http.post("/v1/messages", json=body())
    assert (response.status_code, response.json()["error"]["type"]) == (529, "overloaded_error")
    assert running.traces()[0].response.status == 529


async def test_a_person_can_cancel_what_passes(tmp_path: Path) -> None:
    upstream = Upstream([STREAM[:900], asyncio.Event()])
    async with proxy_over(upstream, tmp_path, kind="claude") as running:
        asking = asyncio.create_task(running.http.post("/v1/messages", json=body(stream=True)))
        await running.until("request.first_token")
        assert running.recorder.cancel(str(running.events[0].request))
        assert '"you cancelled this request' in (await asking).text.rpartition("event: error")[2]
        async with asyncio.timeout(10):
            await upstream.left.wait()
        assert (await running.until("request.failed"))["error"]["cause"] == "cancelled by you"


async def test_a_client_that_leaves_ends_the_passage(tmp_path: Path) -> None:
    upstream = Upstream([STREAM[:900], asyncio.Event()])
    async with proxy_over(upstream, tmp_path, kind="claude") as running:
        asking = asyncio.create_task(running.http.post("/v1/messages", json=body(stream=True)))
        await running.until("request.first_token")
        asking.cancel()
        await asyncio.wait([asking])
        async with asyncio.timeout(10):
            await upstream.left.wait()
        assert (await running.until("request.failed"))["cancelled"] is True


def test_the_proxys_own_key_takes_the_place_of_the_clients() -> None:
    client = [
        (b"x-api-key", b"sk-client"),
        (b"authorization", b"Bearer t"),
        (b"connection", b"close"),
        (b"host", b"h"),
    ]
    assert ClaudeBackend("http://x", key="sk-own").outgoing(client) == [
        (b"x-api-key", b"sk-own"),
        (b"accept-encoding", b"identity"),
    ]


def test_the_proxys_token_stays_behind() -> None:
    client = [(b"x-api-key", b"sk-client"), (b"authorization", b"Bearer local")]
    assert ClaudeBackend("http://x", token="local").outgoing(client)[:-1] == [(b"x-api-key", b"sk-client")]


async def test_a_base_url_may_have_a_path(tmp_path: Path) -> None:
    upstream = Upstream(other={"/gateway/v1/models": {"data": []}})
    async with serve(upstream) as url, proxy(tmp_path, ClaudeBackend(f"{url}/gateway/v1")) as running:
        assert (await running.http.get("/v1/models")).json() == {"data": []}


async def test_a_web_proxy_of_the_environment_gets_nothing_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream, elsewhere = Upstream(other={"/v1/models": {"data": []}}), Upstream()
    async with serve(elsewhere) as web_proxy, serve(upstream) as url:
        monkeypatch.setenv("HTTP_PROXY", web_proxy)
        async with proxy(tmp_path, ClaudeBackend(url)) as running:
            assert (await running.http.get("/v1/models")).json() == {"data": []}
