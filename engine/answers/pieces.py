"""The pieces of an answer that a client gets, and how one answer is to be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.tool_calls.reading.family import Bare, Family
from engine.tool_calls.schemas.tools import ToolSchemas


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    text: str


@dataclass(frozen=True, slots=True)
class Composing:
    """A piece of a tool call as the model writes it; what it says is known at its end."""

    text: str


@dataclass(frozen=True, slots=True)
class CallOpened:
    """A call begins that its grammar constrains, so that its arguments may be sent while they come."""

    name: str


@dataclass(frozen=True, slots=True)
class CallPart:
    """The next piece of such a call's arguments, as JSON text."""

    arguments: str


@dataclass(frozen=True, slots=True)
class Call:
    """A whole tool call; `raw` and `tokens` are what the model wrote, with its marks.

    `arguments` is JSON text with its keys in the model's order. `opened`: it was sent in parts.
    """

    name: str
    arguments: str
    raw: str
    tokens: tuple[int, ...] = ()
    repairs: tuple[str, ...] = ()
    opened: bool = False


@dataclass(frozen=True, slots=True)
class TruncatedCall:
    """The call that was opened ends here, unfinished: the answer came to its limit, or its grammar failed.

    `before` is the white space between it and the text, for those who show it as text.
    """

    raw: str
    tokens: tuple[int, ...] = ()
    before: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """For a trace: what became of text that looked like a tool call."""

    text: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The answer ends here, before the stop string, or after the first call if one only was wanted."""

    stop: str | None


Piece = Text | Thinking | Composing | CallOpened | CallPart | Call | TruncatedCall | Remark | Stopped


@dataclass(frozen=True, slots=True)
class AnswerStyle:
    """How to read one answer."""

    stops: tuple[str, ...] = ()
    think_start: str = ""
    think_end: str = ""
    opens_thinking: bool = False
    drop: tuple[str, ...] = ()  # marks of the model's own message format
    family: Family | None = None  # how it writes calls; None: in a way that is not known
    bare: tuple[Bare, ...] = ()  # calls without a mark, which may be the whole answer, beside the family's
    tools: ToolSchemas = field(default_factory=lambda: ToolSchemas(()))  # none: call marks are text
    constrained: frozenset[str] = frozenset()  # tools whose calls a grammar constrains to their schema
    all_constrained: bool = False  # a grammar constrains every call: what follows one takes nothing back
    parallel: bool = True
    answers_json: bool = False  # a grammar lets the first text be the beginning of JSON only
