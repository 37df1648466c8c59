"""Searches and fetches within an answer, over real sockets: upstream, search engine and web are played."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import orjson
import pytest
from starlette.types import Send

from proxy.api.rounds import MOST_ROUNDS
from proxy.api.web_tools import Web
from proxy.translate.request import translate_request
from proxy.translate.server_tools import result_text, sources_of
from proxy.web.domains import DomainRules
from proxy.web.fetching import PageFetcher
from proxy.web.results import Page
from proxy.web.search_engines import SearXNG
from tests.proxy.live import (
    DONE,
    FINISH,
    USAGE,
    Proxy,
    Upstream,
    body,
    calls,
    delta,
    proxy_over,
    says,
    serve,
    sse,
)
from tests.proxy.translate.test_request import PLAIN

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch", "max_content_tokens": 5}
READ = {"name": "Read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
ROWS = {
    "results": [
        {"title": "One", "url": "https://a.example/1", "content": "The first excerpt."},
        {"title": "Two", "url": "https://b.example/2", "content": "The second excerpt."},
    ]
}
QUERY = "Perform a web search for the query: what is it"
PATH = "/v1/messages"


def call(name: str, **arguments: str) -> list[Any]:
    """An answer that is one call."""
    return [calls(name, orjson.dumps(arguments).decode()), FINISH, USAGE, DONE]


@pytest.mark.parametrize(
    ("written", "excerpt"),
    [
        ("東京は日本の首都です。", "東京は日本の首都です。"),
        ("北京是中华人民共和国的首都", "北京是中华人民共和国的首都"),
        ("Rain.", "Rain."),
        ("Regenschirm", "Regenschirm"),
        ("EqgfCioIARgBIiQ3YTAwMjY1Mi1mZjM5LTQ1NGUtODgxNC1kNjNjNTk1ZWI3Yg==", ""),
        (None, ""),
    ],
)
def test_an_excerpt_is_what_can_be_read(written: str | None, excerpt: str) -> None:
    row = {"type": "web_search_result", "title": "T", "url": "U", "encrypted_content": written}
    block = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [row]}
    assert [source.text for source in sources_of(block)] == [excerpt]
    assert result_text(block, 1) == f"[1] T\nU\n{excerpt}".rstrip()


@dataclass
class Rounds(Upstream):
    """Plays one answer after the other; the last one again and again."""

    answers: list[list[Any]] = field(default_factory=list)

    async def _play(self, send: Send) -> None:
        self.answer = self.answers[min(len(self.bodies), len(self.answers)) - 1]
        await super()._play(send)


class Pages(PageFetcher):
    async def fetch(self, url: str, domains: DomainRules = DomainRules()) -> Page:  # noqa: B008
        return Page(url, "A page", "x" * 30)


@asynccontextmanager
async def searching(
    folder: Path, *answers: list[Any], engine: Any = ROWS, pages: bool = False, kind: str = "openai"
) -> AsyncIterator[tuple[Proxy, Rounds]]:
    upstream = Rounds(answers=list(answers))
    async with serve(Upstream(other={"/search": engine})) as url:
        web = Web(SearXNG(url) if engine else None, Pages() if pages else None)
        async with proxy_over(upstream, folder, kind=kind, web=web) as running:
            yield running, upstream


async def ask(running: Proxy, **fields: Any) -> dict[str, Any]:
    """The whole message of an answer; the vendor's package knows its form."""
    response = await running.http.post(PATH, json=body(**{"tools": [SEARCH], **fields}))
    assert response.status_code == 200, response.text
    anthropic.types.Message.model_validate(response.json())
    return response.json()


def kinds(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["content"]]


