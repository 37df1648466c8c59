"""`python -m engine.family_verification`: every tool-call family's reader and grammar, without a model.

Each family writes two calls. Its reader has to find them again, however the text is split, and each has to
fit its schema. Its grammar has to allow them, and to stop a call of a tool that is not offered. Marks are
taken byte by byte, so the tokenizer of the bundled model serves all families.

Prints a line of JSON for each: `family`, and `reader` and `grammar`, which say what is wrong, else are empty.
Exit codes: 0 all hold, 1 one does not.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

from engine import bundled_model
from engine.answers.marker_scanner import MarkerScanner
from engine.constrained.answer_grammar import AnswerRules
from engine.constrained.grammar import Grammars, GrammarUnavailable
from engine.models.tokenizer_loading import load_tokenizer
from engine.process.exit_codes import ExitCode
from engine.tool_calls.families.registry import FAMILIES
from engine.tool_calls.reading.family import CallReader, Family
from engine.tool_calls.reading.pieces import CallBroken, CallEnd, CallPiece
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

_EDITS = {
    "type": "object",
    "properties": {
        # In the order of the alphabet, in which Gemma's templates write them.
        "all": {"type": "boolean"},
        "count": {"type": "integer"},
        "file_path": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["file_path", "count"],
    "additionalProperties": False,
}
_RUN = {
    "type": "object",
    "properties": {"command": {"type": "string"}},
    "required": ["command"],
    "additionalProperties": False,
}
OFFERED = ToolSchemas([ToolSchema("Edit", _EDITS), ToolSchema("mcp__shell__run", _RUN)])
OTHER = ToolSchemas([ToolSchema("Unknown", _RUN)])

Calls = Sequence[tuple[str, dict[str, Any]]]
CALLS: tuple[Calls, ...] = (
    [("Edit", {"all": True, "count": 3, "file_path": "/tmp/größe.txt", "lines": ["a", "b\n"]})],
    [("mcp__shell__run", {"command": 'echo "a < b" && ls'})],
)
NOT_OFFERED: Calls = [("Unknown", {"command": "ls"})]


def reader_fault(family: Family) -> str:
    """What the reader gets wrong; empty if nothing."""
    for calls in CALLS:
        text = family.write(calls, OFFERED)
        for size in (len(text), 1, 7):
            pieces = read_pieces(family, text, size)
            if broken := next((piece.why for piece in pieces if isinstance(piece, CallBroken)), ""):
                return f"{calls[0][0]} is not read in pieces of {size}: {broken}"
            ends = [piece for piece in pieces if isinstance(piece, CallEnd)]
            if [(end.name, json.loads(end.arguments)) for end in ends] != list(calls):
                return f"{calls[0][0]} is read as another call in pieces of {size}"
            for end in ends:
                if (verdict := OFFERED.judge(end.name, end.arguments)).verdict != "valid":
                    return f"{end.name} does not fit its schema: {verdict.detail}"
    return ""


def read_pieces(family: Family, text: str, size: int) -> list[CallPiece]:
    """What the family's readers make of a text that arrives in pieces of one size."""
    scanner = MarkerScanner(family.openings)
    reader: CallReader | None = None
    found: list[CallPiece] = []
    for at in range(0, len(text), size):
        piece = text[at : at + size]
        while piece:
            if reader is None:
                mark = next((mark for _, mark in scanner.feed(piece) if mark is not None), None)
                if mark is None:
                    break
                reader, piece = family.reader(mark, OFFERED), scanner.flush()
                continue
            found += reader.feed(piece)
            if not reader.over:
                break
            piece = reader.rest
            reader, scanner = None, MarkerScanner(family.openings)
    if reader is not None:
        found += reader.close()
    return found


def grammar_fault(family: Family, grammars: Grammars, tokenizer: Any) -> str:
    """What the grammar gets wrong; empty if nothing."""
    try:
        compiled = grammars.compile(AnswerRules(family=family, tools=tuple(OFFERED.values())))
    except GrammarUnavailable as error:
        return str(error)
    if compiled.relaxed:
        return "; ".join(f"{name}: {why}" for name, why in compiled.relaxed.items())
    for calls in CALLS:
        guide = compiled.guide(_tokens(tokenizer, family.write(calls, OFFERED)))
        if guide.failure:
            return f"it forbids a call of {calls[0][0]}: {guide.failure}"
    guide = compiled.guide(_tokens(tokenizer, family.write(NOT_OFFERED, OTHER)))
    return "" if guide.failure else "it allows a call of a tool that is not offered"


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def main() -> int:
    """Check all families and print what was found; returns the exit code."""
    logging.disable(logging.WARNING)  # of a guide about the call that it has to stop
    tokenizer = load_tokenizer(bundled_model.FOLDER).tokenizer
    grammars = Grammars(tokenizer, tokenizer.eos_token_ids)
    code = ExitCode.FINE
    for family in FAMILIES:
        faults = {"reader": reader_fault(family), "grammar": grammar_fault(family, grammars, tokenizer)}
        sys.stdout.write(json.dumps({"family": family.name, **faults}) + "\n")
        if any(faults.values()):
            code = ExitCode.FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
