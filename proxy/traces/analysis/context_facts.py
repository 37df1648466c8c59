"""What fills the context window of a session, as the host API has it.

`proxy.traces.analysis.context` finds it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

PartName = Literal["tools", "system", "reminders", "results", "said", "wrote"]


class ContextThing(BaseModel):
    """One thing in a part of the prompt; the same text several times is one."""

    kind: str  # the tool of a result, "text", "thinking", "calls", a server of tools
    what: str  # a tool's name, a result's file or command, the first words of a text
    tokens: int  # of one of them
    counted: bool = False  # by the engine; not: a share by characters
    times: int = 1
    turns: list[int] = []  # the numbers of those that brought it; empty: it is in each
    time: float | None = None  # of the first of them
    trace: str = ""  # of the first of them
    calls: int | None = None  # of a tool that is offered: how often the session called it


class ContextKind(BaseModel):
    """The things of one kind in a part, counted."""

    name: str
    tokens: int
    number: int
    calls: int | None = None  # of tools that are offered


class ContextPart(BaseModel):
    """A part of the prompt; its largest things first, at most twenty."""

    name: PartName
    tokens: int
    grown: int | None = None  # tokens since the turn before; None: there is none to compare
    kinds: list[ContextKind] = []  # largest first
    things: list[ContextThing] = []


class ContextTurn(BaseModel):
    """A request of the session's main lane that came to its end."""

    trace: str
    time: float
    prompt_tokens: int
    number: int = 0  # its place among all requests of the lane, from 1; 0: an earlier host does not tell


class ContextBudget(BaseModel):
    """What fills the context window at one turn of a session.

    The tokens of the whole prompt are counted; those in it too, or they are its shares by characters.
    """

    session: str
    trace: str
    time: float
    lane: str
    about: str = ""  # the first words of the session's first prompt
    turn: int = 1  # its place in `turns`
    turns: list[ContextTurn] = []  # oldest first
    requests: int = 0  # of the lane, with those that failed or were cancelled
    prompt_tokens: int
    counted: bool = True  # not: four characters were taken for a token
    counted_parts: bool = False  # by the engine; not: shares by characters
    window_tokens: int = 0  # 0: not known
    max_tokens: int = 0  # of the answer
    reserved_tokens: int = 0  # of them, as much as the window has room for
    compacts_at: int | None = None  # tokens; None: not known
    parts: list[ContextPart] = []
    unused_tools: int = 0  # offered, and never called in the session
    unused_tokens: int = 0
    growth: int | None = None  # tokens a turn: the median of the last five that grew
    turns_left: int | None = None  # until compaction
