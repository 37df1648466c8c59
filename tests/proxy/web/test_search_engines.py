"""The search engines, each played on the loopback: what they are asked, what is made of their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from proxy.web.domains import DomainRules
from proxy.web.results import SearchResult, WebError
from proxy.web.search_engines import ENGINES, MOST_BYTES, MOST_RESULTS, SearchRequest
from tests.proxy.live import Upstream, serve

KEY = "tvly-0123456789"
ROW = {"title": "A &amp; B", "url": "https://a.example/x", "content": "An  excerpt."}
BRAVE = {
    "title": "A & B",
    "url": "https://a.example/x",
    "description": "An excerpt.",
    "page_age": "2026-01-02",
}
FOUND = SearchResult("A & B", "https://a.example/x", "An excerpt.")
PATHS = {"searxng": "/search", "brave": "/res/v1/web/search", "tavily": "/search"}


@asynccontextmanager
async def playing(name: str, answer: Any, **options: Any) -> AsyncIterator[tuple[Any, Upstream]]:
    """The engine `name`, and the server that plays it."""
    upstream = Upstream(other={PATHS[name]: answer}, **options)
    async with serve(upstream) as url:
        yield ENGINES[name](url, KEY), upstream


def asked(upstream: Upstream) -> tuple[dict[str, list[str]], dict[str, str], Any]:
    """Query fields, headers and JSON body of the one request."""
    (request,) = upstream.requests
    headers = {name.decode(): value.decode() for name, value in request["headers"]}
    return parse_qs(urlsplit(request["path"]).query), headers, orjson.loads(request["raw"] or b"null")


@pytest.mark.parametrize(
    ("name", "answer", "found"),
    [
        ("searxng", {"results": [ROW | {"publishedDate": "2026-01-02"}]}, {"page_age": "2026-01-02"}),
        ("brave", {"web": {"results": [BRAVE]}}, {"page_age": "2026-01-02"}),
        ("tavily", {"results": [ROW | {"score": 0.9}]}, {}),
    ],
)
async def test_each_engine_is_asked_in_its_own_form(name: str, answer: Any, found: dict[str, str]) -> None:
    async with playing(name, answer) as (engine, upstream):
        results = await engine.search(SearchRequest("what is it"))
    assert results == [SearchResult(FOUND.title, FOUND.url, FOUND.text, **found)]
    query, headers, body = asked(upstream)
    if name == "brave":
        assert headers["x-subscription-token"] == KEY
    else:
        assert headers["authorization"] == f"Bearer {KEY}"
    if name == "tavily":
        assert body == {"query": "what is it", "max_results": MOST_RESULTS}
    else:
        assert query["q"] == ["what is it"]
    assert KEY not in upstream.requests[0]["path"]


async def test_domains_go_to_the_engine_and_hold_for_what_it_sends_anyway() -> None:
    rows = [
        ROW | {"url": url} for url in ("https://b.example/", "https://docs.a.example/y", "file:///etc/passwd")
    ]
    rules = DomainRules(allowed=("a.example", "c.example/blog"))
    async with playing("tavily", {"results": rows}) as (engine, upstream):
        assert [row.url for row in await engine.search(SearchRequest("q", rules))] == [
            "https://docs.a.example/y"
        ]
    assert asked(upstream)[2]["include_domains"] == ["a.example", "c.example"]
    async with playing("searxng", {"results": rows}) as (engine, upstream):
        assert len(await engine.search(SearchRequest("q", rules))) == 1
    assert asked(upstream)[0]["q"] == ["q (site:a.example OR site:c.example/blog)"]


async def test_brave_gets_the_place() -> None:
    place = {"type": "approximate", "city": "Zürich", "country": "CH", "timezone": "Europe/Zurich"}
    async with playing("brave", {"web": {"results": []}}) as (engine, upstream):
        assert await engine.search(SearchRequest("q", location=place)) == []
    query, headers, _ = asked(upstream)
    assert query["country"] == ["CH"]
    assert headers["x-loc-timezone"] == "Europe/Zurich"
    assert "x-loc-city" not in headers  # a header takes ASCII alone


@pytest.mark.parametrize("answer", [[], {"results": 7}, {"error": "no"}, "no", None])
async def test_an_answer_of_another_form_is_no_search_without_results(answer: Any) -> None:
    async with playing("searxng", answer) as (engine, _):
        with pytest.raises(WebError, match="no list of results") as failed:
            await engine.search(SearchRequest("q"))
    assert failed.value.code == "unavailable"


@pytest.mark.parametrize("answer", [{"type": "search"}, {"web": {}}])
async def test_brave_leaves_out_what_is_empty(answer: Any) -> None:
    async with playing("brave", answer) as (engine, _):
        assert await engine.search(SearchRequest("q")) == []


async def test_rows_that_are_no_pages_are_left_out() -> None:
    urls = [
        5,
        "javascript:1",
        "http://",
        "http://[bad",
        "http://a.example/\0",
        "http://a.example/" + "x" * 2048,
    ]
    rows = [None, *({"url": url} for url in urls), {"url": "http://a.example/ok"}]
    async with playing("searxng", {"results": rows}) as (engine, _):
        assert [row.url for row in await engine.search(SearchRequest("q"))] == ["http://a.example/ok"]


async def test_a_refusal_is_told_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(Upstream()) as url:  # answers 404
        for name in ENGINES:
            with pytest.raises(WebError) as caught:
                await ENGINES[name](url, KEY).search(SearchRequest("q"))
            assert (caught.value.code, KEY in caught.value.detail) == ("unavailable", False)
        assert "status 404" in caught.value.detail
    with pytest.raises(WebError, match="does not answer") as caught:  # nobody listens there any more
        await ENGINES["searxng"](url.replace("//", f"//me:{KEY}@"), "").search(SearchRequest("q"))
    assert KEY not in caught.value.detail


@pytest.mark.parametrize(
    ("query", "answer", "code"), [("q" * 401, {}, "query_too_long"), ("q", "x" * MOST_BYTES, "unavailable")]
)
async def test_queries_and_answers_have_bounds(query: str, answer: Any, code: str) -> None:
    async with playing("searxng", answer) as (engine, _):
        with pytest.raises(WebError) as caught:
            await engine.search(SearchRequest(query))
    assert caught.value.code == code
