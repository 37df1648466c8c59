"""Which tools a request offers, and where its prompt shows them.

The tools at the beginning of a prompt are those of the conversation's first request, as they were then: one
tool more, less or elsewhere in the list would cost all tokens behind it. What comes later stands where it
came: at the reference that a tool search has found it by, at a `tool_addition` block, else, as a line of the
system, behind the last turn of the request that brought it. What goes is said there too. A tool that was
found in turns that Claude Code has compacted, or the proxy has cleared, is defined again in such a line: this
client has only those deferred tools among `tools` that its model has found. Most of this follows from the
conversation alone; what an earlier request had comes in as `ShownTools`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.translate.late_tools.places import last_place, places_of
from proxy.translate.late_tools.shown_tools import Function, ShownTools, ToolChange, by_name, name_of
from proxy.translate.tools import ToolSet, functions_of, tool_set

PLACEHOLDER = "DeferredToolPlaceholder"  # Claude Code's, "never call this tool"
_MOST_CHANGES = 200  # that are remembered of one conversation, the newest
_SERVERS_SEARCH = "tool_search_tool_"
_ANNOUNCED = re.compile(
    r"^The following deferred tools are (?:now )?available via \w+\..*:\n((?:[\w-]{1,128}(?:\n|\Z))+)", re.M
)
_LISTED = re.compile(r"<available-deferred-tools>\n((?:[\w-]{1,128}\n)+)</available-deferred-tools>")


@dataclass(slots=True)
class ToolOffer:
    """The tools of one request.

    `tools` judges the calls of all that may be called. `head` are shown at the beginning of the prompt,
    `withheld` those of them that may not be called any more. `late` may be called and are shown elsewhere.
    `came` are all that came after the head, in their
    order, also those that have gone. Of `named` the client has told the model the names. `definitions` stand
    in the places of references, `changes` behind turns, by their index. `shown` is to be
    kept for the conversation's next request; None if there is nothing to keep.
    """

    tools: ToolSet
    head: list[Function] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    late: list[Function] = field(default_factory=list)
    came: list[Function] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    definitions: dict[str, Function] = field(default_factory=dict)
    changes: dict[int, ToolChange] = field(default_factory=dict)
    shown: ShownTools | None = None

    @property
    def callable_names(self) -> list[str]:
        """The tools that an answer may call, without those known by name only."""
        return [*(name for name in map(name_of, self.head) if name not in self.withheld), *by_name(self.late)]


def tool_offer(body: Mapping[str, Any], earlier: Sequence[ShownTools] = ()) -> ToolOffer:
    """The offer of a checked body; `earlier` are the tools shown in conversations that began as this one."""
    entries = [entry for entry in body.get("tools") or [] if not _is_placeholder(entry)]
    by_search = len(entries) < len(body.get("tools") or [])  # as Claude Code has it
    walk = _Walk(tool_set(entries), entries, announces=by_search)
    if not walk.direct and not walk.hidden:
        walk.read(body["messages"], [], None)
        inlined = [function for name, function in walk.inlined.items() if name not in walk.withdrawn]
        return ToolOffer(tool_set([*entries, *walk.inline]), late=inlined, came=inlined)
    places = places_of(dict(body))
    end = last_place(body["messages"])
    before = _continued(earlier, places, end, walk.direct)
    walk.read(body["messages"], places, before)
    if by_search:
        walk.found = frozenset(walk.hidden)
    return _offer(entries, walk, before, places[end], end)


def _is_placeholder(entry: Mapping[str, Any]) -> bool:
    return entry.get("name") == PLACEHOLDER and entry.get("defer_loading") is True


def _deferred(entries: Sequence[Mapping[str, Any]], given: ToolSet) -> set[str]:
    """The tools to keep out of the head: none where nobody could find them, as no server's search is run."""
    searched_by_server = any(str(entry.get("type") or "").startswith(_SERVERS_SEARCH) for entry in entries)
    others = {name_of(function) for function in given.functions} - given.deferred
    return set() if searched_by_server or not others else given.deferred


def _continued(
    earlier: Sequence[ShownTools], places: Sequence[str], end: int, direct: Mapping[str, Function]
) -> ShownTools | None:
    """What the prompts of this conversation show so far: of the one that has gone the furthest along it.

    A request with the very turns of another is the same again only if its tools are: another conversation
    may begin with the same words.
    """
    depths = {place: depth for depth, place in enumerate(places[: end + 1])}

    def reached(shown: ShownTools) -> int:
        return max((depths[place] for place in shown.ends if depths.get(place, end) < end), default=-1)

    furthest = max(earlier, key=reached, default=None)
    if furthest is not None and reached(furthest) >= 0:
        return furthest
    again = (one for one in earlier if places[end] in one.ends and by_name(one.head) == direct)
    return next(again, None)


