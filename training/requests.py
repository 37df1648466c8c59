"""A user's request: its wording and its meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from training.strings import Strings
from training.wordings import Wordings

FREE_KINDS = ("identity", "joke", "hello", "goodbye", "thanks", "cannot", "plus", "minus")
TOOL_KINDS = ("read", "list", "search", "find", "run", "count", "write", "edit", "edit_all")

MOST = 20  # the largest number in a sum
_OPEN_SLOTS = (
    "{t}",
    "{c}",
    "{n}",
    "{p}",
    "{w}",
)  # at the end of a request, text behind them would belong to them
_QUOTES = ('"{}"', "'{}'", "`{}`")


@dataclass(frozen=True, slots=True)
class Request:
    """`kind` is of `FREE_KINDS` or `TOOL_KINDS`; `slots` has the named words, without quotes."""

    kind: str
    text: str
    slots: dict[str, str] = field(default_factory=dict)


class Requests:
    """Draws requests of each kind from one set of wordings."""

    def __init__(self, strings: Strings, wordings: Wordings) -> None:
        self.strings = strings
        self._wordings = wordings

    def draw(self, kind: str, file: str | None = None) -> Request:
        """A request of one kind; `file` is the file in it."""
        random = self.strings.random
        wording_kind = kind
        if kind in ("list", "search", "find") and (kind == "find" or random.random() < 0.4):
            wording_kind = f"{kind}_here"
        wording = random.choice(self._wordings.requests[wording_kind])
        slots = {slot: value for slot, value in self._slots(kind, file).items() if f"{{{slot}}}" in wording}
        text = self._filled(wording, slots)
        return Request(kind, self._dressed(kind, wording, text, slots), slots)

    def _slots(self, kind: str, file: str | None) -> dict[str, str]:
        draw = self.strings
        if kind in ("plus", "minus"):
            return self._numbers(kind)
        if kind == "cannot":
            return {"f": draw.file(), "w": "", "a": str(draw.number()), "b": str(draw.number())}
        slots = {
            "f": file or draw.file(),
            "d": draw.folder(),
            "c": draw.command(),
            "t": draw.snippet() if draw.random.random() < 0.15 else draw.phrase(1, 6),
            "p": draw.pattern(),
            "g": draw.glob(),
            "o": draw.value(),
            "n": draw.value(),
        }
        if kind == "search" and draw.random.random() < 0.5:
            slots["d"] = draw.file()
        return slots

    def _numbers(self, kind: str) -> dict[str, str]:
        random = self.strings.random
        first, second = random.randint(0, MOST), random.randint(0, MOST)
        if kind == "minus":
            first, second = max(first, second), min(first, second)
        return {"a": str(first), "b": str(second)}

    def _filled(self, wording: str, slots: dict[str, str]) -> str:
        random = self.strings.random

        def value(match: re.Match[str]) -> str:
            slot = match[1]
            if slot == "w":
                return self.strings.phrase(1, 3)
            text = slots[slot]
            loose = " " in text and wording.startswith("make {o}")
            quoted = random.random() < (0.3 if slot in "tonpcg" else 0.15)
            if slot in "ab" or not (loose or quoted):
                return text
            fitting = [quote for quote in _QUOTES if quote[0] not in text]
            return random.choice(fitting).format(text) if fitting else text

        return re.sub(r"\{(\w)\}", value, wording)

    def _dressed(self, kind: str, wording: str, text: str, slots: dict[str, str]) -> str:
        """The request with text before and behind it."""
        random = self.strings.random
        if kind in FREE_KINDS:
            lead = random.choice(("", "", "", "", "Please ", "Hey, ", "ok, ", "so, ", "Now "))
            tail = random.choice(("", "", "", "?", ".", "!", " please", "?"))
            if kind in ("hello", "goodbye", "thanks"):
                lead = ""
            if kind in ("plus", "minus") and tail == " please":
                tail = "?"
            return lead + text + tail
        lead = random.choice(self._wordings.leads)
        open_end = any(wording.endswith(slot) for slot in _OPEN_SLOTS) and text[-1] not in "\"'`"
        if open_end and text.endswith(tuple(slots.values())):
            return lead + text
        return lead + text + random.choice(self._wordings.tails)
