"""The parts of a trace, in the order of their digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui.screen.keys.command import TRACE_PARTS
from tui.screen.trace_detail.answer import answer_part, calls_part
from tui.screen.trace_detail.bodies import raw_part, upstream_part
from tui.screen.trace_detail.conversation import conversation_part
from tui.screen.trace_detail.moments import events_part
from tui.screen.trace_detail.offered import system_part, tools_part
from tui.screen.trace_detail.opened_trace import OpenedTrace
from tui.screen.trace_detail.why_part import why_part
from tui.screen.widgets.block_layout import Block


@dataclass(frozen=True)
class Part:
    """A part: its name, that on a narrow screen, and what makes its blocks."""

    name: str
    short: str
    blocks: Callable[[OpenedTrace], list[Block]]


_BLOCKS = (
    why_part,
    conversation_part,
    system_part,
    tools_part,
    answer_part,
    calls_part,
    raw_part,
    upstream_part,
    events_part,
)
PARTS = tuple(Part(*names, blocks) for names, blocks in zip(TRACE_PARTS, _BLOCKS, strict=True))
