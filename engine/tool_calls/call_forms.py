"""In which ways a model may write calls: what is looked for in a text."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from engine.tool_calls.families import FAMILIES
from engine.tool_calls.family import Family


@dataclass(frozen=True, slots=True)
class CallForms:
    """`families`: each in its own marks. `bare_json`: JSON without a mark, if it is the whole answer."""

    families: tuple[Family, ...] = FAMILIES
    bare_json: bool = False


ANY_FAMILY = CallForms()


def bare_json_of(template: str, vocabulary: Collection[str]) -> bool:
    """Whether a model writes bare JSON, as Llama does, by its chat template and its tokens."""
    return "<|python_tag|>" in vocabulary or "<|python_tag|>" in template
