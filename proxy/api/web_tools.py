"""Runs the server tools of one request: searches and fetches within an answer, each with its result block."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from proxy.configuration.settled import HostConfig
from proxy.events.tool_call import ToolCall
from proxy.translate.server_tools import (
    Block,
    ServerTool,
    error_block,
    page_block,
    result_text,
    search_block,
    sources_of,
)
from proxy.web.fetching import PageFetcher
from proxy.web.results import Page, WebError
from proxy.web.search_engines import ENGINES, SearchEngine, SearchRequest

NO_ENGINE = (
    "no search engine is set up here; the user can set searchEngine in ~/.anyclauderc.json (searxng, brave or"
    " tavily)"
)
NO_FETCH = "web_fetch is off here; the user can set webFetch to true in ~/.anyclauderc.json"


@dataclass(frozen=True, slots=True)
class Web:
    """What the host may use of the web; None: nothing."""

    engine: SearchEngine | None = None
    fetcher: PageFetcher | None = None


NO_WEB = Web()


def web_of(config: HostConfig) -> Web:
    """What a configuration allows; nothing is connected."""
    engine = ENGINES.get(config.search_engine)
    return Web(
        engine(config.search_url, config.search_key) if engine is not None else None,
        PageFetcher() if config.web_fetch else None,
    )


@dataclass(frozen=True, slots=True)
class ServedResult:
    """The block of a result, the model's text of it, and why there is none (empty if there is one)."""

    block: Block
    text: str
    fault: str = ""
    duration_s: float = 0.0


class WebTools:
    """The server tools of one request.

    Args:
        now: the time that results are stamped with.
    """

    def __init__(
        self,
        web: Web,
        tools: Mapping[str, ServerTool],
        body: Mapping[str, Any],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.details: dict[str, str] = {}  # why there is no result, by the call's id
        self.notes: list[str] = []  # for people
        self._web = web
        self._tools = tools
        self._body = body
        self._now = now
        self._uses: Counter[str] = Counter()
        self._seen: list[str] = []  # texts of this answer's results
        self._numbered = 0

    async def run(self, call: ToolCall) -> ServedResult:
        """Run one call; a fault becomes a result that says so."""
        tool = self._tools[call.name]
        began = time.monotonic()
        fault = ""
        try:
            block = await self._result(tool, call)
        except WebError as error:
            block, fault = error_block(tool.kind, call.id, error.code), error.detail
            self.details[call.id] = error.detail
            self.notes.append(f"{call.name} has no result ({error.code}): {error.detail}")
        text = result_text(block, self._numbered + 1, fault)
        self._numbered += len(sources_of(block))
        self._seen.append(text)
        return ServedResult(block, text, fault, time.monotonic() - began)

    async def _result(self, tool: ServerTool, call: ToolCall) -> Block:
        field = "query" if tool.kind == "web_search" else "url"
        wanted = (call.input or {}).get(field)
        if not isinstance(wanted, str) or not wanted.strip():
            raise WebError("invalid_tool_input", f"{tool.kind} needs {field}")
        self._uses[tool.kind] += 1
        if tool.max_uses is not None and self._uses[tool.kind] > tool.max_uses:
            raise WebError("max_uses_exceeded", f"the request allows {tool.max_uses} uses of {tool.kind}")
        if tool.kind == "web_search":
            return await self._search(tool, call.id, wanted.strip())
        return page_block(call.id, await self._page(tool, wanted.strip()), self._now())

    async def _search(self, tool: ServerTool, call_id: str, query: str) -> Block:
        engine = self._web.engine
        if engine is None:
            raise WebError("unavailable", NO_ENGINE)
        if tool.location and not engine.takes_location:
            self.notes.append(f"left out user_location: {engine.name} takes no place")
        found = await engine.search(SearchRequest(query, tool.domains, tool.location))
        return search_block(call_id, found)

    async def _page(self, tool: ServerTool, url: str) -> Page:
        if self._web.fetcher is None:
            raise WebError("unavailable", NO_FETCH)
        # Else a model could send what it knows to an address that it made up.
        if not any(url.partition("#")[0] in text for text in (*self._seen, *_texts(self._body["messages"]))):
            raise WebError("url_not_in_prior_context", "the address does not stand in the conversation")
        page = await self._web.fetcher.fetch(url.partition("#")[0], tool.domains)
        more = len(page.text) - tool.page_characters
        if more <= 0:
            return page
        text = f"{page.text[: tool.page_characters]}\n[{more} more characters are left out]"
        return Page(page.url, page.title, text)


def _texts(value: Any) -> Iterator[str]:
    """All texts of the turns that are not the model's own words."""
    stack = [turn.get("content") for turn in value if turn["role"] == "user"]
    for turn in value:
        if turn["role"] == "assistant" and isinstance(turn["content"], list):
            stack += [block for block in turn["content"] if block["type"].endswith("_tool_result")]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            stack.extend(value.values() if isinstance(value, dict) else value)
