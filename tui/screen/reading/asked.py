"""The wish to read a text at length, which a pane or a screen posts."""

from __future__ import annotations

from dataclasses import replace

from textual.message import Message

from tui.client.wire_text import block_text, line_text
from tui.screen.reading.readable import Readable
from tui.screen.styled_line import plain_text
from tui.screen.widgets.block_layout import Block


class ReadAtLength(Message):
    """The user wants to read a text; `subject` is what it belongs to (`OpenedScreen.subject`)."""

    def __init__(self, readable: Readable, subject: str) -> None:
        super().__init__()
        self.readable = readable
        self.subject = subject


def reading_of(block: Block, part: str, trace_id: str) -> ReadAtLength:
    """The wish to read a block of a trace's part."""
    found = block.to_read
    name = line_text(plain_text(block.title), 60) or part
    safe = replace(found, name=name, text=block_text(found.text))
    return ReadAtLength(safe, f"{trace_id} {part} {name}")
