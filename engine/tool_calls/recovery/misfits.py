"""Whole calls that fit no offered tool, for the client to answer with an error that the model can correct.

Nothing is repaired here: a call counts as the model wrote it, or is no call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.tool_calls.reading.family import Family
from engine.tool_calls.reading.pieces import CallBegin, CallBroken, CallEnd
from engine.tool_calls.schemas.name_matching import matching_name
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas, Verdict

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")  # what Anthropic's API takes
_WORD = re.compile(r"(?<![\w-])[A-Za-z_][A-Za-z0-9_-]{0,127}(?![\w-])")
_MOST_WORDS = 300  # at the beginning of a text, where the names of its calls stand
_LONGEST = 100_000  # characters of a text


@dataclass(frozen=True, slots=True)
class MisfitCall:
    """One call as it was written: `verdict` says why it does not fit, and has its input."""

    name: str
    arguments: str
    verdict: Verdict
    family: str = ""


def misfit_call(name: str, arguments: str, tools: ToolSchemas) -> MisfitCall | None:
    """A call whose name and arguments are known separately; None if it cannot be one.

    Its name must be one that tools can have, and its arguments a JSON object.
    """
    meant = matching_name(name, tools) or name
    verdict = tools.judge(meant, arguments)
    if not tools or not _NAME.fullmatch(meant) or verdict.input is None:
        return None
    return MisfitCall(meant, arguments, verdict)


def misfit_calls(raw: str, tools: ToolSchemas, family: Family | None = None) -> tuple[MisfitCall, ...]:
    """The calls of a text that is whole calls in a family's own form; none if it has anything else.

    Without `family` any family's form counts. Then a tool that is not offered must have arguments: a mark
    and a word are a call in some families.
    """
    if not tools or len(raw) > _LONGEST:
        return ()
    words = [ToolSchema(word) for word in dict.fromkeys(_words(raw)) if word not in tools]
    for offered in (tools.values(), map(ToolSchema, tools)):
        if found := _read(raw, ToolSchemas([*offered, *words]), tools, family):
            return found
    return ()


@dataclass(frozen=True, slots=True)
class BegunCall:
    """A call whose end is missing; `name` is that of an offered tool."""

    name: str
    family: str


def begun_call(raw: str, tools: ToolSchemas) -> BegunCall | None:
    """The call that a text of one call ends within, in a family's own form; None if its tool is not known."""
    from engine.tool_calls.families.registry import FAMILIES  # many modules; few calls need them

    text = raw.strip()
    for family in FAMILIES:
        opening = max((mark for mark in family.openings if text.startswith(mark)), key=len, default="")
        if not opening:
            continue
        reader = family.reader(opening, tools)
        pieces = reader.feed(text[len(opening) :])
        if reader.over:
            continue
        pieces += reader.close(truncated=True)
        names = [piece.name for piece in pieces if isinstance(piece, CallBegin)]
        if len(names) == 1 and names[0] in tools and isinstance(pieces[-1], CallBroken):
            return BegunCall(names[0], family.name)
    return None


def _words(raw: str) -> Iterator[str]:
    for count, found in enumerate(_WORD.finditer(raw)):
        if count == _MOST_WORDS:
            return
        yield found[0]


def _read(raw: str, known: ToolSchemas, tools: ToolSchemas, family: Family | None) -> tuple[MisfitCall, ...]:
    from engine.tool_calls.families.registry import matching_family  # many modules; few calls need them

    certain = family is not None
    family = family or matching_family(raw, known)
    if family is None:
        return ()
    found: list[MisfitCall] = []
    rest = raw.strip()
    while rest:
        opening = max((mark for mark in family.openings if rest.startswith(mark)), key=len, default="")
        if not opening:
            return ()
        reader = family.reader(opening, known)
        pieces = reader.feed(rest[len(opening) :])
        if not reader.over:
            pieces += reader.close(truncated=True)
        calls = [_judged(piece, tools, family.name) for piece in _ends(pieces)]
        if not calls or not all(
            call and (certain or call.verdict.input or call.name in tools) for call in calls
        ):
            return ()
        found += [call for call in calls if call is not None]
        rest = reader.rest.strip() if reader.over else ""
    return tuple(found)


def _ends(pieces: Sequence[object]) -> Iterator[CallEnd | CallBroken]:
    return (piece for piece in pieces if isinstance(piece, CallEnd | CallBroken))


def _judged(piece: CallEnd | CallBroken, tools: ToolSchemas, family: str) -> MisfitCall | None:
    call = misfit_call(piece.name, piece.arguments, tools) if isinstance(piece, CallEnd) else None
    return MisfitCall(call.name, call.arguments, call.verdict, family) if call is not None else None
