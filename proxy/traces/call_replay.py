"""A stored tool call, read again from its raw text: each step, and whether it ends where it ended then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from engine.tool_calls.families.registry import FAMILIES
from engine.tool_calls.reading.family import Family
from engine.tool_calls.reading.pieces import CallArguments, CallBroken, CallEnd, CallPiece
from engine.tool_calls.recovery.misfits import misfit_calls
from engine.tool_calls.recovery.recovery import RecoveredCall, Unrecovered, recover_arguments, recover_text
from engine.tool_calls.schemas.tools import ToolSchemas, Verdict
from proxy.events.tool_call import ToolCall
from proxy.events.types import ToolVerdict
from proxy.traces.redaction.secret_shapes import REDACTED
from proxy.traces.schema import Trace
from proxy.translate.tools import ToolSet, tool_set

# As stored where no family wrote the raw text: name and arguments in one object, or the arguments alone.
STRUCTURED, INPUT_ALONE, TEXT = "structured by the upstream", "the input as it passed", "text"


@dataclass(frozen=True, slots=True)
class CallReplay:
    """One call, read again.

    `read_by` is a family or the form of the upstream's call, `pieces` what that reader yields, `arguments`
    the JSON text that comes of it (None: none does, and `broken` says why). `repairs` are those made now.
    """

    read_by: str
    pieces: tuple[CallPiece, ...]
    broken: str
    name: str
    arguments: str | None
    repairs: tuple[str, ...]
    unrepaired: str  # why the repairs lead nowhere
    verdict: ToolVerdict
    detail: str
    input: dict[str, Any] | None
    disagreements: tuple[str, ...]  # with what was stored; empty: it ends where it ended then

    @property
    def agrees(self) -> bool:
        return not self.disagreements


def offered_tools(trace: Trace) -> ToolSet:
    """The tools that a trace's request offered."""
    body = trace.request.body
    rows = body.get("tools") if isinstance(body, dict) else None
    return tool_set(
        [row for row in rows or () if isinstance(row, dict) and isinstance(row.get("name"), str)]
        if isinstance(rows, list)
        else []
    )


def replay(call: ToolCall, tools: ToolSchemas) -> CallReplay:
    """Read the raw text of a stored call as it was read then, with what this version knows of it."""
    read = _read(call, tools)
    if call.verdict == "cut":
        arguments = (read.arguments or "").strip()
        whole = bool(arguments) and tools.judge(read.name, arguments).usable
        read = replace(read, verdict="valid" if whole else "cut", detail=call.detail)
    elif read.arguments is None:
        read = _from_text(read, call, tools)
    else:
        read = _judged(read, call, tools)
    return replace(read, disagreements=tuple(_disagreements(read, call)))


def _read(call: ToolCall, tools: ToolSchemas) -> CallReplay:
    empty = CallReplay("", (), "", call.name, None, (), "", "unparsed", "", None, ())
    family = next((one for one in FAMILIES if one.name == call.family), None)
    if family is not None:
        pieces = _pieces(call, family, tools)
        ends = [piece for piece in pieces if isinstance(piece, CallEnd)]
        broken = next((piece.why for piece in pieces if isinstance(piece, CallBroken)), "")
        end = next((one for one in ends if one.name == call.name), ends[0] if ends else None)
        if end is None:
            broken = broken or f"its text holds no call as {family.name} writes them"
            return replace(empty, read_by=family.name, pieces=pieces, broken=broken)
        return replace(
            empty, read_by=family.name, pieces=pieces, name=end.name, arguments=end.arguments, broken=broken
        )
    if call.family:
        return replace(empty, read_by=call.family, broken="this version does not know the family")
    if (structured := _structured(call.raw)) is not None:
        return replace(empty, read_by=STRUCTURED, name=structured[0], arguments=structured[1])
    if _is_object(call.raw):
        return replace(empty, read_by=INPUT_ALONE, arguments=call.raw)
    return replace(empty, read_by=TEXT, broken="the trace does not say what read it")


def _structured(raw: str) -> tuple[str, str] | None:
    """Name, as the model gave it, and arguments in what `proxy.translate.pending_calls.as_text` wrote."""
    head, separator, rest = raw.partition(', "arguments": ')
    if not separator or not head.startswith('{"name": ') or not rest.endswith("}"):
        return None
    try:
        name = orjson.loads(head.removeprefix('{"name": '))
    except orjson.JSONDecodeError:
        return None
    return (name, rest[:-1]) if isinstance(name, str) else None