async def test_the_one_search_of_claude_code_needs_no_model_for_its_query(tmp_path: Path) -> None:
    async with searching(tmp_path, says("It is one [1] and two ", "[", "2]. Done.")) as (running, upstream):
        message = await ask(running, messages=[{"role": "user", "content": QUERY}])
    assert kinds(message) == ["server_tool_use", "web_search_tool_result", "text", "text", "text"]
    used, found, first, second, rest = message["content"]
    assert used["input"] == {"query": "what is it"}
    assert found["tool_use_id"] == used["id"]
    assert found["content"][0] == {
        "type": "web_search_result",
        "title": "One",
        "url": "https://a.example/1",
        "encrypted_content": "The first excerpt.",
        "page_age": None,
    }
    assert [first["text"], second["text"], rest["text"]] == ["It is one [1]", " and two [2]", ". Done."]
    assert second["citations"] == [
        {
            "type": "web_search_result_location",
            "url": "https://b.example/2",
            "title": "Two",
            "encrypted_index": "2",
            "cited_text": "The second excerpt.",
        }
    ]
    assert message["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}
    (sent,) = upstream.bodies
    assert sent["messages"][-1]["content"] == (
        "[1] One\nhttps://a.example/1\nThe first excerpt.\n\n"
        "[2] Two\nhttps://b.example/2\nThe second excerpt."
    )
    (trace,) = running.traces()
    assert trace.tool_calls[0].result == sent["messages"][-1]["content"]


async def test_the_model_searches_and_goes_on_in_one_answer(tmp_path: Path) -> None:
    answers = [
        [*says("Let me look.")[:1], *call("web_search", query="first")],
        call("web_search", query="second"),
        says("Found [3]."),
    ]
    async with searching(tmp_path, *answers) as (running, upstream):
        message = await ask(running, tools=[SEARCH, READ])
    assert kinds(message) == [
        "text",
        *["server_tool_use", "web_search_tool_result"] * 2,
        "text",
        "text",
    ]
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["input_tokens"] == 3 * 7
    assert message["usage"]["output_tokens"] == 3 * 3
    assert message["content"][-2]["citations"][0]["url"] == "https://a.example/1"
    assert [tool["function"]["name"] for tool in upstream.bodies[0]["tools"]] == ["web_search", "Read"]
    # As a history it renders as the model saw it, so that the prefix cache has it.
    turn = {"role": "assistant", "content": message["content"][:-2]}
    history = body(messages=[{"role": "user", "content": "hello"}, turn], tools=[SEARCH, READ])
    assert translate_request(history, PLAIN).body["messages"] == upstream.bodies[2]["messages"]
    assert "[4] Two" in upstream.bodies[2]["messages"][-1]["content"]


async def test_a_stream_shows_the_call_and_the_result_as_blocks(tmp_path: Path) -> None:
    async with searching(tmp_path, says("It is so [1].")) as (running, _):
        request = body(stream=True, tools=[SEARCH], messages=[{"role": "user", "content": QUERY}])
        events = sse((await running.http.post(PATH, json=request)).text)
        async with (
            anthropic.AsyncAnthropic(base_url=running.url, api_key="any", max_retries=0) as client,
            client.messages.stream(
                model="m",
                max_tokens=50,
                messages=[{"role": "user", "content": QUERY}],
                tools=[SEARCH],  # type: ignore[list-item]
            ) as stream,
        ):
            message = await stream.get_final_message()
    starts = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert starts == ["server_tool_use", "web_search_tool_result", "text", "text"]
    deltas = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert deltas == ["input_json_delta", "text_delta", "citations_delta", "text_delta"]
    assert [event["index"] for event in events if event["type"] == "content_block_stop"] == [0, 1, 2, 3]
    assert [block.type for block in message.content] == starts
    assert message.content[2].citations[0].url == "https://a.example/1"  # type: ignore[union-attr, index]


async def test_a_call_under_a_grammar_is_streamed_as_a_server_tools_call(tmp_path: Path) -> None:
    opened = {
        "object": "anyclaude.feed",
        "kind": "tool_open",
        "index": 0,
        "family": "hermes",
        "constrained": True,
    }
    async with searching(
        tmp_path, [opened, *call("web_search", query="q")], says("It is so [2]."), kind="mlx"
    ) as (running, _):
        events = sse((await running.http.post(PATH, json=body(stream=True, tools=[SEARCH]))).text)
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block["type"] for block in starts[:2]] == ["server_tool_use", "web_search_tool_result"]
    assert starts[0]["id"] == starts[1]["tool_use_id"]
    assert starts[0]["id"].startswith("srvtoolu_")
    assert events[-2]["usage"]["server_tool_use"]["web_search_requests"] == 1


