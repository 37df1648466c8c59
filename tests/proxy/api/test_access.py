from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from engine.process.loopback import is_loopback_name
from proxy.api.access import AccessGuard

HERE = ("127.0.0.1", 50000)
ELSEWHERE = ("192.168.1.20", 50000)


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def visit(
    headers: dict[str, str] | None = None,
    *,
    client: tuple[str, int] = HERE,
    host: str = "127.0.0.1:8082",
    token: str = "",
    bound: str = "127.0.0.1",
) -> httpx.Response:
    guard: Any = AccessGuard(inside, token=token, bound_host=bound)
    transport = httpx.ASGITransport(guard, client=client)
    async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as http:
        return await http.post("/v1/messages", headers={"host": host, **(headers or {})})


@pytest.mark.parametrize(
    "name",
    ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"],
)
def test_names_of_this_machine(name: str) -> None:
    assert is_loopback_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "example.com", "localhost.example.com", "127.0.0.1.example.com", "0.0.0.0", "10.0.0.1", "::2"],
)
def test_names_of_others(name: str) -> None:
    assert not is_loopback_name(name)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8082", "localhost:8082", "localhost", "[::1]:8082", "LocalHost:1"]
)
async def test_this_machine_gets_in(host: str) -> None:
    assert (await visit(host=host)).status_code == 204


@pytest.mark.parametrize("host", ["evil.example:8082", "127.0.0.1.evil.example", "10.0.0.1:8082", "a b"])
async def test_a_name_that_was_rebound_to_this_machine_does_not(host: str) -> None:
    refused = await visit(host=host)
    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "permission_error"
    assert refused.headers["request-id"] == refused.json()["request_id"]


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:5173"])
async def test_pages_of_this_machine_get_in(origin: str) -> None:
    assert (await visit({"origin": origin})).status_code == 204


@pytest.mark.parametrize(
    "origin", ["https://example.com", "null", "", "http://localhost.evil.example", "http://["]
)
@pytest.mark.parametrize("token", ["", "secret"])
async def test_pages_of_others_do_not_even_with_the_token(origin: str, token: str) -> None:
    refused = await visit({"origin": origin, "x-api-key": "secret"}, token=token)
    assert refused.status_code == 403


async def test_other_machines_do_not_get_in_without_a_token() -> None:
    refused = await visit(client=ELSEWHERE, host="studio.lan:8082", bound="0.0.0.0")
    assert refused.status_code == 403
    assert "token" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer secret"},
        {"authorization": "bearer  secret"},
        {"x-api-key": "secret"},
        {"authorization": "Bearer dummy", "x-api-key": "secret"},
    ],
)
async def test_holders_of_the_token_get_in_from_anywhere(headers: dict[str, str]) -> None:
    welcome = await visit(headers, client=ELSEWHERE, host="studio.lan:8082", token="secret", bound="0.0.0.0")
    assert welcome.status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "secret"},
        {"x-api-key": ""},
        {"x-api-key": "SECRET"},
    ],
)
async def test_a_token_is_asked_of_this_machine_too(headers: dict[str, str]) -> None:
    refused = await visit(headers, token="secret")
    assert refused.status_code == 401
    assert refused.json()["error"]["type"] == "authentication_error"
    assert "secret" not in refused.text
