"""One command of the user, and the places that have commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from textual.keys import key_to_character

Place = Literal[
    "main", "streams", "cache", "tools", "health", "traces", "opened", "why", "trace", "diff", "context",
    "models", "settings", "replay", "read", "play",
    "help", "confirm", "choose", "bundle", "export", "ask", "columns", "go_to",
    "go_on",
]  # fmt: skip
BOXES: tuple[Place, ...] = (
    "help",
    "confirm",
    "choose",
    "bundle",
    "export",
    "ask",
    "columns",
    "go_to",
    "go_on",
)
TargetName = Literal["session", "trace", "calls", "requests", "entry", "context", "why", "diff"]
# Where one can go on to from a request or a session: the target, its usual key, its title.
TARGETS: tuple[tuple[TargetName, str, str], ...] = (
    ("session", "s", "its session"),
    ("trace", "t", "its trace"),
    ("calls", "a", "its calls"),
    ("requests", "r", "all its requests"),
    ("entry", "e", "its cache entry"),
    ("context", "c", "its context"),
    ("why", "w", "why"),
    ("diff", "d", "diff"),
)
PANES: tuple[tuple[Place, str], ...] = (
    ("streams", "Streams"),
    ("cache", "Cache"),
    ("tools", "Tools"),
    ("health", "Health"),
    ("traces", "Traces"),
)
TRACE_PARTS: tuple[tuple[str, str], ...] = (  # and their names on a narrow screen
    ("Why", "Why"),
    ("Conversation", "Talk"),
    ("System", "System"),
    ("Tools offered", "Tools"),
    ("Answer", "Answer"),
    ("Calls", "Calls"),
    ("Raw", "Raw"),
    ("Upstream", "Up"),
    ("Events", "Events"),
)
# Where no key of another place counts; elsewhere those of each opened screen do.
STANDING_ALONE = frozenset({"main", "play", *BOXES, *(place for place, _ in PANES)})


@dataclass(frozen=True)
class Command:
    """One command of the user.

    `action` is Textual's action string; it runs on `place`: the main screen, one of its panes, a screen over
    the panes, or each of these screens (`opened`). `short` is its label in the footer; a command without one
    is not in the footer.
    """

    title: str
    action: str
    keys: str
    place: Place = "main"
    short: str = ""
    rank: int = 0  # a narrow footer drops the command with the highest rank first
    shown: str = ""  # the key as users see it
    bar: str = ""  # the keys in the footer, where it stands for its neighbours as well

    @property
    def key(self) -> str:
        """The key as users see it."""
        return self.shown or shown_key(self.keys.split(",")[0])

    @property
    def name(self) -> str:
        """The action as a configuration names it: `why`, `pane:cache`, `step:-1`."""
        action, _, argument = self.action.removeprefix("app.").partition("(")
        argument = re.sub(r"[^\w-]", "", argument)
        return f"{action}:{argument}" if argument else action

    @property
    def id(self) -> str:
        """Its name with its place, which no other command has."""
        return f"{self.place}.{self.name}"

    def clicked(self, namespace: str) -> str:
        """A style by which a click on its text runs it, on the `screen` or in the `app`."""
        return f"@{namespace}.run({self.title!r})".replace(" ", "~")  # blanks part styles


_SHOWN = {
    "slash": "/", "question_mark": "?", "colon": ":", "escape": "esc", "right": "→", "left": "←", "up": "↑",
    "down": "↓", "pageup": "pgup", "pagedown": "pgdn",
}  # fmt: skip


def shown_key(key: str) -> str:
    """One key, named as Textual does, as users see it."""
    *modifiers, base = key.split("+")
    sign = key_to_character(base) or ""
    if base not in _SHOWN and sign.isprintable() and not sign.isspace():
        base = sign or base
    return "".join("^" if one == "ctrl" else f"{one}+" for one in modifiers) + _SHOWN.get(base, base)
