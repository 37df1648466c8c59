"""The answer as the client got it, and each of its calls from the model's text to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.events.causes import end_of_cancelled
from tui.client.figures import plural, seconds
from tui.client.wire_text import line_text
from tui.screen.calls.call_words import refusal
from tui.screen.reading.readable import call_to_read, result_to_read
from tui.screen.styled_line import Line
from tui.screen.trace_detail.conversation import pieces_said, said_title
from tui.screen.trace_detail.opened_trace import OpenedTrace, pretty
from tui.screen.trace_detail.wrapped_calls import wrapped_call
from tui.screen.widgets.block_layout import Block

if TYPE_CHECKING:
    from proxy.events.tool_call import ToolCall

_PREVIEW = 14  # lines of a result, and of a thought


def answer_part(opened: OpenedTrace) -> list[Block]:
    """What the client got, in its order; an error first."""
    response, message = opened.trace.response, opened.message
    blocks: list[Block] = []
    if response.error is not None and not response.cancelled:
        title: Line = [(line_text(response.error.type), "bad bold"), (f"   HTTP {response.status}", "muted")]
        blocks.append(Block(title, response.error.message or "(no message)", open=True))
    if response.cancelled:
        cause = response.error.cause if response.error else ""
        blocks.append(Block([(f"Cancelled: {end_of_cancelled(cause)}.", "warn")]))
    if blocks and message.get("content"):
        blocks.append(Block([("As far as it came", "muted")], open=True))
    for said in pieces_said([{"role": "assistant", "content": message.get("content")}]):
        title = said_title(said) if said.kind != "text" else []
        match said.kind:
            case "call":
                blocks.append(_called(title, said.name, said.given))
            case "thinking":
                blocks.append(Block(title, said.text, preview=_PREVIEW, style="thinking"))
            case "text" | "reminder":
                blocks.append(Block(title, said.text, kind="prose", open=True))
            case _:
                blocks.append(Block(title, pretty(said.given), kind="json", open=True))
    if not blocks:
        return [Block([("No answer.", "muted")])]
    rest = {key: value for key, value in message.items() if key != "content"}
    if rest:
        reason = line_text(opened.stop_reason)
        note: Line = [("Ended: ", "muted"), (reason or "without a word", "")]
        blocks.append(Block(note, pretty(rest), "the message without its content", kind="json"))
    return blocks


def _called(title: Line, name: str, given: Any) -> Block:
    return Block(
        title,
        lambda cells: wrapped_call(name, given, cells),
        open=True,
        source=lambda: call_to_read(name, given),
    )


def calls_part(opened: OpenedTrace) -> list[Block]:
    """Each call of the answer: how it was read, what it became, what came back."""
    calls = opened.trace.tool_calls
    if not calls:
        return [Block([("The answer made no tool call.", "muted")])]
    return [block for number, call in enumerate(calls, 1) for block in _call(number, call)]


def _call(number: int, call: ToolCall) -> list[Block]:
    verdict, style = _verdict(call)
    title: Line = [
        (f"{number}  ", "dim"),
        (line_text(call.name), "tool bold"),
        (f"  {verdict}", style),
    ]
    if call.is_error is not None:
        title.append(("  ✗ error" if call.is_error else "  ✓ ok", "bad" if call.is_error else "ok"))
    answered = call.result is not None or call.is_error is not None
    took = seconds(call.duration_s) if call.duration_s is not None else "" if answered else "no result yet"
    blocks = [Block(title, note=took, open=True), _how_read(call)]
    if call.detail:
        blocks.append(Block([("what is wrong", "bad")], call.detail, level=1, open=True))
    if call.repairs:
        repairs = "\n".join(f"{place}  {repair}" for place, repair in enumerate(call.repairs, 1))
        blocks.append(Block([("repairs", "warn")], repairs, level=1, open=True))
    if call.input is not None:
        blocks.append(
            Block(
                [("arguments", "label")],
                lambda cells: wrapped_call(line_text(call.name), call.input, cells),
                level=1,
                open=True,
                source=lambda: call_to_read(call.name, call.input),
            )
        )
    if call.raw:
        note = plural(len(call.raw), "character")
        blocks.append(Block([("as the model wrote it", "label")], call.raw, note, level=1))
    if call.result is not None:
        word: Line = [("error", "bad")] if call.is_error else [("result", "label")]
        result = call.result
        blocks.append(
            Block(
                word,
                result or "(empty)",
                plural(len(result), "character"),
                level=1,
                preview=_PREVIEW,
                style="bad" if call.is_error else "",
                source=lambda: result_to_read(call.name, call.input, result),
            )
        )
    return blocks


def _how_read(call: ToolCall) -> Block:
    """The steps on one line: text, reader, grammar, repairs, verdict."""
    tokens = plural(len(call.tokens), "token") if call.tokens else plural(len(call.raw), "character")
    relaxed = f"constrained by a relaxed grammar ({call.relaxed})"
    steps = [
        tokens if call.raw else "",
        f"read as {call.family}" if call.family else "read by the upstream",
        relaxed if call.relaxed else "constrained by a grammar" if call.constrained else "",
        "no grammar" if call.constrained is False else "",
        plural(len(call.repairs), "repair") if call.repairs else "",
        call.verdict.replace("_", " "),
        f"id {call.id}",
    ]
    return Block([], line_text(" → ".join(step for step in steps if step)), level=1, open=True, style="muted")


def _verdict(call: ToolCall) -> tuple[str, str]:
    if refused := refusal(call.verdict):
        return refused
    word = call.verdict.replace("_", " ")
    if call.repairs and call.verdict == "valid":
        return f"✓ after {plural(len(call.repairs), 'repair')}", "warn"
    return ("✓ fits its schema", "ok") if call.verdict == "valid" else (word, "muted")
