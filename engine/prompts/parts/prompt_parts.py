"""Where each part of a prompt ends: system, each tool, reminders, each message.

A template writes messages one behind the other, with a boundary at each. What it makes of system and tools
is one segment; they are found in it by their texts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from engine.prompts.parts.prompt_segments import aligned_names, segment_names, with_reminders
from engine.prompts.parts.token_places import TokenPlaces
from engine.wire.chat import Message, content_text
from engine.wire.json_text import encode_json

ANSWER = "the answer's beginning"
_TOOLS = "tools"  # what a template writes around the definitions
_HEADING = re.compile(r"^(?:#{1,4} +(?P<title>\S.{0,58}?)|Contents of (?P<path>\S{1,200}).*:)$", re.MULTILINE)
_WAYS = (  # to write a tool's name
    r'"name":\s*"{}"',
    r"<name>\s*{}\s*</name>",
    r"\btype {} =",
    r'"{}"',
    r"^\W*{}\b",
    r"(?<![\w-]){}(?![\w-])",
)
_LONGEST_LEAD = 80  # characters of a definition before its name
_DESCRIBED = 40  # characters of a description that it is found by


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A part, and the token that it ends before."""

    name: str
    end: int


@dataclass(frozen=True, slots=True)
class PromptParts:
    """The parts of one prompt in their order, up to the last boundary.

    `own_from` is the token behind which a conversation without an answer has its own first text: other
    conversations need not begin so. None: it has answers, or that is not known.
    """

    found: tuple[PromptPart, ...] = ()
    own_from: int | None = None
    heading: Callable[[int, int], str] = field(default=lambda begin, position: "", compare=False, repr=False)
    """The last heading between two tokens."""

    def name_at(self, position: int) -> str:
        """What lies at a token; empty: not known."""
        if not self.found:
            return ""
        place = bisect_right([part.end for part in self.found], position)
        if place == len(self.found):
            return ANSWER
        name = self.found[place].name
        if name == "system" or name.startswith("reminders"):
            heading = self.heading(self.found[place - 1].end if place else 0, position)
            return f"{name}, {heading}" if heading else name
        return name

    def counted(self, tokens: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The names of all parts and their tokens, of a prompt that has so many; empty: not known."""
        names, counts, begin = list[str](), list[int](), 0
        for part in (*self.found, PromptPart(ANSWER, tokens if self.found else 0)):
            if part.end > begin:
                names.append(part.name)
                counts.append(part.end - begin)
            begin = max(begin, part.end)
        return tuple(names), tuple(counts)


class Shown(NamedTuple):
    """The messages that were sent, the turns that the template got of them, and the tools."""

    sent: Sequence[Message]
    turns: Sequence[Message]
    tools: Sequence[dict[str, Any]]
    has_tools: bool  # also where the template got them as text


class PartFinder:
    """Finds the parts of prompts; keeps those of the last system text and tools, which most prompts share."""

    def __init__(self, tokenizer: Any) -> None:
        self._places = TokenPlaces(tokenizer)
        self._shared: tuple[list[int], list[PromptPart]] = ([], [])

    def find(
        self, text: str, tokens: list[int], boundaries: Sequence[int], shown: Shown, reminders: int
    ) -> PromptParts:
        """`reminders` is the boundary behind those of the first message, or 0."""
        names = self._names(text, tokens, boundaries, shown, reminders)
        found = [PromptPart(name, end) for name, end in zip(names, boundaries, strict=bool(names))]
        if found and found[0].name in ("system and tools", "tools"):
            found[:1] = self._split(text, tokens, found[0], shown)

        def heading(begin: int, position: int) -> str:
            before = self._places.text_before(text, tokens, position + 1) or ""
            return _heading(before[len(self._places.text_before(text, tokens, begin) or "") :])

        answered = any(turn["role"] == "assistant" for turn in shown.turns)
        return PromptParts(tuple(found), None if answered else _own_from(found), heading)

    def _names(
        self, text: str, tokens: list[int], boundaries: Sequence[int], shown: Shown, reminders: int
    ) -> Sequence[str]:
        """The names of the segments; empty: not known."""
        names = segment_names(shown.turns, shown.has_tools)
        if reminders:
            names = with_reminders(names, list(boundaries).index(reminders))
        if len(names) == len(boundaries):
            return names
        before = [self._places.text_before(text, tokens, end) for end in boundaries]
        cuts = [0, *(len(one) for one in before if one is not None), len(text)]
        if len(cuts) != len(boundaries) + 2:
            return ()
        return aligned_names([text[a:b] for a, b in pairwise(cuts)], shown.turns, shown.has_tools)

    def _split(self, text: str, tokens: list[int], shared: PromptPart, shown: Shown) -> list[PromptPart]:
        """What system and tools are made of; they alone where they are not found."""
        head = tokens[: shared.end]
        if self._shared[0] != head:
            before = self._places.text_before(text, tokens, shared.end)
            marks = _marks(before, shown.sent, shown.tools) if before else []
            starts = self._places.tokens_at(before or "", head, [at for at, _ in marks]) if marks else []
            parts = [
                PromptPart(name, end)
                for (_, name), end in zip(marks, [*starts[1:], shared.end], strict=False)
            ]
            self._shared = head, parts or [shared]
        return self._shared[1]


def _own_from(found: Sequence[PromptPart]) -> int | None:
    begin = 0
    for part in found:
        if part.name.startswith("message") and "(user)" in part.name:
            return begin
        begin = part.end
    return None


def _heading(text: str) -> str:
    """The last heading, or file, that a text names on a line of its own."""
    found = [one["title"] or one["path"] for one in _HEADING.finditer(text)]
    return found[-1] if found else ""


def _marks(text: str, sent: Sequence[Message], tools: Sequence[dict[str, Any]]) -> list[tuple[int, str]]:
    """The characters at which parts begin, ascending from 0."""
    marks: list[tuple[int, str]] = []
    first, last = 0, 0
    for message in sent:
        if message["role"] != "system":
            break
        said = content_text(message.get("content")).strip()
        whole = said in text
        said = said if whole else said[:_DESCRIBED]  # a template may show its beginning only
        at = text.find(said) if said else -1
        if at >= 0:
            marks += [(at, "system"), *([(at + len(said), _TOOLS)] if whole else [])]
            first, last = (at if not last else min(first, at)), max(last, at + len(said))
    defined = _tool_marks(text, last, len(text), tools) or _tool_marks(text, 0, first, tools)
    if not defined and all(name == "system" for _, name in marks):
        return []  # where it ends is not known
    marks += defined
    marks.sort(key=lambda mark: mark[0])
    if marks and marks[0][0] > 0:
        marks[0:1] = [(0, "system")] if marks[0][1] == "system" else [(0, _TOOLS), marks[0]]
    return marks


def _tool_marks(text: str, begin: int, end: int, tools: Sequence[dict[str, Any]]) -> list[tuple[int, str]]:
    """The beginnings of all definitions between two characters, and the end of the last; empty: not found."""
    functions = [tool.get("function", tool) for tool in tools]
    for way in _WAYS:
        places = _in_order(text, begin, end, way, [str(one.get("name") or "") for one in functions])
        if places:
            break
    else:
        return []
    lead = places[0] - max(begin, text.rfind("\n", begin, places[0]) + 1)
    lead = lead if lead <= _LONGEST_LEAD else 0
    starts: list[int] = []
    for function, place in zip(functions, places, strict=True):
        start = place - lead
        described = str(function.get("description") or "").strip().split("\n")[0][:_DESCRIBED]
        described_at = text.rfind(described, starts[-1] + 1 if starts else begin, place) if described else -1
        starts.append(min(start, described_at) if described_at >= 0 else start)
    sizes = [len(encode_json(tool)) for tool in tools]
    widened = (starts[-1] - starts[0]) / sum(sizes[:-1]) if len(sizes) > 1 else 1.0
    over = min(end, starts[-1] + round(widened * sizes[-1]))
    line = text.find("\n", over - sizes[-1] // 10, end)
    over = line if 0 <= line <= over + sizes[-1] // 10 else over
    named = [(at, f"tool {one.get('name')}") for at, one in zip(starts, functions, strict=True)]
    return [*named, (over, _TOOLS)]


def _in_order(text: str, begin: int, end: int, way: str, names: Sequence[str]) -> list[int]:
    """Where all names are written so, one behind the other; empty: they are not."""
    places: list[int] = []
    for name in names:
        found = re.compile(way.replace("{}", re.escape(name)), re.MULTILINE).search(text, begin, end)
        if found is None:
            return []
        places.append(found.start())
        begin = found.end()
    return places
