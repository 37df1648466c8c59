"""The search engines: one request each, in the form that its API documents.

SearXNG: `/search?format=json`, which its `settings.yml` has to allow. Brave: Web Search API v1. Tavily:
`/search`. A key goes in a header, to the engine's address alone: redirects are not followed.
"""

from __future__ import annotations

import asyncio
import html
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from engine.process.loopback import is_loopback_name
from proxy.configuration.destination import public_url
from proxy.web.domains import ANY_DOMAIN, DomainRules
from proxy.web.results import LONGEST_URL, SearchResult, WebError

SEARCH_S = 20.0
MOST_BYTES = 4 << 20  # of an engine's answer
MOST_RESULTS = 10
LONGEST_TEXT = 2_000  # characters of an excerpt
LONGEST_QUERY = 400  # characters; Brave takes no more


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is searched for. `location` is the request's `user_location`."""

    query: str
    domains: DomainRules = ANY_DOMAIN
    location: Mapping[str, Any] | None = None

    @property
    def query_with_sites(self) -> str:
        """The query for an engine that has no field for domains; all of those here know `site:`."""
        sites = " OR ".join(f"site:{domain}" for domain in self.domains.allowed if "*" not in domain)
        return f"{self.query} ({sites})" if " OR " in sites else f"{self.query} {sites}".strip()


class SearchEngine(ABC):
    """One engine at one address."""

    name = ""
    takes_location = False

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url.rstrip("/")
        self._key = key

    async def search(self, wanted: SearchRequest) -> list[SearchResult]:
        """Search once; at most ten results, all of them within the request's domains.

        Raises:
            WebError: the engine refuses, does not answer, or answers with something else.
        """
        if len(wanted.query) > LONGEST_QUERY:
            raise WebError("query_too_long", f"the query has more than {LONGEST_QUERY} characters")
        found = self._results(await self._answer(wanted))
        rows = [row for row in found if _is_page(row.url)]
        return [row for row in rows if wanted.domains.permit(row.url)][:MOST_RESULTS]

    @abstractmethod
    def _request(self, http: httpx.AsyncClient, wanted: SearchRequest) -> httpx.Request: ...

    @abstractmethod
    def _rows(self, answer: Any) -> Any:
        """The list of results in the answer; something else if it is no answer to a search."""

    def _refusal(self, status: int) -> WebError:
        if status == 429:
            return WebError("too_many_requests", f"{self.name} allows no more searches now (status 429)")
        why = "; is searchKey its key?" if status in (401, 403) else ""
        return WebError("unavailable", f"{self.name} refused the search with status {status}{why}")

    async def _answer(self, wanted: SearchRequest) -> Any:
        trust_env = not is_loopback_name(httpx.URL(self._url).host)
        body = b""
        try:
            async with (
                asyncio.timeout(SEARCH_S),
                httpx.AsyncClient(timeout=SEARCH_S, trust_env=trust_env) as http,
            ):
                response = await http.send(self._request(http, wanted), stream=True)
                try:
                    if response.status_code != 200:
                        raise self._refusal(response.status_code)
                    async for piece in response.aiter_bytes():
                        body += piece
                        if len(body) > MOST_BYTES:
                            raise WebError("unavailable", f"{self.name} sent more than {MOST_BYTES} bytes")
                finally:
                    await response.aclose()
            return orjson.loads(body)
        except (httpx.HTTPError, TimeoutError) as error:
            what = f"{self.name} at {public_url(self._url)} does not answer: {type(error).__name__}"
            raise WebError("unavailable", what) from None
        except orjson.JSONDecodeError:
            raise WebError("unavailable", f"{self.name} did not answer with JSON") from None

    def _results(self, answer: Any) -> Iterator[SearchResult]:
        rows = self._rows(answer)
        if not isinstance(rows, list):
            raise WebError("unavailable", f"{self.name} answered with JSON that has no list of results")
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("url"), str):
                text = " ".join(filter(None, (_plain(row, "content"), _plain(row, "description"))))
                age = _plain(row, "page_age") or _plain(row, "publishedDate") or _plain(row, "published_date")
                title = _plain(row, "title") or row["url"]
                yield SearchResult(title[:500], row["url"], text[:LONGEST_TEXT], age[:60])


class SearXNG(SearchEngine):
    name = "SearXNG"

    def _request(self, http: httpx.AsyncClient, wanted: SearchRequest) -> httpx.Request:
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        fields = {"q": wanted.query_with_sites, "format": "json"}
        return http.build_request("GET", f"{self._url}/search", params=fields, headers=headers)

    def _rows(self, answer: Any) -> Any:
        return answer.get("results") if isinstance(answer, dict) else None

    def _refusal(self, status: int) -> WebError:
        if status == 403:
            how = "add json to search.formats in its settings.yml"
            return WebError("unavailable", f"SearXNG refused the search with status 403; {how}")
        return super()._refusal(status)


class Brave(SearchEngine):
    name = "Brave"
    takes_location = True

    def _request(self, http: httpx.AsyncClient, wanted: SearchRequest) -> httpx.Request:
        fields = {"q": wanted.query_with_sites, "count": str(MOST_RESULTS), "text_decorations": "false"}
        headers = {"x-subscription-token": self._key, "accept": "application/json"}
        place = wanted.location or {}
        if country := _ascii(place, "country"):
            fields["country"] = country
        names = {"city": "x-loc-city", "region": "x-loc-state-name", "timezone": "x-loc-timezone"}
        names["country"] = "x-loc-country"
        headers |= {header: text for field, header in names.items() if (text := _ascii(place, field))}
        url = f"{self._url}/res/v1/web/search"
        return http.build_request("GET", url, params=fields, headers=headers)

    def _rows(self, answer: Any) -> Any:
        web = answer.get("web", {}) if isinstance(answer, dict) else None  # left out where nothing is found
        return web.get("results", []) if isinstance(web, dict) else None


class Tavily(SearchEngine):
    name = "Tavily"

    def _request(self, http: httpx.AsyncClient, wanted: SearchRequest) -> httpx.Request:
        # Its fields take domains alone; what they let through beyond a path is sorted out afterwards.
        rules = wanted.domains
        fields: dict[str, Any] = {"query": wanted.query, "max_results": MOST_RESULTS}
        if rules.allowed:
            fields["include_domains"] = sorted({rule.partition("/")[0] for rule in rules.allowed})
        if blocked := [rule for rule in rules.blocked if "/" not in rule]:
            fields["exclude_domains"] = blocked
        headers = {"authorization": f"Bearer {self._key}"}
        return http.build_request("POST", f"{self._url}/search", json=fields, headers=headers)

    def _rows(self, answer: Any) -> Any:
        return answer.get("results") if isinstance(answer, dict) else None


ENGINES: dict[str, type[SearchEngine]] = {"searxng": SearXNG, "brave": Brave, "tavily": Tavily}


def _is_page(url: str) -> bool:
    """Whether an engine's address is one of a page, of a length that the model can repeat."""
    try:
        named = bool(urlsplit(url).hostname)
    except ValueError:
        return False
    return named and url.startswith(("http://", "https://")) and len(url) <= LONGEST_URL and url.isprintable()


def _plain(row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    return " ".join(html.unescape(value).split()) if isinstance(value, str) else ""


def _ascii(place: Mapping[str, Any], field: str) -> str:
    """A text of the location that can stand in a header."""
    value = place.get(field)
    fits = isinstance(value, str) and value.isascii() and value.isprintable()
    return str(value).strip() if fits else ""
