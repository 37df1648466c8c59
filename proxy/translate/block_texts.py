"""The text that stands for each content block: of the documented ones in their own words, of others a remark.

What a model does not get to see is said in its place, with what it can do instead: a model that only reads
"left out" guesses. Each text depends on its block alone, so that history always renders the same. The blocks
are those of the Messages API as the types of the `anthropic` package list them (`BetaContentBlockParam`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from engine.wire.chat import unseen_picture
from engine.wire.json_text import encode_json
from proxy.anthropic.prompt_prefix import joined_text
from proxy.translate.late_tools.shown_tools import Function
from proxy.translate.late_tools.tool_notes import (
    added_text,
    again_line,
    available_line,
    definitions_text,
    removed_line,
)
from proxy.translate.tools import functions_of

Block = dict[str, Any]
_CALLS = {"server_tool_use": "on the server", "mcp_tool_use": "on an MCP server"}
_FIELDS_OF_RESULTS = ("title", "url", "text", "stdout", "stderr", "error_code", "tool_name", "content")
_NESTED_RESULTS = ("tool_references", "source")
_NO_FILES = "it lies in the store of the Files API, which does not exist here"
_NOT_FETCHED = "it lies at a URL, which the proxy does not fetch"


class BlockTexts:
    """Texts of blocks; `notes` gets a line for people about each that is not what the client sent.

    With `pictures` a list, the URLs of pictures are gathered there, for the model to see them behind the
    text, and a mark with their number stands in their place. `definitions` are those of tools that stand
    where the tools are referred to, None if all definitions stand elsewhere.
    """

    def __init__(
        self,
        notes: list[str],
        pictures: list[str] | None = None,
        definitions: Mapping[str, Function] | None = None,
    ) -> None:
        self._notes = notes
        self._pictures = pictures
        self._definitions = definitions

    def joined(self, blocks: Iterable[Block]) -> str:
        """All of them as one text."""
        texts: list[str | None] = []
        for defined, run in groupby(blocks, lambda block: bool(self._referenced(block))):
            if defined:
                texts.append(definitions_text(tool for block in run for tool in self._referenced(block)))
            else:
                texts += map(self.text, run)
        return joined_text(text for text in texts if text is not None)

    def _referenced(self, block: Block) -> list[Function]:
        """The definition that stands in the place of a reference, if it is one and there is one."""
        name = str(block.get("tool_name", "")) if block["type"] == "tool_reference" else ""
        return [self._definitions[name]] if self._definitions and name in self._definitions else []

    def text(self, block: Block) -> str | None:
        """The text of one block; None for a block that holds nothing for the model."""
        kind, text = block["type"], block.get("text")
        if kind == "text" and isinstance(text, str):
            return text
        if kind == "image":
            return self._picture(block)
        if kind == "document":
            return self._document(block)
        if kind == "search_result":
            return self._search_result(block)
        if kind == "tool_reference":
            found = self._referenced(block)
            return definitions_text(found) if found else available_line(str(block.get("tool_name", "")))
        if kind == "tool_removal":
            return removed_line(_changed_tool(block))
        if kind == "tool_addition":
            added = self._added(block)
            return added_text(added) if added else again_line(_changed_tool(block))
        if kind in _CALLS:
            call = f"{block.get('name', '')} {encode_json(block.get('input')).decode()}"
            return f"[a call that was carried out {_CALLS[kind]}: {call}]"
        if kind.endswith("_tool_result"):
            return f"[result of {kind.removesuffix('_tool_result').replace('_', ' ')}]\n{self._result(block)}"
        if kind == "browser_state":
            return _browser_state(block)
        if kind == "container_upload":
            return f"[a file for a container, not shown: {_NO_FILES}]"
        if kind in ("fallback", "mcp_tool_listing") or (kind == "compaction" and not block.get("content")):
            return None  # for the server that wrote it
        return self._other(block)

    def _added(self, block: Block) -> list[Function]:
        """The definitions of an added tool, if they stand nowhere else."""
        tool = block.get("tool")
        if self._definitions is None or not isinstance(tool, dict):
            return []
        if isinstance(definition := tool.get("definition"), dict):
            return functions_of(definition)
        return self._referenced({"type": "tool_reference", "tool_name": tool.get("name")})

    def _picture(self, block: Block) -> str:
        url = picture_url(block)
        if url and self._pictures is not None:
            self._pictures.append(url)
            return f"[picture {len(self._pictures)}: shown below]"
        self._notes.append("left out a picture: the model at this place reads text only")
        source = _source(block)
        if source.get("type") == "file":
            return unseen_picture(_NO_FILES)
        return unseen_picture(_data_size(source))

    def _note_citations(self, block: Block) -> None:
        wanted = block.get("citations")
        if isinstance(wanted, dict) and wanted.get("enabled") is True:
            self._notes.append(
                f"left out citations of a {block['type']}: the model reads it, but cites nothing"
            )

    def _document(self, block: Block) -> str:
        self._note_citations(block)
        head = [block[name] for name in ("title", "context") if isinstance(block.get(name), str)]
        source = _source(block)
        content = source.get("content")
        if source.get("type") == "text" and isinstance(source.get("data"), str):
            return joined_text(filter(None, [*head, source["data"]]))
        if isinstance(content, str):
            return joined_text(filter(None, [*head, content]))
        if isinstance(content, list) and all(_is_block(part) for part in content):
            return joined_text(filter(None, [*head, self.joined(content)]))
        self._notes.append("left out a document that the proxy cannot read")
        why = {"file": _NO_FILES, "url": _NOT_FETCHED}.get(str(source.get("type")), _data_size(source))
        return joined_text(filter(None, [*head, unseen_document(why)]))

    def _search_result(self, block: Block) -> str:
        self._note_citations(block)
        title, source = (str(block.get(name) or "") for name in ("title", "source"))
        head = f"{title} ({source})" if title and source else title or source
        content = block.get("content")
        return joined_text(filter(None, [head, self._content(content)]))

    def _result(self, value: Any) -> str:
        """All that is text in the result of a tool that a server ran."""
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return joined_text(filter(None, map(self._result, value)))
        if not isinstance(value, dict):
            return ""
        if value.get("type") in ("image", "document", "search_result"):
            return self.text(value) or ""
        lines = [self._result(value.get(name)) for name in (*_FIELDS_OF_RESULTS, *_NESTED_RESULTS)]
        if isinstance(code := value.get("return_code"), int) and code:
            lines.append(f"exit code {code}")
        return joined_text(filter(None, lines))

    def _other(self, block: Block) -> str:
        kind = block["type"]
        for field in ("text", "content"):
            value = block.get(field)
            if isinstance(value, str) or (
                isinstance(value, list) and value and all(_is_block(part) for part in value)
            ):
                self._notes.append(f"a block of type {kind} was sent as plain text")
                return self._content(value)
        self._notes.append(f"left out the content of a block of type {kind}: it has no text")
        return f"[{kind}: a block of a kind that is not known here; you were not shown what it holds]"

    def _content(self, content: Any) -> str:
        if isinstance(content, str):
            return content
        return self.joined(part for part in content or () if _is_block(part))


def picture_url(block: Block) -> str:
    """The address of an image block's picture, `data:` for one that it holds itself; empty for none."""
    source = _source(block)
    if block["type"] != "image":
        return ""
    if source.get("type") == "url":
        return str(source.get("url") or "")
    if source.get("type") == "base64" and source.get("data"):
        return f"data:{source.get('media_type', 'image/png')};base64,{source['data']}"
    return ""


