"""Template arguments that a chat template accepts, in place of those that it refuses.

Templates define their own efforts: one accepts low, medium and xhigh, another no_think, low and high, and
both raise for any other. Each set of arguments is tried once on a one-word question. A refused value is
replaced by the nearest accepted one, or left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from engine.prompts.template_traits import Render

_EFFORT = "reasoning_effort"
_RANKS = {
    "none": 0,
    "no_think": 0,
    "off": 0,
    "disabled": 0,
    "minimal": 1,
    "low": 2,
    "medium": 3,
    "high": 4,
    "xhigh": 5,
    "extra_high": 5,
    "max": 6,
}
_NO_THINKING = frozenset(name for name, rank in _RANKS.items() if rank == 0)
_MAX_CACHED = 256


@dataclass(frozen=True, slots=True)
class Switches:
    """Arguments that a template accepts, and notes on those that it refused."""

    kwargs: dict[str, Any]
    notes: tuple[str, ...] = ()


class TemplateSwitches:
    """Finds the accepted arguments of one template, and caches them."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._found: dict[str, Switches] = {}

    def accepted(self, kwargs: dict[str, Any]) -> Switches:
        """The arguments to render with if these were requested."""
        if not kwargs:
            return Switches({})
        name = json.dumps(kwargs, sort_keys=True, default=str)
        if name not in self._found:
            if len(self._found) >= _MAX_CACHED:
                self._found.clear()
            self._found[name] = self._find(kwargs)
        return self._found[name]

    def _find(self, kwargs: dict[str, Any]) -> Switches:
        refusal = self._refusal(kwargs)
        if not refusal or self._refusal({}):
            return Switches(kwargs)  # if the question alone is refused, the arguments are not the cause
        effort = kwargs.get(_EFFORT)
        if isinstance(effort, str):
            without = {name: value for name, value in kwargs.items() if name != _EFFORT}
            for near in _nearest(effort):
                if _RANKS[near] > 0 and effort in _NO_THINKING and without and not self._refusal(without):
                    note = f"the model's chat template refuses effort {effort!r}; it was left out"
                    return Switches(without, (note,))
                if not self._refusal(kwargs | {_EFFORT: near}):
                    note = f"the model's chat template refuses effort {effort!r}; it was replaced by {near!r}"
                    return Switches(kwargs | {_EFFORT: near}, (note,))
        kept, notes = dict(kwargs), []
        for name in sorted(kwargs, key=lambda name: name != _EFFORT):
            if not (refusal := self._refusal(kept)):
                break
            without = {other: value for other, value in kept.items() if other != name}
            if self._refusal(without) == refusal and len(without) > 0:
                continue  # another argument is refused
            notes.append(
                f"the template argument {name}={kept[name]!r} was left out: the model's chat template"
                f" refuses it ({refusal})"
            )
            kept = without
        if refusal := self._refusal(kept):
            names = ", ".join(sorted(kwargs))
            return Switches({}, (f"template arguments were left out ({names}): {refusal}",))
        return Switches(kept, tuple(notes))

    def _refusal(self, kwargs: dict[str, Any]) -> str:
        try:
            self._render([{"role": "user", "content": "probebravo"}], None, **kwargs)
        except Exception as error:  # a template may raise anything
            return str(error) or type(error).__name__
        return ""


def _nearest(effort: str) -> list[str]:
    """Other efforts, the nearest first; of two equally near ones, the higher first."""
    rank = _RANKS.get(effort.lower(), _RANKS["medium"])
    others = [other for other in _RANKS if other != effort]
    return sorted(others, key=lambda other: (abs(_RANKS[other] - rank), -_RANKS[other]))
