"""PDFs in requests become text before anything else is made of them, as few models here read PDFs.

A block keeps its title and context; only its source changes, to a text of the pages. What is not read (pages
beyond a limit, scans, encrypted and damaged files) is said in that text, with what else can be done.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import sys
from collections import OrderedDict
from typing import Any

import orjson

from proxy.anthropic.pdf_pages import ENCRYPTED, MOST_CHARACTERS, MOST_PAGES

MOST_BYTES = 32 * 2**20  # as Anthropic's API has it
MOST_SECONDS = 30.0
_AT_ONCE = 2
_REMEMBERED = 64  # texts, of MOST_CHARACTERS each at most
_LONGEST_LINE = 16 * 2**20  # of the program: a page is one line

Block = dict[str, Any]


class Documents:
    """Reads PDFs in a process of their own, each once; the newest texts are remembered."""

    def __init__(self, *, most_seconds: float = MOST_SECONDS) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._most_seconds = most_seconds

    async def read(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with the text of each PDF in its place; the very same body if there is none."""
        messages = [await self._with_content(message) for message in body["messages"]]
        changed = any(new is not old for new, old in zip(messages, body["messages"], strict=True))
        return body | {"messages": messages} if changed else body

    async def _with_content(self, holder: Block) -> Block:
        """A message or a tool result with its documents read."""
        content = holder.get("content")
        if not isinstance(content, list):
            return holder
        blocks = [await self._block(block) for block in content]
        if all(new is old for new, old in zip(blocks, content, strict=True)):
            return holder
        return holder | {"content": blocks}

    async def _block(self, block: Block) -> Block:
        if block["type"] == "tool_result":
            return await self._with_content(block)
        data = _pdf_data(block)
        if data is None:
            return block
        return block | {"source": {"type": "text", "media_type": "text/plain", "data": await self.text(data)}}

    async def text(self, encoded: str) -> str:
        """The text of a PDF that came in base64, or a sentence that says why there is none."""
        digest = hashlib.sha256(encoded.encode("utf-8", "replace")).hexdigest()
        if digest in self._texts:
            self._texts.move_to_end(digest)
            return self._texts[digest]
        async with self._turns:
            text = self._texts.get(digest) or await self._fresh(encoded)
        self._texts[digest] = text
        while len(self._texts) > _REMEMBERED:
            self._texts.popitem(last=False)
        return text

    async def _fresh(self, encoded: str) -> str:
        if len(encoded) * 3 // 4 > MOST_BYTES:
            return _unread(f"it has more than {MOST_BYTES // 2**20} MB")
        try:
            data = base64.b64decode(encoded)
        except (binascii.Error, ValueError):
            return _unread("its data is not base64")
        lines = await self._lines(data)
        return _as_text(lines)

    async def _lines(self, data: bytes) -> list[dict[str, Any]]:
        """What the program writes until it ends, or until its time is over."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "proxy.anthropic.pdf_pages"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST_LINE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        lines: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(self._most_seconds):
                child.stdin.write(data)
                child.stdin.write_eof()
                async for line in child.stdout:
                    lines.append(orjson.loads(line))
                if await child.wait():
                    lines.append({"fault": "too much for the time and memory that it gets"})
        except TimeoutError:
            lines.append({"fault": f"not done within {self._most_seconds:g} s"})
        except (ValueError, OSError):  # a line without end, or a program that ended before it read all
            lines.append({"fault": "damaged"})
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        return lines


def _pdf_data(block: Block) -> str | None:
    source = block.get("source") if block["type"] == "document" else None
    if not isinstance(source, dict) or source.get("type") != "base64":
        return None
    data = source.get("data")
    if not isinstance(data, str):
        return None
    is_pdf = source.get("media_type") == "application/pdf" or data.startswith("JVBERi")  # `%PDF-`
    return data if is_pdf else None


def _as_text(lines: list[dict[str, Any]]) -> str:
    """The pages with their numbers, and what is to be said of those that are missing."""
    total = next((line["pages"] for line in lines if "pages" in line), 0)
    fault = next((line["fault"] for line in lines if "fault" in line), "")
    pages = [line["text"] for line in lines if "text" in line]
    if fault == ENCRYPTED:
        return _unread(
            "it is encrypted. With its password, which only the user has, `pdftotext -upw PASSWORD FILE -`"
            " reads it"
        )
    if not total or (fault and not pages):
        return _unread(fault or "it has no pages")
    if not any(pages):
        return _unread(
            f"its {_pages(total)} hold no text, as scans do. `pdftoppm -png -r 100 FILE page` makes pictures"
            " of them, and `tesseract page-1.png -` reads the words of one"
        )
    parts = [f"[The text of a PDF of {_pages(total)}; its pictures and its layout are not shown]"]
    parts += [f"Page {number}:\n{text or '[no text]'}" for number, text in enumerate(pages, 1)]
    if len(pages) < total:
        why = fault or f"only {MOST_PAGES} pages and {MOST_CHARACTERS:,} characters are taken"
        left_out = f"{len(pages) + 1} to {total}"
        parts.append(
            f"[Pages {left_out} were not read: {why}. `pdftotext -f {len(pages) + 1} -l {len(pages) + 20}"
            " FILE -` reads the next ones.]"
        )
    return "\n\n".join(parts)


def _unread(why: str) -> str:
    return (
        f"[A PDF stands here that was not read: {why}. Do not guess what it says: use a tool that reads it"
        " from its file, or ask the user for the part that matters.]"
    )


def _pages(count: int) -> str:
    return "1 page" if count == 1 else f"{count} pages"
