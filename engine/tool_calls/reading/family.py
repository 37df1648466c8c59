"""The interface of a model family's tool call format, which each module of `families` implements."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from engine.tool_calls.reading.pieces import CallPiece
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

Bare = Literal["", "json", "python", "named"]
"""Calls without a mark: as JSON, as a list of Python's calls, as a name with JSON in the next line."""


class ArgumentsRule(Protocol):
    """Returns the Lark expression for a tool's arguments as JSON."""

    def __call__(self, tool: ToolSchema, part: Mapping[str, Any] | None = None) -> str:
        """`part` is a part of the tool's schema, with the definitions that it refers to."""
        ...


class CallReader(Protocol):
    """Reads the text behind one opening mark, in pieces of any size.

    What it yields does not depend on how the text was split, except for the borders of `CallArguments`. The
    `raw` texts of what it yields, joined, are the opening mark and all text that was fed, without `rest`.
    """

    @property
    def over(self) -> bool:
        """Whether the calls have ended, so that more text does not belong to them."""
        ...

    @property
    def rest(self) -> str:
        """The text behind the end that was already fed; valid once `over`."""
        ...

    def feed(self, text: str) -> list[CallPiece]:
        """Take the next text; not to be called once `over`."""
        ...

    def close(self, *, truncated: bool = False) -> list[CallPiece]:
        """End the answer. A call that lacks only its end mark is complete.

        With `truncated` the answer ended at its limit: a call that could have had another argument is not
        complete.
        """
        ...


class Family(Protocol):
    """One format of tool calls."""

    @property
    def name(self) -> str:
        """The name for `--tool-format`."""
        ...

    @property
    def openings(self) -> tuple[str, ...]:
        """The marks before calls, those with `$tool` once for each tool; none, if all calls are `bare`."""
        ...

    @property
    def bare_openings(self) -> tuple[str, ...]:
        """Those of `openings` that people write too: they open a call only at the beginning of a line."""
        ...

    @property
    def thinking(self) -> tuple[str, str] | None:
        """The marks around thinking, for a family whose tokenizer does not declare them."""
        ...

    @property
    def layout(self) -> tuple[str, ...]:
        """Marks of the message format that are not part of the answer's text; `$tool` is a tool's name."""
        ...

    @property
    def head(self) -> str:
        """A text that may begin an answer and is not part of it; empty for none."""
        ...

    @property
    def bare(self) -> Bare:
        """How it writes calls without a mark too; they count as the whole answer only."""
        ...

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        """A reader for the text behind `opening`."""
        ...

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        """Lark rules for llguidance: `calls` matches everything that may follow an opening mark.

        Names of rules and terminals begin with letters that only this module uses, to avoid conflicts. Text
        is matched byte by byte, marks included. For calls without a mark there are the rules of
        `engine.tool_calls.reading.bare_grammar`, if they can be told from other text.
        """
        ...

    def unconstrained(self, tool: ToolSchema) -> str:
        """The part of the tool's schema that `grammar` does not enforce, for people; empty for none."""
        ...

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        """Calls in this format, opening mark included."""
        ...


def with_names(layout: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """The marks of a family's `layout`, those with `$tool` once for each name."""
    return tuple(
        mark.replace("$tool", name) for mark in layout for name in (names if "$tool" in mark else ("",))
    )