class _Walk:
    """Reads a conversation's turns, and keeps which tools they show, add and remove."""

    def __init__(self, given: ToolSet, entries: Sequence[Mapping[str, Any]], *, announces: bool) -> None:
        """`announces`: the client names tools to the model that `entries` do not have."""
        functions, deferred = by_name(given.functions), _deferred(entries, given)
        self._announces = announces or bool(deferred)
        self.direct = {name: function for name, function in functions.items() if name not in deferred}
        self.hidden = {name: functions[name] for name in functions if name in deferred}
        self.inline: list[dict[str, Any]] = []  # definitions in `tool_addition` blocks, as they came
        self.inlined: dict[str, Function] = {}
        self.named: dict[str, None] = {}
        self.visible: dict[str, Function] = {}
        self.gone: dict[str, Function] = {}
        self.withdrawn: set[str] = set()
        self.found: frozenset[str] = frozenset()  # deferred, and in turns that are gone or there shown
        self.referenced: dict[str, Function] = {}
        self.changes: dict[int, ToolChange] = {}

    def read(
        self, turns: Sequence[Mapping[str, Any]], places: Sequence[str], before: ShownTools | None
    ) -> None:
        self.visible = dict(by_name(before.head) if before else self.direct)
        known = dict(self.hidden) | (dict(before.definitions) if before else {})
        changes = {change.place: change for change in before.changes} if before else {}
        for index, turn in enumerate(turns):
            for block in _blocks(turn):
                self._take(block, known)
            if turn["role"] != "assistant" and self._announces:
                self.named |= dict.fromkeys(_announced(turn))
            if places and (change := changes.get(places[index])):
                self.changes[index] = change
                self._apply(change)

    def _take(self, block: Mapping[str, Any], known: Mapping[str, Function]) -> None:
        tool = block.get("tool")
        if block["type"] == "tool_reference":
            self._show(str(block.get("tool_name", "")), known)
        elif not isinstance(tool, dict):
            return
        elif block["type"] == "tool_removal":
            self.withdrawn.add(str(tool.get("name", "")))
        elif isinstance(definition := tool.get("definition"), dict):
            for function in functions_of(definition):
                name = name_of(function)
                self.inlined[name] = self.visible[name] = function
                self.withdrawn.discard(name)
            self.inline.append(definition)
        else:
            self.withdrawn.discard(str(tool.get("name", "")))
            self._show(str(tool.get("name", "")), known)

    def _show(self, name: str, known: Mapping[str, Function]) -> None:
        if function := known.get(name):
            self.referenced[name] = self.visible[name] = function

    def _apply(self, change: ToolChange) -> None:
        self.visible |= by_name(change.added)
        self.visible |= {name: self.gone[name] for name in change.again if name in self.gone}
        for name in change.removed:
            if name in self.visible:
                self.gone[name] = self.visible.pop(name)


def _offer(
    entries: list[dict[str, Any]], walk: _Walk, before: ShownTools | None, place: str, end: int
) -> ToolOffer:
    found = {n: f for n, f in walk.hidden.items() if n in walk.visible or n in walk.found}
    offered = _without(walk.withdrawn, walk.direct | found | walk.inlined)
    allowed = offered | _without(walk.withdrawn, {n: f for n, f in walk.hidden.items() if n not in found})
    shown = before or ShownTools(tuple(walk.direct.values()), ends=(place,))
    if change := _change(walk, offered, place):
        former = walk.changes.get(end)
        walk.changes[end] = change if former is None else _joined(former, change)
        others = [one for one in shown.changes if one.place != place]
        shown = replace(shown, changes=(*others[-_MOST_CHANGES:], walk.changes[end]))
    first = by_name(shown.head)
    later = {name: function for name, function in allowed.items() if first.get(name) != function}
    known = {n: f for n, f in (walk.referenced | later).items() if n not in shown.definitions}
    if known:
        shown = replace(shown, definitions={**shown.definitions, **known})
    order = {name: number for number, name in enumerate(shown.definitions)}
    left = [entry for entry in [*entries, *walk.inline] if entry.get("name") not in walk.withdrawn]
    named = [name for name in walk.named if name not in allowed and name != PLACEHOLDER]
    return ToolOffer(
        tools=tool_set(left, named),
        head=list(shown.head),
        withheld=[name for name in first if name not in allowed],
        late=sorted(later.values(), key=lambda function: order[name_of(function)]),
        came=[function for name, function in shown.definitions.items() if name not in first],
        named=named,
        definitions={name: shown.definitions[name] for name in walk.referenced},
        changes=walk.changes,
        shown=shown.ending_at(place),
    )


def _without(names: set[str], functions: Mapping[str, Function]) -> dict[str, Function]:
    return {name: function for name, function in functions.items() if name not in names}


def _change(walk: _Walk, offered: Mapping[str, Function], place: str) -> ToolChange | None:
    """What the model has to be told now for the tools to be as it knows them."""
    new = {name: function for name, function in offered.items() if walk.visible.get(name) != function}
    again = tuple(name for name, function in new.items() if walk.gone.get(name) == function)
    added = tuple(function for name, function in new.items() if name not in again)
    removed = tuple(name for name in walk.visible if name not in offered and name not in walk.withdrawn)
    return ToolChange(place, added, again, removed) if added or again or removed else None


def _joined(former: ToolChange, later: ToolChange) -> ToolChange:
    """Two changes at one place, of a request that was sent again with other tools."""
    named = {*map(name_of, later.added), *later.again, *later.removed}
    return ToolChange(
        later.place,
        (*(one for one in former.added if name_of(one) not in named), *later.added),
        (*(name for name in former.again if name not in named), *later.again),
        (*(name for name in former.removed if name not in named), *later.removed),
    )


def _blocks(turn: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The blocks of a turn that say something about tools."""
    content = turn.get("content")
    for block in content if isinstance(content, list) else ():
        if block["type"] in ("tool_addition", "tool_removal"):
            yield block
        elif block["type"] == "tool_result" and isinstance(block.get("content"), list):
            yield from (part for part in block["content"] if part["type"] == "tool_reference")


def _announced(turn: Mapping[str, Any]) -> Iterator[str]:
    """The tools that Claude Code names to its model before it loads them."""
    content = turn.get("content")
    texts = [content] if isinstance(content, str) else [block.get("text") for block in content or ()]
    for text in texts:
        if isinstance(text, str) and "deferred" in text:
            for found in (*_ANNOUNCED.findall(text), *_LISTED.findall(text)):
                yield from found.split()
