"""The tools that the proxy runs itself, `web_search` and `web_fetch`: their definitions and their blocks.

Forms of Anthropic's API reference for both tools (`web_search_20250305`, `web_fetch_20250910` and later). A
turn with such blocks becomes the calls and results that the model saw while it wrote the turn, so that a
history renders as it was first prefilled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from proxy.anthropic.client_tools import ToolDefinition
from proxy.web.domains import DomainRules, plain_domains
from proxy.web.results import Page, SearchResult

ServerToolKind = Literal["web_search", "web_fetch"]
Block = dict[str, Any]

_TYPE = re.compile(r"(web_search|web_fetch)_\d{8}")
# What another server wrote, in base64: only that server can read it. No excerpt has so long a word, and text
# without blanks, such as Chinese, is not of these letters.
_ENCRYPTED = re.compile(r"[A-Za-z0-9+/_-]{48,}={0,2}")
_CITED_LENGTH = 150  # characters, as documented
_TOKEN = 4  # characters, roughly
_PAGE_TOKENS = 10_000
_FUNCTIONS: dict[str, tuple[str, str, str]] = {
    "web_search": (
        "Search the web. Returns numbered results: title, address, excerpt. In your answer, put behind each "
        "statement the number of the result that it rests on, such as [2].",
        "query",
        "what to search for",
    ),
    "web_fetch": (
        "Fetch a web page and return its text. Only addresses that the conversation has can be fetched.",
        "url",
        "the whole address of the page",
    ),
}
_FAILED = {
    "web_search": "The web search has no results ({code}{why}). Say so instead of guessing.",
    "web_fetch": "The page could not be fetched ({code}{why}). Say so instead of guessing.",
}
DIRECT_QUERY = "Perform a web search for the query: "  # how Claude Code asks for one search


@dataclass(frozen=True, slots=True)
class ServerTool:
    """One server tool of a request, with its fields."""

    kind: ServerToolKind
    domains: DomainRules
    max_uses: int | None = None
    location: Mapping[str, Any] | None = None
    page_characters: int = _PAGE_TOKENS * _TOKEN

    @property
    def definition(self) -> ToolDefinition:
        """The tool as the model is offered it."""
        description, field, meaning = _FUNCTIONS[self.kind]
        schema = {
            "type": "object",
            "properties": {field: {"type": "string", "description": meaning}},
            "required": [field],
        }
        return ToolDefinition(self.kind, description, schema)


def server_tool(tool: Mapping[str, Any]) -> ServerTool | None:
    """The server tool that an entry of `tools` stands for, if the proxy knows it."""
    found = _TYPE.fullmatch(tool["type"]) if isinstance(tool.get("type"), str) else None
    if found is None or tool.get("name") != found[1]:
        return None
    kind: ServerToolKind = "web_search" if found[1] == "web_search" else "web_fetch"
    tokens = _whole(tool.get("max_content_tokens"))
    return ServerTool(
        kind,
        DomainRules(_domains(tool.get("allowed_domains")), _domains(tool.get("blocked_domains"))),
        max_uses=_whole(tool.get("max_uses")),
        location=location if isinstance(location := tool.get("user_location"), dict) else None,
        page_characters=_TOKEN * (tokens or _PAGE_TOKENS),
    )


def direct_query(body: Mapping[str, Any]) -> str:
    """The query of a request that is nothing but one search; else empty.

    Claude Code's WebSearch sends such a request, which needs no model to know its query.
    """
    tools, messages = body.get("tools") or [], body["messages"]
    if len(tools) != 1 or len(messages) != 1 or (tool := server_tool(tools[0])) is None:
        return ""
    content = messages[0]["content"]
    texts = [content] if isinstance(content, str) else [block.get("text") for block in content]
    text = texts[0] if len(texts) == 1 and isinstance(texts[0], str) else ""
    is_one = tool.kind == "web_search" and text.startswith(DIRECT_QUERY)
    return text.removeprefix(DIRECT_QUERY).strip() if is_one else ""


# -- blocks ------------------------------------------------------------------------------------------


def search_block(tool_use_id: str, found: Iterable[SearchResult]) -> Block:
    """The result of a search. The excerpts stand in `encrypted_content`: it comes back with the history."""
    rows = [
        {
            "type": "web_search_result",
            "title": row.title,
            "url": row.url,
            "encrypted_content": row.text,
            "page_age": row.page_age or None,
        }
        for row in found
    ]
    return {"type": "web_search_tool_result", "tool_use_id": tool_use_id, "content": rows}


def page_block(tool_use_id: str, page: Page, at: datetime) -> Block:
    """The result of a fetch."""
    source = {"type": "text", "media_type": "text/plain", "data": page.text}
    document = {"type": "document", "source": source, "title": page.title or None}
    found = {
        "type": "web_fetch_result",
        "url": page.url,
        "content": document,
        "retrieved_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"type": "web_fetch_tool_result", "tool_use_id": tool_use_id, "content": found}


def error_block(kind: ServerToolKind, tool_use_id: str, code: str) -> Block:
    """The result of a search or fetch that has none."""
    error = {"type": f"{kind}_tool_result_error", "error_code": code}
    return {"type": f"{kind}_tool_result", "tool_use_id": tool_use_id, "content": error}


@dataclass(frozen=True, slots=True)
class CitedSource:
    """A search result that the answer can cite."""

    title: str
    url: str
    text: str

    def citation(self, number: int) -> Block:
        """The citation of the result with this number."""
        return {
            "type": "web_search_result_location",
            "url": self.url,
            "title": self.title,
            "encrypted_index": str(number),
            "cited_text": self.text[:_CITED_LENGTH],
        }


def sources_of(block: Block) -> list[CitedSource]:
    """The results that a block has, in the order of their numbers."""
    rows = block.get("content")
    if block["type"] != "web_search_tool_result" or not isinstance(rows, list):
        return []
    return [
        CitedSource(str(row.get("title") or ""), str(row.get("url") or ""), _excerpt(row))
        for row in rows
        if isinstance(row, dict)
    ]


# -- history -----------------------------------------------------------------------------------------


def rounds_of(
    blocks: list[Block], details: Mapping[str, str] | None = None
) -> list[tuple[list[Block], list[dict[str, Any]]]]:
    """The rounds of one turn: what the model wrote, and the `tool` messages that it then got.

    Calls are `tool_use` blocks in them. A turn without server tools is one round. `details` has the reasons
    of errors, by the ids of their calls, while they are known.
    """
    called = {block["id"] for block in blocks if _is_call(block)}
    results = {
        block["tool_use_id"]: block
        for block in blocks
        if block["type"] in ("web_search_tool_result", "web_fetch_tool_result")
        and isinstance(block.get("tool_use_id"), str)
        and block["tool_use_id"] in called
    }
    rounds: list[tuple[list[Block], list[dict[str, Any]]]] = [([], [])]
    number = 1
    for block in blocks:
        written, got = rounds[-1]
        call_id = block.get("tool_use_id")
        if isinstance(call_id, str) and results.get(call_id) is block:
            text = result_text(block, number, (details or {}).get(call_id, ""))
            got.append({"role": "tool", "tool_call_id": call_id, "content": text})
            number += len(sources_of(block))
            continue
        is_call = _is_call(block)
        if is_call and block["id"] not in results:
            continue  # the answer ended before it was run
        if got:
            rounds.append((written := [], []))
        written.append({**block, "type": "tool_use"} if is_call else block)
    return rounds


def _is_call(block: Block) -> bool:
    """Whether a block is a call of these tools, with all that a call has."""
    return (
        block["type"] == "server_tool_use"
        and block.get("name") in ("web_search", "web_fetch")
        and isinstance(block.get("id"), str)
        and isinstance(block.get("input"), dict)
    )


def result_text(block: Block, first: int, why: str = "") -> str:
    """A result for the model; search results are numbered from `first`."""
    content = block.get("content")
    if isinstance(content, list):
        rows = enumerate(sources_of(block), first)
        texts = [f"[{number}] {row.title}\n{row.url}\n{row.text}".rstrip() for number, row in rows]
        return "\n\n".join(texts) or "The web search found nothing."
    if isinstance(content, dict) and isinstance(document := content.get("content"), dict):
        source = document.get("source")
        text = source.get("data") if isinstance(source, dict) and source.get("type") == "text" else ""
        return "\n".join(filter(None, (document.get("title"), content.get("url"), "", text or "")))
    code = content.get("error_code") if isinstance(content, dict) else "unavailable"
    kind = block["type"].removesuffix("_tool_result")
    return _FAILED[kind].format(code=code, why=f": {why}" if why else "")


def _excerpt(row: Mapping[str, Any]) -> str:
    text = row.get("encrypted_content")
    return text if isinstance(text, str) and not _ENCRYPTED.fullmatch(text) else ""


def _domains(listed: Any) -> tuple[str, ...]:
    return plain_domains(listed) if isinstance(listed, list) else ()


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
