"""Calls that are not in their family's form: recovered where the meaning is certain, else returned as text.

A broken call has many repairs, and every repair has its limit: nothing is invented and nothing is dropped. A
call that is truncated within a value is not completed. A text with two different valid readings gives no
call. A result counts only if the tool's schema accepts it.

Where the meaning is unknown, JSON decides. A text that is valid JSON means what it says, even if a model that
escaped nothing meant more. A quote before the name of the next argument ends its string. Escapes in a string
with unescaped quotes are escapes. A blank before an unquoted word is layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from engine.tool_calls.reading.family import Family
from engine.tool_calls.reading.pieces import CallBegin, CallBroken, CallEnd, CallPiece
from engine.tool_calls.recovery.arguments import exact_json, recover_arguments, recovered_object
from engine.tool_calls.recovery.bare_parts import bare_parts
from engine.tool_calls.recovery.call_marks import layout_end, mark_parts, without_marks
from engine.tool_calls.recovery.call_shapes import calls_of, shape_schema
from engine.tool_calls.recovery.call_tags import tagged_call
from engine.tool_calls.recovery.python_calls import python_calls
from engine.tool_calls.recovery.recovered import (
    RecoveredCall,
    RecoveryOutcome,
    Unrecovered,
    one_call,
    only_outcome,
    with_repairs,
)
from engine.tool_calls.repair.json_repair import MAX_REPAIRABLE, Reading, Unreadable, readings
from engine.tool_calls.schemas.name_matching import matching_name, squash
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

__all__ = ["RecoveredCall", "Unrecovered", "recover_arguments", "recover_text"]

_MAX_PARTS = 50
_MAX_MARKS = 200  # each is tried in many ways; a model that repeats marks writes no call
_WORD = re.compile(r"[\w.:/-]{1,100}")
_BORDER = re.compile(r"[.:/]")
_NAME = re.compile(r"(?:to=)?([\w.:/-]{1,200})")


def recover_text(raw: str, tools: ToolSchemas, family: Family | None = None) -> RecoveryOutcome:
    """The calls in a text that should be one or more calls, with or without marks.

    Tried in order: `family`, all families, the forms of no family, and the families with their opening mark
    added. The whole text must be calls, and each of them must be recovered: else the whole text is returned
    as text. A caller that can separate the calls of a text, like a family's reader, recovers each by its own
    `raw`.
    """
    if not tools:
        return Unrecovered("the request offers no tools")
    if len(raw) > MAX_REPAIRABLE:
        return Unrecovered(f"it is too long to repair ({len(raw)} characters)")
    if _has_many_marks(raw):
        return Unrecovered(f"it has more than {_MAX_MARKS} marks of calls")
    failed = Unrecovered("it is not a call")
    for found in _attempts(raw, tools, family):
        if not isinstance(found, Unrecovered):
            return found
        failed = found
    return failed


def _has_many_marks(raw: str) -> bool:
    from engine.tool_calls.families.registry import FAMILIES

    marks = {opening for family in FAMILIES for opening in family.openings}
    return any(raw.count(mark) > _MAX_MARKS for mark in marks)


def _attempts(raw: str, tools: ToolSchemas, family: Family | None) -> Iterator[RecoveryOutcome]:
    from engine.tool_calls.families.notation_format import PythonicFormat
    from engine.tool_calls.families.registry import (
        FAMILIES,  # many modules; few calls need them
    )

    # The mark that a text begins with tells more than one that stands within it.
    others = sorted(FAMILIES, key=lambda one: not raw.lstrip().startswith(one.openings))
    families = [*([family] if family else []), *(other for other in others if other is not family)]
    marks = [opening for one in families for opening in one.openings]
    offer = (tools, _with_like_names(raw, tools))
    for one in families:
        yield from _by_family(raw, one, offer, () if one is family else (_as_written_by(one),))
    if len(parts := bare_parts(raw)) > 1 or (parts and raw.lstrip().startswith(">>>")):
        yield _all_of([_by_shape(part, tools, (), ended=True) for part in parts])
    body, fenced, ended = without_marks(raw, ())
    repairs = ("took it out of a code fence",) if fenced else ()
    if not body:
        return
    yield _by_shape(body, tools, repairs, ended=ended)
    bare, _, _ = without_marks(body, marks)
    if bare and bare != body:
        yield _by_shape(bare, tools, repairs, ended=ended)
    for one in families:
        # Python's calls were read already, and only where Python reads them too.
        for opening in () if isinstance(one, PythonicFormat) else one.openings:
            noted = (_as_written_by(one), "added its opening mark")
            tried = _by_family(opening + body, one, offer, noted)
            yield from (found for found in tried if not isinstance(found, Unrecovered))
    parts = mark_parts(body, marks)
    if 1 < len(parts) <= _MAX_PARTS:
        yield _all_of([_by_shape(part, tools, repairs, ended=True) for part in parts])


def _by_family(
    raw: str, family: Family, offer: tuple[ToolSchemas, ToolSchemas], repairs: tuple[str, ...]
) -> Iterator[RecoveryOutcome]:
    """The calls that the family's own reader finds; nothing if the text has more than calls and layout.

    `offer`: the tools, and the tools that the reader is to know.
    """
    if not family.openings:
        return
    tools, known = offer
    outcomes: list[RecoveryOutcome] = []
    rest = raw
    while layout_end(rest) < len(rest) or not outcomes:
        opening = _first_opening(rest, family)
        if opening is None or layout_end(rest[: opening.start()]) < opening.start():
            return
        reader = family.reader(opening[0], known)
        pieces = [*reader.feed(rest[opening.end() :])]
        if not reader.over:
            pieces += reader.close()
        if not pieces:
            return
        outcomes += [_of_piece(begun, piece, opening[0], tools, repairs) for begun, piece in _paired(pieces)]
        rest = reader.rest if reader.over else ""
    yield _all_of(outcomes)


def _first_opening(text: str, family: Family) -> re.Match[str] | None:
    longest_first = sorted(family.openings, key=len, reverse=True)
    return re.search("|".join(map(re.escape, longest_first)), text)


def _paired(pieces: Sequence[CallPiece]) -> Iterator[tuple[str, CallEnd | CallBroken]]:
    """Each call's last piece, with the name in its first piece."""
    begun = ""
    for piece in pieces:
        match piece:
            case CallBegin(name):
                begun = name
            case CallEnd() | CallBroken():
                yield begun, piece
                begun = ""


