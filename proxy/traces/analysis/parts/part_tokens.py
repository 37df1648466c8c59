"""The tokens of each piece of a prompt, from those of the parts that the engine counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from proxy.traces.schema import CountedPart

_NUMBER = re.compile(r"message (\d+)")


class WeighedPiece(NamedTuple):
    """A run of characters of a prompt: of the system text, of a tool, or of a message with its number."""

    kind: str  # "system", "tool", "message"
    characters: int
    name: str = ""  # of a tool
    number: int = 0  # of a message, from 1
    is_reminder: bool = False


def piece_tokens(
    pieces: Sequence[WeighedPiece], parts: Sequence[CountedPart], messages: int
) -> list[float] | None:
    """Tokens for each piece, together those of all parts; None: no parts were counted.

    A part's tokens are shared by the characters of its pieces. `messages` is the number of messages as they
    were sent: where the parts number them in another way, those of all messages are shared.
    """
    if not parts or not pieces:
        return None
    tokens = [0.0] * len(pieces)
    numbers = [int(number) for part in parts for number in _NUMBER.findall(part.name)]
    aligned = max(numbers, default=0) == messages
    reminded = any(part.name.startswith("reminders") for part in parts)
    for part in parts:
        those = list(_pieces_of(part.name, pieces, aligned=aligned, reminded=reminded, messages=messages))
        those = those or list(range(len(pieces)))
        whole = sum(pieces[at].characters for at in those)
        for at in those:
            tokens[at] += part.tokens * (pieces[at].characters / whole if whole else 1 / len(those))
    return tokens


def _pieces_of(
    name: str, pieces: Sequence[WeighedPiece], *, aligned: bool, reminded: bool, messages: int
) -> Iterator[int]:
    """The places of the pieces that a part is made of."""
    numbers = [int(number) for number in _NUMBER.findall(name)]
    kind, _, tool = name.partition(" ")
    if name == "system and tools":
        yield from (at for at, one in enumerate(pieces) if one.kind in ("system", "tool"))
    elif name == "system":
        yield from (at for at, one in enumerate(pieces) if one.kind == "system")
    elif kind in ("tool", "tools"):
        tools = [at for at, one in enumerate(pieces) if one.kind == "tool"]
        yield from [at for at in tools if tool and pieces[at].name == tool] or tools
    else:
        said = [at for at, one in enumerate(pieces) if one.kind == "message"]
        first, last = (min(numbers), max(numbers)) if numbers else (messages, messages)
        own = [at for at in said if first <= pieces[at].number <= last] if aligned else said
        if reminded and first == 1 and aligned:  # the first message is two parts
            reminders = kind == "reminders"
            own = [at for at in own if pieces[at].is_reminder is reminders or pieces[at].number > 1] or own
        yield from own or said
