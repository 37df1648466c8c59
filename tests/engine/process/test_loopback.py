"""A web page of another host does not get at the engine."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from engine.process.loopback import PageGuard

OWN = "http://127.0.0.1:8081"


async def status(headers: dict[str, str], bound_host: str = "127.0.0.1") -> int:
    inner = FastAPI()

    @inner.get("/health")
    def health() -> dict[str, str]:
        return {}

    guarded = PageGuard(inner, bound_host=bound_host)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url=OWN) as client:
        answer = await client.get("/health", headers=headers)
    if answer.status_code == 403:
        assert answer.json()["error"]["type"] == "permission_error"
    return answer.status_code


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:8081"},
        {"host": "[::1]:8081"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1"},
    ],
)
async def test_this_machine_gets_in(headers: dict[str, str]) -> None:
    assert await status(headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"host": "evil.example"},
        {"host": "evil.example:8081"},
    ],
)
async def test_a_page_of_another_host_is_refused(headers: dict[str, str]) -> None:
    assert await status(headers) == 403


async def test_a_wider_bound_engine_answers_to_its_other_names_but_not_to_pages() -> None:
    assert await status({"host": "studio.local:8081"}, bound_host="0.0.0.0") == 200
    assert await status({"origin": "http://evil.example"}, bound_host="0.0.0.0") == 403