def _of_piece(
    begun: str, piece: CallEnd | CallBroken, mark: str, tools: ToolSchemas, repairs: tuple[str, ...]
) -> RecoveryOutcome:
    if isinstance(piece, CallEnd):
        return one_call(with_repairs(recover_arguments(piece.name, piece.arguments, tools), repairs))
    # The name may be a part of the mark before it too.
    name = piece.raw.find(begun, len(mark) if piece.raw.startswith(mark) else 0)
    start = piece.raw.find("{", name + len(begun)) if begun and name >= 0 else -1
    if start < 0:
        return Unrecovered(piece.why, repairs)
    body, _, marked = without_marks(piece.raw[start:], ())
    if piece.raw[:start].rstrip().endswith(("```json", "```")):
        body = body.rstrip().removesuffix("```")  # the fence is part of the family's form
    return one_call(with_repairs(recover_arguments(begun, body, tools, ended=marked), repairs))


def _with_like_names(text: str, tools: ToolSchemas) -> ToolSchemas:
    """The tools, and copies of them under other spellings of their names in the text, for readers to find."""
    squashed = {squash(name) for name in tools}
    words: set[str] = set()
    for word in set(_WORD.findall(text)):
        parts = {part for part in (word, *_BORDER.split(word)) if squash(part) in squashed}
        words |= {word, *parts} if parts else parts
    words -= set(tools)
    meant = {word: name for word in words if (name := matching_name(word, tools)) is not None}
    named = [ToolSchema(word, tools[name].parameters) for word, name in sorted(meant.items())]
    return ToolSchemas([*tools.values(), *named]) if named else tools


def _by_shape(body: str, tools: ToolSchemas, repairs: tuple[str, ...], *, ended: bool) -> RecoveryOutcome:
    if (tagged := _tagged(body, tools, repairs)) is not None:
        return tagged
    if calls := python_calls(body, tools):
        noted = (*repairs, "read a call in Python's syntax")
        return _all_of(
            [one_call(recovered_object(call.name, call.arguments, tools, noted)) for call in calls]
        )
    if (named := _NAME.match(body)) and matching_name(named[1], tools):
        arguments = body[named.end() + layout_end(body[named.end() :]) :]
        outcome = recover_arguments(named[1], arguments, tools, ended=ended)
        return one_call(with_repairs(outcome, (*repairs, "read a tool's name and JSON behind it as a call")))
    return _as_json(body, tools, repairs, ended=ended)


def _tagged(body: str, tools: ToolSchemas, repairs: tuple[str, ...]) -> RecoveryOutcome | None:
    outcomes: list[RecoveryOutcome] = []
    at = 0
    while at < len(body):
        call = tagged_call(body, at, tools)
        if call is None:
            return None
        noted = (*repairs, f"read a call in {call.form} tags")
        if call.unclosed:
            noted = (*noted, f"closed {call.form}")
        outcomes.append(one_call(recovered_object(call.name, call.arguments, tools, noted)))
        at = call.end + layout_end(body[call.end :])
    return _all_of(outcomes) if outcomes else None


def _as_json(body: str, tools: ToolSchemas, repairs: tuple[str, ...], *, ended: bool) -> RecoveryOutcome:
    schema, root = shape_schema(body, tools)
    try:
        found = readings(body, schema, root, ended=ended)
    except Unreadable as error:
        return Unrecovered(str(error), repairs)
    outcomes = [(_of_reading(one, tools, (*repairs, *one.repairs)), one.suspect) for one in found]
    return only_outcome(outcomes)


def _of_reading(reading: Reading, tools: ToolSchemas, repairs: tuple[str, ...]) -> RecoveryOutcome:
    try:
        calls = calls_of(exact_json(reading.text), tools)
    except (ValueError, RecursionError) as error:
        return Unrecovered(f"it is not JSON: {error}", repairs)
    if not calls:
        return Unrecovered("its JSON names no offered tool, or contains more than a call", repairs)
    noted = (*repairs, "read JSON as a call")
    return _all_of(
        [
            one_call(recovered_object(call.name, call.arguments, tools, noted, closed=reading.closed))
            for call in calls
        ]
    )


def _all_of(outcomes: Sequence[RecoveryOutcome]) -> RecoveryOutcome:
    calls: list[RecoveredCall] = []
    for number, outcome in enumerate(outcomes, 1):
        if isinstance(outcome, Unrecovered):
            which = f"call {number} of {len(outcomes)}: " if len(outcomes) > 1 else ""
            return Unrecovered(which + outcome.why, outcome.repairs)
        calls += outcome
    return tuple(calls)


def _as_written_by(family: Family) -> str:
    return f"read it as {family.name} writes calls"
