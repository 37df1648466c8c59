"""The host API as the screen asks it, and what it says when there is no good answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.scripted_upstream import serving
from engine.wire.json_text import encode_json
from tests.tui.trace_samples import sample_trace, summaries
from tests.tui.traffic import Morning
from tui.client.host_client import BadId, HostClient, HostError

ROWS = summaries(Morning().play())


def answering(answers: dict[str, Any]) -> tuple[Starlette, list[str]]:
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        asked.append(f"{request.method} {request.url.path}?{request.url.query}")
        found = answers.get(request.url.path)
        if isinstance(found, Response):
            return found
        return JSONResponse(found) if found is not None else PlainTextResponse("nothing here", 404)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])]), asked


@asynccontextmanager
async def host(answers: dict[str, Any]) -> AsyncIterator[tuple[HostClient, list[str]]]:
    app, asked = answering(answers)
    with serving(app) as url:
        client = HostClient(url.removesuffix("/v1"))
        try:
            yield client, asked
        finally:
            await client.close()


async def test_it_asks_for_pages_and_for_one_trace() -> None:
    page = {"traces": [row.model_dump(mode="json") for row in ROWS[:3]], "total": 28}
    whole = sample_trace(ROWS[0]).model_dump(mode="json")
    async with host({"/anyclaude/traces": page, "/anyclaude/traces/a": whole}) as (client, asked):
        listed = await client.traces(limit=3, offset=200, query="main !sub")
        assert (listed.traces, listed.total, listed.offset) == (ROWS[:3], 28, 200)
        await client.traces(sort="took", reverse=True, since=5.5, around="a")
        assert (await client.trace("a")).id == ROWS[0].id
    assert asked[0] == "GET /anyclaude/traces?limit=3&offset=200&q=main+%21sub"
    assert asked[1] == "GET /anyclaude/traces?limit=100&around=a&sort=took&reverse=1&from=5.5"


async def test_a_trace_is_read_as_deep_as_the_recorder_writes() -> None:
    deep: Any = "deep"
    for _ in range(199):
        deep = [deep]
    written = encode_json(sample_trace(ROWS[0]).model_copy(update={"upstream": deep}).model_dump())
    async with host({"/anyclaude/traces/a": Response(written)}) as (client, _):
        assert (await client.trace("a")).upstream == deep


async def test_it_restarts_the_engine_and_cancels_a_request() -> None:
    restarting = {"restarting": True, "running": 2}
    cancelling = {"cancelling": "req_12"}
    answers = {"/anyclaude/engine/restart": restarting, "/anyclaude/requests/12/cancel": cancelling}
    async with host(answers) as (client, asked):
        assert await client.restart_engine() == 2
        assert await client.restart_engine(drain=True) == 2
        assert await client.cancel("12") == "req_12"
    assert asked[:2] == ["POST /anyclaude/engine/restart?", "POST /anyclaude/engine/restart?drain=1"]


async def test_no_good_answer_is_said_in_words() -> None:
    refused = JSONResponse({"type": "error", "error": {"message": "there is no engine of ours"}}, 400)
    answers = {
        "/anyclaude/engine/restart": refused,
        "/anyclaude/state": {"hello": "world"},
        "/anyclaude/traces": {"rows": []},
        "/anyclaude/traces/a": {"id": 1},
    }
    async with host(answers) as (client, _):
        with pytest.raises(HostError, match=r"^there is no engine of ours"):
            await client.restart_engine()
        with pytest.raises(HostError, match="does not answer like an anyclaude host"):
            await client.state()
        with pytest.raises(HostError, match="list of traces could not be read"):
            await client.traces()
        with pytest.raises(HostError, match="trace a could not be read"):
            await client.trace("a")
        with pytest.raises(HostError, match="HTTP 404: nothing here"):
            await client.trace("b")


async def test_nothing_there_is_said_in_words() -> None:
    client = HostClient("http://127.0.0.1:9/")
    with pytest.raises(HostError, match=r"127\.0\.0\.1:9: nothing listens there"):
        await client.state()
    await client.close()


async def test_the_password_of_an_address_is_sent_and_not_said() -> None:
    client = HostClient("http://me:hunter2@127.0.0.1:9/")
    assert client.http.base_url.password == "hunter2"
    with pytest.raises(HostError, match=r"^http://\*\*\*@127\.0\.0\.1:9: nothing listens there$"):
        await client.state()
    await client.close()


async def test_a_program_that_drips_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.client.host_client.TIMEOUT_S", 0.2)

    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    async with host({"/anyclaude/state": StreamingResponse(drops())}) as (client, _), asyncio.timeout(5):
        with pytest.raises(HostError, match="no answer in time"):
            await client.state()


HOSTILE_IDS = [
    "",
    ".",
    "..",
    "../..",
    "a/b",
    "a%2Fb",
    "/",
    "?x=1",
    "#",
    "a b",
    "ä",
    "\n",
    "a" * 500,
    "flush/../x",
]


@pytest.mark.parametrize("hostile", HOSTILE_IDS)
async def test_an_id_that_would_make_another_path_is_not_asked_for(hostile: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(500)

    client = HostClient("http://127.0.0.1:9", transport=httpx.MockTransport(answer))
    for question in (
        *(client.change_cache_entry(action, hostile) for action in ("pin", "unpin", "drop")),
        client.cancel(hostile),
        client.trace(hostile),
        client.brief_trace(hostile),
        client.why(hostile),
        client.turns(hostile),
        client.diff(hostile),
    ):
        with pytest.raises(BadId, match=r"is no id: those of .* have letters, digits, _ and - alone"):
            await question
    assert asked == []
    # Clients choose the ids of sessions: those may have any sign, but none that leads elsewhere.
    with pytest.raises(HostError):
        await client.context(hostile)
    assert all(path.startswith("/anyclaude/sessions/") and path.endswith("/context") for path in asked)
    assert bool(asked) is (hostile not in ("", ".", ".."))
    await client.close()