def _is_object(raw: str) -> bool:
    try:
        return isinstance(orjson.loads(raw), dict)
    except orjson.JSONDecodeError:
        return False


def _pieces(call: ToolCall, family: Family, tools: ToolSchemas) -> tuple[CallPiece, ...]:
    """What the family's reader yields, its argument pieces joined.

    The raw text of a later call of one section begins behind the section's opening mark.
    """
    text = call.raw.lstrip()
    opened = [mark for mark in family.openings if text.startswith(mark)]
    best: tuple[CallPiece, ...] = ()
    for mark in sorted(opened, key=len, reverse=True) or family.openings:
        reader = family.reader(mark, tools)
        pieces = reader.feed(text.removeprefix(mark))
        found = tuple(_joined(pieces if reader.over else [*pieces, *reader.close()]))
        if any(isinstance(piece, CallEnd) for piece in found):
            return found
        best = best or found
    return best


def _joined(pieces: Sequence[CallPiece]) -> Iterator[CallPiece]:
    texts: list[str] = []
    for piece in pieces:
        if isinstance(piece, CallArguments):
            texts.append(piece.text)
            continue
        if texts:
            yield CallArguments("".join(texts))
            texts = []
        yield piece
    if texts:
        yield CallArguments("".join(texts))


def _from_text(read: CallReplay, call: ToolCall, tools: ToolSchemas) -> CallReplay:
    """What recovery makes of a text that its reader cannot read."""
    family = next((one for one in FAMILIES if one.name == call.family), None)
    found = recover_text(call.raw, tools, family)
    if isinstance(found, Unrecovered) and (misfits := misfit_calls(call.raw, tools)):
        misfit = next((one for one in misfits if one.verdict.input == call.input), misfits[0])
        verdict = misfit.verdict
        return replace(
            read,
            name=misfit.name,
            arguments=misfit.arguments,
            verdict=verdict.verdict,
            detail=verdict.detail,
            input=verdict.input,
        )
    if isinstance(found, Unrecovered):
        return replace(read, repairs=found.repairs, unrepaired=found.why, detail=read.broken)
    same = [one for one in found if one.name == call.name]
    ours = next((one for one in same if one.verdict.input == call.input), (same or list(found))[0])
    return _recovered(read, ours)


def _judged(read: CallReplay, call: ToolCall, tools: ToolSchemas) -> CallReplay:
    verdict = tools.judge(read.name, read.arguments or "")
    if verdict.verdict == "unknown_tool" and call.verdict == "unchecked":
        verdict = Verdict("unchecked", verdict.input, verdict.detail)  # a tool of the endpoint's own
    judged = replace(read, verdict=verdict.verdict, detail=verdict.detail, input=verdict.input)
    # A call that was streamed, or passed on as it was, has never been repaired.
    as_it_was = read.read_by == INPUT_ALONE or (call.constrained and call.verdict in ("invalid", "unparsed"))
    if verdict.usable or as_it_was:
        return judged
    found = recover_arguments(read.name, read.arguments or "", tools)
    if isinstance(found, Unrecovered):
        return replace(judged, repairs=found.repairs, unrepaired=found.why)
    return _recovered(judged, found)


def _recovered(read: CallReplay, found: RecoveredCall) -> CallReplay:
    return replace(
        read,
        name=found.name,
        arguments=read.arguments if read.arguments is not None else found.arguments,
        repairs=found.repairs,
        verdict=found.verdict.verdict,
        detail=found.verdict.detail,
        input=found.verdict.input,
    )


def _disagreements(read: CallReplay, call: ToolCall) -> Iterator[str]:
    if read.verdict != call.verdict:
        yield f"the verdict is {read.verdict} and was {call.verdict}"
    if read.verdict in ("valid", "unchecked") and read.name != call.name:
        yield f"the tool is {read.name!r} and was {call.name!r}"
    if read.verdict == call.verdict and read.verdict != "cut" and not _same(read.input, call.input):
        yield "the input is another"


def _same(now: Any, then: Any) -> bool:
    """Whether two values are equal but for what was redacted, in one of them or in both."""
    if isinstance(now, dict) and isinstance(then, dict):
        return now.keys() == then.keys() and all(_same(now[key], then[key]) for key in now)
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(map(_same, now, then))
    if isinstance(then, str) and REDACTED in then:
        return isinstance(now, str)
    return bool(now == then) and isinstance(now, bool) == isinstance(then, bool)
