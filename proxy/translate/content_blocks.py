"""The content blocks of one answer: opened, filled and closed, as events and as the assembled content."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from engine.tool_calls.schemas.tools import parse_json
from engine.wire.json_text import encode_json, well_formed
from proxy.translate.citations import CitationReader
from proxy.translate.event_bytes import DELTA_TAIL, block_start, block_stop, delta_head, event
from proxy.translate.server_tools import CitedSource
from proxy.translate.thinking import sign

_MARKS = re.compile(r"\s*\[[\d\s,]+\]")


class ContentBlocks:
    """Writes the blocks of one answer in order; `out` gathers the bytes until the caller takes them.

    `block_names`: the fields by which a block names the tool that the model has called. `served`: the names
    of the tools that the proxy runs.
    """

    def __init__(
        self,
        out: list[bytes],
        block_names: Callable[[str], dict[str, str]] = lambda name: {"name": name},
        served: Collection[str] = (),
    ) -> None:
        self.sources: list[CitedSource] = []  # that the text can cite by their numbers, from 1
        self._served = served
        self._citations = CitationReader()
        self._cited: list[dict[str, Any]] = []  # by the open text
        self.content: list[dict[str, Any]] = []  # closed blocks
        self._out = out
        self._block_names = block_names
        self._kind = ""  # of the open block
        self._head = b""
        self._block: dict[str, Any] = {}  # the open tool call
        self._pieces: list[str] = []
        self._shown = True
        self._half = ""  # the first half of a surrogate pair, until the second comes

    def text(self, text: str) -> None:
        if not self.sources:
            self._text(text)
            return
        self._citations.count = len(self.sources)
        for piece, numbers in self._citations.feed(text):
            if self._cited and not _MARKS.fullmatch(piece):
                self.close()  # a citation belongs to the text before it
            self._text(piece)
            for number in numbers:
                self._cite(self.sources[number - 1].citation(number))

    def _text(self, text: str) -> None:
        if self._kind != "text":
            self.close()
            self._open("text", {"type": "text", "text": ""}, delta_head(self._index, "text_delta", "text"))
        self._add(text, shown=True)

    def thinking(self, text: str, *, shown: bool) -> None:
        """Add thinking; where it is not shown, the client sees an empty block and its signature."""
        if self._kind != "thinking":
            self.close()
            self._shown = shown
            start = {"type": "thinking", "thinking": "", "signature": ""}
            self._open("thinking", start, delta_head(self._index, "thinking_delta", "thinking"))
        self._add(text, shown=shown)

    def take_text(self) -> str:
        """Take back the text of a message that is sent as a whole, if it holds nothing else so far."""
        self.close()
        if any(block["type"] != "text" for block in self.content):
            return ""
        text = "".join(block["text"] for block in self.content)
        self.content.clear()
        return text

    def tool_use(self, call_id: str, name: str, tool_input: dict[str, Any]) -> None:
        """A whole tool call."""
        self.close()
        index = self._index
        block = self._tool_block(call_id, name)
        self._out.append(block_start(index, block))
        head = delta_head(index, "input_json_delta", "partial_json")
        self._out.append(head + encode_json(encode_json(tool_input).decode()) + DELTA_TAIL)
        self._out.append(block_stop(index))
        self.content.append(block | {"input": tool_input})

    def begin_tool_use(self, call_id: str, name: str) -> None:
        """Open a tool call whose arguments come in pieces; `close` ends it."""
        self.close()
        self._block = self._tool_block(call_id, name)
        self._open("tool_use", self._block, delta_head(self._index, "input_json_delta", "partial_json"))

    def tool_input(self, text: str) -> None:
        """The next piece of the open call's arguments, as JSON text."""
        self._add(text, shown=True)

    def whole(self, block: dict[str, Any]) -> None:
        """A block that comes as a whole, such as the result of a search."""
        self.close()
        self._out.append(block_start(self._index, block))
        self._out.append(block_stop(self._index))
        self.content.append(block)

    def close(self) -> None:
        """Close the open block, if there is one."""
        if held := self._citations.end():
            self._text(held)
        if not self._kind:
            return
        if self._half:
            self._half = ""
            self._add("\ufffd", shown=self._shown or self._kind != "thinking")
        block = self._assembled()
        if self._kind == "thinking":
            head = delta_head(self._index, "signature_delta", "signature")
            self._out.append(head + encode_json(block["signature"]) + DELTA_TAIL)
        self._out.append(block_stop(self._index))
        self.content.append(block)
        self._kind, self._pieces, self._cited = "", [], []

    def snapshot(self) -> list[dict[str, Any]]:
        """The content so far, the open block included."""
        return [*self.content, self._assembled()] if self._kind else list(self.content)

    @property
    def says_something(self) -> bool:
        """Whether there is more than thinking."""
        return self._kind in ("text", "tool_use") or any(
            block["type"] != "thinking" for block in self.content
        )

    def _tool_block(self, call_id: str, name: str) -> dict[str, Any]:
        kind = "server_tool_use" if name in self._served else "tool_use"
        return {"type": kind, "id": call_id, **self._block_names(name), "input": {}}

    @property
    def _index(self) -> int:
        return len(self.content)

    def _cite(self, citation: dict[str, Any]) -> None:
        self._cited.append(citation)
        delta = {"type": "citations_delta", "citation": citation}
        self._out.append(event("content_block_delta", {"index": self._index, "delta": delta}))

    def _open(self, kind: str, block: dict[str, Any], head: bytes) -> None:
        self._kind, self._head = kind, head
        self._out.append(block_start(self._index, block))

    def _add(self, text: str, *, shown: bool) -> None:
        if not text.isascii() or self._half:
            text = self._whole_characters(text)
        if text:
            self._pieces.append(text)
            if shown:
                self._out.append(self._head + encode_json(text) + DELTA_TAIL)

    def _whole_characters(self, text: str) -> str:
        """Some upstreams cut a character beyond U+FFFF between its two surrogates: join them again."""
        text = self._half + text
        self._half = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._half, text = text[-1], text[:-1]
        return well_formed(text)

    def _assembled(self) -> dict[str, Any]:
        text = "".join(self._pieces)
        if self._kind == "text":
            cited = {"citations": list(self._cited)} if self._cited else {}
            return {"type": "text", "text": text, **cited}
        if self._kind == "tool_use":
            return self._block | {"input": _parsed(text)}
        if self._shown:
            return {"type": "thinking", "thinking": text, "signature": sign("")}
        return {"type": "thinking", "thinking": "", "signature": sign(text)}


def _parsed(arguments: str) -> dict[str, Any]:
    """The input of a call that was sent in pieces; text that is no JSON object is kept as it is."""
    try:
        parsed = parse_json(arguments) if arguments.strip() else {}
    except ValueError:
        return {"_unparsed": arguments}
    return parsed if isinstance(parsed, dict) else {"_unparsed": arguments}
