"""What stands before the conversation: the blocks of the system text, and the tools that were offered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy.traces.analysis.parts.part_tokens import WeighedPiece, piece_tokens
from tui.client.figures import count, plural, size
from tui.client.wire_text import line_text, shorten, width
from tui.screen.styled_line import Line
from tui.screen.trace_detail.conversation import call_counts
from tui.screen.trace_detail.opened_trace import OpenedTrace, characters, json_size, pretty
from tui.screen.widgets.block_layout import Block, LazyText

_PREVIEW = 24  # lines of a block of the system text
_ABOUT = 76
_LONGEST_NAME = 30


def system_part(opened: OpenedTrace) -> list[Block]:
    """The blocks of the system text, with their cache breakpoints, and whether the model saw them."""
    system = opened.body.get("system")
    blocks = system if isinstance(system, list) else [system] if system else []
    sent = _system_sent(opened.upstream)
    if not blocks:
        if sent:
            return [
                Block([("System text sent upstream", "bold")], sent, note_of(len(sent), opened), open=True)
            ]
        return [Block([("This request has no system text.", "muted")])]
    counted = _counted(opened, blocks, [])
    whole = _note(characters(blocks), opened, counted)
    found = [Block([(plural(len(blocks), "block"), "bold")], note=whole, open=True)]
    for number, block in enumerate(blocks, 1):
        text = block.get("text") if isinstance(block, dict) else block
        shown = text if isinstance(text, str) else pretty(block)
        marks: Line = []
        if isinstance(block, dict) and block.get("cache_control"):
            marks.append(("  cache breakpoint", "restored"))
        if sent and isinstance(text, str) and text.strip() not in sent:
            marks.append(("  not sent as it is: see Upstream", "warn"))
        title: Line = [(f"block {number}", "bold"), *marks]
        own = counted[number - 1 : number]
        note = _note(len(shown), opened, own, shared=len(blocks) > 1)
        found.append(Block(title, shown, note, level=1, preview=_PREVIEW))
    return found


def tools_part(opened: OpenedTrace) -> list[Block]:
    """The tools that were offered: their share of the prompt, how often they were called, their schemas."""
    tools = opened.body.get("tools")
    if not isinstance(tools, list) or not tools:
        return [Block([("This request offers no tools.", "muted")])]
    calls = call_counts(opened)
    named = [(_definition(tool), tool) for tool in tools]
    counted = _counted(opened, [], named)
    unused = [at for at, ((name, _), _) in enumerate(named) if not calls.get(name)]
    whole = _note(json_size(tools), opened, counted)
    title: Line = [(plural(len(tools), "tool"), "bold"), (f"   {whole}", "muted")]
    if unused:
        theirs = [counted[at] for at in unused] if counted else []
        size_of_them = json_size([tools[at] for at in unused])
        title += [
            (f"   {len(unused)} never used in this conversation", "warn"),
            (f" {_note(size_of_them, opened, theirs)}", "muted"),
        ]
    cells = min(_LONGEST_NAME, max(width(name) for (name, _), _ in named))
    return [
        Block(title, open=True),
        *(
            _tool(
                shorten(name, cells),
                about,
                tool,
                calls.get(name, 0),
                cells,
                _note(json_size(tool), opened, counted[at : at + 1]),
            )
            for at, ((name, about), tool) in enumerate(named)
        ),
    ]


def _tool(name: str, about: str, tool: Any, used: int, cells: int, note: str) -> Block:
    title: Line = [
        (name + " " * (cells - width(name)), "tool" if used else "muted"),
        (f"  {note:>13}  ", "muted"),
        (f"{'used ' + str(used) + ' ×' if used else 'never used':<11}", "ok" if used else "dim"),
    ]
    if isinstance(tool, dict) and tool.get("defer_loading") is True:
        title.append((" comes later", "accent"))
    title.append((f" {shorten(about, _ABOUT)}", "dim"))
    return Block(title, LazyText(lambda: _explained(tool)), kind="json", level=1)


def _explained(tool: Any) -> str:
    """A tool's description as it is read, then its definition."""
    about = tool.get("description") if isinstance(tool, dict) else None
    if isinstance(about, str) and about:
        schema = {key: value for key, value in tool.items() if key not in ("description", "name")}
        return f"{about}\n\n{pretty(schema)}"
    return pretty(tool)


def _definition(tool: Any) -> tuple[str, str]:
    function = tool.get("function", tool) if isinstance(tool, dict) else {}
    function = function if isinstance(function, dict) else {}
    name = function.get("name") or (tool.get("type") if isinstance(tool, dict) else "") or "?"
    return line_text(str(name)), line_text(str(function.get("description") or ""), 400)


def _counted(
    opened: OpenedTrace, blocks: Sequence[Any], tools: Sequence[tuple[tuple[str, str], Any]]
) -> list[float]:
    """The tokens of each of these, as the engine counted the parts that they are in; empty: it did not.

    What is not asked for is one piece, which takes the parts of its kind.
    """
    body = opened.body
    texts = [block.get("text") if isinstance(block, dict) else block for block in blocks]
    asked = [WeighedPiece("system", characters(text)) for text in texts]
    asked += [WeighedPiece("tool", json_size(tool), name) for (name, _), tool in tools]
    others = [WeighedPiece("message", 1, number=1)]
    if not blocks and body.get("system"):
        others.append(WeighedPiece("system", characters(body["system"])))
    if not tools and body.get("tools"):
        others.append(WeighedPiece("tool", json_size(body["tools"])))
    counted = piece_tokens([*asked, *others], opened.raw.prompt_parts, 1)
    return counted[: len(asked)] if counted else []


def _note(length: int, opened: OpenedTrace, counted: Sequence[float], *, shared: bool = False) -> str:
    """The tokens of something so long: counted, where they were, else about how many; `shared`: by length."""
    if not counted:
        return note_of(length, opened)
    return f"{'~' if shared else ''}{count(round(sum(counted)))} tokens"


def note_of(length: int, opened: OpenedTrace) -> str:
    """About how many tokens so many characters of the prompt are; their size where nothing was counted."""
    tokens = length * opened.tokens_a_character
    return f"~{count(round(tokens))} tokens" if tokens else size(length)


def _system_sent(upstream: dict[str, Any]) -> str:
    messages = upstream.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    if isinstance(first, dict) and first.get("role") == "system" and isinstance(first.get("content"), str):
        return str(first["content"])
    return ""
