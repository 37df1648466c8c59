"""Outputs of models with the calls that they are meant to be, and what this engine reads in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from bench.tool_parsers import Letters
from engine.answers.pieces import AnswerStyle, Call, Remark
from engine.answers.reader import AnswerText
from engine.tool_calls.reading.family import Family, with_names
from engine.tool_calls.recovery.arguments import recover_arguments
from engine.tool_calls.recovery.recovered import Unrecovered
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas

Meant = tuple[str, Any]
"""A call: the tool's name and its arguments."""


@dataclass(frozen=True)
class Output:
    """One output in a peer's test. `meant` is None if the test does not tell, for the reason `why`."""

    peer: str
    test: str
    text: str
    family: Family | None = None
    tools: tuple[ToolSchema, ...] = ()
    meant: tuple[Meant, ...] | None = None
    why: str = ""
    thinking: tuple[str, str] = ("", "")
    opens_thinking: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Outputs with the same key ask the same."""
        family = self.family.name if self.family else ""
        tools = json.dumps([(tool.name, tool.properties) for tool in self.tools], default=str)
        return (family, self.text, tools, json.dumps(self.meant), str(self.opens_thinking))


@dataclass(frozen=True)
class Judgement:
    """What was read in an output: `right` of the calls that are meant.

    Of the others that are read, `other` are in place of a meant one, and `more` are beside them.
    """

    output: Output
    found: tuple[Meant, ...] = ()
    right: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        return len(self.output.meant or ()) - self.right

    @property
    def other(self) -> int:
        return min(self.missing, len(self.found) - self.right)

    @property
    def more(self) -> int:
        return len(self.found) - self.right - self.other


def judged(output: Output) -> Judgement:
    """Read an output as a whole and letter by letter.

    Raises:
        AssertionError: what is read depends on how the text was split.
    """
    found, remarks = _read(output, whole=True)
    assert found == _read(output, whole=False)[0], f"{output.test}: read otherwise letter by letter"
    tools = ToolSchemas(output.tools)
    meant = [_as_client(name, arguments, tools) for name, arguments in output.meant or ()]
    return Judgement(output, found, _in_common(meant, found), remarks)


def _as_client(name: str, arguments: Any, tools: ToolSchemas) -> Meant:
    """A call with values of the types that its tool's schema wants, as a client gets it from us."""
    fitted = recover_arguments(name, json.dumps(arguments), tools)
    return (name, arguments) if isinstance(fitted, Unrecovered) else (name, json.loads(fitted.arguments))


def _in_common(meant: Sequence[Meant], found: Sequence[Meant]) -> int:
    # In order, as a client runs them.
    one, other = ([json.dumps(call, sort_keys=True) for call in calls] for calls in (meant, found))
    return sum(block.size for block in SequenceMatcher(None, one, other, False).get_matching_blocks())


def _read(output: Output, *, whole: bool) -> tuple[tuple[Meant, ...], tuple[str, ...]]:
    parts = [output.text] if whole else list(output.text)
    family = output.family
    style = AnswerStyle(
        think_start=output.thinking[0],
        think_end=output.thinking[1],
        opens_thinking=output.opens_thinking,
        drop=with_names(family.layout, [tool.name for tool in output.tools]) if family else (),
        family=family,
        tools=ToolSchemas(output.tools),
        all_constrained=True,
    )
    reader = AnswerText(Letters(parts), style)
    pieces = [piece for number in range(len(parts)) for piece in reader.add(number)] + reader.finish()
    calls = tuple((piece.name, json.loads(piece.arguments)) for piece in pieces if isinstance(piece, Call))
    return calls, tuple(piece.text for piece in pieces if isinstance(piece, Remark))


@dataclass
class Figures:
    """The counts of one peer."""

    outputs: int = 0
    calls: int = 0
    right: int = 0
    missing: int = 0
    other: int = 0
    more: int = 0
    not_judged: Counter[str] = field(default_factory=Counter)

    def document(self) -> dict[str, Any]:
        return {**vars(self), "not_judged": dict(self.not_judged)}


def distinct(outputs: Iterable[Output]) -> Iterator[Output]:
    """Each output once, and those that are not judged."""
    seen = set()
    for output in outputs:
        if output.meant is None or output.key not in seen:
            seen.add(output.key)
            yield output


def figures(judgements: Iterable[Judgement]) -> Figures:
    """The sums over outputs."""
    sums = Figures()
    for one in judgements:
        if one.output.meant is None:
            sums.not_judged[one.output.why] += 1
            continue
        sums.outputs += 1
        sums.calls += len(one.output.meant)
        sums.right += one.right
        sums.missing += one.missing
        sums.other += one.other
        sums.more += one.more
    return sums
