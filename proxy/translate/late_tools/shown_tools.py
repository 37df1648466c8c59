"""What the prompts of a conversation show of its tools, as its later requests have to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Function = dict[str, Any]
"""A tool in OpenAI's form: `{"type": "function", "function": {"name": …, "parameters": …}}`."""

_MOST_ENDS = 400  # of requests of one conversation, the newest


@dataclass(frozen=True, slots=True)
class ToolChange:
    """What changed between two requests; the model reads it behind the turn whose place is `place`.

    `again` are tools that it has read the definitions of before.
    """

    place: str
    added: tuple[Function, ...] = ()
    again: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownTools:
    """The tools at the beginning of a conversation's prompt, and what was shown of tools behind it.

    `definitions` are those that references to tools were replaced by, in the order in which the tools came.
    `ends` are the places at which the conversation's requests have ended: a request that has one of them
    within it goes on from there.
    """

    head: tuple[Function, ...]
    changes: tuple[ToolChange, ...] = ()
    definitions: Mapping[str, Function] = field(default_factory=dict)
    ends: tuple[str, ...] = ()

    @property
    def begun_at(self) -> str:
        """Where its first request ended."""
        return self.ends[0]

    def ending_at(self, end: str) -> ShownTools:
        """The same, after a request that ends there."""
        if end in self.ends:
            return self
        kept = self.ends if len(self.ends) < _MOST_ENDS else (self.ends[0], *self.ends[2:])
        return replace(self, ends=(*kept, end))

    def as_json(self) -> dict[str, Any]:
        """The fields as values that JSON has."""
        return {
            "head": list(self.head),
            "changes": [
                {
                    "place": change.place,
                    "added": list(change.added),
                    "again": list(change.again),
                    "removed": list(change.removed),
                }
                for change in self.changes
            ],
            "definitions": dict(self.definitions),
            "ends": list(self.ends),
        }

    @classmethod
    def of_json(cls, value: Any) -> ShownTools:
        """Read what `as_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            changes = tuple(
                ToolChange(
                    str(row["place"]),
                    tuple(map(_function, row["added"])),
                    tuple(map(str, row["again"])),
                    tuple(map(str, row["removed"])),
                )
                for row in value["changes"]
            )
            definitions = {str(name): _function(row) for name, row in value["definitions"].items()}
            ends = tuple(map(str, value["ends"]))
            shown = cls(tuple(map(_function, value["head"])), changes, definitions, ends)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"these are no shown tools: {error!r}") from error
        if not shown.ends:
            raise ValueError("these are no shown tools: no request has ended")
        return shown


def name_of(function: Function) -> str:
    """The name of a tool in OpenAI's form."""
    return str(function["function"]["name"])


def by_name(functions: Sequence[Function]) -> dict[str, Function]:
    """Tools by name, in their order; of two with one name the later counts."""
    return {name_of(function): function for function in functions}


def _function(value: Any) -> Function:
    if not isinstance(value, dict) or not isinstance(value["function"]["name"], str):
        raise TypeError("a tool has no name")
    return value
