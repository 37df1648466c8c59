from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from proxy.backends.openai import OpenAIBackend
from tests.proxy.live import Upstream, body, proxy, proxy_over, says, serve
from tests.proxy.pdfs import pdf_in_base64

PATH = "/v1/messages"


BLIND = [
    (400, "Model does not support images. Please use a model that does."),  # LM Studio
    (400, "tiny is not a multimodal model"),  # vLLM
    (404, "No endpoints found that support image input"),  # OpenRouter
    (500, "image input is not supported - hint: you may need to provide the mmproj"),  # llama.cpp
]


@pytest.mark.parametrize(("status", "message"), BLIND)
async def test_a_model_that_sees_nothing_is_asked_again_in_words_and_from_then_on(
    tmp_path: Path, status: int, message: str
) -> None:
    counts = {"/tokenize": {"count": 3}}
    upstream = Upstream([{"error": {"message": message}}], status=status, other=counts)

    async def see_nothing(scope: Scope, receive: Receive, send: Send) -> None:
        if upstream.bodies:
            upstream.status, upstream.answer = 200, says("A picture?")
        await upstream(scope, receive, send)

    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
    asked = body(messages=[{"role": "user", "content": [picture]}])
    async with serve(see_nothing) as url, proxy(tmp_path, OpenAIBackend(f"{url}/v1", "tiny")) as running:
        for _ in range(2):
            answer = await running.http.post(PATH, json=asked)
            assert answer.json()["content"] == [{"type": "text", "text": "A picture?"}]
        await running.http.post(f"{PATH}/count_tokens", json=asked)
    kinds = [type(sent["messages"][0]["content"]) for sent in upstream.bodies]
    assert kinds == [list, str, str]
    counted = orjson.loads(upstream.requests[-1]["raw"])
    assert counted["messages"] == upstream.bodies[-1]["messages"]
    assert any("asked again without images" in note for note in running.traces()[0].notes)


async def test_another_refusal_of_a_request_with_pictures_is_the_clients_to_know(tmp_path: Path) -> None:
    upstream = Upstream([{"error": {"message": "the image is too large"}}], status=400)
    picture = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    async with proxy_over(upstream, tmp_path) as running:
        asked = body(messages=[{"role": "user", "content": [picture]}])
        answer = await running.http.post(PATH, json=asked)
    assert (answer.status_code, len(upstream.bodies)) == (400, 1)
    assert "too large" in answer.json()["error"]["message"]


async def test_a_pdf_is_read_for_the_prompt_and_for_its_count(tmp_path: Path) -> None:
    upstream = Upstream(says("Read."), other={"/tokenize": {"count": 3}})
    pdf = {"type": "base64", "media_type": "application/pdf", "data": pdf_in_base64("Rain at noon")}
    asked = body(messages=[{"role": "user", "content": [{"type": "document", "title": "T", "source": pdf}]}])
    async with proxy_over(upstream, tmp_path) as running:
        await running.http.post(PATH, json=asked)
        await running.http.post("/v1/messages/count_tokens", json=asked)
    sent = upstream.bodies[0]["messages"]
    assert sent[0]["content"].startswith("T\n[The text of a PDF of 1 page;")
    assert sent[0]["content"].endswith("Page 1:\nRain at noon")
    assert orjson.loads(upstream.requests[1]["raw"])["messages"] == sent
    (trace,) = running.traces()
    assert trace.request.body["messages"] == asked["messages"]


async def test_vllm_is_given_the_budget_of_thinking_until_it_refuses_it(tmp_path: Path) -> None:
    refusal = {"error": {"message": "thinking_token_budget is set but reasoning_config is not configured."}}
    upstream = Upstream([refusal], status=400)

    async def take_no_budget(scope: Scope, receive: Receive, send: Send) -> None:
        if upstream.bodies:
            upstream.status, upstream.answer = 200, says("ok")
        await upstream(scope, receive, send)

    asked = body(thinking={"type": "enabled", "budget_tokens": 50})
    async with serve(take_no_budget) as url:
        backend = OpenAIBackend(f"{url}/v1", "tiny", name="vllm", thinking="vllm")
        async with proxy(tmp_path, backend) as running:
            for _ in range(2):
                assert (await running.http.post(PATH, json=asked)).status_code == 200
    assert [sent.get("thinking_token_budget") for sent in upstream.bodies] == [50, None, None]
    switches = [sent["chat_template_kwargs"] for sent in upstream.bodies]
    assert switches == [{"enable_thinking": True}] * 3


async def test_what_is_refused_without_having_been_sent_is_asked_for_once_more_only(tmp_path: Path) -> None:
    upstream = Upstream([{"error": {"message": "Model does not support images."}}], status=400)
    async with proxy_over(upstream, tmp_path) as running:
        for _ in range(2):
            assert (await running.http.post(PATH, json=body())).status_code == 400
    assert len(upstream.bodies) == 3