def unseen_document(what: str) -> str:
    """What a model reads in place of a document that it cannot get."""
    return (
        f"[A document stands here, and you were not shown it: {what}. Do not guess what it says. A tool may"
        " read it from its file: `pdftotext FILE -` gives the text of a PDF, `-f 1 -l 5` that of its first"
        " pages. Else ask the user for the part that matters.]"
    )


def _browser_state(block: Block) -> str:
    """The open tabs after a call of a browser's toolset, and what happened meanwhile."""
    tabs = block.get("tabs")
    lines = [
        f"{'*' if tab.get('active') else '-'} {tab.get('tab_id')}: {tab.get('title')} {tab.get('url')}"
        for tab in (tabs if isinstance(tabs, list) else [])
        if isinstance(tab, dict)
    ]
    changes = block.get("state_changes")
    happened = [f"Meanwhile: {encode_json(changes).decode()}"] if changes else []
    return joined_text(["[open tabs, * is the active one]", *lines, *happened])


def _changed_tool(block: Block) -> str:
    tool = block.get("tool")
    named = tool.get("definition", tool) if isinstance(tool, dict) else None
    fields = named if isinstance(named, dict) else {}
    return " ".join(str(fields[name]) for name in ("server_name", "name") if fields.get(name))


def _source(block: Block) -> dict[str, Any]:
    source = block.get("source")
    return source if isinstance(source, dict) else {}


def _data_size(source: dict[str, Any]) -> str:
    kind = str(source.get("media_type") or "of an unknown kind")
    data = source.get("data")
    return f"{kind}, {len(data) * 3 // 4096:,} KB" if isinstance(data, str) else kind


def _is_block(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)
