"""The parser of filters.

    term term …        all must hold            a | b              one of these, blanks around the bar
    !term              must not hold            x|y                one of these words, no blanks
    word               in the row's words       "some words"       in the text of the request or the answer
    tool:Read,Edit     a field, see `KEYS`      file:*.py          `*` stands for anything
    ttft>2s            a figure, see `FIGURES`  since:7d           a time

Case plays no part. A quote keeps blanks and signs together, also behind a key: `file:"my notes.md"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import zip_longest

from proxy.filters.moments import moment_of
from proxy.filters.terms import (
    FIGURES,
    KEYS,
    LANES,
    STATES,
    Comparison,
    Condition,
    Field,
    Filter,
    FilterError,
    Phrase,
    State,
    Status,
    Term,
    Time,
    Word,
)

_KEY = re.compile(r"([A-Za-z_-]+):(?!//)")
_SIGN = re.compile(r"<=|>=|<|>|=")
_COMPARED = re.compile(rf"([A-Za-z_-]+)({_SIGN.pattern})")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?|\.\d+)([a-z%]*)")
_UNITS = {
    "seconds": {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0},
    "count": {"": 1.0, "k": 1000.0, "m": 1_000_000.0},
    "share": {"%": 0.01, "": 0.01},
}
_NAMES = [key.name for key in KEYS]
_FIGURES = {figure.name: figure for figure in FIGURES}
_MOST = 60  # terms: SQLite takes 1000 levels of an expression, and nobody writes more


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the query without blanks outside of quotes."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def parse_filter(query: str, *, now: float) -> Filter:
    """Read a filter; `now` in epoch seconds is what times are counted from.

    Raises:
        FilterError: it cannot be read; names the characters.
    """
    alternatives: list[list[Term]] = [[]]
    bars: list[Piece] = []
    found = list(pieces(query))
    if len(found) > _MOST:
        raise FilterError(f"more than {_MOST} terms", found[_MOST].start, len(query))
    for piece, after in zip_longest(found, found[1:]):
        if after and piece.text.lower() in _FIGURES and _SIGN.match(after.text):
            example = _FIGURES[piece.text.lower()].example
            raise FilterError(f"without blanks, as in {example}", piece.start, after.end)
        if piece.text == "|":
            if not alternatives[-1]:
                raise FilterError("nothing stands before this |", piece.start, piece.end)
            alternatives.append([])
            bars.append(piece)
        else:
            alternatives[-1].append(_term(piece, now))
    if bars and not alternatives[-1]:
        raise FilterError("nothing stands behind this |", bars[-1].start, bars[-1].end)
    return Filter(tuple(tuple(terms) for terms in alternatives if terms))


def pieces(query: str) -> Iterator[Piece]:
    """The stretches of a query.

    Raises:
        FilterError: a quote does not end.
    """
    start: int | None = None
    quote: int | None = None
    for at, sign in enumerate(query):
        if sign == '"':
            quote = at if quote is None else None
        if not sign.isspace() or quote is not None:
            start = at if start is None else start
        elif start is not None:
            yield Piece(query[start:at], start)
            start = None
    if quote is not None:
        raise FilterError("this quote does not end", quote, len(query))
    if start is not None:
        yield Piece(query[start:], start)


def _term(piece: Piece, now: float) -> Term:
    negated = piece.text.startswith("!")
    body = Piece(piece.text[negated:], piece.start + negated)
    if not body.text:
        raise FilterError("a word belongs behind the !", piece.start, piece.end)
    return Term(tuple(_condition(part, now) for part in _parts(body, "|")), negated)


def _parts(piece: Piece, sign: str) -> Iterator[Piece]:
    """What stands between such signs outside of quotes; an empty part is an error."""
    start, quoted = 0, False
    text = piece.text + sign
    for at, found in enumerate(text):
        if found == '"':
            quoted = not quoted
        elif found == sign and not quoted:
            if at == start:
                place = piece.start + min(at, len(piece.text) - 1)  # at the end, the sign before it
                raise FilterError(f"nothing stands beside this {sign}", place, place + 1)
            yield Piece(text[start:at], piece.start + start)
            start = at + 1


def _condition(piece: Piece, now: float) -> Condition:
    if key := _KEY.match(piece.text):
        return _field(piece, key, now)
    if compared := _COMPARED.match(piece.text):
        name = compared[1].lower()
        if name in _FIGURES:
            return _comparison(piece, compared)
        if piece.text[compared.end() :][:1].isdigit():
            raise FilterError(
                f"there is no figure {name}{_meant(name, list(_FIGURES))}; known: {', '.join(_FIGURES)}",
                piece.start,
                piece.end,
            )
    if piece.text.startswith('"'):
        return Phrase(_unquoted(piece))
    return Word(_unquoted(piece).lower())


def _field(piece: Piece, key: re.Match[str], now: float) -> Condition:
    name = key[1].lower()
    if name not in _NAMES:
        raise FilterError(
            f"there is no {name}:{_meant(name, _NAMES)}; put it into quotes to look for the text",
            piece.start,
            piece.end,
        )
    value = Piece(piece.text[key.end() :], piece.start + key.end())
    if not value.text:
        example = next(known.example for known in KEYS if known.name == name)
        raise FilterError(f"a value belongs behind {name}: such as {example}", piece.start, piece.end)
    if name in ("since", "before"):
        try:
            moment = moment_of(_unquoted(value).lower(), now=now)
        except ValueError as error:
            raise FilterError(str(error), value.start, value.end) from None
        return Time("since" if name == "since" else "before", moment)
    values = tuple(_parts(value, ","))
    if name == "status":
        return Status(tuple(map(_status, values)))
    if name == "is":
        if len(values) > 1:
            raise FilterError("one state each: is:failed|is:cancelled", value.start, value.end)
        return _state(values[0])
    if name == "lane":
        return Field(name, tuple(map(_lane, values)))
    return Field(name, tuple(_unquoted(part).lower() for part in values))


def _lane(piece: Piece) -> str:
    name = _unquoted(piece).lower()
    if "*" not in name and not any(name in lane for lane in LANES):
        reason = f"there is no lane:{name}{_meant(name, list(LANES))}; known: {', '.join(LANES)}"
        raise FilterError(reason, piece.start, piece.end)
    return name


def _state(piece: Piece) -> State:
    name = _unquoted(piece).lower().replace("-", "")
    if name not in STATES:
        raise FilterError(
            f"there is no is:{name}{_meant(name, list(STATES))}; known: {', '.join(STATES)}",
            piece.start,
            piece.end,
        )
    return State(name)


def _status(piece: Piece) -> tuple[int, int]:
    text = _unquoted(piece).lower()
    if found := re.fullmatch(r"([1-5])xx", text):
        return int(found[1]) * 100, int(found[1]) * 100 + 99
    if found := re.fullmatch(r"(\d{3})(?:-(\d{3}))?", text):
        low, high = int(found[1]), int(found[2] or found[1])
        if low <= high:
            return low, high
    raise FilterError("a status is 200, 4xx or 500-529", piece.start, piece.end)


def _comparison(piece: Piece, compared: re.Match[str]) -> Comparison:
    figure = _FIGURES[compared[1].lower()]
    written = piece.text[compared.end() :].lower().replace(",", "")
    number = _NUMBER.fullmatch(written)
    if number is None or number[2] not in _UNITS[figure.unit]:
        raise FilterError(f"a number belongs here, as in {figure.example}", piece.start, piece.end)
    match compared[2]:
        case "<" | "<=" | ">" | ">=" | "=" as operator:
            return Comparison(figure.name, operator, float(number[1]) * _UNITS[figure.unit][number[2]])
    raise AssertionError(compared[2])


def _unquoted(piece: Piece) -> str:
    text = piece.text.replace('"', "")
    if not text.strip():
        raise FilterError("there is nothing between the quotes", piece.start, piece.end)
    return text


def _meant(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
