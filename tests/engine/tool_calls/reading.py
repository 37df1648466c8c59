"""Reads whole answers with a family's readers, and checks the guarantees of every reader."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from engine.answers.marker_scanner import MarkerScanner
from engine.tool_calls.reading.family import CallReader, Family
from engine.tool_calls.reading.pieces import CallArguments, CallBegin, CallBroken, CallEnd, CallPiece
from engine.tool_calls.schemas.tools import ToolSchemas

Part = str | CallPiece


@dataclass(frozen=True)
class Answer:
    """The parts that were read, in order: texts, whole calls and broken ones; adjacent texts are joined."""

    parts: tuple[str | CallEnd | CallBroken, ...]

    @property
    def calls(self) -> list[tuple[str, Any]]:
        return [(part.name, json.loads(part.arguments)) for part in self.parts if isinstance(part, CallEnd)]

    @property
    def broken(self) -> list[CallBroken]:
        return [part for part in self.parts if isinstance(part, CallBroken)]

    @property
    def texts(self) -> list[str]:
        return [part for part in self.parts if isinstance(part, str)]

    @property
    def raw(self) -> str:
        return "".join(part if isinstance(part, str) else part.raw for part in self.parts)


def read(family: Family, text: str, tools: ToolSchemas, splits: Iterable[int] = ()) -> Answer:
    """Read an answer in pieces, split at the given positions."""
    answer = _checked(_parts(family, _split(text, splits), tools))
    assert answer.raw == text, "something was lost or added"
    return answer


def read_by(size: int, family: Family, text: str, tools: ToolSchemas) -> Answer:
    """Read an answer in pieces of one size."""
    return read(family, text, tools, range(size, len(text), size))


def _split(text: str, splits: Iterable[int]) -> list[str]:
    places = [0, *sorted({place for place in splits if 0 < place < len(text)}), len(text)]
    return [text[begin:end] for begin, end in pairwise(places)]


def _parts(family: Family, chunks: Sequence[str], tools: ToolSchemas) -> Iterator[Part]:
    scanner = MarkerScanner(family.openings)
    reader: CallReader | None = None
    for chunk in [*chunks, None]:
        text, final = chunk or "", chunk is None
        while True:
            if reader is not None:
                if text:
                    yield from reader.feed(text)
                if final and not reader.over:
                    yield from reader.close()
                    assert reader.over, "a reader must end with the answer"
                if not reader.over:
                    break
                text, reader = reader.rest, None
            for before, mark in scanner.feed(text, final=final):
                yield before
                if mark is not None:
                    reader, text = family.reader(mark, tools), scanner.flush()
                    break
            if reader is None:
                break


def _checked(parts: Iterable[Part]) -> Answer:
    read: list[str | CallEnd | CallBroken] = []
    name: str | None = None
    arguments = ""
    for part in parts:
        match part:
            case str():
                assert not part or name is None, "text inside of a call"
                if read and isinstance(read[-1], str):
                    read[-1] += part
                elif part:
                    read.append(part)
            case CallBegin():
                assert name is None, "a call inside of a call"
                name, arguments = part.name, ""
            case CallArguments():
                assert name is not None, "arguments before their call"
                assert part.text, "an empty piece"
                arguments += part.text
            case CallEnd():
                assert part.name == name
                assert part.arguments == arguments, "the pieces are not the whole"
                read.append(part)
                name = None
            case CallBroken():
                assert part.why
                read.append(part)
                name = None
    assert name is None, "a call was left open"
    return Answer(tuple(read))
