"""The routes beside `POST /v1/messages`, over real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic
import orjson
import pytest

from proxy.api.model_list import discoverable_id, model_entries
from proxy.events.errors import UpstreamUnavailable
from tests.proxy.live import Upstream, body, proxy_over, says

MODELS = {"/v1/models": {"object": "list", "data": [{"id": "mlx-community/Qwen3-Coder"}, {"id": "gpt-oss"}]}}
ENTRIES = ["claude-tiny", "tiny"]  # the model that answers, whatever else the upstream lists


@pytest.mark.parametrize("path", ["/", "/api/hello"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_client_is_greeted(path: str, method: str, tmp_path: Path) -> None:
    async with proxy_over(Upstream(), tmp_path) as running:
        response = await running.http.request(method, path)
    assert response.status_code == 200
    assert response.headers["request-id"].startswith("req_")
    assert bool(response.content) is (method == "GET")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/nothing", 404, "not_found_error"),
        ("POST", "/nothing?x=1", 404, "not_found_error"),
        ("GET", "/v1/models/none", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("GET", "/docs", 404, "not_found_error"),
        ("GET", "/v1/models?limit=many", 400, "invalid_request_error"),
        ("POST", "/v1/messages/count_tokens", 400, "invalid_request_error"),
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
        ("GET", "/v1/messages/batches/b/results", 404, "not_found_error"),
        ("DELETE", "/v1/files/file_1", 404, "not_found_error"),
    ],
)
async def test_faults_of_all_paths_have_anthropics_shape(
    method: str, path: str, status: int, kind: str, tmp_path: Path
) -> None:
    async with proxy_over(Upstream(other=MODELS), tmp_path) as running:
        response = await running.http.request(method, path)
    told = response.json()
    assert (response.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
    assert response.headers["request-id"] == told["request_id"]


async def test_models_are_listed_so_that_the_client_finds_them(tmp_path: Path) -> None:
    async with (
        proxy_over(Upstream(other=MODELS), tmp_path) as running,
        anthropic.AsyncAnthropic(base_url=running.url, api_key="any") as client,
    ):
        listed = [model async for model in client.models.list(limit=1000)]
        paged = [model.id async for model in client.models.list(limit=1)]
        one = await client.models.retrieve(ENTRIES[0])
    assert [model.id for model in listed] == paged == ENTRIES
    assert listed[0].display_name == "tiny"
    assert one.display_name == "tiny"


async def test_pages_run_both_ways(tmp_path: Path) -> None:
    async with proxy_over(Upstream(other=MODELS), tmp_path) as running:
        first = (await running.http.get("/v1/models", params={"limit": 1})).json()
        after = (await running.http.get("/v1/models", params={"limit": 1, "after_id": ENTRIES[0]})).json()
        before = (await running.http.get("/v1/models", params={"limit": 2, "before_id": ENTRIES[1]})).json()
        own = await running.http.get(f"/v1/models/{ENTRIES[1]}")
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, ENTRIES[0], ENTRIES[0])
    assert [entry["id"] for entry in after["data"]] == [ENTRIES[1]]
    assert (after["has_more"], after["first_id"], after["last_id"]) == (False, ENTRIES[1], ENTRIES[1])
    assert [entry["id"] for entry in before["data"]] == [ENTRIES[0]]
    assert own.json()["id"] == ENTRIES[1]


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("/models/Qwen3-Coder-30B-A3B-Instruct-MLX-4bit", "claude-qwen3-coder-30b-a3b-instruct-mlx-4bit"),
        ("anthropic/claude-opus", "anthropic/claude-opus"),
        ("llama 3.1:8b", "claude-llama-3.1-8b"),
    ],
)
def test_ids_are_made_discoverable(model: str, listed: str) -> None:
    assert discoverable_id(model) == listed


def test_a_model_is_listed_once_under_each_of_its_ids() -> None:
    assert [entry["id"] for entry in model_entries(["claude-x", "claude-x"])] == ["claude-x"]


def test_the_bundled_model_says_how_to_choose_another() -> None:
    entries = model_entries(["bundled demo model"])
    assert [entry["id"] for entry in entries] == ["claude-bundled-demo-model", "bundled demo model"]
    shown = "bundled demo model (choose a real one with --model FOLDER_OR_HUB_ID)"
    assert {entry["display_name"] for entry in entries} == {shown}


async def test_tokens_are_counted_with_the_very_prompt_that_would_be_sent(tmp_path: Path) -> None:
    upstream = Upstream(says("ok"), other={"/v1/tokenize": {"count": 1234}})
    tools = [{"name": "Read", "input_schema": {"type": "object"}}]
    asked: dict[str, Any] = body(tools=tools, system="Be kind.")
    async with proxy_over(upstream, tmp_path, kind="mlx") as running:
        counted = await running.http.post("/v1/messages/count_tokens?beta=true", json=asked)
        await running.http.post("/v1/messages", json=asked)
    assert counted.json() == {"input_tokens": 1234}
    sent = orjson.loads(upstream.requests[0]["raw"])
    assert sent["count_only"] is True
    for field in ("messages", "tools", "model", "chat_template_kwargs"):
        assert sent[field] == upstream.bodies[0][field]
    assert len(running.traces()) == 1


async def test_vllm_counts_beside_its_api(tmp_path: Path) -> None:
    async with proxy_over(Upstream(other={"/tokenize": {"count": 9, "tokens": []}}), tmp_path) as running:
        counted = await running.http.post("/v1/messages/count_tokens", json=body())
    assert counted.json() == {"input_tokens": 9}


async def test_an_upstream_that_cannot_count_makes_nobody_guess(tmp_path: Path) -> None:
    async with proxy_over(Upstream(), tmp_path) as running:
        counted = await running.http.post("/v1/messages/count_tokens", json=body())
    assert (counted.status_code, counted.json()["error"]["type"]) == (404, "not_found_error")


async def test_nothing_is_counted_before_the_engine_is_ready(tmp_path: Path) -> None:
    gate = UpstreamUnavailable("loading")
    async with proxy_over(Upstream(), tmp_path, kind="mlx", gate=gate) as running:
        counted = await running.http.post("/v1/messages/count_tokens", json=body())
    assert (counted.status_code, counted.json()["error"]["type"]) == (529, "overloaded_error")


async def test_the_token_is_asked_for_on_every_path(tmp_path: Path) -> None:
    config = {"token": "secret"}
    async with proxy_over(Upstream(says("ok"), other=MODELS), tmp_path, config=config) as running:
        for path in ("/v1/models", "/", "/anything"):
            assert (await running.http.get(path)).status_code == 401
        welcome = await running.http.get("/v1/models", headers={"authorization": "Bearer secret"})
    assert welcome.status_code == 200