async def test_without_an_engine_the_client_is_told_and_no_model_is_asked(tmp_path: Path) -> None:
    async with searching(tmp_path, says("no"), engine=None) as (running, upstream):
        message = await ask(running, messages=[{"role": "user", "content": QUERY}])
    assert kinds(message) == ["server_tool_use", "web_search_tool_result", "text"]
    error = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    assert message["content"][1]["content"] == error
    assert "set searchEngine" in message["content"][2]["text"]
    assert upstream.bodies == []
    (trace,) = running.traces()
    assert trace.tool_calls[0].is_error
    assert any("no search engine" in note for note in trace.notes)


@pytest.mark.parametrize(
    ("tool", "wanted", "code"),
    [
        (SEARCH, call("web_search", query="q"), "unavailable"),
        (SEARCH, call("web_search", query=" "), "invalid_tool_input"),
        (SEARCH | {"max_uses": 0}, call("web_search", query="q"), "max_uses_exceeded"),
        (FETCH, call("web_fetch", url="https://a.example/"), "unavailable"),
    ],
)
async def test_a_call_without_a_result_is_an_error_that_the_model_reads(
    tmp_path: Path, tool: dict[str, Any], wanted: list[Any], code: str
) -> None:
    async with searching(tmp_path, wanted, says("Sorry."), engine=None) as (running, upstream):
        message = await ask(running, tools=[tool])
    assert message["content"][1]["content"]["error_code"] == code
    assert message["content"][-1]["text"] == "Sorry."
    assert code in upstream.bodies[1]["messages"][-1]["content"]


async def test_a_page_is_fetched_only_if_its_address_was_in_the_conversation(tmp_path: Path) -> None:
    answers = [
        call("web_fetch", url="https://made.up/?secret"),
        call("web_fetch", url="https://a.example/1#part"),
        says("Read."),
    ]
    question = [{"role": "user", "content": "read https://a.example/1"}]
    async with searching(tmp_path, *answers, pages=True) as (running, _):
        message = await ask(running, tools=[FETCH], messages=question)
    refused, found = (block["content"] for block in message["content"] if "result" in block["type"])
    assert refused["error_code"] == "url_not_in_prior_context"
    assert found["url"] == "https://a.example/1"
    assert found["content"]["source"]["data"] == "x" * 20 + "\n[10 more characters are left out]"
    assert message["usage"]["server_tool_use"] == {"web_search_requests": 0, "web_fetch_requests": 1}


async def test_a_call_of_the_clients_own_tool_ends_the_answer_after_the_search(tmp_path: Path) -> None:
    both = [
        calls("web_search", '{"query": "q"}'),
        calls("Read", '{"path": "a"}', index=1),
        FINISH,
        USAGE,
        DONE,
    ]
    async with searching(tmp_path, both) as (running, upstream):
        message = await ask(running, tools=[SEARCH, READ])
    assert kinds(message) == ["server_tool_use", "tool_use", "web_search_tool_result"]
    assert message["stop_reason"] == "tool_use"
    assert len(upstream.bodies) == 1


async def test_a_model_that_never_stops_searching_has_to_answer(tmp_path: Path) -> None:
    async with searching(tmp_path, call("web_search", query="q")) as (running, upstream):
        message = await ask(running, tools=[SEARCH | {"max_uses": 99}])
    assert len(upstream.bodies) == MOST_ROUNDS + 1
    assert upstream.bodies[-1]["tool_choice"] == "none"
    assert kinds(message)[-1] == "text"  # its call, which it was not allowed any more


async def test_two_lists_of_domains_are_refused(tmp_path: Path) -> None:
    tool = SEARCH | {"allowed_domains": ["a.example"], "blocked_domains": ["b.example"]}
    async with searching(tmp_path, says("no")) as (running, _):
        response = await running.http.post(PATH, json=body(tools=[tool]))
    assert response.status_code == 400
    assert "exclude each other" in response.json()["error"]["message"]


