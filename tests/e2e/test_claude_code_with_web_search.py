"""The real Claude Code searches the web: the search engine is played, the model's turns are scripted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.claude_code import run_claude
from bench.scripted_upstream import Call, ScriptedUpstream, Turn, in_order, serving, text_of
from proxy.translate.server_tools import DIRECT_QUERY
from tests import servers
from tests.e2e.real_client import claude_binary

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]

QUERY = "what anyclaude is"
FOUND = {"title": "About it", "url": "https://a.example/about", "content": "It runs Claude Code."}
WORK = in_order(
    [
        Turn("", (Call("ToolSearch", {"query": "select:WebSearch", "max_results": 5}),)),
        Turn("", (Call("WebSearch", {"query": QUERY}),)),
        Turn("I know it now."),
    ]
)


def script(body: dict[str, Any]) -> Turn:
    return Turn("It runs Claude Code [1].") if DIRECT_QUERY in text_of(body) else WORK(body)


def test_the_model_gets_what_the_engine_has_found(tmp_path: Path) -> None:
    claude_binary()
    asked: list[str] = []

    async def search(request: Request) -> JSONResponse:
        asked.append(request.query_params["q"])
        return JSONResponse({"results": [FOUND]})

    scripted = ScriptedUpstream(script)
    scripted.app.router.routes.append(Route("/search", search))
    project = tmp_path / "project"
    project.mkdir()
    with (
        serving(scripted.app) as upstream,
        servers.proxy(
            tmp_path,
            backend="openai",
            backend_url=upstream,
            model="scripted",
            search_engine="searxng",
            search_url=upstream.removesuffix("/v1"),
        ) as proxy,
    ):
        ended = run_claude(proxy.url, "find out", home=tmp_path / "home", project=project)
    assert ended.code == 0, ended.stderr
    assert ended.result["result"] == "I know it now."
    assert asked == [QUERY]
    results = [message for message in scripted.bodies[-1]["messages"] if message["role"] == "tool"]
    assert FOUND["url"] in results[-1]["content"]
    assert "It runs Claude Code [1]." in results[-1]["content"]
    (nested,) = (body for body in scripted.bodies if DIRECT_QUERY in text_of(body))
    assert FOUND["content"] in nested["messages"][-1]["content"]
    traces = servers.traces(tmp_path)
    assert [call.name for trace in traces for call in trace.tool_calls].count("web_search") == 1
    assert all(trace.response.status == 200 for trace in traces)
