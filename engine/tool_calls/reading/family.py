"""A model family's own way to write tool calls: what each module of this package describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from engine.tool_calls.reading.pieces import CallPiece
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas


class ArgumentsRule(Protocol):
    """Gives the Lark expression for a tool's arguments as JSON."""

    def __call__(self, tool: ToolSchema, part: Mapping[str, Any] | None = None) -> str:
        """`part` is a schema within the tool's, with the definitions that it refers to."""
        ...


class CallReader(Protocol):
    """Reads what stands behind one opening mark, in whatever pieces it comes.

    The pieces do not depend on where the text was cut, but for the borders of `CallArguments`. The `raw`
    texts of what it yields, put together, are the opening mark and all text that was fed, but for `rest`.
    """

    @property
    def over(self) -> bool:
        """Whether the calls have ended, so that what follows is no part of them."""
        ...

    @property
    def rest(self) -> str:
        """The text behind the end that was fed already; once `over`."""
        ...

    def feed(self, text: str) -> list[CallPiece]:
        """Take the next text; not to be called once `over`."""
        ...

    def close(self, *, truncated: bool = False) -> list[CallPiece]:
        """The answer has ended here. A call that lacks nothing but its end mark counts as whole.

        With `cut` it was its limit that ended it: a call to which another argument might have come is none.
        """
        ...


class Family(Protocol):
    """One way to write tool calls."""

    @property
    def name(self) -> str:
        """As `--tool-format` takes it."""
        ...

    @property
    def openings(self) -> tuple[str, ...]:
        """Marks that announce calls."""
        ...

    @property
    def bare_openings(self) -> tuple[str, ...]:
        """Those of `openings` that people write too: they open a call at the beginning of a line only."""
        ...

    @property
    def thinking(self) -> tuple[str, str] | None:
        """The marks around thinking, for a family whose tokenizer does not tell."""
        ...

    @property
    def layout(self) -> tuple[str, ...]:
        """Marks of its message format that are no part of what it says."""
        ...

    def writes(self, template: str) -> bool:
        """Whether a chat template shows calls in this way."""
        ...

    def reader(self, opening: str, tools: ToolSchemas) -> CallReader:
        """A reader for the text behind `opening`."""
        ...

    def grammar(self, tools: Sequence[ToolSchema], arguments: ArgumentsRule) -> str:
        """Lark rules for llguidance: `calls` is all that may stand behind an opening mark.

        Names of rules and terminals begin with the letters that the module alone uses, so that they meet
        no others; text is matched byte by byte, marks included.
        """
        ...

    def unconstrained(self, tool: ToolSchema) -> str:
        """What of the tool's schema its `grammar` does not hold to though it compiles; empty: nothing."""
        ...

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], tools: ToolSchemas) -> str:
        """Calls as a model of this family writes them, opening mark included."""
        ...