async def test_what_is_refused_in_a_later_round_is_left_out_of_that_round_alone(tmp_path: Path) -> None:
    refusal = {"error": {"message": "Model does not support images."}}
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    question = [{"role": "user", "content": [{"type": "image", "source": picture}]}]
    answers = [
        call("web_search", query="q"),
        [delta(), {"error": {**refusal["error"], "code": 400}}],
        says("One."),
    ]
    async with searching(tmp_path, *answers) as (running, upstream):
        message = await ask(running, messages=question)
    assert kinds(message) == ["server_tool_use", "web_search_tool_result", "text"]
    shown = [isinstance(sent["messages"][0]["content"], list) for sent in upstream.bodies]
    assert shown == [True, True, False]
    assert "The first excerpt." in upstream.bodies[2]["messages"][-1]["content"]
    (trace,) = running.traces()
    assert sum("asked again without" in note for note in trace.notes) == 1


@pytest.mark.parametrize("kind", ["openai", "mlx"])
async def test_a_begun_answer_searches_and_goes_on(tmp_path: Path, kind: str) -> None:
    turns = [{"role": "user", "content": "what is it?"}, {"role": "assistant", "content": "It is"}]
    answers = [[*says(" (let me look)")[:1], *call("web_search", query="it")], says(" a cat [1].")]
    async with searching(tmp_path, *answers, kind=kind) as (running, upstream):
        message = await ask(running, messages=turns)
    assert kinds(message)[:3] == ["text", "server_tool_use", "web_search_tool_result"]
    assert message["content"][0]["text"] == " (let me look)"
    first, second = upstream.bodies
    assert first.get("continue_final_message", False) is (kind == "mlx")
    assert not {"continue_final_message", "add_generation_prompt"} & set(second)
    begun = second["messages"][1]
    assert (begun["role"], begun["content"]) == ("assistant", "It is (let me look)")
    assert begun["tool_calls"][0]["function"]["name"] == "web_search"
    assert [turn["role"] for turn in second["messages"]] == ["user", "assistant", "tool"]


async def test_counts_that_come_before_the_answer_add_up_over_its_rounds(tmp_path: Path) -> None:
    def counted(chunk: dict[str, Any], prompt: int, cached: int, output: int) -> dict[str, Any]:
        details = {"prompt_tokens_details": {"cached_tokens": cached}}
        return chunk | {"usage": {"prompt_tokens": prompt, "completion_tokens": output, **details}}

    search, answer = calls("web_search", '{"query": "q"}'), delta(content="Done.")
    answers = [
        [counted(search, 100, 40, 4), counted(FINISH, 100, 40, 9), DONE],
        [counted(answer, 150, 120, 1), counted(FINISH, 150, 120, 2), DONE],
    ]
    async with searching(tmp_path, *answers) as (running, _):
        events = sse((await running.http.post(PATH, json=body(stream=True, tools=[SEARCH]))).text)
    begun = events[0]["message"]["usage"]
    assert (begun["input_tokens"], begun["cache_read_input_tokens"]) == (60, 40)
    usage = next(event["usage"] for event in events if event["type"] == "message_delta")
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (90, 160)
    assert usage["output_tokens"] == 11


async def test_a_tool_that_was_removed_stays_so_in_later_rounds(tmp_path: Path) -> None:
    removal = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "Read"}}
    turns = [{"role": "user", "content": [{"type": "text", "text": "hello"}, removal]}]
    answers = [call("web_search", query="first"), says("Found.")]
    async with searching(tmp_path, *answers, kind="mlx") as (running, upstream):
        await ask(running, tools=[SEARCH, READ], messages=turns, tool_choice={"type": "any"})
    choices = [sent["tool_choice"]["allowed_tools"] for sent in upstream.bodies]
    names = [[tool["function"]["name"] for tool in choice["tools"]] for choice in choices]
    assert names == [["web_search"], ["web_search"]]
    assert [choice["mode"] for choice in choices] == ["required", "auto"]
